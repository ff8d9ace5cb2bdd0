// Owns the AES counter mode transforms with HMAC-SHA1 (RFC 3711 4.1.1, 4.2.1; RFC 6188 2).
// A node:crypto cipher cannot be re-keyed to a new IV, so one is made for each packet; the key objects are made once.
import { createCipheriv, createHmac, createSecretKey, timingSafeEqual, type Cipher, type KeyObject } from "node:crypto";
import type { SessionKeys } from "./derivation.ts";
import type { Suite } from "./suites.ts";
import { encryptedFlag, rtcpClearLength, type Transform, type TransformKeys } from "./transform-port.ts";

interface Half {
  readonly encryption: KeyObject;
  readonly authentication: KeyObject;
  readonly salt: Buffer;
}

/** Only when a packet comes: many a direction, and most SRTCP, is never used, and what node:crypto holds cannot be zeroised. */
const halfOf = (keys: SessionKeys): Half => {
  const half = {
    encryption: createSecretKey(keys.encryption),
    authentication: createSecretKey(keys.authentication),
    salt: keys.salt,
  };
  keys.encryption.fill(0);
  keys.authentication.fill(0);
  return half;
};

export const createCounterMode = (suite: Suite, keys: TransformKeys): Transform => {
  const cipherName = `aes-${suite.keyLength * 8}-ctr` as "aes-128-ctr";
  const { mki } = keys;
  let srtp: Half | undefined;
  let srtcp: Half | undefined;
  const srtpTag = suite.srtpTagLength;
  const srtcpTag = suite.srtcpTagLength;
  // Scratch, one of each for all packets: node:crypto copies what it is given.
  const iv = Buffer.from(new ArrayBuffer(16));
  const word = Buffer.alloc(4);

  // RFC 3711 4.1.1: IV = (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16). `low` is the 16 bits under `high`.
  const cipherAt = (half: Half, ssrc: number, high: number, low: number): Cipher => {
    const { salt } = half;
    salt.copy(iv, 0, 0, 4);
    iv.writeUInt32BE((salt.readUInt32BE(4) ^ ssrc) >>> 0, 4);
    iv.writeUInt32BE((salt.readUInt32BE(8) ^ high) >>> 0, 8);
    iv.writeUInt16BE(salt.readUInt16BE(12) ^ low, 12);
    return createCipheriv(cipherName, half.encryption, iv);
  };

  const rtpCipher = (half: Half, packet: Buffer, rollover: number): Cipher =>
    cipherAt(half, packet.readUInt32BE(8), rollover, packet.readUInt16BE(2));

  const rtcpCipher = (half: Half, packet: Buffer, index: number): Cipher =>
    cipherAt(half, packet.readUInt32BE(4), index >>> 16, index & 0xffff);

  return {
    sealRtp: (packet, headerLength, rollover, sequence) => {
      srtp ??= halfOf(keys.srtp);
      const end = packet.length;
      const sealed = Buffer.allocUnsafe(end + mki.length + srtpTag);
      packet.copy(sealed, 0, 0, headerLength);
      sealed.writeUInt16BE(sequence, 2);
      rtpCipher(srtp, sealed, rollover).update(packet.subarray(headerLength)).copy(sealed, headerLength);
      // RFC 3711 4.2: M = authenticated portion || ROC. The ROC stands for a moment where MKI and tag will be:
      // both together are never shorter than its four octets.
      sealed.writeUInt32BE(rollover, end);
      const tag = createHmac("sha1", srtp.authentication)
        .update(sealed.subarray(0, end + 4))
        .digest();
      mki.copy(sealed, end);
      tag.copy(sealed, end + mki.length, 0, srtpTag);
      return sealed;
    },

    openRtp: (packet, headerLength, rollover) => {
      srtp ??= halfOf(keys.srtp);
      const end = packet.length - srtpTag - mki.length;
      word.writeUInt32BE(rollover);
      const tag = createHmac("sha1", srtp.authentication).update(packet.subarray(0, end)).update(word).digest();
      if (!timingSafeEqual(tag.subarray(0, srtpTag), packet.subarray(packet.length - srtpTag))) return undefined;
      const opened = Buffer.allocUnsafe(end);
      packet.copy(opened, 0, 0, headerLength);
      rtpCipher(srtp, packet, rollover).update(packet.subarray(headerLength, end)).copy(opened, headerLength);
      return opened;
    },

    sealRtcp: (packet, trailer) => {
      srtcp ??= halfOf(keys.srtcp);
      const end = packet.length + 4;
      const sealed = Buffer.allocUnsafe(end + mki.length + srtcpTag);
      packet.copy(sealed);
      if (trailer >= encryptedFlag) {
        rtcpCipher(srtcp, packet, trailer - encryptedFlag)
          .update(packet.subarray(rtcpClearLength))
          .copy(sealed, rtcpClearLength);
      }
      // RFC 3711 3.4: the E bit and the index are authenticated, the MKI is not.
      sealed.writeUInt32BE(trailer, packet.length);
      const tag = createHmac("sha1", srtcp.authentication).update(sealed.subarray(0, end)).digest();
      mki.copy(sealed, end);
      tag.copy(sealed, end + mki.length, 0, srtcpTag);
      return sealed;
    },

    openRtcp: (packet, trailer) => {
      srtcp ??= halfOf(keys.srtcp);
      const end = packet.length - srtcpTag - mki.length;
      const tag = createHmac("sha1", srtcp.authentication).update(packet.subarray(0, end)).digest();
      if (!timingSafeEqual(tag.subarray(0, srtcpTag), packet.subarray(packet.length - srtcpTag))) return undefined;
      const opened = Buffer.allocUnsafe(end - 4);
      packet.copy(opened, 0, 0, end - 4);
      if (trailer >= encryptedFlag) {
        rtcpCipher(srtcp, packet, trailer - encryptedFlag)
          .update(packet.subarray(rtcpClearLength, end - 4))
          .copy(opened, rtcpClearLength);
      }
      return opened;
    },

    wipe: () => {
      for (const { encryption, authentication, salt } of [keys.srtp, keys.srtcp]) {
        encryption.fill(0);
        authentication.fill(0);
        salt.fill(0);
      }
      srtp = undefined;
      srtcp = undefined;
      iv.fill(0);
    },
  };
};
