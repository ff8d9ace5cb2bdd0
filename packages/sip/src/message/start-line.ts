// Owns the start line: Request-Line and Status-Line. RFC 3261 7.1, 7.2, 25.1.
import { isSpaceOrControl, isToken, parseDecimal } from "./chars.ts";

type StartLine =
  | { readonly kind: "request"; readonly method: string; readonly uri: string }
  | { readonly kind: "response"; readonly status: number; readonly reason: string };

export type StartLineResult =
  | { readonly ok: true; readonly line: StartLine }
  | { readonly ok: false; readonly code: "start-line" | "version" | "status-code"; readonly method?: string };

const isSip2 = (version: string): boolean => version === "SIP/2.0" || version.toUpperCase() === "SIP/2.0";

/** `SIP/` DIGITs `.` DIGITs, any version (short text only, so that the cost stays flat). */
const isSipVersion = (version: string): boolean => version.length < 24 && /^SIP\/\d+\.\d+$/i.test(version);

const parseStatusLine = (text: string): StartLineResult => {
  const space = text.indexOf(" ");
  const version = space < 0 ? text : text.slice(0, space);
  if (!isSip2(version)) return { ok: false, code: isSipVersion(version) ? "version" : "start-line" };
  // RFC 4475 3.1.1.13: the reason may be empty; the SP before it is forgiven too.
  const codeEnd = text.indexOf(" ", space + 1);
  const digits = text.slice(space + 1, codeEnd < 0 ? text.length : codeEnd);
  const status = digits.length === 3 ? parseDecimal(digits, 699) : undefined;
  if (space < 0 || status === undefined || status < 100) return { ok: false, code: "status-code" };
  return { ok: true, line: { kind: "response", status, reason: codeEnd < 0 ? "" : text.slice(codeEnd + 1) } };
};

const isUriText = (uri: string): boolean => {
  if (uri.length === 0) return false;
  for (let at = 0; at < uri.length; at += 1) if (isSpaceOrControl(uri.charCodeAt(at))) return false;
  return true;
};

/** The parts of a start line. A refused request line still names its method when it begins with one. */
export const parseStartLine = (text: string): StartLineResult => {
  // "/" is no token character: nothing that begins so can be a request.
  if (text.length >= 4 && text.slice(0, 4).toUpperCase() === "SIP/") return parseStatusLine(text);
  const first = text.indexOf(" ");
  const method = text.slice(0, Math.max(0, first));
  if (first < 0 || !isToken(method)) return { ok: false, code: "start-line" };
  const last = text.lastIndexOf(" ");
  const uri = text.slice(first + 1, last);
  const version = text.slice(last + 1);
  if (last === first || !isUriText(uri)) return { ok: false, code: "start-line", method };
  if (isSip2(version)) return { ok: true, line: { kind: "request", method, uri } };
  return { ok: false, code: isSipVersion(version) ? "version" : "start-line", method };
};
