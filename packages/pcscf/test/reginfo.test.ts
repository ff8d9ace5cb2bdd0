import { array, assert, constantFrom, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRegInfo } from "../src/registration/reginfo.ts";

const parse = (text: string) => parseRegInfo(Buffer.from(text));

describe("application/reginfo+xml", () => {
  it("RFC 3680 5.4: registrations and contacts with prefixes, comments, either quote and entities", () => {
    const text = `<?xml version='1.0'?><!-- a <b> --><r:reginfo xmlns:r="urn:x" version='7' state="partial">
      <r:registration aor="sip:a@b" id="1" state="active"><r:contact id='2' state="terminated" event="rejected"
        expires="5" q="0.5"><r:uri> sip:a@h;x=1&amp;2&#x41; </r:uri><display-name>&lt;uri&gt;</display-name>
        <unknown-param name="a>b">"x"</unknown-param></r:contact></r:registration><r:registration aor="tel:+1" state="terminated"/>
      </r:reginfo>`;
    expect(parse(text)).toEqual({
      ok: true,
      info: {
        version: 7,
        state: "partial",
        registrations: [
          {
            aor: "sip:a@b",
            state: "active",
            contacts: [{ uri: "sip:a@h;x=1&2A", state: "terminated", event: "rejected", expires: 5 }],
          },
          { aor: "tel:+1", state: "terminated", contacts: [] },
        ],
      },
    });
  });

  it("hostile documents are refused by name: entity definitions, depth, number, length, broken tags", () => {
    const code = (text: string) => {
      const result = parse(text);
      return result.ok ? "ok" : result.code;
    };
    expect(code('<!DOCTYPE a [<!ENTITY x "xx">]><reginfo version="0"/>')).toBe("doctype");
    expect(code(`<reginfo version="0">${"<a>".repeat(20)}`)).toBe("too-deep");
    expect(code(`<reginfo version="0">${"<a/>".repeat(3000)}</reginfo>`)).toBe("too-many");
    expect(code(" ".repeat(70_000))).toBe("too-long");
    expect(code('<reginfo version="0"')).toBe("syntax");
    expect(code('<reginfo version="0"><a></b></reginfo>')).toBe("syntax");
    expect(code('<reginfo version="0"><registration aor="x></reginfo>')).toBe("syntax");
    expect(code('<reginfo version="0">')).toBe("syntax");
    expect(code('<other version="0"/>')).toBe("not-reginfo");
    expect(code("<reginfo/>")).toBe("not-reginfo");
    expect(code('<reginfo version="0"/><reginfo version="1"/>')).toBe("not-reginfo");
    expect(code("")).toBe("not-reginfo");
  });

  it("whatever arrives is read without a throw, in time linear in its length", () => {
    const pieces = constantFrom(
      "<",
      ">",
      "/",
      '"',
      "'",
      "=",
      "reginfo",
      " version=",
      "<!--",
      "-->",
      "<?",
      "&amp;",
      "&#x;",
      "uri",
      "\0",
    );
    assert(
      property(array(pieces, { maxLength: 60 }), (parts) => {
        parse(parts.join(""));
        parse(`<reginfo version="1"><registration>${parts.join("")}`);
      }),
      { seed: 3680, numRuns: 400 },
    );
    const worst = `<reginfo version="1" ${"a='' ".repeat(12_000)}`;
    const started = performance.now();
    for (let each = 0; each < 5; each += 1) parse(worst);
    parse(`<reginfo version="1">${"&".repeat(60_000)}`);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
