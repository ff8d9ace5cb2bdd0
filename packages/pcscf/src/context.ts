// What the rooms of this element share: configuration, ports and the tables each of them owns. No behaviour here.
import type { Clock, Log, Random } from "@sallyport/kit";
import type { SipTarget, SipTransport, Transactions } from "@sallyport/sip";
import type { EdgeConfig } from "./config.ts";
import type { EdgeCounters } from "./counters.ts";
import type { Faults } from "./faults.ts";
import type { Bindings } from "./registration/bindings.ts";
import type { EntryPoints } from "./routing/next-hop.ts";
import type { Points } from "./listening/points.ts";
import type { Tokens } from "./routing/token.ts";
import type { CoreTrust } from "./routing/trust.ts";

export interface EdgeContext {
  readonly config: EdgeConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly counters: EdgeCounters;
  readonly faults: Faults;
  readonly tokens: Tokens;
  /** Makes the marks in our branches ours. */
  readonly loopKey: string;
  readonly points: Points;
  readonly bindings: Bindings;
  readonly trust: CoreTrust;
  readonly transport: SipTransport;
  readonly transactions: Transactions;
  /** Stands for the entry point of the home network; its servers are what `entries` says. */
  readonly nextHop: SipTarget;
  readonly entries: EntryPoints;
  /** New requests are to be turned away; those of dialogs and emergency calls are not. */
  readonly overloaded: () => boolean;
}
