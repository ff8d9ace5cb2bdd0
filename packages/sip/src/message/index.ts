// The door of the message folder.
export { defaultSipLimits } from "./message.ts";
export type { HeaderField, SipLimits, SipMessage, SipRequest, SipResponse } from "./message.ts";
export { parseMessage } from "./parse.ts";
export type { SipParseCode, SipParseFailure, SipParseResult } from "./parse.ts";
export { writeMessage } from "./write.ts";
export {
  appendHeader,
  filterHeaderList,
  filterList,
  headerList,
  headerValue,
  headerValues,
  prependHeader,
  removeHeader,
  removeTopListElement,
  replaceHeader,
  replaceTopListElement,
  setHeader,
  sieveHeaders,
  topListElement,
} from "./headers.ts";
export type { Sieve } from "./headers.ts";
export { fromUtf8, isToken, quote, unquote, utf8 } from "./chars.ts";
export { canonicalName } from "./names.ts";
export { splitList } from "./list.ts";
export { parseMediaType } from "./media-type.ts";
export type { MediaType } from "./media-type.ts";
export { formatParams, param, parseParams, withParam, withoutParam } from "./params.ts";
export type { Params } from "./params.ts";
export { formatHost, formatSipUri, parseSipUri, sameUri, uriScheme } from "./uri.ts";
export type { SipUri } from "./uri.ts";
export { formatNameAddr, parseNameAddr } from "./name-addr.ts";
export type { NameAddr } from "./name-addr.ts";
export { formatVia, parseVia } from "./via.ts";
export type { Via } from "./via.ts";
export { parseCSeq, tagOf } from "./values.ts";
export type { CSeq } from "./values.ts";
export { formatSecurityMechanism, parseSecurityMechanism } from "./security-mechanism.ts";
export type { SecurityMechanism } from "./security-mechanism.ts";
export { createRequest, createResponse, withBody, withLength, withUri } from "./create.ts";
export type { RequestParts, ResponseOptions } from "./create.ts";
export { reasonPhrase } from "./reason.ts";
export { unsupportedOptionTags, validateRequest, validateResponse } from "./validate.ts";
export type { RequestVerdict, ResponseVerdict, SipRole, ValidationOptions } from "./validate.ts";
