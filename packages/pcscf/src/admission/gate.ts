// Lets requests of the access side through to the transactions, or not: before anything is allocated for them.
// Owns the rates of sources. RFC 3261 21.5.4 (503), RFC 6357 (overload).
import { createResponse, tagOf, type Flow, type SipMessage, type SipRequest, type SipTransport } from "@sallyport/sip";
import type { Clock } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";
import type { EdgeCounters } from "../counters.ts";
import { contactsOf } from "../registration/binding.ts";
import { isEmergencyContact, isEmergencyUri } from "../routing/emergency.ts";
import { createRates, sourceOf } from "./rates.ts";

export interface Gate {
  /** False: the request was refused or dropped, and counted. */
  admits(message: SipMessage, flow: Flow): boolean;
}

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
    admits: (message, flow) => {
      if (message.kind === "response" || flow.listener?.startsWith("access/") !== true) return true;
      const source = sourceOf(flow.remote.address);
      const preferred = (): boolean => isPreferred(message);
      if (!all.take(source, preferred)) return refuse(message, flow, "source-rate");
      if (parts.isRegistered(flow.id) || strangers.take(source, preferred)) return true;
      return refuse(message, flow, "unregistered-rate");
    },
  };
};
