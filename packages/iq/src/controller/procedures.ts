// Owns the procedures of TS 23.334 clause 8 at the controller: each sends one transaction and reads its answer.
// Invariant 6: no key leaves over an unprotected Iq. Invariant 10: what fails half way is subtracted again.
import type { Result, SallyportError } from "@sallyport/kit";
import { iqErrors } from "../errors.ts";
import { isSecureProtocol } from "../profile/session-text.ts";
import type { CallEndPlan, ContextMarks, IqContext, IqStatistics, ReservedEnds, StreamPlan } from "../types.ts";
import { forget, remember, reservedOf } from "./held.ts";
import type { GatewayLink } from "./link.ts";
import { iqError } from "./refusals.ts";
import type { ReplyFailure } from "./replies.ts";
import { firstError, readAdd, readModify, readSubtract } from "./replies.ts";
import { addRequest, modifyRequest, removeStreamsRequest, subtractRequest } from "./requests.ts";

const anyEnd = (streams: readonly StreamPlan[], is: (end: CallEndPlan) => boolean): boolean =>
  streams.some(({ access, core }) => (access !== undefined && is(access)) || (core !== undefined && is(core)));

const isSecured = ({ protocol }: CallEndPlan): boolean => isSecureProtocol(protocol);

export const carriesKeys = (streams: readonly StreamPlan[]): boolean =>
  anyEnd(streams, ({ localCrypto, remoteCrypto }) => localCrypto !== undefined || remoteCrypto !== undefined);

/** Keys will follow: a gateway that may not have them is no use. */
export const willCarryKeys = (streams: readonly StreamPlan[]): boolean => anyEnd(streams, isSecured);

const failureError = (failure: ReplyFailure, where: string): SallyportError =>
  failure.kind === "refused"
    ? iqError(failure.error, where)
    : iqErrors("SALLY_IQ_REPLY_INVALID", `${failure.why}.`, { where });

const need = <T>(result: Result<T, ReplyFailure>, where: string): T => {
  if (!result.ok) throw failureError(result.error, where);
  return result.value;
};

/** Word of keys nearly used up is asked of a gateway that can give it, for streams that have keys. */
const watched = (link: GatewayLink, streams: readonly StreamPlan[]): readonly StreamPlan[] => {
  if (!link.tellsOfKeys) return streams;
  return streams.map((plan) => {
    const { access } = plan;
    if (access === undefined || !isSecured(access)) return plan;
    return { stream: plan.stream, access: { ...access, watchKeys: true }, core: plan.core };
  });
};

/** TS 33.328 6.2.1.3 note: refused before anything is sent. */
const guard = (link: GatewayLink, streams: readonly StreamPlan[]): void => {
  if (carriesKeys(streams) && !link.mayHoldKeys) {
    throw iqErrors("SALLY_IQ_UNPROTECTED", undefined, { where: link.entry.id });
  }
};

/** Reserve (and Configure) AGW Connection Point, both sides, in a new context. */
export const addContext = async (
  link: GatewayLink,
  plans: readonly StreamPlan[],
  marks: ContextMarks,
  timeoutMs?: number,
): Promise<{ readonly context: IqContext } & ReservedEnds> => {
  const streams = watched(link, plans);
  guard(link, streams);
  // A context of this profile has a termination on each side from the start.
  if (!streams.some((plan) => plan.access !== undefined) || !streams.some((plan) => plan.core !== undefined)) {
    throw iqErrors("SALLY_IQ_REFUSED", "A new context needs a plan for both sides.", { where: link.entry.id });
  }
  const replies = await link.command(addRequest(streams, marks), timeoutMs);
  const added = readAdd(link.entry.id, streams, replies);
  if (!added.ok) {
    // A gateway that keeps the commands before the failed one must not keep their context.
    if (added.error.context !== undefined) await link.tidy(added.error.context);
    // Nor one that it does not name: it comes to light when contexts are compared.
    else if (added.error.kind === "unusable") link.doubt();
    throw failureError(added.error, link.entry.id);
  }
  const { context, access, core } = added.value;
  link.hold(remember(context, new Map(), streams, { access, core }));
  return { context, access, core };
};

const heldOf = (link: GatewayLink, context: IqContext) => {
  const held = link.contexts.get(context.context);
  if (held === undefined) {
    throw iqErrors("SALLY_IQ_CONTEXT_GONE", `Context ${context.context}.`, { where: link.entry.id });
  }
  return held;
};

/** Configure AGW Connection Point, Change Through-Connection; Reserve for new streams. */
export const modifyContext = async (
  link: GatewayLink,
  context: IqContext,
  plans: readonly StreamPlan[],
): Promise<ReservedEnds> => {
  const held = heldOf(link, context);
  const streams = watched(link, plans);
  guard(link, streams);
  const replies = await link.command(modifyRequest(held, streams));
  const reserved = need(readModify(context, streams, replies), link.entry.id);
  const after = remember(context, held.streams, streams, reserved);
  link.hold(after);
  return { access: reservedOf(after, streams, "access"), core: reservedOf(after, streams, "core") };
};

export const removeStreams = async (
  link: GatewayLink,
  context: IqContext,
  streams: readonly number[],
): Promise<void> => {
  const held = heldOf(link, context);
  const known = streams.filter((stream) => held.streams.has(stream));
  if (known.length === 0) return;
  const error = firstError(await link.command(removeStreamsRequest(held, known)));
  if (error !== undefined) throw iqError(error, link.entry.id);
  link.hold(forget(held, known));
};

const nothing: IqStatistics = { terminations: [] };

/** Release AGW Termination, all of the context. Never rejects for what the gateway does: the call has ended anyway. */
export const subtractContext = async (
  link: GatewayLink,
  context: IqContext,
  options: { readonly statistics: boolean },
): Promise<IqStatistics> => {
  const held = link.contexts.get(context.context);
  if (held === undefined) return nothing;
  link.drop(context.context);
  const replies = await link.command(subtractRequest(context, options)).catch(() => undefined);
  if (replies === undefined) {
    link.doubt();
    return nothing;
  }
  const read = readSubtract(context, [...held.streams.keys()], replies);
  if (read.ok) return read.value;
  link.doubt();
  return nothing;
};
