// Who is at the other end of a flow, as far as admission goes: somebody registered, somebody of the core, or a stranger; and
// who may answer what was sent where. Pure but for the tables it reads. RFC 3261 17.1.3 and 18.1.2, RFC 5626 5.3.
import type { Flow, SipTarget } from "@sallyport/sip";
import type { Points } from "../listening/points.ts";
import type { CoreTrust } from "../routing/trust.ts";

export interface Standing {
  /** Neither registered nor of the core: what it is refused is not kept, and it has half of a table at most. */
  isStranger(flow: Flow): boolean;
  /** Whether an answer on `flow` may be of whom a request was sent to by `sent`. */
  mayAnswer(flow: Flow, sent: Flow | SipTarget): boolean;
}

export const createStanding = (parts: {
  readonly points: Pick<Points, "ofFlow">;
  readonly trust: CoreTrust;
  /** Whether anybody has registered over a flow. */
  readonly isRegistered: (flowId: string) => boolean;
  readonly isOpen: (flowId: string) => boolean;
}): Standing => {
  const { points, trust, isRegistered, isOpen } = parts;
  const addressOf = (sent: Flow | SipTarget): string => ("id" in sent ? sent.remote.address : sent.address);

  return {
    isStranger: (flow) => (points.ofFlow(flow)?.side === "core" ? !trust(flow) : !isRegistered(flow.id)),
    mayAnswer: (flow, sent) => {
      if ("id" in sent && sent.id === flow.id) return true;
      const side = points.ofFlow(flow)?.side;
      const elsewhere = flow.protocol !== sent.protocol || flow.remote.address !== addressOf(sent);
      // An element with several addresses answers from any; over a new connection too (RFC 3261 18.2.2).
      if (side === "core") {
        const askedCore = sent.listener?.startsWith("core/") === true;
        return askedCore && (trust(flow) || (!elsewhere && flow.protocol !== "tls"));
      }
      if (side !== "access" || flow.listener !== sent.listener || elsewhere) return false;
      // Over UDP a flow is where its peer sends from, and it may send from another port than it listens on. A connection is
      // its UE's alone: after it is gone only whoever registered again speaks for it.
      if (flow.protocol === "udp" || !("id" in sent)) return true;
      return !isOpen(sent.id) && isRegistered(flow.id);
    },
  };
};
