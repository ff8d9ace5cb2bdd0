// What crossed an edge and its gateway for a phone that is served in SDES phone mode: the lines of its SDP and its packets.
import { attributeValues, parseSdp } from "@sallyport/sdp";
import { headerValue } from "@sallyport/sip";
import { expect } from "vitest";
import type { LabSide } from "../../../src/topology/lab.ts";
import { openedWith } from "../../support/srtp.ts";
import { packetsOf, readCrypto, type ReadCrypto } from "../../support/wires.ts";
import type { Crossing } from "./edges.ts";

export interface Line {
  readonly protocol: string;
  readonly port: number;
  readonly cryptos: readonly ReadCrypto[];
  readonly indications: readonly string[];
}

const lineOf = ({ message }: Crossing): Line => {
  const parsed = parseSdp(message.body);
  const media = parsed.ok ? parsed.document.media[0] : undefined;
  if (media === undefined) throw new Error("a body without an m-line");
  return {
    protocol: media.protocol,
    port: media.port,
    cryptos: attributeValues(media.lines, "crypto").map(readCrypto),
    indications: attributeValues(media.lines, "3ge2ae"),
  };
};

/** First m-lines that crossed an edge with a message of that kind, in order. */
export const linesOf = (
  crossings: readonly Crossing[],
  callId: string,
  what: "INVITE" | 200,
  place: Pick<Crossing, "edge" | "side" | "direction">,
): readonly Line[] =>
  crossings
    .filter(
      ({ edge, side, direction, message }) =>
        edge === place.edge &&
        side === place.side &&
        direction === place.direction &&
        headerValue(message, "call-id") === callId &&
        message.body.length > 0 &&
        (message.kind === "request" ? message.method : message.status) === what,
    )
    .map(lineOf);

/** SRTP outside opens with the keys of the phone's SDP into exactly the RTP inside, at least `least` packets each way. */
export const throughTheGateway = (
  { tap }: LabSide,
  ports: { readonly access: number; readonly core: number },
  keys: { readonly phone: ReadCrypto; readonly gateway: ReadCrypto },
  least: number,
): void => {
  for (const [outside, inside, key] of [
    ["in", "out", keys.phone],
    ["out", "in", keys.gateway],
  ] as const) {
    const sealed = packetsOf(tap, { direction: outside, kind: "rtp", port: ports.access });
    const plain = packetsOf(tap, { direction: inside, kind: "rtp", port: ports.core });
    const opened = openedWith(key, "rtp", sealed);
    const clear = new Set(plain.map(({ octets }) => octets.toString("hex")));
    expect(opened.refused).toBe(0);
    // What came while the call was on hold goes no further; all that was said goes.
    expect(opened.plain.filter((packet) => clear.has(packet)).length).toBeGreaterThan(least);
    expect(sealed.filter(({ octets }) => clear.has(octets.toString("hex")))).toEqual([]);
  }
};

/** Not one packet was the same on both sides of a gateway, and at least `least` left it on the core's side: nothing crossed in the clear. */
export const neverClear = ({ tap }: LabSide, core: number, least: number): void => {
  const inside = (direction: "in" | "out") =>
    packetsOf(tap, { direction, kind: "rtp", port: core }).map(({ octets }) => octets.toString("hex"));
  expect(inside("out").length).toBeGreaterThan(least);
  const clear = new Set([...inside("in"), ...inside("out")]);
  const outside = tap.packets.filter(({ local }) => local.port !== core);
  expect(outside.length).toBeGreaterThan(least);
  expect(outside.filter(({ octets }) => clear.has(octets.toString("hex")))).toEqual([]);
};
