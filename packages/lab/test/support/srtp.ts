// A listener on the path who was given the keys: opens captured SRTP and SRTCP with keys read from the signalling.
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, findSuite } from "@sallyport/srtp";
import type { TappedPacket } from "../../src/watch/taps.ts";
import type { ReadCrypto } from "./wires.ts";

export interface Opened {
  /** Plain packets in hexadecimal, in the order captured. */
  readonly plain: readonly string[];
  /** Packets that this key does not open. */
  readonly refused: number;
}

/** Opens packets of one kind, of one sender. */
export const openedWith = (
  { suite: name, key }: ReadCrypto,
  kind: "rtp" | "rtcp",
  packets: readonly TappedPacket[],
): Opened => {
  const suite = findSuite(name);
  if (suite === undefined) throw new Error(`no suite ${name}`);
  const receiver = createSrtpReceiver({ suite, keys: [{ master: Secret.take(Buffer.from(key, "hex")) }] });
  try {
    const opened = packets.map(({ octets }) =>
      kind === "rtp" ? receiver.unprotectRtp(octets) : receiver.unprotectRtcp(octets),
    );
    return {
      plain: opened.flatMap((result) => (result.ok ? [result.packet.toString("hex")] : [])),
      refused: opened.filter(({ ok }) => !ok).length,
    };
  } finally {
    receiver.release();
  }
};

export const hex = (packets: readonly TappedPacket[]): readonly string[] =>
  packets.map(({ octets }) => octets.toString("hex"));
