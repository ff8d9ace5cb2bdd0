// A response on its way back through the edge: what may not cross is taken out, what the network adds is put in, and it
// leaves with the Vias its request came with. Knows no call state. RFC 3261 16.7, RFC 3325, RFC 7315, TS 24.229 5.2.6.4.
import {
  headerValue,
  headerValues,
  parseCSeq,
  prependHeader,
  quote,
  removeHeader,
  tagOf,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { Side } from "@sallyport/media-security";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { withAccessInfo } from "./access-info.ts";
import { withAnsweredCharging } from "./charging.ts";
import { answersAs, assertIdentity } from "./identity.ts";
import { answerKeep } from "./keep.ts";
import { countRemoved } from "./outgoing.ts";
import { scrub } from "./scrub.ts";

interface Answering {
  /** As it arrived here: it says whom the answer goes to. */
  readonly asked: SipRequest;
  /** The side that asked. */
  readonly towards: Side;
  /** The UE on the access side. */
  readonly binding: Binding;
  /** Hears what `scrub` took out, if anything. */
  readonly onRemoved?: (removed: readonly string[]) => void;
}

/**
 * RFC 3261 16.7 step 3 forbids to pass a response on that has no Via left. This edge keeps each transaction, so it knows
 * them itself: an element that loses or changes them leaves nobody waiting.
 */
export const withViasOf = (response: SipResponse, asked: SipRequest): SipResponse => {
  const due = headerValues(asked, "via");
  const has = headerValues(response, "via");
  if (has.length === due.length && due.every((value, at) => value === has[at])) return response;
  let out = removeHeader(response, "via");
  for (const value of due.toReversed()) out = prependHeader(out, "Via", value);
  return out;
};

/** RFC 3261 21.4.13: what a 415 says would be taken. */
export const acceptable = (status: number): readonly (readonly [string, string])[] =>
  status === 415
    ? [
        ["Accept", "application/sdp, multipart/*, */*;q=0.5"],
        ["Accept-Encoding", "identity"],
      ]
    : [];

/** RFC 3261 20.43, 21.4.26: what of a body could not be taken, in words for whoever looks for it; 399 says no more. */
export const warning = (
  agent: string,
  status: number,
  reason: string | undefined,
): readonly (readonly [string, string])[] =>
  reason !== undefined && (status === 400 || status === 415 || status === 488)
    ? [["Warning", `399 ${agent} ${quote(reason)}`]]
    : [];

/** RFC 6223 4.4: keep-alives may also be agreed on for the time of a call. */
const makesDialog = (response: SipResponse): boolean =>
  response.status > 100 && response.status < 300 && parseCSeq(headerValue(response, "cseq") ?? "")?.method === "INVITE";

/** What the UE answers, fit for the core. */
const towardsCore = (ctx: EdgeContext, response: SipResponse, { asked, binding }: Answering): SipResponse => {
  const point = ctx.points.all.find(({ name }) => name === binding.flow.listener);
  const informed = withAccessInfo(response, point?.accessNetworkInfo);
  if (tagOf(asked, "to") !== undefined) return assertIdentity(informed, []);
  // RFC 3325 and TS 24.229 5.2.6.4: the UE that answers is who it registered as.
  const named = assertIdentity(informed, answersAs(asked, binding.identities));
  return withAnsweredCharging(named, asked, ctx.config.homeNetwork);
};

/** A response of the other side for whoever asked. */
export const answerTowards = (ctx: EdgeContext, response: SipResponse, answering: Answering): SipResponse => {
  const { towards, asked } = answering;
  const scrubbed = scrub(response, towards);
  countRemoved(ctx, scrubbed.removed, towards === "core" ? "access" : "core");
  if (scrubbed.removed.length > 0) answering.onRemoved?.(scrubbed.removed);
  const out = withViasOf(scrubbed.message, asked);
  if (towards === "core") return towardsCore(ctx, out, answering);
  return makesDialog(out) ? answerKeep(out, ctx.config.registration.keepAlive) : out;
};
