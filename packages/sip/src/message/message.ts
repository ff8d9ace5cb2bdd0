// Owns what a SIP message is in memory: the octets as they came, cut into start line, header fields and body.
// Must not know what any header means. RFC 3261 7.

/** One header field. Text is held as Latin-1: one character is one octet. */
export interface HeaderField {
  /** Canonical long name in lower case: `via`, `call-id`; compact forms expanded (RFC 3261 7.3.3). */
  readonly name: string;
  /** The field as on the wire, folding included, without the CRLF that ends it. */
  readonly raw: string;
  /** Unfolded and trimmed (RFC 3261 7.3.1). */
  readonly value: string;
}

export interface SipRequest {
  readonly kind: "request";
  readonly method: string;
  readonly uri: string;
  /** The start line as on the wire, without CRLF. */
  readonly startLine: string;
  readonly headers: readonly HeaderField[];
  readonly body: Buffer;
}

export interface SipResponse {
  readonly kind: "response";
  /** 100 to 699. */
  readonly status: number;
  readonly reason: string;
  readonly startLine: string;
  readonly headers: readonly HeaderField[];
  readonly body: Buffer;
}

export type SipMessage = SipRequest | SipResponse;

/** What a stranger may make us hold, in octets and fields. */
export interface SipLimits {
  readonly maxMessage: number;
  readonly maxBody: number;
  /** Header fields in one message. */
  readonly maxHeaders: number;
  /** One header field, folding included. */
  readonly maxHeaderLine: number;
  /** The Request-URI. */
  readonly maxUri: number;
}

export const defaultSipLimits: SipLimits = {
  maxMessage: 65_536,
  maxBody: 65_536,
  maxHeaders: 256,
  maxHeaderLine: 8192,
  maxUri: 2048,
};

export const noBody: Buffer = Buffer.alloc(0);
