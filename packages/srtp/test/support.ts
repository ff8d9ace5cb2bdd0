// Test fixtures: keys and packets. Everything here is made up; the keys guard nothing.
import { readFileSync } from "node:fs";
import { seededRandom, Secret } from "@sallyport/kit";
import {
  createSrtpReceiver,
  createSrtpSender,
  suites,
  type SrtpKey,
  type SrtpResult,
  type SuiteName,
} from "../src/index.ts";
import type { SrtpReceiverOptions } from "../src/receiver.ts";
import type { SrtpSenderOptions } from "../src/sender.ts";

export const hex = (text: string): Buffer => Buffer.from(text, "hex");

export const suiteNames = Object.keys(suites) as SuiteName[];

export const vectors = (name: string): never =>
  JSON.parse(readFileSync(new URL(`vectors/${name}.json`, import.meta.url), "utf8")) as never;

export const masterFor = (name: SuiteName, seed = "key"): Secret =>
  Secret.take(seededRandom(`${name}/${seed}`).bytes(suites[name].masterLength));

export const keyFor = (name: SuiteName, seed = "key"): SrtpKey => ({ master: masterFor(name, seed) });

export const senderOf = (name: SuiteName, options: Partial<SrtpSenderOptions> = {}) =>
  createSrtpSender({ suite: suites[name], key: keyFor(name), ...options });

export const receiverOf = (name: SuiteName, options: Partial<SrtpReceiverOptions> = {}) =>
  createSrtpReceiver({ suite: suites[name], keys: [keyFor(name)], ...options });

export const defaultSsrc = 0xcafe_babe;

export const rtp = (sequence: number, payload: Uint8Array | string = "speech", ssrc = defaultSsrc): Buffer => {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = 8;
  header.writeUInt16BE(sequence, 2);
  header.writeUInt32BE((sequence * 160) >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, Buffer.from(payload)]);
};

/** A receiver report without blocks and an SDES packet, a valid compound. */
export const rtcp = (ssrc = defaultSsrc, cname = "alice"): Buffer => {
  const report = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 0]);
  report.writeUInt32BE(ssrc, 4);
  const text = Buffer.from(cname, "latin1");
  const chunk = Buffer.alloc(4 + 4 * Math.ceil((2 + text.length + 1) / 4));
  chunk.writeUInt32BE(ssrc, 0);
  chunk[4] = 1;
  chunk[5] = text.length;
  text.copy(chunk, 6);
  const head = Buffer.from([0x81, 202, 0, chunk.length / 4]);
  return Buffer.concat([report, head, chunk]);
};

/** The packet of a success; fails the test otherwise. */
export const packetOf = (result: SrtpResult): Buffer => {
  if (!result.ok) throw new Error(`refused: ${result.code}`);
  return result.packet;
};

export const codeOf = (result: SrtpResult): string => (result.ok ? "ok" : result.code);
