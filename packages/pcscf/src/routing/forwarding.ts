// Forwards requests that belong to no call, one transaction each. Must not know calls nor registration procedures.
// RFC 3261 16.6 and 16.7; SDP in them carries no keys on (TS 33.328 7.2.1 and 7.3.1, last sentences).
import { otherSide, type Side } from "@sallyport/media-security";
import {
  createResponse,
  headerList,
  param,
  parseSipUri,
  tagOf,
  type ServerTransaction,
  type SipRequest,
} from "@sallyport/sip";
import { withoutBody } from "../body/sdp-body.ts";
import { withoutKeying } from "../body/idle-sdp.ts";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { acceptable, answerTowards } from "./answer.ts";
import { branchFor, refusalOfLostFlow, towardsCore, towardsUe, type DialogHop } from "./outgoing.ts";
import { uriOfHop, type ListeningPoint } from "../listening/points.ts";
import { restoration } from "./restoration.ts";
import { inTimeMs, sendRequest } from "./sending.ts";
import { noteFlow } from "./ue-flow.ts";

export interface Forwarding {
  readonly transaction: ServerTransaction;
  /** Hops counted, our own Route entries taken off. */
  readonly request: SipRequest;
  readonly point: ListeningPoint;
  readonly binding: Binding;
}

/** Inside a dialog the request's own Route leads on: the core wrote it, and a UE should only have copied it. */
const hopOf = (request: SipRequest, claimed: boolean): DialogHop | undefined =>
  tagOf(request, "to") === undefined
    ? undefined
    : { target: request.uri, routes: headerList(request, "route"), claimed };

/** RFC 3261 19.1.1: what follows such a Route goes elsewhere than it says; the core writes none. */
const leadsAside = (value: string): boolean => param(parseSipUri(uriOfHop(value))?.params ?? [], "maddr") !== undefined;

/** Sends a request on and its responses back. */
export const forwardRequest = (ctx: EdgeContext, { transaction, request, point, binding }: Forwarding): void => {
  const initial = tagOf(request, "to") === undefined;
  const answer = (status: number, reason?: string): void => {
    const headers = acceptable(status);
    transaction.respond(createResponse(transaction.request, status, reason, { toTag: transaction.toTag, headers }));
  };
  const unusable = (reason: string, from: Side): void => {
    ctx.counters.count("malformed_total", { code: "body" });
    ctx.log.info("body not passed on", { reason, from, method: request.method });
  };
  const idle = withoutKeying(request);
  if (!idle.ok) {
    unusable(idle.reason, point.side);
    return answer(idle.status, idle.reason);
  }
  for (const kind of idle.removed) ctx.counters.count("indications_removed_total", { kind, from: point.side });
  const fromUe = point.side === "access";
  const hop = hopOf(request, fromUe);
  if (fromUe && hop?.routes.some(leadsAside) === true) return answer(403);
  const token = ctx.tokens.seal("dialog", binding.id);
  const facts = { request: idle.message, binding, cameIn: point, hop, token };
  const out = fromUe ? towardsCore(ctx, facts) : towardsUe(ctx, facts);
  if (out === undefined) return answer(refusalOfLostFlow(binding));
  /** TS 24.229 5.2.6.3.2A. */
  const unreached = (status: number): void => {
    const told = fromUe ? restoration(ctx, transaction, binding) : undefined;
    if (told === undefined) answer(status);
    else transaction.respond(told);
  };
  sendRequest(
    ctx,
    {
      ...out,
      branch: () => branchFor(ctx, transaction.request),
      ...(fromUe && initial ? { withinMs: inTimeMs } : {}),
    },
    {
      onResponse: (response, flow) => {
        if (!fromUe) noteFlow(ctx, binding, flow);
        // RFC 4320 4.1: no provisional answer but the 100 of the transaction's own.
        if (response.status === 100 || (response.status < 200 && request.method !== "INVITE")) return;
        const clean = withoutKeying(response);
        // A body that cannot be read is not passed on; the answer itself is.
        if (!clean.ok) unusable(clean.reason, otherSide(point.side));
        const message = clean.ok ? clean.message : withoutBody(response);
        transaction.respond(answerTowards(ctx, message, { asked: transaction.request, towards: point.side, binding }));
      },
      // RFC 4320 4.2: whoever sent anything else has given up by itself.
      onTimeout: () => (fromUe && initial ? unreached(504) : request.method === "INVITE" ? answer(408) : undefined),
      onTransportError: () => unreached(fromUe ? 503 : refusalOfLostFlow(binding)),
    },
  );
};
