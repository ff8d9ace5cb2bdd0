// Lets messages of the access side and of strangers through to the transactions, or not: before anything is allocated for
// them. Owns the rates of sources. RFC 3261 21.5.4 (503), RFC 6357 (overload).
import {
  createResponse,
  sourceOf,
  tagOf,
  type Flow,
  type SipMessage,
  type SipRequest,
  type SipTransport,
} from "@sallyport/sip";
import type { Clock } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";
import type { EdgeCounters } from "../counters.ts";
import { contactsOf, isEmergencyContact } from "../registration/binding.ts";
import type { CoreTrust } from "../routing/trust.ts";
import { isEmergencyUri } from "../routing/emergency.ts";
import { createRates } from "./rates.ts";

export interface Gate {
  /** False: the request was refused or dropped, and counted. */
  admits(message: SipMessage, flow: Flow): boolean;
  /** Whether a stranger may be sent its final answer once more without having asked for it. */
  mayRepeat(flow: Flow): boolean;
}

/**
 * A few emergency calls of one address that are refused and lose every copy of it (RFC 3261 17.2.1: ten each); what is beyond
 * that is no caller's, but somebody's whose address others write.
 */
const repeats = { perSecond: 0.5, burst: 40 };
const allRepeats = { perSecond: 100, burst: 1000 };

/** What goes first when there is not enough for all: requests of dialogs that stand, emergency calls and registrations. */
export const isPreferred = (request: SipRequest): boolean => {
  if (request.method === "REGISTER") return contactsOf(request).some(({ uri }) => isEmergencyContact(uri));
  return tagOf(request, "to") !== undefined || (request.method === "INVITE" && isEmergencyUri(request.uri));
};

export const createGate = (parts: {
  readonly clock: Clock;
  readonly config: EdgeConfig;
  readonly counters: EdgeCounters;
  readonly transport: Pick<SipTransport, "send">;
  /** Whether a UE has registered over the flow. */
  readonly isRegistered: (flowId: string) => boolean;
  readonly trust: CoreTrust;
}): Gate => {
  const { clock, counters, transport } = parts;
  const { sources } = parts.config.limits;
  const { max } = sources;
  const all = createRates(clock, { perSecond: sources.requestsPerSecond, burst: sources.burst, max });
  const strangers = createRates(clock, {
    perSecond: sources.unregisteredPerSecond,
    burst: sources.unregisteredBurst,
    max,
  });

  // What no source exceeds, many together may: forged ones cost a sender nothing.
  const everybody = createRates(clock, {
    perSecond: sources.strangersPerSecond,
    burst: sources.strangersBurst,
    max: 1,
  });
  // As many answers as requests: whoever is asked has to answer, however much it asks itself.
  const answers = createRates(clock, { perSecond: sources.requestsPerSecond, burst: sources.burst, max });
  const always = (): boolean => true;
  const never = (): boolean => false;
  const again = createRates(clock, { ...repeats, max });
  const everyAgain = createRates(clock, { ...allRepeats, max: 1 });

  /** Strangers' rates: each source's own, and that of all of them. */
  const admitsStranger = (request: SipRequest, flow: Flow, source: string): boolean => {
    const preferred = (): boolean => isPreferred(request);
    if (!strangers.take(source, preferred)) return refuse(request, flow, "unregistered-rate");
    return everybody.take("", preferred) || refuse(request, flow, "strangers-rate");
  };

  const refuse = (request: SipRequest, flow: Flow, reason: string): false => {
    counters.count("admission_refused_total", { reason });
    // Over UDP the source may be forged: an answer would go to somebody else.
    if (flow.protocol !== "udp" && request.method !== "ACK") {
      const busy = createResponse(request, 503, undefined, { headers: [["Retry-After", "10"]] });
      transport.send(busy, flow).catch(() => undefined);
    }
    return false;
  };

  return {
    mayRepeat: (flow) => {
      if (parts.isRegistered(flow.id)) return true;
      if (again.take(sourceOf(flow.remote.address), never) && everyAgain.take("", never)) return true;
      counters.count("admission_refused_total", { reason: "repeat-rate" });
      return false;
    },
    admits: (message, flow) => {
      const source = sourceOf(flow.remote.address);
      if (flow.listener?.startsWith("access/") !== true)
        // RFC 3261 17.1.3: a response of the core side is judged by its transaction.
        return message.kind === "response" || parts.trust(flow) || admitsStranger(message, flow, source);
      if (message.kind === "response") {
        if (answers.take(source, always)) return true;
        counters.count("admission_refused_total", { reason: "response-rate" });
        return false;
      }
      if (!all.take(source, () => isPreferred(message))) return refuse(message, flow, "source-rate");
      return parts.isRegistered(flow.id) || admitsStranger(message, flow, source);
    },
  };
};
