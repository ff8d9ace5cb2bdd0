import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRequest, headerList, parseMessage, writeMessage, type SipRequest } from "@sallyport/sip";
import { sdpBodyOf, withSdpBody } from "../src/body/sdp-body.ts";
import { withoutKeying } from "../src/body/idle-sdp.ts";
import { countDown, hasLooped, loopMark } from "../src/routing/hops.ts";
import { createPoints } from "../src/listening/points.ts";
import { arrive } from "../src/routing/route.ts";
import { scrub } from "../src/routing/scrub.ts";
import { createTokens } from "../src/routing/token.ts";
import { edgeConfigSchema } from "../src/index.ts";
import { baseConfig } from "./support/scenario.ts";
import { coreSdp, ueOffer } from "./support/sdp.ts";

const request = (headers: readonly (readonly [string, string])[], body = "", method = "INVITE"): SipRequest =>
  createRequest({
    method,
    uri: "sip:bob@home.example",
    headers: [["From", "<sip:a@b>;tag=1"], ["To", "<sip:c@d>"], ["Call-ID", "x"], ["CSeq", `1 ${method}`], ...headers],
    body: Buffer.from(body, "latin1"),
  });

describe("RFC 2046 5.1: SDP inside a body", () => {
  const part = (type: string, text: string): string => `--cut\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`;
  const multipart = (parts: string): SipRequest =>
    request([["Content-Type", "multipart/mixed;boundary=cut"]], `${parts}--cut--\r\n`);

  it("RFC 2046 5.1: finds the part, also with preamble, nested, or with the compact form of Content-Type", () => {
    expect(sdpBodyOf(request([["c", "application/sdp"]], "v=0\r\n"))).toMatchObject({ kind: "sdp", at: 0 });
    expect(sdpBodyOf(multipart(part("text/plain", "hello") + part("Application/SDP", "v=0\r\n")))).toMatchObject({
      kind: "sdp",
      octets: Buffer.from("v=0\r\n"),
    });
    const inner = `--in\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--in--`;
    expect(sdpBodyOf(multipart(`preamble\r\n${part('multipart/alternative; boundary="in"', inner)}`))).toMatchObject({
      kind: "sdp",
      octets: Buffer.from("v=0"),
    });
  });

  it("RFC 5621 3: what could hide SDP from us is unusable", () => {
    const twice = multipart(part("application/sdp", "v=0\r\n") + part("application/sdp", "v=0\r\n"));
    const open = request([["Content-Type", "multipart/mixed;boundary=cut"]], part("application/sdp", "v=0\r\n"));
    const encoded = multipart(
      `--cut\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w\r\n`,
    );
    const zipped = request(
      [
        ["Content-Type", "application/sdp"],
        ["Content-Encoding", "gzip"],
      ],
      "xx",
    );
    const nameless = request([["Content-Type", "multipart/mixed"]], part("application/sdp", "v=0\r\n"));
    expect(
      [twice, open, encoded, zipped, nameless]
        .map((each) => sdpBodyOf(each))
        .map((each) => (each.kind === "unusable" ? each.status : each.kind)),
    ).toEqual([488, 400, 415, 415, 400]);
  });

  it("RFC 5621 3: replacing the part changes nothing but the part and Content-Length", () => {
    const before = multipart(
      part("text/plain", "b=crypto stays here") +
        part("application/sdp", ueOffer()) +
        part("image/png", "\u00ff\u0000\u0089"),
    );
    const found = sdpBodyOf(before);
    if (found.kind !== "sdp") throw new Error("no SDP");
    const after = withSdpBody(before, found, Buffer.from(coreSdp(), "latin1"));
    expect(after.body.toString("latin1")).toBe(before.body.toString("latin1").replace(ueOffer(), coreSdp()));
    expect(withSdpBody(before, found, found.octets).body.equals(before.body)).toBe(true);
  });

  it("any octets are read without a throw, and what is found lies inside the body", () => {
    const pieces = fc.constantFrom(
      "--cut",
      "--cut--",
      "\r\n",
      "\r\n\r\n",
      "Content-Type: application/sdp",
      "v=0\r\n",
      "--",
      " ",
      "multipart/mixed;boundary=in",
      "--in",
      "x",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 5 })), { maxLength: 30 }), (texts) => {
        const message = request([["Content-Type", "multipart/mixed;boundary=cut"]], texts.join(""));
        const found = sdpBodyOf(message);
        if (found.kind !== "sdp") return true;
        return found.at >= 0 && message.body.subarray(found.at, found.at + found.octets.length).equals(found.octets);
      }),
      { seed: 5, numRuns: 2000 },
    );
  });

  it("TS 33.328 7.2.1 (b): SDP that is no offer and no answer loses keys and indications, nothing else", () => {
    const plain = withoutKeying(request([["Content-Type", "application/sdp"]], ueOffer()));
    expect(plain.ok && plain.message.body.toString("latin1")).toBe(
      ueOffer().replaceAll(/a=(?:crypto|3ge2ae):[^\r\n]*\r\n/g, ""),
    );
    expect(plain.ok && plain.removed).toEqual(["crypto", "crypto", "3ge2ae"]);
  });
});

describe("invariant 1: what is for one hop stays on it", () => {
  const name = fc.constantFrom(
    "Security-Client",
    "security-verify",
    "SECURITY-SERVER",
    "Require",
    "Proxy-Require",
    "Supported",
    "k",
    "X-Other",
  );
  const value = fc.constantFrom(
    "mediasec",
    "MediaSec , 100rel",
    "sec-agree",
    "path, mediasec,sec-agree",
    "sdes-srtp;mediasec",
    "gruu",
  );

  it("RFC 3329 2.3: no Security header and no hop option tag survives, in any message and direction; other tags do", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, value), { maxLength: 8 }),
        fc.constantFrom("access" as const, "core" as const),
        (headers, side) => {
          const { message } = scrub(request(headers), side);
          const text = writeMessage(message)
            .toString("latin1")
            .replaceAll(/^x-other:.*$/gim, "");
          expect(text).not.toMatch(/security-(?:client|verify|server)|mediasec|sec-agree/i);
          expect(text).not.toMatch(/^(?:require|proxy-require|supported):\s*$/im);
          const tags = (of: SipRequest): readonly string[] =>
            ["require", "proxy-require", "supported"]
              .flatMap((each) => headerList(of, each))
              .filter((tag) => ["100rel", "gruu", "path"].includes(tag));
          expect(tags(message)).toEqual(tags(request(headers)));
        },
      ),
      { seed: 7, numRuns: 500 },
    );
  });
});

describe("routing", () => {
  const points = createPoints([
    {
      name: "access/0",
      side: "access",
      protocol: "tls",
      address: "127.0.0.1",
      port: 5061,
      host: "edge.example",
      trusted: false,
    },
    {
      name: "core/0",
      side: "core",
      protocol: "tcp",
      address: "127.0.0.1",
      port: 5070,
      host: "127.0.0.1",
      trusted: false,
    },
  ]);
  const tokens = createTokens(Buffer.alloc(32, 7));

  it("RFC 5626 5.2: a token opens only as it was sealed", () => {
    const sealed = tokens.seal("path", "0123abcd");
    expect(tokens.open(sealed)).toEqual({ kind: "path", subject: "0123abcd" });
    expect(createTokens(Buffer.alloc(32, 8)).open(sealed)).toBeUndefined();
    for (let at = 0; at < sealed.length; at += 1) {
      const other = sealed[at] === "x" ? "y" : "x";
      const bent = sealed.slice(0, at) + other + sealed.slice(at + 1);
      // The last character of the seal carries two unused bits.
      if (at === sealed.length - 1) continue;
      expect(tokens.open(bent), `bent at ${at}`).toBeUndefined();
    }
    for (const text of [undefined, "", "p", "p.", "p..", "q.x.y", "p.".repeat(100)])
      expect(tokens.open(text)).toBeUndefined();
  });

  it("RFC 3261 16.4: both of our Route entries come off, the token is read, others stay", () => {
    const token = tokens.seal("call", "77");
    const routes = `<sip:${token}@edge.example:5061;transport=tls;lr>, <sip:${token}@127.0.0.1:5070;lr>, <sip:core.example;lr>`;
    const arrived = arrive(request([["Route", routes]]), points, tokens);
    expect(arrived.token).toEqual({ kind: "call", subject: "77" });
    expect(headerList(arrived.request, "route")).toEqual(["<sip:core.example;lr>"]);
  });

  it("RFC 3261 16.4: a strict router's request is put right", () => {
    const token = tokens.seal("call", "77");
    const strict = {
      ...request([["Route", "<sip:core.example;lr>, <sip:carol@192.0.2.1>"]]),
      uri: `sip:${token}@127.0.0.1:5070;lr`,
    };
    const arrived = arrive(strict, points, tokens);
    expect([arrived.request.uri, arrived.token?.subject]).toEqual(["sip:carol@192.0.2.1", "77"]);
    expect(headerList(arrived.request, "route")).toEqual(["<sip:core.example;lr>"]);
  });

  it("RFC 3261 16.3 step 4: the same request again is a loop, with another Request-URI it is a spiral", () => {
    const key = "a key of this edge";
    const first = request([]);
    const via = `SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bKabc.${loopMark(key, first)}`;
    const again = request([["Via", via]]);
    expect(hasLooped(again, () => loopMark(key, again), points.isOurs)).toBe(true);
    const spiral = { ...again, uri: "sip:bob@10.0.0.9" };
    expect(hasLooped(spiral, () => loopMark(key, spiral), points.isOurs)).toBe(false);
  });

  it("RFC 3261 16.6 step 3: Max-Forwards counts down, is refused at zero and written where it is missing", () => {
    const hops = (value: string | undefined) => {
      const verdict = countDown(request(value === undefined ? [] : [["Max-Forwards", value]]));
      return verdict.ok ? headerList(verdict.request, "max-forwards")[0] : verdict.status;
    };
    expect([hops("70"), hops("1"), hops("0"), hops(undefined), hops("x")]).toEqual(["69", "0", 483, "70", 400]);
  });
});

describe("configuration", () => {
  it("refuses unknown keys and names them", () => {
    const result = edgeConfigSchema.safeParse({ ...baseConfig(5060), colour: "red" });
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain("colour");
  });

  it("refuses a tls listening point without certificates, a next hop that is no SIP URI and an unknown suite", () => {
    const base = baseConfig(5060);
    for (const bad of [
      { ...base, access: [{ protocol: "tls", address: "127.0.0.1", port: 0 }] },
      { ...base, core: { ...base.core, nextHop: "http://core" } },
      { ...base, policy: { rules: [{ e2ae: "offered", suites: ["F8_128_HMAC_SHA1_80"] }] } },
    ]) {
      expect(edgeConfigSchema.safeParse(bad).success).toBe(false);
    }
  });
});

describe("messages of a stranger", () => {
  it("RFC 4475 3.1: what the parser let through survives scrubbing unchanged where nothing is to be removed", () => {
    const octets = Buffer.from(
      "INVITE sip:a@b SIP/2.0\r\nvia:  SIP/2.0/UDP h;branch=z9hG4bK1\r\nX-Odd : folded\r\n  here\r\nl: 0\r\n\r\n",
      "latin1",
    );
    const parsed = parseMessage(octets);
    if (!parsed.ok) throw new Error(parsed.code);
    expect(writeMessage(scrub(parsed.message, "core").message).equals(octets)).toBe(true);
  });
});
