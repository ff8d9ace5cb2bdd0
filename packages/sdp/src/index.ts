// A line-preserving SDP document (RFC 4566), edits as data, and the crypto attribute grammar of RFC 4568 section 9.
export { defaultSdpLimits, parseSdp, writeSdp } from "./document.ts";
export type {
  SdpDocument,
  SdpLimits,
  SdpLine,
  SdpMedia,
  SdpParseCode,
  SdpParseOptions,
  SdpParseResult,
} from "./document.ts";
export { attributeName, attributeValues, connectionOf, hasAttribute, originParts } from "./read.ts";
export { applyEdits } from "./edit.ts";
export type { SdpEdit, SdpPlace } from "./edit.ts";
export { releaseCrypto, sameCrypto } from "./crypto.ts";
export type { CryptoAttribute, CryptoKey, SessionParam } from "./crypto.ts";
export { parseCrypto } from "./parse-crypto.ts";
export type { CryptoParseCode, CryptoParseResult } from "./parse-crypto.ts";
export { formatCrypto } from "./format-crypto.ts";
export { sdpErrors } from "./errors.ts";
