// Owns the AES-GCM transforms (RFC 7714 8, 9, 10): one operation encrypts and authenticates.
// On the wire the tag follows the ciphertext, then in SRTCP the E bit and index, and the MKI comes last.
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import type { SessionKeys } from "./derivation.ts";
import type { Suite } from "./suites.ts";
import { encryptedFlag, rtcpClearLength, type Transform, type TransformKeys } from "./transform-port.ts";

interface Half {
  readonly encryption: KeyObject;
  readonly salt: Buffer;
}

/** Only when a packet comes, as in counter mode. */
const halfOf = (keys: SessionKeys): Half => {
  const half = { encryption: createSecretKey(keys.encryption), salt: keys.salt };
  keys.encryption.fill(0);
  return half;
};

const nothing = Buffer.alloc(0);
const tagLength = 16;
const options = { authTagLength: tagLength };

export const createGalois = (suite: Suite, keys: TransformKeys): Transform => {
  const cipherName = `aes-${suite.keyLength * 8}-gcm` as "aes-128-gcm";
  const { mki } = keys;
  let srtp: Half | undefined;
  let srtcp: Half | undefined;
  const iv = Buffer.from(new ArrayBuffer(12));

  // RFC 7714 8.1 and 9.1: two zero octets || SSRC || 48-bit index, XORed with the salt. `low` is the 16 bits under `high`.
  const nonce = (salt: Buffer, ssrc: number, high: number, low: number): Buffer => {
    salt.copy(iv, 0, 0, 2);
    iv.writeUInt32BE((salt.readUInt32BE(2) ^ ssrc) >>> 0, 2);
    iv.writeUInt32BE((salt.readUInt32BE(6) ^ high) >>> 0, 6);
    iv.writeUInt16BE(salt.readUInt16BE(10) ^ low, 10);
    return iv;
  };
  const rtpNonce = (half: Half, packet: Buffer, rollover: number): Buffer =>
    nonce(half.salt, packet.readUInt32BE(8), rollover, packet.readUInt16BE(2));
  const rtcpNonce = (half: Half, packet: Buffer, trailer: number): Buffer =>
    nonce(half.salt, packet.readUInt32BE(4), (trailer & 0x7fff_ffff) >>> 16, trailer & 0xffff);

  const seal = (half: Half, nonce: Buffer, associated: Buffer, plain: Buffer, into: Buffer, at: number): void => {
    const cipher = createCipheriv(cipherName, half.encryption, nonce, options);
    cipher.setAAD(associated);
    if (plain.length > 0) cipher.update(plain).copy(into, at);
    cipher.final();
    cipher.getAuthTag().copy(into, at + plain.length);
  };
  const open = (half: Half, nonce: Buffer, associated: Buffer, sealed: Buffer, tag: Buffer): Buffer | undefined => {
    const decipher = createDecipheriv(cipherName, half.encryption, nonce, options);
    decipher.setAAD(associated).setAuthTag(tag);
    const plain = sealed.length > 0 ? decipher.update(sealed) : nothing;
    try {
      decipher.final();
      return plain;
    } catch {
      // The only way node:crypto has to say that the tag did not verify.
      plain.fill(0);
      return undefined;
    }
  };

  // RFC 7714 9.2 and 9.3: the SRTCP word is authenticated after the header, or after the whole packet when E is 0.
  const withTrailer = (packet: Buffer, length: number, trailer: number): Buffer => {
    const associated = Buffer.allocUnsafe(length + 4);
    packet.copy(associated, 0, 0, length);
    associated.writeUInt32BE(trailer, length);
    return associated;
  };

  return {
    sealRtp: (packet, headerLength, rollover, sequence) => {
      srtp ??= halfOf(keys.srtp);
      const sealed = Buffer.allocUnsafe(packet.length + tagLength + mki.length);
      packet.copy(sealed, 0, 0, headerLength);
      sealed.writeUInt16BE(sequence, 2);
      const header = sealed.subarray(0, headerLength);
      seal(srtp, rtpNonce(srtp, sealed, rollover), header, packet.subarray(headerLength), sealed, headerLength);
      mki.copy(sealed, packet.length + tagLength);
      return sealed;
    },

    openRtp: (packet, headerLength, rollover) => {
      srtp ??= halfOf(keys.srtp);
      const end = packet.length - mki.length - tagLength;
      const header = packet.subarray(0, headerLength);
      const tag = packet.subarray(end, end + tagLength);
      const plain = open(srtp, rtpNonce(srtp, packet, rollover), header, packet.subarray(headerLength, end), tag);
      return plain === undefined ? undefined : Buffer.concat([header, plain], end);
    },

    sealRtcp: (packet, trailer) => {
      srtcp ??= halfOf(keys.srtcp);
      const end = packet.length + tagLength;
      const sealed = Buffer.allocUnsafe(end + 4 + mki.length);
      const clear = trailer >= encryptedFlag ? rtcpClearLength : packet.length;
      packet.copy(sealed, 0, 0, clear);
      const associated = withTrailer(packet, clear, trailer);
      seal(srtcp, rtcpNonce(srtcp, packet, trailer), associated, packet.subarray(clear), sealed, clear);
      sealed.writeUInt32BE(trailer, end);
      mki.copy(sealed, end + 4);
      return sealed;
    },

    openRtcp: (packet, trailer) => {
      srtcp ??= halfOf(keys.srtcp);
      const end = packet.length - mki.length - 4 - tagLength;
      const clear = trailer >= encryptedFlag ? rtcpClearLength : end;
      const associated = withTrailer(packet, clear, trailer);
      const tag = packet.subarray(end, end + tagLength);
      const plain = open(srtcp, rtcpNonce(srtcp, packet, trailer), associated, packet.subarray(clear, end), tag);
      return plain === undefined ? undefined : Buffer.concat([packet.subarray(0, clear), plain], end);
    },

    wipe: () => {
      for (const { encryption, salt } of [keys.srtp, keys.srtcp]) {
        encryption.fill(0);
        salt.fill(0);
      }
      srtp = undefined;
      srtcp = undefined;
      iv.fill(0);
    },
  };
};
