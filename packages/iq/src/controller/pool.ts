// Owns the making of a context at whichever gateway will have it: asks one after the other, within the time a SIP
// transaction can wait. The order is select.ts's. TS 23.334 8 (Reserve), issue of errors: refusals.ts.
import type { Clock, Random } from "@sallyport/kit";
import { SallyportError } from "@sallyport/kit";
import { iqErrors } from "../errors.ts";
import type { ContextMarks, IqContext, ReservedEnds, StreamPlan } from "../types.ts";
import type { GatewayLink } from "./link.ts";
import { addContext, carriesKeys, willCarryKeys } from "./procedures.ts";
import { chooseGateways, type Choice } from "./select.ts";
import { askedOne, refusedBy, sparedOne, tookOne } from "./standing.ts";

export interface PoolPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly links: () => readonly GatewayLink[];
  readonly times: {
    /** One command, ms. */
    readonly commandTimeoutMs: number;
    /** One gateway while others can still be asked, ms. */
    readonly tryMs: number;
    /** All tries together, ms. */
    readonly budgetMs: number;
  };
}

const realmsOf = (streams: readonly StreamPlan[]): readonly string[] => {
  const realms: string[] = [];
  const note = (realm: string | undefined): void => {
    const lower = realm?.toLowerCase();
    if (lower !== undefined && !realms.includes(lower)) realms.push(lower);
  };
  for (const { access, core } of streams) {
    note(access?.realm);
    note(core?.realm);
  }
  return realms;
};

const nobody = (choice: Choice & { readonly kind: "none" }, realms: readonly string[]): SallyportError => {
  switch (choice.why) {
    case "unprotected":
      return iqErrors("SALLY_IQ_UNPROTECTED");
    case "realm":
      return iqErrors("SALLY_IQ_NO_GATEWAY", `None that is up serves ${realms.join(" and ")}.`);
    case "draining":
      return iqErrors("SALLY_IQ_NO_GATEWAY", "All that are up are draining.");
    case "full":
      return iqErrors("SALLY_IQ_NO_RESOURCES", "Every gateway is full or overloaded.");
    default:
      return iqErrors("SALLY_IQ_NO_GATEWAY");
  }
};

/** What a failed try says of the gateway; undefined: it is the plan's fault, and another would answer alike. */
const faultOf = (error: unknown): "busy" | "full" | undefined => {
  if (!(error instanceof SallyportError)) return undefined;
  switch (error.code) {
    case "SALLY_IQ_BUSY":
      return "busy";
    case "SALLY_IQ_NO_RESOURCES":
    case "SALLY_IQ_TIMEOUT":
    case "SALLY_IQ_GATEWAY_LOST":
    case "SALLY_IQ_REPLY_INVALID":
      return "full";
    default:
      return undefined;
  }
};

/** Rejects SALLY_IQ_*: the last refusal when all refused. Nothing is left behind anywhere. */
export const addSomewhere = async (
  { clock, random, links, times }: PoolPorts,
  streams: readonly StreamPlan[],
  marks: ContextMarks,
): Promise<{ readonly context: IqContext } & ReservedEnds> => {
  const all = links();
  const realms = realmsOf(streams);
  const need = { keys: carriesKeys(streams) || willCarryKeys(streams), realms, emergency: marks.emergency === true };
  const chance = (): number => random.bytes(4).readUInt32BE(0) / 2 ** 32;
  const choice = chooseGateways(
    all.map((link) => link.candidate()),
    need,
    clock.now(),
    chance,
  );
  for (const id of choice.spared ?? []) all.find(({ entry }) => entry.id === id)?.learn(sparedOne);
  if (choice.kind === "none") throw nobody(choice, realms);
  const until = clock.now() + times.budgetMs;
  // An error costs its stack: none is made before there is one to tell of.
  let refused: unknown;
  for (const [at, id] of choice.ids.entries()) {
    const link = all.find(({ entry }) => entry.id === id);
    const left = until - clock.now();
    if (at > 0 && left <= 0) break;
    // It may have gone while another was asked.
    if (link === undefined || link.state !== "up") continue;
    link.learn(askedOne);
    const patience = at === choice.ids.length - 1 ? Math.max(left, 1) : times.tryMs;
    try {
      const added = await addContext(link, streams, marks, Math.min(times.commandTimeoutMs, patience));
      link.learn(tookOne);
      return added;
    } catch (error) {
      const fault = faultOf(error);
      if (fault === undefined) throw error;
      link.learn((standing, now) => refusedBy(standing, fault, now));
      refused = error;
    }
  }
  throw refused ?? iqErrors("SALLY_IQ_NO_GATEWAY");
};
