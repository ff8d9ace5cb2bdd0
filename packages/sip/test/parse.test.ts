import { describe, expect, it } from "vitest";
import {
  createResponse,
  defaultSipLimits,
  headerList,
  headerValue,
  headerValues,
  parseMessage,
  writeMessage,
} from "@sallyport/sip";
import type { SipLimits, SipMessage } from "@sallyport/sip";
import { must } from "./must.ts";

const octetsOf = (text: string): Buffer => Buffer.from(text.replaceAll("\n", "\r\n"), "latin1");

const head = `OPTIONS sip:bob@example.org SIP/2.0
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa
From: <sip:alice@example.com>;tag=a
To: <sip:bob@example.org>
Call-ID: 1@192.0.2.1
CSeq: 1 OPTIONS
`;

const parsed = (text: string): SipMessage => {
  const result = parseMessage(octetsOf(text));
  if (!result.ok) throw new Error(`${result.code} at ${result.offset}`);
  return result.message;
};

const refused = (octets: Buffer, limits?: Partial<SipLimits>) => {
  const result = parseMessage(octets, { limits: { ...defaultSipLimits, ...limits } });
  if (result.ok) throw new Error("accepted");
  return result;
};

describe("reading a message", () => {
  it("RFC 3261 7.3.3: compact forms have their long name, the wire form stays", () => {
    const message = parsed(`${head}v: SIP/2.0/UDP h2\nK: 100rel\nx: 1800\no: presence\nl: 0\n\n`);
    expect(headerValues(message, "Via").length).toBe(2);
    expect(headerValue(message, "supported")).toBe("100rel");
    expect(headerValue(message, "k")).toBe("100rel");
    expect(headerValue(message, "session-expires")).toBe("1800");
    expect(headerValue(message, "event")).toBe("presence");
    expect(message.headers.at(-1)?.raw).toBe("l: 0");
  });

  it("RFC 3261 7.3.1: a folded value is one line, its octets stay", () => {
    const text = `${head}Subject :\t \n  I know\n\tyou   \n \n  are there\t\nX:\n y\n\n`;
    const message = parsed(text);
    expect(headerValue(message, "subject")).toBe("I know you are there");
    expect(headerValue(message, "x")).toBe("y");
    expect(writeMessage(message).equals(octetsOf(text))).toBe(true);
  });

  it("RFC 3261 7.3.1: order and unknown headers are kept, repeated and comma forms read alike", () => {
    const text = `${head}X-B: 1\nRoute: <sip:a>, <sip:b>\nx-a: 2\nROUTE: <sip:c>\nX-B: 3\n\n`;
    const message = parsed(text);
    expect(headerList(message, "route")).toEqual(["<sip:a>", "<sip:b>", "<sip:c>"]);
    expect(headerValues(message, "x-b")).toEqual(["1", "3"]);
    expect(message.headers.slice(5).map((field) => field.name)).toEqual(["x-b", "route", "x-a", "route", "x-b"]);
    expect(writeMessage(message).equals(octetsOf(text))).toBe(true);
  });

  it("RFC 3261 7.1: method case counts, version case does not", () => {
    const message = parsed(head.replace("SIP/2.0\n", "sip/2.0\n").replace("OPTIONS ", "options ") + "\n");
    expect(message).toMatchObject({ kind: "request", method: "options", uri: "sip:bob@example.org" });
  });

  it("RFC 3261 7.1: whoever sends a message on writes the version in capitals, and all else as it came", () => {
    const fields = head.slice(head.indexOf("Via"));
    for (const [small, capital] of [
      ["OPTIONS sip:sip/2.0@example.org Sip/2.0", "OPTIONS sip:sip/2.0@example.org SIP/2.0"],
      ["sip/2.0 200 sip/2.0", "SIP/2.0 200 sip/2.0"],
    ]) {
      expect(writeMessage(parsed(`${small}\n${fields}\n`)).equals(octetsOf(`${capital}\n${fields}\n`))).toBe(true);
    }
  });

  it("RFC 3261 7.2: a response", () => {
    const message = parsed(`SIP/2.0 183 Session  Progress\n${head.slice(head.indexOf("Via"))}\n`);
    expect(message).toMatchObject({ kind: "response", status: 183, reason: "Session  Progress" });
  });

  it("RFC 3261 7.4: a binary body is bytes", () => {
    const body = Buffer.from(Array.from({ length: 512 }, (_, at) => at & 255));
    const octets = Buffer.concat([octetsOf(`${head}Content-Length: 512\n\n`), body, Buffer.from("surplus")]);
    const result = parseMessage(octets);
    expect(result.ok && result.surplus).toBe(7);
    if (!result.ok) return;
    expect(result.message.body.equals(body)).toBe(true);
    octets.fill(0);
    expect(result.message.body.equals(body), "the reader's buffer may be reused").toBe(true);
  });

  it("RFC 3261 18.3: without Content-Length the body runs to the end", () => {
    expect(parsed(`${head}\nall of it`).body.toString()).toBe("all of it");
    expect(parsed(`${head}\n`).body.length).toBe(0);
  });

  it("RFC 3261 7.5: CRLFs before the start line are skipped", () => {
    const result = parseMessage(octetsOf(`\n\n\n${head}\n`));
    expect(result.ok && writeMessage(result.message).equals(octetsOf(`${head}\n`))).toBe(true);
  });
});

describe("refusing a message", () => {
  it.each([
    ["", "empty"],
    ["\n\n", "empty"],
    ["\n", "empty"],
    ["x", "start-line"],
    ["OPTIONS\n\n", "start-line"],
    ["OPTIONS  SIP/2.0\n\n", "start-line"],
    ["OPTIONS sip:a HTTP/1.1\n\n", "start-line"],
    ["OPT IONS sip:a SIP/2.0\n\n", "start-line"],
    ["OP{T sip:a SIP/2.0\n\n", "start-line"],
    ["OPTIONS sip:a\u0007 SIP/2.0\n\n", "start-line"],
    ["SIP/2.0\n\n", "status-code"],
    ["SIP/2.0 99 x\n\n", "status-code"],
    ["SIP/2.0 700 x\n\n", "status-code"],
    ["SIP/2.0 20 x\n\n", "status-code"],
    ["SIP/2.0 2000 x\n\n", "status-code"],
    ["SIP/2.0 2x0 x\n\n", "status-code"],
    ["SIP/1.0 200 x\n\n", "version"],
    ["SIP/2.0x 200 x\n\n", "start-line"],
  ])("RFC 3261 25.1: %j is %s", (text, code) => {
    expect(refused(octetsOf(text)).code).toBe(code);
  });

  it.each([
    ["no colon here", "header-line"],
    [": no name", "header-line"],
    ["na me: x", "header-line"],
    ["na(me): x", "header-line"],
    ["name\n : x", "header-line"],
    ["Content-Length: 1 2", "content-length"],
    ["Content-Length: +4", "content-length"],
    ["Content-Length: 0x10", "content-length"],
    ["Content-Length:", "content-length"],
    ["Content-Length: 99999999999999999999999", "content-length"],
    ["Content-Length: 4, 4", "content-length"],
    ["Content-Length: 0\nl: 0", "content-length"],
    ["Content-Length: 5", "body-length"],
  ])("RFC 3261 7.3: %j is refused with 400 (%s)", (line, code) => {
    const octets = octetsOf(`${head}${line}\n\nbody`);
    const result = refused(octets);
    expect(result).toMatchObject({ code, status: 400 });
    if (code !== "body-length") expect(result.offset).toBeGreaterThanOrEqual(octetsOf(head).length);
    const response = createResponse(must(result.answerable), must(result.status), result.reason);
    expect(headerValue(response, "call-id")).toBe("1@192.0.2.1");
  });

  it.each(["\r", "\n"])("RFC 3261 25.1: a bare %j in the head is no line end to anyone", (bare) => {
    const octets = octetsOf(`${head}X: a\u0001b: c\n\n`);
    octets[octets.indexOf(1)] = bare.charCodeAt(0);
    expect(refused(octets)).toMatchObject({ code: "line-end", offset: octets.indexOf("X: a") + 4, status: 400 });
    expect(headerValue(must(refused(octets).answerable), "x"), "nor is it echoed").toBeUndefined();
  });

  it("RFC 3261 25.1: NUL stands nowhere in a head but in a quoted-pair", () => {
    const octets = octetsOf(`${head}Content-Type: application/sdp\0\nX: y\n\n`);
    expect(refused(octets)).toMatchObject({ code: "nul", offset: octets.indexOf(0), status: 400 });
    expect(headerValue(must(refused(octets).answerable), "content-type"), "nor is it echoed").toBeUndefined();
    expect(parseMessage(octetsOf(`${head}Subject: "\\\0"\nX: y\n\n`)).ok).toBe(true);
    expect(refused(octetsOf(`${head}Subject: "\\\0\0"\n\n`))).toMatchObject({ code: "nul" });
  });

  it("RFC 3261 7.3.1: a first header line cannot be a continuation", () => {
    const octets = octetsOf(head.replace("Via:", " Via:") + "Via: SIP/2.0/UDP h\n\n");
    expect(refused(octets)).toMatchObject({ code: "header-line", offset: head.indexOf("Via") + 1 });
  });

  it("RFC 3261 18.3: a head without its end is not believed", () => {
    const result = refused(octetsOf(`${head}X: cut`));
    expect(result).toMatchObject({ code: "header-end", status: 400 });
    expect(headerValue(must(result.answerable), "x")).toBeUndefined();
    expect(headerValue(must(result.answerable), "cseq")).toBe("1 OPTIONS");
  });

  it("RFC 3261 17.1.1.3: an ACK is never answered, nor is a request without Via, nor a response", () => {
    const broken = `${head}broken\n\n`;
    expect(refused(octetsOf(broken)).answerable).toBeDefined();
    expect(refused(octetsOf(broken.replace("OPTIONS ", "ACK "))).answerable).toBeUndefined();
    expect(refused(octetsOf(broken.replace("Via:", "Vix:"))).answerable).toBeUndefined();
    expect(refused(octetsOf(broken.replace("OPTIONS sip:bob@example.org SIP/2.0", "SIP/2.0 200 OK"))).answerable).toBe(
      undefined,
    );
  });

  it("RFC 3261 21.5.7: limits on everything a stranger can send", () => {
    expect(refused(octetsOf(`${head}\n${"x".repeat(300)}`), { maxMessage: 400 })).toMatchObject({
      code: "message-size",
      status: 513,
      offset: 400,
    });
    expect(refused(octetsOf(`${head}\n${"x".repeat(300)}`), { maxBody: 299 })).toMatchObject({
      code: "body-size",
      status: 513,
    });
    expect(refused(octetsOf(`${head}\n`), { maxUri: 18 })).toMatchObject({ code: "uri-length", status: 414 });
    expect(refused(octetsOf(`${head}\n`), { maxHeaders: 4 })).toMatchObject({ code: "header-count", status: 400 });
    expect(refused(octetsOf(`${head}X: ${"y".repeat(9000)}\n\n`))).toMatchObject({
      code: "header-length",
      status: 400,
    });
    expect(refused(octetsOf(`${head}X: ${"y\n ".repeat(4000)}z\n\n`)).code).toBe("header-length");
  });

  it("RFC 3261 26.3.2.4: fields beyond the limit are not kept, the offender is still answered", () => {
    const result = refused(octetsOf(`${head}${"a: b\n".repeat(10_000)}\n`));
    expect(result.code).toBe("header-count");
    expect(must(result.answerable).headers.length).toBe(defaultSipLimits.maxHeaders);
    const lines = refused(octetsOf(`${head}${"::\n".repeat(10_000)}\n`));
    expect(lines.code).toBe("header-line");
  });
});
