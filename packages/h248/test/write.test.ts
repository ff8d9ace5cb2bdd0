import { describe, expect, it } from "vitest";
import { writeH248 } from "../src/index.ts";
import type { ActionRequest, CommandRequest, H248Message } from "../src/index.ts";
import { mustParse } from "./vectors.ts";

const request = (command: Partial<CommandRequest>, action: Partial<ActionRequest> = {}): H248Message => ({
  version: 2,
  mid: "[127.0.0.1]:2944",
  body: {
    kind: "transactions",
    transactions: [
      {
        kind: "request",
        id: 1,
        actions: [
          { context: 1, ...action, commands: [{ command: "Modify", termination: "a", descriptors: [], ...command }] },
        ],
      },
    ],
  },
});
const local = (text: string): H248Message =>
  request({ descriptors: [{ kind: "media", streams: [{ id: 1, local: text }] }] });
const text = (message: H248Message, style: "pretty" | "compact" = "compact"): string =>
  writeH248(message, style).toString("latin1");

describe("H.248.1 Annex B: what is written", () => {
  it("octetString: `}` is escaped and the closing brace starts a line", () => {
    expect(text(local("v=0\r\ns=a}b\\}"))).toBe(
      "!/2 [127.0.0.1]:2944 T=1{C=1{MF=a{M{ST=1{L{v=0\r\ns=a\\}b\\\\}\r\n}}}}}}",
    );
    expect(text(local("v=0\r\n"), "pretty")).toContain("Local {\r\nv=0\r\n}");
  });

  it("signalsDescriptor: no signals are written as the bare token", () => {
    expect(text(request({ descriptors: [{ kind: "signals", signals: [] }] }))).toContain("MF=a{SG}");
  });

  it("errorDescriptor: text that cannot be quoted does not keep the error from being sent", () => {
    const octets = writeH248(
      { version: 1, mid: "a", body: { kind: "error", error: { code: 400, text: 'a"b\r\né' } } },
      "compact",
    );
    expect(octets.toString("latin1")).toBe('!/1 a ER=400{"a\'b???"}');
  });

  it.each([
    ["a NUL in SDP", local("v=0\0")],
    ["SDP that is not held as octets", local("s=\u20ac")],
    ["a termination that is no name", request({ termination: "a}b" })],
    ["an empty termination", request({ termination: "" })],
    ["a termination list with a brace in it", request({ termination: "[a,{]" })],
    ["context 0", request({}, { context: 0 })],
    ["a context past the last", request({}, { context: 0xffff_fffe })],
    ["a context that is no number", request({}, { context: Number.NaN })],
    [
      "a quote in a value",
      request({
        descriptors: [
          {
            kind: "media",
            streams: [{ localControl: { properties: [{ name: "a/b", relation: "=", values: ['x"y'] }] } }],
          },
        ],
      }),
    ],
    [
      "a line end in a value",
      request({
        descriptors: [
          {
            kind: "media",
            streams: [{ localControl: { properties: [{ name: "a/b", relation: "=", values: ["x\ny"] }] } }],
          },
        ],
      }),
    ],
    [
      "a property without value",
      request({
        descriptors: [
          { kind: "media", streams: [{ localControl: { properties: [{ name: "a/b", relation: "=", values: [] }] } }] },
        ],
      }),
    ],
    ["an empty list", request({ descriptors: [{ kind: "packages", packages: [] }] })],
    ["a digit map with a brace", request({ descriptors: [{ kind: "digitmap", digitMap: { value: "1}" } }] })],
    ["a mid that is none", { ...request({}), mid: "[127.0.0.1] T" }],
    ["no transaction", { version: 2, mid: "a", body: { kind: "transactions", transactions: [] } }],
    [
      "no action in a reply",
      {
        version: 2,
        mid: "a",
        body: {
          kind: "transactions",
          transactions: [{ kind: "reply", id: 1, body: { kind: "actions", actions: [] } }],
        },
      },
    ],
    [
      "a backward range",
      { version: 2, mid: "a", body: { kind: "transactions", transactions: [{ kind: "ack", ranges: [[5, 4]] }] } },
    ],
  ] satisfies [string, H248Message][])("refuses %s", (_what, message) => {
    expect(() => writeH248(message, "compact")).toThrow(/SALLY_H248_UNWRITABLE/);
  });

  it("both styles read equal", () => {
    const message = request({ descriptors: [{ kind: "audit", items: [] }] });
    expect(mustParse(writeH248(message, "pretty"))).toEqual(mustParse(writeH248(message, "compact")));
  });
});
