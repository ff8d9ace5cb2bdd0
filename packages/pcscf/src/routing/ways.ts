// By which ways a request may leave: the servers of where it goes, and for each the transports that carry it. Reads tables,
// sends nothing. RFC 3263 4.3 (servers), RFC 3261 18.1.1 (TCP in the place of UDP for what is too long for a datagram).
import { headerValue, isFlow, type Flow, type SipRequest, type SipTarget } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";

/** RFC 3261 18.1.1: longer ones go by a transport with congestion control, as the path's MTU is not known. */
const maxDatagram = 1300;
/** Our own Via, which is not in the request yet. */
const viaLength = 160;

/** One way to a server; TCP and UDP to the same one are two. */
export interface Way {
  readonly to: Flow | SipTarget;
  readonly server: number;
}

const lengthOf = (request: SipRequest): number => {
  let length = request.startLine.length + 4 + request.body.length + viaLength;
  for (const { raw } of request.headers) length += raw.length + 2;
  return length;
};

/** The ways to `to`, best first; never none. */
export const waysTo = (ctx: EdgeContext, request: SipRequest, to: Flow | SipTarget): readonly Way[] => {
  // A UE's flow is the only way to it: what is too long for one datagram goes in fragments.
  if (isFlow(to)) return [{ to, server: 0 }];
  const servers = ctx.entries.servers(to, headerValue(request, "route") !== undefined);
  return servers.flatMap((target, server): readonly Way[] => {
    const long = target.protocol === "udp" && lengthOf(request) > maxDatagram;
    const point = long ? ctx.points.towardsCore({ protocol: "tcp", address: target.address }) : undefined;
    if (point === undefined) return [{ to: target, server }];
    return [
      { to: { ...target, protocol: "tcp", listener: point.name }, server },
      { to: target, server },
    ];
  });
};
