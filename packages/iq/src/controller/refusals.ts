// Owns the mapping of H.248 error codes onto what the IMS-ALG throws, and so onto SIP statuses.
import type { H248Error } from "@sallyport/h248";
import type { SallyportError } from "@sallyport/kit";
import { errorText } from "../profile/error-text.ts";
import { iqErrors } from "../errors.ts";

type IqCode = keyof typeof iqErrors.catalogue;

/** One row of the way from H.248 to SIP; the way back is `h248Error` of the catalogue. */
export interface Refusal {
  readonly code: IqCode;
  /** H.248 error codes that mean it. */
  readonly h248: readonly number[];
  /** What the UE or the core is answered. */
  readonly sip: 488 | 500 | 503;
  /** Retry-After of a 503, seconds (RFC 3261 20.33). */
  readonly retryAfter?: number;
}

export const refusalTable: readonly Refusal[] = [
  // 412 no context identifiers, 432 no terminations, 434 context full, 510 resources, 512/513 no event or signal, 526 bandwidth
  { code: "SALLY_IQ_NO_RESOURCES", h248: [412, 432, 434, 510, 512, 513, 526], sip: 503, retryAfter: 5 },
  // 502 not ready, 503 unavailable, 506 too many pendings, 511 busy
  { code: "SALLY_IQ_BUSY", h248: [502, 503, 506, 511], sip: 503, retryAfter: 5 },
  // 504 unauthorised, 505 before the ServiceChange reply: the gateway does not take us for its controller
  { code: "SALLY_IQ_GATEWAY_LOST", h248: [504, 505], sip: 503, retryAfter: 5 },
  { code: "SALLY_IQ_NO_GATEWAY", h248: [], sip: 503, retryAfter: 10 },
  { code: "SALLY_IQ_TIMEOUT", h248: [], sip: 503, retryAfter: 5 },
  { code: "SALLY_IQ_CLOSED", h248: [], sip: 503 },
  // 411 unknown context, 430/431 unknown termination, 435 in another context
  { code: "SALLY_IQ_CONTEXT_GONE", h248: [411, 430, 431, 435], sip: 500 },
  // 449 suite, key or value not supported, 472 keys missing, 473 conflicting values, 474 bad SDP, 515 media type (TS 29.334 5.17.1)
  { code: "SALLY_IQ_MEDIA_REFUSED", h248: [449, 472, 473, 474, 515], sip: 488 },
];

const codeOf = new Map(refusalTable.flatMap(({ code, h248 }) => h248.map((number) => [number, code] as const)));
const rowOf = new Map<string, Refusal>(refusalTable.map((row) => [row.code, row]));

/** What a failed procedure becomes in SIP; what is in no row is an error of ours: 500. */
export const sipRefusal = (code: string | undefined): Pick<Refusal, "sip" | "retryAfter"> =>
  rowOf.get(code ?? "") ?? { sip: 500 };

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
