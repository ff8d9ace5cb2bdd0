// Finds the leg of a 2xx that no transaction knows, by our own Record-Route in it. Pure but for the tables it reads.
// RFC 6026 8.9 forbids to forward such a response; a leg may answer it. RFC 3261 13.2.2.4.
import type { Side } from "@sallyport/media-security";
import { headerList, type Flow, type SipResponse } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";

/** Undefined for what is not of a leg, or comes from somebody who may not speak on the core side. */
export const legOfStray = (
  { points, tokens, trust }: Pick<EdgeContext, "points" | "tokens" | "trust">,
  response: SipResponse,
  flow: Flow,
): { readonly call: string; readonly from: Side } | undefined => {
  const point = points.ofFlow(flow);
  if (point === undefined || response.status < 200 || response.status >= 300) return undefined;
  if (point.side === "core" && !trust(flow)) return undefined;
  const calls = headerList(response, "record-route").flatMap((value) => {
    const token = tokens.open(points.ownUri(value)?.user);
    return token?.kind === "call" ? [token.subject] : [];
  });
  // A call between two UEs of ours has crossed twice: the called UE answers the upper leg, the core the lower one.
  const call = point.side === "access" ? calls[0] : calls.at(-1);
  return call === undefined ? undefined : { call, from: point.side };
};
