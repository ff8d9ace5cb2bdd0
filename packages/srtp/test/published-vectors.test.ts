// Compares with vectors published beside the repository, where they are present.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, findSuite, suites } from "../src/index.ts";
import { deriveSessionKeys } from "../src/derivation.ts";
import { transformFrom } from "../src/transform.ts";
import { encryptedFlag } from "../src/transform-port.ts";
import { hex, packetOf, rtcp } from "./support.ts";

const file = new URL("../../../../shared/vectors/srtp-vectors.json", import.meta.url);
const present = existsSync(file);

type Vector = Readonly<Record<string, string>> & { readonly encrypted?: boolean };
type Published = Readonly<Record<"key_derivation" | "srtp" | "srtcp" | "aead", readonly Vector[]>>;
const published: Published = present
  ? (JSON.parse(readFileSync(file, "utf8")) as Published)
  : { key_derivation: [], srtp: [], srtcp: [], aead: [] };

const text = (vector: Vector, field: string): string => vector[field] ?? "";
const keyOf = (vector: Vector) => {
  const mki = hex(text(vector, "mki"));
  return {
    master: Secret.take(hex(text(vector, "master_key") + text(vector, "master_salt"))),
    ...(mki.length === 0 ? {} : { mki }),
  };
};
const suiteOf = (vector: Vector) => findSuite(text(vector, "suite")) ?? suites.AES_CM_128_HMAC_SHA1_80;

describe("published vectors (shared/vectors/srtp-vectors.json beside the repository)", () => {
  it.skipIf(!present)("RFC 3711 B.3, RFC 6188 7.2: key derivation", () => {
    expect(published.key_derivation.length).toBeGreaterThan(1);
    for (const vector of published.key_derivation) {
      const master = hex(text(vector, "master_key") + text(vector, "master_salt"));
      const suite = master.length === 30 ? suites.AES_CM_128_HMAC_SHA1_80 : suites.AES_256_CM_HMAC_SHA1_80;
      const keys = deriveSessionKeys(suite, master, "srtp");
      expect(keys.encryption.toString("hex")).toBe(text(vector, "srtp_cipher_key"));
      expect(keys.authentication.toString("hex")).toBe(text(vector, "srtp_auth_key"));
      expect(keys.salt.toString("hex")).toBe(text(vector, "srtp_salt"));
    }
  });

  it.skipIf(!present)("RFC 3711 3.3, 3.4: whole packets both ways", () => {
    for (const vector of published.srtp) {
      const sender = createSrtpSender({ suite: suiteOf(vector), key: keyOf(vector) });
      const receiver = createSrtpReceiver({ suite: suiteOf(vector), keys: [keyOf(vector)] });
      expect(packetOf(sender.protectRtp(hex(text(vector, "rtp")))).toString("hex")).toBe(text(vector, "srtp"));
      expect(packetOf(receiver.unprotectRtp(hex(text(vector, "srtp")))).toString("hex")).toBe(text(vector, "rtp"));
    }
    for (const vector of published.srtcp) {
      const sender = createSrtpSender({ suite: suiteOf(vector), key: keyOf(vector) });
      const receiver = createSrtpReceiver({ suite: suiteOf(vector), keys: [keyOf(vector)] });
      packetOf(sender.protectRtcp(rtcp()));
      expect(packetOf(sender.protectRtcp(hex(text(vector, "rtcp")))).toString("hex")).toBe(text(vector, "srtcp"));
      expect(packetOf(receiver.unprotectRtcp(hex(text(vector, "srtcp")))).toString("hex")).toBe(text(vector, "rtcp"));
    }
    expect(published.srtp.length + published.srtcp.length).toBeGreaterThan(4);
  });

  it.skipIf(!present)("RFC 7714 16, 17: AEAD with session keys", () => {
    expect(published.aead.length).toBeGreaterThan(4);
    for (const vector of published.aead) {
      const session = hex(text(vector, "session_key"));
      const suite = session.length === 16 ? suites.AEAD_AES_128_GCM : suites.AEAD_AES_256_GCM;
      const keys = () => ({
        encryption: hex(text(vector, "session_key")),
        authentication: Buffer.alloc(0),
        salt: hex(text(vector, "session_salt")),
      });
      const transform = transformFrom(suite, { srtp: keys(), srtcp: keys(), mki: Buffer.alloc(0) });
      const word = (vector.encrypted === true ? encryptedFlag : 0) + Number(text(vector, "srtcp_index"));
      const sealed =
        text(vector, "kind") === "rtp"
          ? transform.sealRtp(hex(text(vector, "plain")), 12, 0, hex(text(vector, "plain")).readUInt16BE(2))
          : transform.sealRtcp(hex(text(vector, "plain")), word);
      expect(sealed.toString("hex")).toBe(text(vector, "protected"));
    }
  });
});
