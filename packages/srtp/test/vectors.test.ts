import { describe, expect, it } from "vitest";
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, suites, type SuiteName } from "../src/index.ts";
import { deriveSessionKeys, type SessionKeys } from "../src/derivation.ts";
import { transformFrom } from "../src/transform.ts";
import { encryptedFlag, type Transform } from "../src/transform-port.ts";
import { hex, packetOf, rtcp, vectors } from "./support.ts";

interface KeyStreams {
  readonly keyStream: readonly {
    readonly section: string;
    readonly sessionKey: string;
    readonly sessionSalt: string;
    readonly blocks: readonly { readonly counter: string; readonly keystream: string }[];
  }[];
  readonly derivation: readonly {
    readonly section: string;
    readonly suite: SuiteName;
    readonly masterKey: string;
    readonly masterSalt: string;
    readonly cipherKey: string;
    readonly cipherSalt: string;
    readonly authenticationKey: string;
  }[];
}

const withSessionKeys = (suite: SuiteName, key: string, salt: string): Transform => {
  const keys = (): SessionKeys => ({ encryption: hex(key), authentication: Buffer.alloc(20), salt: hex(salt) });
  return transformFrom(suites[suite], { srtp: keys(), srtcp: keys(), mki: Buffer.alloc(0) });
};

const counterModeOf = (keyLength: number): SuiteName =>
  keyLength === 16
    ? "AES_CM_128_HMAC_SHA1_80"
    : keyLength === 24
      ? "AES_192_CM_HMAC_SHA1_80"
      : "AES_256_CM_HMAC_SHA1_80";

describe.each([
  ["RFC 3711", vectors("rfc3711") as KeyStreams],
  ["RFC 6188", vectors("rfc6188") as KeyStreams],
])("%s", (rfc, values) => {
  it.each(values.keyStream)(`${rfc} $section: key stream at block counters 0 to ff01`, (vector) => {
    const key = hex(vector.sessionKey);
    const transform = withSessionKeys(counterModeOf(key.length), vector.sessionKey, vector.sessionSalt);
    // Zeros as payload, SSRC and index 0: the sealed payload is the key stream itself.
    const packet = Buffer.alloc(12 + 16 * 0xff02);
    packet[0] = 0x80;
    const sealed = transform.sealRtp(packet, 12, 0, 0);
    for (const { counter, keystream } of vector.blocks) {
      const at = 12 + 16 * Number.parseInt(counter, 16);
      expect(sealed.subarray(at, at + 16).toString("hex")).toBe(keystream);
    }
  });

  it.each(values.derivation)(`${rfc} $section: session keys of $suite`, (vector) => {
    const master = hex(vector.masterKey + vector.masterSalt);
    const keys = deriveSessionKeys(suites[vector.suite], master, "srtp");
    expect(keys.encryption.toString("hex")).toBe(vector.cipherKey);
    expect(keys.salt.toString("hex")).toBe(vector.cipherSalt);
    expect(keys.authentication.toString("hex")).toBe(vector.authenticationKey);
  });
});

interface GaloisVector {
  readonly section: string;
  readonly sessionKey: string;
  readonly sessionSalt: string;
  readonly plain: string;
  readonly protected: string;
}
const rfc7714 = vectors("rfc7714") as {
  readonly rtp: readonly (GaloisVector & { readonly rollover: number })[];
  readonly rtcp: readonly (GaloisVector & { readonly index: number; readonly encrypted: boolean })[];
};

const galoisOf = (key: string): SuiteName => (key.length === 32 ? "AEAD_AES_128_GCM" : "AEAD_AES_256_GCM");

describe("RFC 7714", () => {
  it.each(rfc7714.rtp)("RFC 7714 $section: SRTP sealed and opened", (vector) => {
    const transform = withSessionKeys(galoisOf(vector.sessionKey), vector.sessionKey, vector.sessionSalt);
    expect(
      transform.sealRtp(hex(vector.plain), 12, vector.rollover, hex(vector.plain).readUInt16BE(2)).toString("hex"),
    ).toBe(vector.protected);
    expect(transform.openRtp(hex(vector.protected), 12, vector.rollover)?.toString("hex")).toBe(vector.plain);
    expect(transform.openRtp(hex(vector.protected), 12, vector.rollover + 1)).toBeUndefined();
  });

  it.each(rfc7714.rtcp)("RFC 7714 $section: SRTCP sealed and opened, encrypted $encrypted", (vector) => {
    const transform = withSessionKeys(galoisOf(vector.sessionKey), vector.sessionKey, vector.sessionSalt);
    const word = (vector.encrypted ? encryptedFlag : 0) + vector.index;
    expect(transform.sealRtcp(hex(vector.plain), word).toString("hex")).toBe(vector.protected);
    expect(transform.openRtcp(hex(vector.protected), word)?.toString("hex")).toBe(vector.plain);
    expect(transform.openRtcp(hex(vector.protected), word + 1)).toBeUndefined();
  });
});

interface PacketVector {
  readonly name: string;
  readonly suite: SuiteName;
  readonly masterKey: string;
  readonly masterSalt: string;
  readonly mki?: string;
  readonly plain: string;
  readonly protected: string;
}
type HexKeys = Readonly<Record<"encryption" | "authentication" | "salt", string>>;
const packets = vectors("packets") as {
  readonly sessionKeys: readonly (PacketVector & { readonly srtp?: HexKeys; readonly srtcp?: HexKeys })[];
  readonly rtp: readonly PacketVector[];
  readonly rtcp: readonly (PacketVector & { readonly index: number })[];
};

const partiesOf = (vector: PacketVector) => {
  const suite = suites[vector.suite];
  const key = {
    master: Secret.take(hex(vector.masterKey + vector.masterSalt)),
    ...(vector.mki === undefined ? {} : { mki: hex(vector.mki) }),
  };
  return { sender: createSrtpSender({ suite, key }), receiver: createSrtpReceiver({ suite, keys: [key] }) };
};

describe("whole packets", () => {
  it.each(packets.sessionKeys)("RFC 3711 4.3, RFC 7714 11: session keys of $suite", (vector) => {
    for (const protocol of ["srtp", "srtcp"] as const) {
      const expected = vector[protocol];
      if (expected === undefined) continue;
      const keys = deriveSessionKeys(suites[vector.suite], hex(vector.masterKey + vector.masterSalt), protocol);
      expect({
        encryption: keys.encryption.toString("hex"),
        authentication: keys.authentication.toString("hex"),
        salt: keys.salt.toString("hex"),
      }).toEqual(expected);
    }
  });

  it.each(packets.rtp)("RFC 3711 3.3: SRTP $name both ways", (vector) => {
    const { sender, receiver } = partiesOf(vector);
    expect(packetOf(sender.protectRtp(hex(vector.plain))).toString("hex")).toBe(vector.protected);
    expect(packetOf(receiver.unprotectRtp(hex(vector.protected))).toString("hex")).toBe(vector.plain);
  });

  it.each(packets.rtcp)("RFC 3711 3.4: SRTCP $name both ways", (vector) => {
    const { sender, receiver } = partiesOf(vector);
    // The first packet takes index 0; the vector's is the next.
    for (let index = 0; index < vector.index; index++) packetOf(sender.protectRtcp(rtcp()));
    expect(packetOf(sender.protectRtcp(hex(vector.plain))).toString("hex")).toBe(vector.protected);
    const opened = receiver.unprotectRtcp(hex(vector.protected));
    expect(packetOf(opened).toString("hex")).toBe(vector.plain);
    expect(opened).toMatchObject({ index: vector.index });
  });
});
