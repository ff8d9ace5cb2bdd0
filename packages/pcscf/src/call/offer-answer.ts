// Which SDP is an offer, which an answer, which neither. Pure bookkeeping of RFC 3264 and RFC 6337 2; knows no content.
import { headerList, headerValue, tagOf, type SipRequest, type SipResponse } from "@sallyport/sip";
import { otherSide, type Carrier, type ReasonCode } from "@sallyport/media-security";
import type { CallState, Exchange, Side } from "./types.ts";

export type RequestRole =
  | { readonly kind: "offer"; readonly carrier: Carrier; readonly branch?: string }
  | { readonly kind: "answer"; readonly carrier: Carrier; readonly branch?: string }
  /** RFC 3261 14.2, RFC 3311 5.2: an offer while another waits for its answer. */
  | { readonly kind: "glare"; readonly status: 491 | 500 }
  /** Neither: what it says about keys means nothing, and is taken out. */
  | { readonly kind: "neither" };

/** `later`: an offer while another waits for its answer; nobody can refuse a response. */
export type ResponseRole = Exclude<RequestRole, { readonly kind: "glare" }> | { readonly kind: "later" };

/** Why an offer is refused while another waits for its answer; the word of media-security too. */
export const offerPending: ReasonCode = "offer-pending";

/** RFC 3262 3 and RFC 3261 13.3.1.4: it is repeated until it is acknowledged. */
export const isReliable = (response: SipResponse): boolean =>
  response.status >= 200 ||
  (headerValue(response, "rseq") !== undefined &&
    headerList(response, "require").some((tag) => tag.toLowerCase() === "100rel"));

/** The tag that names the dialog, on whichever side the called party is. */
const branchOf = (call: CallState, message: SipRequest, from: Side): { readonly branch?: string } => {
  const up = (call.direction === "originating") === (from === "access");
  const tag = tagOf(message, up ? "to" : "from");
  return tag === undefined ? {} : { branch: tag };
};

export const requestRole = (
  call: CallState,
  exchange: Pick<Exchange, "from" | "method">,
  request: SipRequest,
): RequestRole => {
  const { from, method } = exchange;
  const open = call.offer;
  if (method === "ACK" || method === "PRACK") {
    // RFC 6337 2.1: the answer to an offer in a 2xx comes in the ACK, to one in a reliable 18x in the PRACK.
    if (open?.within === "response" && open.from === otherSide(from)) {
      const branch = branchOf(call, request, from);
      return (branch.branch ?? "") === open.branch
        ? { kind: "answer", carrier: method, ...branch }
        : { kind: "neither" };
    }
    if (method === "ACK") return { kind: "neither" };
  } else if (method !== "INVITE" && method !== "UPDATE") return { kind: "neither" };
  if (open !== undefined) return { kind: "glare", status: open.from === from ? 500 : 491 };
  const carrier: Carrier = method === "PRACK" ? "PRACK" : method === "UPDATE" ? "UPDATE" : "INVITE";
  return { kind: "offer", carrier, ...(tagOf(request, "to") === undefined ? {} : branchOf(call, request, from)) };
};

export const responseRole = (call: CallState, exchange: Exchange, response: SipResponse): ResponseRole => {
  if (response.status <= 100 || response.status >= 300) return { kind: "neither" };
  const tag = tagOf(response, "to");
  const up = (call.direction === "originating") === (exchange.from === "access");
  const named = up ? tag : tagOf(response, "from");
  const branch = named === undefined ? {} : { branch: named };
  if (exchange.method !== "INVITE") {
    const carrier: Carrier = exchange.method === "PRACK" ? "PRACK" : exchange.method === "UPDATE" ? "UPDATE" : "2xx";
    return exchange.offered && response.status >= 200 ? { kind: "answer", carrier, ...branch } : { kind: "neither" };
  }
  const carrier: Carrier = response.status < 200 ? "18x" : "2xx";
  if (exchange.offered) return { kind: "answer", carrier, ...branch };
  // RFC 6337 3.1: only a reliable response can carry the offer, and only once in a dialog.
  const done = call.decided.has(answeredMark(exchange.id, named));
  if (!isReliable(response) || done) return { kind: "neither" };
  // The 2xx of a place takes the call, whatever another one has offered in its 18x.
  const taken = carrier === "2xx" && call.offer?.exchange === exchange.id && call.offer.within === "response";
  return call.offer === undefined || taken ? { kind: "offer", carrier, ...branch } : { kind: "later" };
};

/** Key under which a leg of an earlier run remembers that it has heard of a 2xx to INVITE, or of its ACK. */
export const heardMark = (tag: string, seq: number): string => `heard/${tag}/${seq}`;

/** Key under which an offer made in a response is remembered, so that its copy in the 2xx is not taken for a new one. */
export const answeredMark = (exchange: number, branch: string | undefined): string =>
  `offer/${exchange}/${branch ?? ""}`;
