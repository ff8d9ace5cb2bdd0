// Keys that came with an order nobody carries out are zeroised at once, wherever the order went wrong.
import { Secret } from "@sallyport/kit";
import type { CommandRequest, Descriptor } from "@sallyport/h248";
import { afterEach, describe, expect, it, vi } from "vitest";
import { decodeOrder } from "../src/gateway/decode.ts";

const key = Buffer.alloc(30, 7).toString("base64");
const crypto = (tag: number): string => `a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${key}\r\n`;
const description = (more = "", protocol = "RTP/SAVP"): string =>
  `v=0\r\nc=IN IP4 $\r\nm=audio $ ${protocol} 8\r\n${crypto(1)}${more}`;
const media = (
  ...streams: { readonly id: number; readonly local?: string; readonly remote?: string }[]
): Descriptor => ({
  kind: "media",
  streams,
});

/** The keys that the reading of these descriptors made. */
const keysOf = (descriptors: readonly Descriptor[], keysAllowed = true) => {
  const made: Secret[] = [];
  const take = Secret.take.bind(Secret);
  vi.spyOn(Secret, "take").mockImplementation((octets) => {
    const secret = take(octets);
    made.push(secret);
    return secret;
  });
  const command: CommandRequest = { command: "Add", termination: "$", descriptors };
  return { read: decodeOrder(command, keysAllowed), made };
};

describe("invariant 7: keys of refused orders", () => {
  afterEach(() => vi.restoreAllMocks());

  it("invariant 7: those of a good order are live", () => {
    const { read, made } = keysOf([media({ id: 1, local: description() })]);
    expect([read.ok, made.length, made.filter(({ released }) => released).length]).toEqual([true, 1, 0]);
  });

  it.each<[string, readonly Descriptor[]]>([
    ["another stream is bad", [media({ id: 1, local: description() }, { id: 2, local: "v=0\r\nc=x\r\n" })]],
    ["a stream comes twice", [media({ id: 1, local: description() }, { id: 1, local: description() })]],
    ["a later line is bad", [media({ id: 1, local: description("a=rtcp:x\r\n") })]],
    ["there are two crypto attributes", [media({ id: 1, local: description(crypto(2)) })]],
    ["the transport is unknown", [media({ id: 1, local: description("", "TCP/MSRP") })]],
    ["the far end's address is to be chosen", [media({ id: 1, remote: description() })]],
    ["the far end's description is bad", [media({ id: 1, local: description(), remote: "v=0\r\nm=x\r\n" })]],
    [
      "a descriptor behind is not for this command",
      [media({ id: 1, local: description() }), { kind: "packages", packages: [] }],
    ],
  ])("invariant 7: %s", (_, descriptors) => {
    const { read, made } = keysOf(descriptors);
    expect(read.ok).toBe(false);
    expect(made.length).toBeGreaterThan(0);
    expect(made.filter(({ released }) => !released)).toEqual([]);
  });

  it("TS 33.328 6.2.1.3 (c), invariant 7: keys over an unprotected Iq", () => {
    const { read, made } = keysOf([media({ id: 1, local: description() })], false);
    expect([read.ok, made.length, made.filter(({ released }) => released).length]).toEqual([false, 1, 1]);
  });
});
