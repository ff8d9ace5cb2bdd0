// The cutting of a stream, without sockets: any bytes, any cuts, bounded memory.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { announcedLength, createFramer } from "../src/transport/framing.ts";
import type { Frame } from "../src/transport/framing.ts";

const limits = { maxMessage: 2_000, maxHeaderBlock: 600 };
const message = (body: string, name = "Content-Length"): string =>
  `MESSAGE sip:a SIP/2.0\r\nVia: x\r\n${name}: ${body.length}\r\n\r\n${body}`;

const cut = (octets: Buffer, sizes: readonly number[]): { frames: Frame[]; most: number } => {
  const framer = createFramer(limits);
  const frames: Frame[] = [];
  let most = 0;
  let at = 0;
  for (let n = 0; at < octets.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    // A lent buffer: what the framer keeps it must have copied.
    const chunk = Buffer.from(octets.subarray(at, at + size));
    framer.push(chunk, (frame) => frames.push(frame));
    chunk.fill(0xff);
    most = Math.max(most, framer.held);
    at += size;
  }
  return { frames, most };
};

describe("RFC 3261 18.3 stream framing", () => {
  it("whatever the cuts, the same messages come out", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ maxLength: 80 }).map((text) => text.replace(/[^ -~]/g, "?")),
          { maxLength: 6 },
        ),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 12 }),
        (bodies, sizes) => {
          const texts = bodies.map((body, n) => message(body, n % 2 === 0 ? "Content-Length" : "l "));
          const { frames } = cut(Buffer.from(texts.join("\r\n"), "latin1"), sizes);
          const seen = frames.flatMap((frame) => (frame.kind === "message" ? [frame.octets.toString("latin1")] : []));
          expect(seen).toEqual(texts);
          expect(frames.filter((frame) => frame.kind === "crlf")).toHaveLength(Math.max(0, bodies.length - 1));
        },
      ),
      { numRuns: 400, seed: 3 },
    );
  });

  it("any bytes: it never throws, breaks at most once and never holds more than a message", () => {
    const hostile = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets)),
        fc
          .constantFrom(
            "\r\n",
            "\r",
            "\r\n\r\n",
            "Content-Length: 9\r\n",
            "l:99999999999999999999\r\n",
            " 5\r\n",
            "x".repeat(700),
          )
          .map((text) => Buffer.from(text)),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(
        hostile,
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
        (parts, sizes) => {
          const { frames, most } = cut(Buffer.concat(parts), sizes);
          expect(frames.filter((frame) => frame.kind === "broken").length).toBeLessThanOrEqual(1);
          expect(most).toBeLessThanOrEqual(limits.maxMessage);
        },
      ),
      { numRuns: 400, seed: 4 },
    );
  });

  it("a header block at the limit passes, one octet more breaks the stream as soon as it arrives", () => {
    const pad = (length: number): string => {
      const head = message("");
      return head.replace("Via: x", `Via: ${"x".repeat(length - head.length + 1)}`);
    };
    expect(cut(Buffer.from(pad(600)), [50]).frames).toMatchObject([{ kind: "message" }]);
    expect(cut(Buffer.from(pad(601)), [50]).frames).toMatchObject([{ kind: "broken", code: "header-block-too-long" }]);
    const endless = cut(Buffer.from("a".repeat(100_000)), [100]);
    expect(endless.frames).toEqual([{ kind: "broken", code: "header-block-too-long" }]);
    expect(endless.most).toBeLessThanOrEqual(600);
  });

  it("a sender of single octets costs no quadratic search", () => {
    const wide = createFramer({ maxMessage: 100_000, maxHeaderBlock: 90_000 });
    wide.push(Buffer.from("a"), () => undefined);
    // Each of them could be the start of the empty line, so that looking again from the start would take very long.
    const octet = Buffer.from("\r");
    const begun = performance.now();
    for (let n = 0; n < 40_000; n += 1) wide.push(octet, () => undefined);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it("Content-Length: folded, compact, repeated and agreeing, and everything that is none", () => {
    const head = (lines: string): Buffer => Buffer.from(`A b SIP/2.0\r\n${lines}\r\n\r\n`, "latin1");
    expect(announcedLength(head("Content-Length:\r\n 12"))).toBe(12);
    expect(announcedLength(head("L\t:  007"))).toBe(7);
    expect(announcedLength(head("content-length: 5\r\nl: 5"))).toBe(5);
    expect(announcedLength(head("content-length: 5\r\nl: 6"))).toBe("length-invalid");
    for (const bad of ["-1", "1,1", "0x10", "1e3", "", "5 5", "9".repeat(21)]) {
      expect(announcedLength(head(`Content-Length: ${bad}`))).toBe("length-invalid");
    }
    expect(announcedLength(head("X-Content-Length: 5\r\nSubject: Content-Length: 5\r\n l: 4"))).toBe("length-missing");
    expect(announcedLength(head("Contact: <sip:a>\r\nLength: 4"))).toBe("length-missing");
  });
});
