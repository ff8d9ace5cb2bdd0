// Owns the recognition of clear media among packets that did not verify on a protected leg, for counters and alarms.
// Nothing is ever accepted on its word: it runs only on what is being dropped (invariant 3).

// RTCP types in use (RFC 3550 12.1, RFC 4585, RFC 3611).
const firstRtcpType = 200;
const lastRtcpType = 207;

/** A compound whose length fields add up to the datagram: an SRTCP trailer or encrypted length fields would not. */
const chains = (packet: Buffer): boolean => {
  let at = 0;
  while (at + 4 <= packet.length) {
    const type = packet[at + 1] ?? 0;
    if ((packet[at] ?? 0) >> 6 !== 2 || type < firstRtcpType || type > lastRtcpType) return false;
    at += 4 + 4 * packet.readUInt16BE(at + 2);
  }
  return at === packet.length;
};

const counts = new Uint16Array(256);

/**
 * Octets that repeat more often than ciphertext would let them. Among n random octets about n(n-1)/512 pairs are equal,
 * with that variance; six deviations above is beyond what ciphertext does. Tones, silence and most packets of speech
 * in PCMA or PCMU are; a compressed codec is not, and counts as a tag failure.
 */
const repetitive = (octets: Buffer): boolean => {
  const length = Math.min(octets.length, 512);
  counts.fill(0);
  let pairs = 0;
  for (let at = 0; at < length; at++) {
    const octet = octets[at] ?? 0;
    const before = counts[octet] ?? 0;
    pairs += before;
    counts[octet] = before + 1;
  }
  const expected = (length * (length - 1)) / 512;
  return pairs > expected + 6 * Math.sqrt(expected) + 2;
};

/** Whether an RTP packet that failed to verify is recognisably not SRTP. `headerLength` as found, -1 if none. */
export const looksClearRtp = (packet: Buffer, headerLength: number, shortest: number): boolean =>
  headerLength >= 12 && (packet.length < shortest || repetitive(packet.subarray(headerLength)));

/** Whether an RTCP packet that failed to verify is recognisably not SRTCP. */
export const looksClearRtcp = (packet: Buffer): boolean => chains(packet);

/** Whether a clear RTCP datagram is one application-defined packet and nothing else (RFC 3550 6.7). */
export const isLoneApp = (packet: Buffer): boolean =>
  packet.length >= 4 && packet[1] === 204 && packet.length === 4 + 4 * packet.readUInt16BE(2);
