// What an operator has to know of the dates of this node's certificates. Pure; reads no file.
import { gauge, type Metric } from "./metrics.ts";

/** One file of TLS, as it was read at the start. Times are milliseconds since 1970. */
export interface CertificateFacts {
  readonly file: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

const dayMs = 86_400_000;
/** So long before it expires a certificate is spoken of. */
const noticeMs = 14 * dayMs;

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

const warningOf = ({ file, notBefore, notAfter }: CertificateFacts, now: number): string | undefined => {
  if (now > notAfter) return `certificate ${file} expired on ${day(notAfter)} UTC: peers refuse it`;
  if (now < notBefore)
    return `certificate ${file} is not valid before ${day(notBefore)} UTC: peers refuse it; compare the clocks`;
  const left = notAfter - now;
  if (left > noticeMs) return undefined;
  return `certificate ${file} expires on ${day(notAfter)} UTC, in ${Math.floor(left / dayMs)} days: renew it`;
};

/** One sentence for each that has expired, is not valid yet or expires within two weeks. */
export const certificateWarnings = (certificates: readonly CertificateFacts[], now: number): readonly string[] =>
  certificates.flatMap((each) => warningOf(each, now) ?? []);

export const certificateMetric = (certificates: readonly CertificateFacts[]): Metric =>
  gauge(
    "sallyport_certificate_not_after_seconds",
    "When a certificate of this node expires, seconds since 1970.",
    certificates.map(({ file, notAfter }) => ({ labels: { file }, value: notAfter / 1000 })),
  );
