import { readFileSync, readdirSync } from "node:fs";
import { SallyportError } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applyEdits,
  attributeName,
  attributeValues,
  connectionOf,
  hasAttribute,
  parseSdp,
  writeSdp,
  type SdpDocument,
  type SdpEdit,
} from "../src/index.ts";

const vectors = new URL("vectors/", import.meta.url);

const read = (text: string): SdpDocument => {
  const parsed = parseSdp(text);
  if (!parsed.ok) throw new Error(`${parsed.code} in line ${parsed.line}`);
  return parsed.document;
};

describe("golden pairs: input, edits, expected", () => {
  const names = readdirSync(vectors).filter((name) => name.endsWith(".sdp"));
  it("there are some", () => expect(names.length).toBeGreaterThan(9));
  for (const name of names) {
    it(`RFC 4566 section 5: ${name.replace(".sdp", "").replaceAll("-", " ")}`, () => {
      const text = readFileSync(new URL(name, vectors)).toString("latin1");
      const first = text.indexOf("----\n");
      const second = text.indexOf("----\n", first + 5);
      const input = text.slice(0, first);
      const edits = JSON.parse(text.slice(first + 5, second)) as SdpEdit[];
      const document = read(input);
      const before = writeSdp(document).toString("latin1");
      expect(before).toBe(input);
      expect(writeSdp(applyEdits(document, edits)).toString("latin1")).toBe(text.slice(second + 5));
      expect(writeSdp(document).toString("latin1")).toBe(input);
    });
  }
});

describe("what is refused, and where", () => {
  const cases: readonly [string, string, string, number][] = [
    ["an empty body", "", "version", 1],
    ["a body that does not begin with v=0", "o=- 1 1 IN IP4 10.0.0.1\r\n", "version", 1],
    ["another version", "v=1\r\n", "version", 1],
    ["a second description", "v=0\r\nm=audio 1 RTP/AVP 0\r\nv=0\r\n", "version", 3],
    ["a line that is no letter=value", "v=0\r\nhello\r\n", "line", 2],
    ["a blank before the equals sign", "v=0\r\na =crypto:1\r\n", "line", 2],
    ["a capital type letter (RFC 4566 5)", "v=0\r\nA=3ge2ae:applied\r\n", "line", 2],
    ["a folded line", "v=0\r\n a=crypto:1\r\n", "line", 2],
    ["a blank line in the middle", "v=0\r\n\r\na=x\r\n", "line", 3],
    ["a bare CR, which could hide a line", "v=0\r\na=x\ra=crypto:1\r\n", "octet", 2],
    ["CR CR LF", "v=0\r\r\n", "octet", 1],
    ["NUL", "v=0\r\na=x\0\r\n", "octet", 2],
    ["a character above latin1", "v=0\r\na=\u{20ac}\r\n", "octet", 2],
    ["an m= line of two words", "v=0\r\nm=audio 1\r\n", "media", 2],
    ["a port above 65535", "v=0\r\nm=audio 65536 RTP/AVP 0\r\n", "media", 2],
    ["a negative port", "v=0\r\nm=audio -1 RTP/AVP 0\r\n", "media", 2],
    ["a port count of 0", "v=0\r\nm=audio 1/0 RTP/AVP 0\r\n", "media", 2],
    ["a $ port outside H.248", "v=0\r\nm=audio $ RTP/AVP 0\r\n", "media", 2],
  ];
  it.each(cases)("RFC 4566 section 9: %s", (_name, text, code, line) => {
    const parsed = parseSdp(text);
    expect(parsed).toMatchObject({ ok: false, code, line });
  });

  it("limits: octets, lines, characters of a line, m-lines", () => {
    expect(parseSdp(`v=0\n${"a=x\n".repeat(20_000)}`)).toMatchObject({ ok: false, code: "size" });
    expect(parseSdp(`v=0\n${"a=x\n".repeat(2048)}`)).toMatchObject({ ok: false, code: "lines", line: 2049 });
    expect(parseSdp(`v=0\na=${"x".repeat(8192)}\n`)).toMatchObject({ ok: false, code: "line-length", line: 2 });
    expect(parseSdp(`v=0\n${"m=audio 0 x 0\n".repeat(65)}`)).toMatchObject({ ok: false, code: "media-count" });
    expect(parseSdp(`v=0\n${"m=audio 0 x 0\n".repeat(3)}`, { maxMedia: 2 })).toMatchObject({ code: "media-count" });
  });

  it("H.248.1 7.1.8: $ as a port is read where asked for, kept, and gone once a port is set", () => {
    const parsed = parseSdp("v=0\r\nc=IN IP4 $\r\nm=audio $ RTP/SAVP -\r\n", { choose: true });
    if (!parsed.ok) throw new Error(parsed.code);
    expect(parsed.document.media[0]).toMatchObject({ port: 0, choosePort: true, protocol: "RTP/SAVP", formats: ["-"] });
    const protocol = applyEdits(parsed.document, [{ kind: "media", index: 0, protocol: "RTP/AVP" }]);
    expect(writeSdp(protocol).toString()).toContain("m=audio $ RTP/AVP -\r\n");
    const port = applyEdits(parsed.document, [{ kind: "media", index: 0, port: 0 }]);
    expect(writeSdp(port).toString()).toContain("m=audio 0 RTP/SAVP -\r\n");
    expect(port.media[0]?.choosePort).toBeUndefined();
  });
});

describe("reading", () => {
  const document = read(
    "v=0\nc=IN IP4 192.0.2.1\na=x:0\nm=audio 1 RTP/AVP 0\na=X: 1\na= x:2:3\na=x\nm=video 2 RTP/AVP 0\nc=IN IP6 2001:db8::1\nm=video 3 RTP/AVP 0\nc=IN IP4 224.2.1.1/127/3\nm=a 4 b\nc=junk\n",
  );

  it("RFC 4566 5.13: names compare without case, values come as written", () => {
    expect(attributeValues(document.session, "x")).toEqual(["0"]);
    expect(attributeValues(document.media[0]?.lines ?? [], "x")).toEqual([" 1", "2:3", ""]);
    expect(hasAttribute(document.media[0]?.lines ?? [], "X")).toBe(true);
    expect(hasAttribute(document.media[1]?.lines ?? [], "x")).toBe(false);
  });

  it("RFC 4566 5.13: a blank ends a name as the colon does", () => {
    const { session } = read("v=0\na=3ge2ae applied\na= Crypto\t1 X:y\na=x :1\n");
    expect(session.map(attributeName)).toEqual([undefined, "3ge2ae", "crypto", "x"]);
  });

  it("RFC 4566 5.7: the m-line's own c= line stands before the session's", () => {
    expect([0, 1, 2, 3, 9].map((index) => connectionOf(document, index))).toEqual([
      "192.0.2.1",
      "2001:db8::1",
      "224.2.1.1",
      undefined,
      "192.0.2.1",
    ]);
  });
});

describe("edits that do not fit", () => {
  const document = read("v=0\r\nm=audio 1 RTP/AVP 0\r\na=x\r\n");
  const edits: readonly [string, SdpEdit][] = [
    ["an m-line that is not there", { kind: "media", index: 1, port: 1 }],
    ["a position that is not there", { kind: "remove-lines", place: 0, lines: [2] }],
    ["removing the m= line", { kind: "remove-lines", place: 0, lines: [0] }],
    ["a value with a line end", { kind: "add-attribute", place: 0, name: "x", value: "1\r\na=crypto:1" }],
    ["a name with a colon", { kind: "add-attribute", place: 0, name: "x:y" }],
    ["a host name in c=", { kind: "connection", place: 0, address: "gw.example" }],
    ["a port out of range", { kind: "media", index: 0, port: 65_536 }],
    ["a format with a blank", { kind: "media", index: 0, formats: ["0 8"] }],
    ["a version with a blank", { kind: "origin", version: "1 2" }],
  ];
  it.each(edits)("throws SALLY_SDP_EDIT for %s", (_name, edit) => {
    expect(() => applyEdits(document, [edit])).toThrowError(SallyportError);
    expect(() => applyEdits(document, [edit])).toThrowError(/SALLY_SDP_EDIT/);
  });

  it("RFC 4566 5.2: an absent o= line is written anew after v=", () => {
    const edited = applyEdits(document, [{ kind: "origin", sessionId: "7", version: "8", address: "2001:db8::1" }]);
    expect(writeSdp(edited).toString()).toBe("v=0\r\no=- 7 8 IN IP6 2001:db8::1\r\nm=audio 1 RTP/AVP 0\r\na=x\r\n");
  });
});

describe("properties", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "v=0",
      "\r\n",
      "\n",
      "\r",
      "m=audio 1 RTP/AVP 0",
      "m=",
      "a=crypto:1 X inline:AAAA",
      "c=IN IP4 1.2.3.4",
    ),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  const body = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(`v=0\n${pieces.join("")}`, "latin1"));

  it("any octets: never throws, and whatever parsed is written back unchanged", () => {
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(body, fc.uint8Array({ maxLength: 400 })), (octets) => {
        const parsed = parseSdp(octets);
        if (parsed.ok) read += 1;
        return parsed.ok ? writeSdp(parsed.document).equals(octets) : parsed.offset <= octets.length;
      }),
      { numRuns: 3000, seed: 4566 },
    );
    expect(read).toBeGreaterThan(200);
  });

  const line = fc
    .tuple(fc.constantFrom("a", "b", "i", "k", "x"), fc.string({ unit: "grapheme-ascii", maxLength: 20 }))
    .map(([type, value]) => `${type}=${value}`);
  const section = fc.tuple(
    fc.constantFrom("m=audio 7 RTP/AVP 0 8", "m=video  9 RTP/SAVP 97"),
    fc.array(line, { maxLength: 5 }),
  );
  const lines = fc
    .tuple(fc.array(line, { maxLength: 4 }), fc.array(section, { minLength: 1, maxLength: 4 }))
    .map(([session, media]) =>
      ["v=0", ...session].concat(media.flatMap(([first, rest]) => [first as string].concat(rest))),
    );
  const edit = (index: number): fc.Arbitrary<SdpEdit> =>
    fc.oneof(
      fc.record({ kind: fc.constant("media" as const), index: fc.constant(index), port: fc.nat(65_535) }),
      fc.record({ kind: fc.constant("connection" as const), place: fc.constant(index), address: fc.ipV4() }),
      fc.record({
        kind: fc.constant("replace-attribute" as const),
        place: fc.constant(index),
        name: fc.constantFrom("crypto", "x"),
        value: fc.string({ unit: "grapheme-ascii" }),
      }),
    );

  it("an edit of one m-line leaves every line of the other sections as it was, octet for octet", () => {
    fc.assert(
      fc.property(lines, fc.constantFrom("\r\n", "\n"), fc.boolean(), fc.context(), (text, end, open, context) => {
        const body = text.join(end) + (open ? "" : end);
        const document = read(body);
        return fc.sample(edit(0), { numRuns: 3, seed: body.length }).every((each) => {
          const edited = applyEdits(document, [each]);
          context.log(writeSdp(edited).toString());
          const others = (from: SdpDocument) => [
            ...from.session,
            ...from.media.slice(1).flatMap((media) => media.lines),
          ];
          expect(others(edited)).toEqual(others(document));
          // What was written is itself a document that reads back the same.
          expect(writeSdp(read(writeSdp(edited).toString("latin1"))).equals(writeSdp(edited))).toBe(true);
          return true;
        });
      }),
      { numRuns: 300, seed: 3264 },
    );
  });

  it("64 KiB of hostile text is read or refused in linear time", () => {
    const hostile = [
      `v=0\n${"a".repeat(65_000)}`,
      `v=0\nm=${" ".repeat(8000)}x\n`,
      `v=0\n${"\n".repeat(65_000)}`,
      `v=0\nm=a 1 ${"x ".repeat(4000)}\n`,
      `v=0\n${"m=a 0 b\na=x\n".repeat(4000)}`,
    ];
    const started = performance.now();
    for (const text of hostile) for (let round = 0; round < 20; round += 1) parseSdp(text);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
