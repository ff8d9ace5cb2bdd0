// Owns the mapping of H.248 error codes onto what the IMS-ALG throws, and so onto SIP statuses.
import type { H248Error } from "@sallyport/h248";
import type { SallyportError } from "@sallyport/kit";
import { errorText } from "../profile/error-text.ts";
import { iqErrors } from "../errors.ts";

type IqCode = keyof typeof iqErrors.catalogue;

const rooms: readonly (readonly [code: IqCode, h248: readonly number[]])[] = [
  // 412 no context identifiers, 432 no terminations, 434 context full, 510 resources, 512/513 no event or signal, 526 bandwidth
  ["SALLY_IQ_NO_RESOURCES", [412, 432, 434, 510, 512, 513, 526]],
  // 502 not ready, 503 unavailable, 506 too many pendings, 511 busy
  ["SALLY_IQ_BUSY", [502, 503, 506, 511]],
  // 504 unauthorised, 505 before the ServiceChange reply: the gateway does not take us for its controller
  ["SALLY_IQ_GATEWAY_LOST", [504, 505]],
  // 411 unknown context, 430/431 unknown termination, 435 in another context
  ["SALLY_IQ_CONTEXT_GONE", [411, 430, 431, 435]],
];

const codeOf = new Map(rooms.flatMap(([code, numbers]) => numbers.map((number) => [number, code] as const)));

/** Every other code means that we asked for something this gateway does not do, or asked wrongly. */
export const iqError = (error: H248Error, where: string): SallyportError =>
  iqErrors(codeOf.get(error.code) ?? "SALLY_IQ_REFUSED", `H.248 error ${error.code}: ${errorText(error.text)}.`, {
    where,
  });

/** What a request that did not come back with a reply means; `doubtful`: what it did at the gateway is not known. */
export const lostReply = (
  error: SallyportError,
  where: string,
): { readonly error: SallyportError; readonly doubtful: boolean } => {
  switch (error.code) {
    case "SALLY_H248_TIMEOUT":
      return { error: iqErrors("SALLY_IQ_TIMEOUT", undefined, { where, cause: error }), doubtful: true };
    case "SALLY_H248_CLOSED":
      return { error: iqErrors("SALLY_IQ_GATEWAY_LOST", undefined, { where, cause: error }), doubtful: false };
    case "SALLY_H248_BUSY":
      return { error: iqErrors("SALLY_IQ_BUSY", undefined, { where, cause: error }), doubtful: false };
    case "SALLY_H248_ERROR":
      return { error: iqError({ code: error.h248Error ?? 500, text: error.detail }, where), doubtful: false };
    default:
      return { error: iqErrors("SALLY_IQ_REFUSED", error.code, { where, cause: error }), doubtful: true };
  }
};
