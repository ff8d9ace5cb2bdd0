// SDP bodies and keys for tests. Keys are 30 octets, so 40 characters of base64, where nothing else is said.
/** A key and salt made of one octet. */
export const keyOf = (fill: number, octets = 30): string => Buffer.alloc(octets, fill).toString("base64");

export const keys = {
  k11: Buffer.alloc(30, 0x11).toString("base64"),
  k11b: Buffer.alloc(30, 0x1b).toString("base64"),
  k22: Buffer.alloc(30, 0x22).toString("base64"),
  e2e: Buffer.alloc(30, 0xee).toString("base64"),
  forged: Buffer.alloc(30, 0xff).toString("base64"),
} as const;

export interface SdpParts {
  readonly address?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly version?: number;
  readonly lines?: readonly string[];
}

export const sdp = ({
  address = "10.0.0.7",
  port = 40_000,
  protocol = "RTP/AVP",
  version = 1,
  lines = [],
}: SdpParts = {}): string =>
  [
    "v=0",
    `o=- 4711 ${version} IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio ${port} ${protocol} 8 101`,
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    ...lines,
    "",
  ].join("\r\n");

export const crypto = (key: string, tag = 1, suite = "AES_CM_128_HMAC_SHA1_80"): string =>
  `a=crypto:${tag} ${suite} inline:${key}`;

/** What an e2ae UE offers: TS 33.328 7.2.1 step 1. */
export const ueOffer = (parts: SdpParts = {}): string =>
  sdp({
    protocol: "RTP/SAVP",
    ...parts,
    lines: [
      crypto(keys.k11),
      crypto(keys.k11b, 2, "AES_CM_128_HMAC_SHA1_32"),
      "a=3ge2ae:requested",
      ...(parts.lines ?? []),
    ],
  });

/** What a plain far end says. */
export const coreSdp = (parts: SdpParts = {}): string => sdp({ address: "192.0.2.77", port: 6000, ...parts });

export const ueAnswer = (tag = 1, parts: SdpParts = {}): string =>
  sdp({ protocol: "RTP/SAVP", ...parts, lines: [crypto(keys.k22, tag), ...(parts.lines ?? [])] });
