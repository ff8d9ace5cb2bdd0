// Owns the SRTP contexts of one stream and when they change: never while the keys stay the same. RFC 3711, RFC 4568 7.1.4.
import { sameKeys } from "@sallyport/media-security";
import type { CryptoAttribute, CryptoKey } from "@sallyport/sdp";
import {
  createSrtpReceiver,
  createSrtpSender,
  type SrtpFailure,
  type SrtpKey,
  type SrtpReceiver,
  type SrtpSender,
} from "@sallyport/srtp";
import type { AgreedKeys } from "../call/security.ts";

export interface Protection {
  /** Undefined for clear media. The keys stay the caller's. */
  agree(keys: AgreedKeys | undefined): void;
  readonly secured: boolean;
  /** What may go on the wire, or undefined when it must not be sent. */
  protect(kind: "rtp" | "rtcp", packet: Buffer): Buffer | undefined;
  /** What was inside, or why it is refused. */
  unprotect(kind: "rtp" | "rtcp", packet: Buffer): Buffer | SrtpFailure;
  release(): void;
}

const mkiOctets = (mki: { readonly value: bigint; readonly length: number }): Buffer =>
  Buffer.from(mki.value.toString(16).padStart(2 * mki.length, "0"), "hex");

const srtpKey = (key: CryptoKey): SrtpKey => ({
  master: key.master,
  ...(key.mki === undefined ? {} : { mki: mkiOctets(key.mki) }),
  ...(key.lifetime === undefined ? {} : { lifetime: key.lifetime }),
});

const firstKey = (crypto: CryptoAttribute): SrtpKey => {
  const [key] = crypto.keys;
  if (key === undefined) throw new TypeError("a crypto attribute without a key");
  return srtpKey(key);
};

export const createProtection = (): Protection => {
  let current: AgreedKeys | undefined;
  let sender: SrtpSender | undefined;
  let receiver: SrtpReceiver | undefined;
  let before: SrtpReceiver | undefined;

  const release = (): void => {
    for (const context of [sender, receiver, before]) context?.release();
    sender = undefined;
    receiver = undefined;
    before = undefined;
    current = undefined;
  };

  return {
    agree: (keys) => {
      if (keys === undefined) return release();
      const sameSuite = current?.suite.name === keys.suite.name;
      if (current === undefined || !sameSuite || !sameKeys(current.ours, keys.ours)) {
        const next = createSrtpSender({ suite: keys.suite, key: firstKey(keys.ours) });
        sender?.release();
        sender = next;
      }
      if (current === undefined || !sameSuite || !sameKeys(current.theirs, keys.theirs)) {
        const next = createSrtpReceiver({
          suite: keys.suite,
          keys: keys.theirs.keys.map(srtpKey),
          ...(receiver === undefined ? {} : { predecessor: receiver.indices() }),
        });
        // Packets under the old key may still be on their way: it is kept until the next change.
        before?.release();
        before = receiver;
        receiver = next;
      }
      current = keys;
    },
    get secured() {
      return current !== undefined;
    },
    protect: (kind, packet) => {
      if (sender === undefined) return packet;
      const sealed = kind === "rtp" ? sender.protectRtp(packet) : sender.protectRtcp(packet);
      return sealed.ok ? sealed.packet : undefined;
    },
    unprotect: (kind, packet) => {
      if (receiver === undefined) return packet;
      const open = (context: SrtpReceiver) =>
        kind === "rtp" ? context.unprotectRtp(packet) : context.unprotectRtcp(packet);
      const opened = open(receiver);
      if (opened.ok) return opened.packet;
      const earlier = before === undefined || opened.code !== "authentication" ? undefined : open(before);
      return earlier?.ok === true ? earlier.packet : opened.code;
    },
    release,
  };
};
