// SDP bodies as the tests speak them, and keys with known text.

/** An inline key of `length` octets that all say `octet`. */
export const inline = (octet: number, length = 30): string =>
  `inline:${Buffer.alloc(length, octet).toString("base64")}`;

export const head = (session = 1, version = 1): readonly string[] => [
  "v=0",
  `o=- ${session} ${version} IN IP4 10.0.0.7`,
  "s=-",
  "t=0 0",
];

export const audio = (...attributes: readonly string[]): readonly string[] => [
  "m=audio 6000 RTP/AVP 96 8",
  "c=IN IP4 192.0.2.77",
  "a=rtpmap:96 AMR-WB/16000",
  ...attributes,
];

export const secureAudio = (...attributes: readonly string[]): readonly string[] => [
  "m=audio 40000 RTP/SAVP 96 8",
  "c=IN IP4 10.0.0.7",
  "a=rtpmap:96 AMR-WB/16000",
  ...attributes,
];

export const requested = "a=3ge2ae:requested";
export const applied = "a=3ge2ae:applied";

export const crypto = (tag: number, octet: number, suite = "AES_CM_128_HMAC_SHA1_80", length = 30): string =>
  `a=crypto:${tag} ${suite} ${inline(octet, length)}`;

/** The UE's usual offer: two suites and the indication. */
export const ueOffer = (version = 1, octet = 0x11): readonly string[] => [
  ...head(1, version),
  ...secureAudio(crypto(1, octet), crypto(2, octet + 1, "AES_CM_128_HMAC_SHA1_32"), requested),
];

export const coreBody = (version = 1, ...attributes: readonly string[]): readonly string[] => [
  ...head(7, version),
  ...audio(...attributes),
];

/** The crypto lines in a body. */
export const cryptoLines = (text: string): readonly string[] =>
  text.split("\r\n").filter((line) => line.startsWith("a=crypto:"));
