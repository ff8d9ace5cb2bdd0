// Owns what can be read of an RTP or RTCP packet without a key: header fields and the kind of a datagram.
// RFC 3550 5.1 and 5.3.1, RFC 5761 4, RFC 7983 7. Never throws, whatever the octets.

export interface RtpHeader {
  readonly ok: true;
  readonly version: 2;
  readonly padding: boolean;
  readonly extension: boolean;
  readonly csrcCount: number;
  readonly marker: boolean;
  readonly payloadType: number;
  readonly sequence: number;
  readonly timestamp: number;
  readonly ssrc: number;
  /** Octets before the payload: fixed header, CSRC list and header extension. */
  readonly headerLength: number;
  /** Octets after the header, RTP padding (and in SRTP the trailer) included. */
  readonly payloadLength: number;
}

export type RtpHeaderResult = RtpHeader | { readonly ok: false; readonly code: "short" | "malformed" };

const short = Object.freeze({ ok: false, code: "short" } as const);
const malformed = Object.freeze({ ok: false, code: "malformed" } as const);

const octet = (packet: Uint8Array, at: number): number => packet[at] ?? 0;

/**
 * Octets before the payload of an RTP packet whose header and payload end at `end`, or -1 if that is no RTP version 2
 * packet whose header fits. The check the packet path uses: it allocates nothing.
 */
export const rtpHeaderLength = (packet: Uint8Array, end: number): number => {
  const first = octet(packet, 0);
  if (first >> 6 !== 2 || end < 12) return -1;
  let length = 12 + 4 * (first & 0x0f);
  // RFC 3550 5.3.1: the extension's length field counts 32-bit words after its own four octets.
  if ((first & 0x10) !== 0) {
    if (length + 4 > end) return -1;
    length += 4 + 4 * ((octet(packet, length + 2) << 8) | octet(packet, length + 3));
  }
  return length <= end ? length : -1;
};

/** Reads the header of an RTP or SRTP packet (RFC 3550 5.1). Padding is not checked: in SRTP it is encrypted. */
export const parseRtpHeader = (packet: Uint8Array): RtpHeaderResult => {
  if (packet.length < 12) return short;
  const headerLength = rtpHeaderLength(packet, packet.length);
  if (headerLength < 0) return malformed;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const first = octet(packet, 0);
  const second = octet(packet, 1);
  return {
    ok: true,
    version: 2,
    padding: (first & 0x20) !== 0,
    extension: (first & 0x10) !== 0,
    csrcCount: first & 0x0f,
    marker: (second & 0x80) !== 0,
    payloadType: second & 0x7f,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    headerLength,
    payloadLength: packet.length - headerLength,
  };
};

export type PacketKind = "rtp" | "rtcp" | "stun" | "dtls" | "unknown";

/**
 * Tells the protocols apart that may share a media port: by the first octet (RFC 7983 7), RTP from RTCP by the second
 * (RFC 5761 4: 192 to 223 is RTCP). A packet too short for its protocol's fixed header is `unknown`.
 * `rtpAlone`: nothing is multiplexed there, so RTP may have payload types 64 to 95; the five that look like RTCP of RFC 3550
 * are reserved even then (RFC 3551 6: 72 to 76).
 */
export const classifyPacket = (octets: Uint8Array, rtpAlone = false): PacketKind => {
  if (octets.length < 8) return "unknown";
  const first = octet(octets, 0);
  if (first >= 128 && first <= 191) {
    const second = octet(octets, 1);
    if (rtpAlone ? second >= 200 && second <= 204 : second >= 192 && second <= 223) return "rtcp";
    return octets.length >= 12 ? "rtp" : "unknown";
  }
  if (first <= 3) return octets.length >= 20 ? "stun" : "unknown";
  if (first >= 20 && first <= 63) return octets.length >= 13 ? "dtls" : "unknown";
  return "unknown";
};
