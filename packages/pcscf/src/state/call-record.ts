// A call leg at rest as a plain value for the store, and back. Pure: media keys stay outside it under names (invariant 7),
// for a seal to keep. Knows neither store nor seal. RFC 3261 12 (what a dialog is), TS 33.328 7.2.1 and 7.3.1.
import { fail, ok, type Result } from "@sallyport/kit";
import type { IqContextState } from "@sallyport/iq";
import {
  freezeNegotiation,
  isBusy,
  thawNegotiation,
  type NamedSecret,
  type Negotiation,
} from "@sallyport/media-security";
import type { StateValue } from "@sallyport/store";
import type { CallDialog, CallEvidence, CallState, Party } from "../call/types.ts";
import { presentWithin } from "../present.ts";
import { bindingFrom, type Binding } from "../registration/binding.ts";

/** What a leg knows beside its state. Times are ms since the epoch. */
export interface CallSurroundings {
  readonly binding: Binding;
  readonly startedAt: number;
  readonly answeredAt?: number;
  /** When the session is over unless it is refreshed. RFC 4028 10. */
  readonly sessionEndsAt?: number;
  readonly context?: IqContextState;
  /** Of its context: another gateway has to hear of it too. */
  readonly priority?: number;
}

export interface CallRecord extends CallSurroundings {
  readonly version: 1;
  readonly id: string;
  readonly direction: CallState["direction"];
  readonly callId: string;
  readonly dialogs: readonly Omit<CallDialog, "unacknowledged">[];
  readonly evidence: readonly CallEvidence[];
  readonly negotiation: StateValue;
  /** Sealed secrets by the names the negotiation uses. */
  readonly sealed: Readonly<Record<string, string>>;
}

/** A call that came back. */
export interface ThawedCall extends CallSurroundings {
  readonly id: string;
  readonly direction: CallState["direction"];
  readonly callId: string;
  readonly dialogs: ReadonlyMap<string, CallDialog>;
  readonly evidence: readonly CallEvidence[];
  readonly negotiation: Negotiation;
}

/** Evidence kept over a restart. */
const maxEvidence = 64;

/**
 * Messages in a dialog that do not change it are not written down, so its CSeq numbers may have gone on: a BYE of ours
 * leaves room for them. RFC 3261 12.2.2 lets numbers jump.
 */
const seqRoom = 1000;

/** Confirmed, and nothing under way whose end a restart would not see: only such a leg can be taken up again. */
export const isAtRest = (call: CallState): boolean =>
  call.phase === "confirmed" &&
  call.offer === undefined &&
  call.own === undefined &&
  call.carried === undefined &&
  call.waiting.length === 0 &&
  call.queue.length === 0 &&
  call.deferred.length === 0 &&
  !isBusy(call.negotiation);

const confirmedOf = (dialogs: CallState["dialogs"]): readonly CallDialog[] =>
  [...dialogs.values()].filter(({ state }) => state === "confirmed");

/** What of the dialogs is worth a write: not the CSeq numbers, nor who has still to acknowledge. */
export const dialogsMark = (dialogs: CallState["dialogs"]): string =>
  JSON.stringify(
    confirmedOf(dialogs).map(({ tag, upstream, downstream, usages = [] }) => [
      tag,
      usages,
      [upstream, downstream].map(({ target, routes }) => [target, routes]),
    ]),
  );

const lasting = (dialog: CallDialog): CallRecord["dialogs"][number] => {
  const { tag, callId, upstream, downstream, state, session, usages } = dialog;
  return presentWithin({ tag, callId, upstream, downstream, state, session, usages });
};

/** The record of a leg, and the secrets that have to be sealed beside it: see `freezeNegotiation` for who releases them. */
export const freezeCall = (
  call: CallState,
  surroundings: CallSurroundings,
): { readonly record: Omit<CallRecord, "sealed">; readonly secrets: readonly NamedSecret[] } => {
  const { value, secrets } = freezeNegotiation(call.negotiation);
  const record = {
    version: 1,
    id: call.id,
    direction: call.direction,
    callId: call.callId,
    dialogs: confirmedOf(call.dialogs).map(lasting),
    evidence: presentWithin(call.evidence.slice(0, maxEvidence)),
    negotiation: value,
    ...presentWithin(surroundings),
  } as const;
  return { record, secrets };
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isParty = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value["name"] === "string" &&
  typeof value["target"] === "string" &&
  Array.isArray(value["routes"]) &&
  Number.isSafeInteger(value["seq"]);

const isDialog = (value: unknown): boolean =>
  isRecord(value) &&
  typeof value["tag"] === "string" &&
  typeof value["callId"] === "string" &&
  isParty(value["upstream"]) &&
  isParty(value["downstream"]);

const isContext = (value: unknown): boolean =>
  value === undefined ||
  (isRecord(value) &&
    Array.isArray(value["streams"]) &&
    isRecord(value["context"]) &&
    typeof value["context"]["gateway"] === "string" &&
    Number.isSafeInteger(value["context"]["context"]));

/** A record as a store gave it back; undefined when it is none of this version. Its frame is checked, not every field. */
export const callRecordFrom = (value: StateValue): CallRecord | undefined => {
  if (!isRecord(value) || value["version"] !== 1) return undefined;
  const { id, direction, callId, dialogs, evidence, sealed, binding, startedAt, context } = value;
  const whole =
    typeof id === "string" &&
    (direction === "originating" || direction === "terminating") &&
    typeof callId === "string" &&
    typeof startedAt === "number" &&
    Array.isArray(dialogs) &&
    dialogs.every(isDialog) &&
    Array.isArray(evidence) &&
    isRecord(sealed) &&
    isContext(context) &&
    bindingFrom(binding as StateValue) !== undefined;
  return whole ? (value as unknown as CallRecord) : undefined;
};

const withRoom = (party: Party): Party => ({ ...party, uncounted: seqRoom });

/** The call of a record; `secrets` are what the seal gave back, and become the call's own. Fails with the reason. */
export const thawCall = (
  record: CallRecord,
  secrets: Parameters<typeof thawNegotiation>[1],
): Result<ThawedCall, string> => {
  const negotiation = thawNegotiation(record.negotiation, secrets);
  if (!negotiation.ok) return fail(negotiation.error.code);
  // Whether an ACK crossed before the end is not known; whoever misses it says so by repeating its 2xx.
  const dialogs = record.dialogs.map(({ tag, callId, state, upstream, downstream, session, usages }): CallDialog => ({
    tag,
    callId,
    state,
    upstream: withRoom(upstream),
    downstream: withRoom(downstream),
    ...(session === undefined ? {} : { session }),
    unacknowledged: [],
    usages,
  }));
  const { version: _version, sealed: _sealed, ...rest } = record;
  return ok({
    ...rest,
    dialogs: new Map(dialogs.map((dialog) => [dialog.tag, dialog])),
    negotiation: negotiation.value,
  });
};
