import { describe, expect, it } from "vitest";
import {
  appendHeader,
  createRequest,
  createResponse,
  filterHeaderList,
  headerList,
  headerValue,
  headerValues,
  parseMessage,
  prependHeader,
  removeHeader,
  removeTopListElement,
  replaceHeader,
  setHeader,
  tagOf,
  utf8,
  validateRequest,
  withBody,
  withUri,
  writeMessage,
} from "@sallyport/sip";
import type { SipMessage, SipRequest } from "@sallyport/sip";

const text = [
  "INVITE sip:bob@example.org SIP/2.0",
  "v:  SIP/2.0/UDP one;branch=z9hG4bK1 ,SIP/2.0/TCP two;branch=z9hG4bK2",
  "X-Odd :\t kept  as it is  ",
  "VIA: SIP/2.0/UDP three",
  'Require:100rel,  mediasec ,"a,b"',
  "From: <sip:alice@example.com>;tag=a",
  "To: Bob<sip:bob@example.org> ",
  "Call-ID: 1",
  "CSeq: 7 INVITE",
  "Record-Route: <sip:p1;lr>",
  "record-route: <sip:p2;lr>",
  "Timestamp: 54",
  "l: 4",
  "",
  "body",
].join("\r\n");

const request = (): SipRequest => {
  const result = parseMessage(Buffer.from(text));
  if (!result.ok || result.message.kind !== "request") throw new Error("not read");
  return result.message;
};

const wire = (message: SipMessage): string => writeMessage(message).toString("latin1");

describe("editing", () => {
  it("RFC 3261 16.6: an edit changes its own field and no other octet", () => {
    expect(wire(setHeader(request(), "x-odd", "new"))).toBe(text.replace("X-Odd :\t kept  as it is  ", "x-odd: new"));
    expect(wire(setHeader(request(), "Max-Forwards", "70"))).toBe(text.replace("l: 4", "l: 4\r\nMax-Forwards: 70"));
    expect(wire(removeHeader(request(), "X-ODD"))).toBe(text.replace("X-Odd :\t kept  as it is  \r\n", ""));
    expect(wire(prependHeader(request(), "via", "SIP/2.0/TLS zero"))).toBe(
      text.replace("v:  SIP", "Via: SIP/2.0/TLS zero\r\nv:  SIP"),
    );
    expect(wire(prependHeader(request(), "Path", "<sip:e;lr>"))).toBe(
      text.replace("v:  SIP", "Path: <sip:e;lr>\r\nv:  SIP"),
    );
    expect(wire(appendHeader(request(), "via", "SIP/2.0/TLS four"))).toBe(
      text.replace("UDP three", "UDP three\r\nVia: SIP/2.0/TLS four"),
    );
    expect(wire(withUri(request(), "sip:carol@example.org"))).toBe(text.replace("sip:bob@", "sip:carol@"));
  });

  it("RFC 3261 7.3.1: setting drops the other fields of that name", () => {
    expect(headerValues(setHeader(request(), "record-route", "<sip:x>"), "record-route")).toEqual(["<sip:x>"]);
  });

  it("RFC 3261 7.3.1: replacing puts one field a value where the first stood", () => {
    const edited = replaceHeader(request(), "record-route", ["<sip:x>", "<sip:y>"]);
    expect(wire(edited)).toContain("CSeq: 7 INVITE\r\nRecord-Route: <sip:x>\r\nRecord-Route: <sip:y>\r\nTimestamp");
    expect(wire(replaceHeader(request(), "via", []))).not.toMatch(/via|v:/i);
    expect(wire(replaceHeader(request(), "Route", ["<sip:r>"]))).toContain("l: 4\r\nRoute: <sip:r>\r\n\r\n");
    expect(replaceHeader(request(), "route", []).headers.length).toBe(request().headers.length);
  });

  it("RFC 3261 16.7 step 3: the top Via goes, also out of a comma list, the rest stays", () => {
    const once = removeTopListElement(request(), "via");
    expect(wire(once)).toBe(text.replace(/v: {2}.*two/, "v: SIP/2.0/TCP two"));
    const twice = removeTopListElement(once, "via");
    expect(headerList(twice, "via")).toEqual(["SIP/2.0/UDP three;branch=z9hG4bK2".replace(";branch=z9hG4bK2", "")]);
    expect(wire(twice)).toContain("VIA: SIP/2.0/UDP three");
    expect(headerList(removeTopListElement(twice, "via"), "via")).toEqual([]);
  });

  it("TS 24.229 5.2: an option tag is taken out of its list, fields left empty go", () => {
    const edited = filterHeaderList(request(), "require", (tag) => tag !== "mediasec");
    expect(wire(edited)).toBe(text.replace(/Require:.*/, 'Require: 100rel, "a,b"').replaceAll("\n\n", "\n"));
    expect(
      headerValue(
        filterHeaderList(request(), "require", () => false),
        "require",
      ),
    ).toBeUndefined();
    const untouched = request();
    expect(filterHeaderList(untouched, "require", () => true)).toBe(untouched);
  });

  it("RFC 3261 20.14: a body brings its length and its type", () => {
    const edited = withBody(request(), Buffer.from("v=0\r\n"), "application/sdp");
    expect(headerValue(edited, "content-length")).toBe("5");
    expect(headerValue(edited, "c")).toBe("application/sdp");
    expect(edited.body.toString()).toBe("v=0\r\n");
    const emptied = withBody(edited, Buffer.alloc(0));
    expect(headerValue(emptied, "content-length")).toBe("0");
    expect(headerValue(emptied, "content-type")).toBeUndefined();
    expect(headerValue(withBody(edited, Buffer.from("x")), "content-type")).toBe("application/sdp");
  });

  it("RFC 3261 25.1: no value can smuggle a field or a line", () => {
    for (const value of ["a\r\nVia: x", "a\nb", "a\rb", "Алиса"]) {
      expect(() => setHeader(request(), "subject", value), value).toThrow("SALLY_SIP_HEADER_INVALID");
    }
    expect(() => setHeader(request(), "sub ject", "x")).toThrow("SALLY_SIP_HEADER_INVALID");
    expect(() => withUri(request(), "sip:a b")).toThrow("SALLY_SIP_START_LINE_INVALID");
    expect(() => withUri(request(), "sip:a\r\nX: y")).toThrow("SALLY_SIP_START_LINE_INVALID");
    expect(() => createResponse(request(), 200, "OK\r\nX: y")).toThrow("SALLY_SIP_START_LINE_INVALID");
    expect(() => createResponse(request(), 99)).toThrow("SALLY_SIP_START_LINE_INVALID");
    expect(() => createResponse(request(), 180, undefined, { toTag: "a\r\nX: y" })).toThrow("SALLY_SIP_HEADER_INVALID");
    expect(wire(setHeader(request(), "subject", utf8("Алиса")))).toContain("Subject: \u00d0\u0090");
  });
});

describe("making messages", () => {
  it("RFC 3261 8.1.1: a request", () => {
    const made = createRequest({
      method: "MESSAGE",
      uri: "sip:bob@example.org",
      headers: [
        ["via", "SIP/2.0/UDP h"],
        ["content-type", "text/plain"],
        ["X-Mine", " y "],
      ],
      body: Buffer.from("hi"),
    });
    expect(wire(made)).toBe(
      "MESSAGE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nContent-Type: text/plain\r\nX-Mine: y\r\nContent-Length: 2\r\n\r\nhi",
    );
  });

  it("RFC 3261 8.2.6.2: a response gives back Via, From, To, Call-ID and CSeq octet for octet", () => {
    const response = createResponse(request(), 180, undefined, { toTag: "t", headers: [["Contact", "<sip:bob@h>"]] });
    expect(wire(response)).toBe(
      [
        "SIP/2.0 180 Ringing",
        "v:  SIP/2.0/UDP one;branch=z9hG4bK1 ,SIP/2.0/TCP two;branch=z9hG4bK2",
        "VIA: SIP/2.0/UDP three",
        "From: <sip:alice@example.com>;tag=a",
        "To: Bob<sip:bob@example.org> ;tag=t",
        "Call-ID: 1",
        "CSeq: 7 INVITE",
        "Record-Route: <sip:p1;lr>",
        "record-route: <sip:p2;lr>",
        "Contact: <sip:bob@h>",
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n"),
    );
    expect(tagOf(response, "to")).toBe("t");
  });

  it("RFC 3261 8.2.6.1: a 100 takes the Timestamp, no tag and no Record-Route", () => {
    const trying = createResponse(request(), 100, undefined, { toTag: "t" });
    expect(headerValue(trying, "timestamp")).toBe("54");
    expect(tagOf(trying, "to")).toBeUndefined();
    expect(headerValue(trying, "record-route")).toBeUndefined();
  });

  it("RFC 3261 12.1.1: Record-Route is in 101 to 299 only; a tag that is there stays", () => {
    expect(headerValue(createResponse(request(), 486), "record-route")).toBeUndefined();
    const inDialog = setHeader(request(), "to", "<sip:bob@example.org>;tag=old");
    expect(headerValue(createResponse(inDialog, 200, undefined, { toTag: "new" }), "to")).toBe(
      "<sip:bob@example.org>;tag=old",
    );
  });
});

describe("judging requests", () => {
  const judged = (edit: (sound: SipRequest) => SipRequest) => {
    const verdict = validateRequest(edit(setHeader(request(), "max-forwards", "70")));
    return verdict.ok ? 0 : verdict.status;
  };

  it.each([
    ["nothing wrong", (m: SipRequest) => m, 0],
    ["no Max-Forwards", (m: SipRequest) => removeHeader(m, "max-forwards"), 0],
    ["no Via", (m: SipRequest) => removeHeader(m, "via"), 400],
    ["no From", (m: SipRequest) => removeHeader(m, "from"), 400],
    ["no To", (m: SipRequest) => removeHeader(m, "to"), 400],
    ["no Call-ID", (m: SipRequest) => removeHeader(m, "call-id"), 400],
    ["no CSeq", (m: SipRequest) => removeHeader(m, "cseq"), 400],
    ["an empty Call-ID", (m: SipRequest) => setHeader(m, "call-id", ""), 400],
    ["two From tags", (m: SipRequest) => setHeader(m, "from", "<sip:a@b>;tag=1;tag=2"), 400],
    ["a tag without value", (m: SipRequest) => setHeader(m, "from", "<sip:a@b>;tag"), 400],
    ["a To URI that is none", (m: SipRequest) => setHeader(m, "to", "<sip:a@b@c>"), 400],
    ["a Max-Forwards of 256", (m: SipRequest) => setHeader(m, "max-forwards", "256"), 400],
    ["* as Contact of an INVITE", (m: SipRequest) => setHeader(m, "contact", "*"), 400],
    ["a broken Route", (m: SipRequest) => setHeader(m, "route", "<sip:a@b>, sip"), 400],
    ["an emergency URN", (m: SipRequest) => withUri(m, "urn:service:sos"), 0],
    ["a telephone number", (m: SipRequest) => withUri(m, "tel:+15550100"), 0],
    ["a web address", (m: SipRequest) => withUri(m, "https://example.org"), 416],
    ["no scheme", (m: SipRequest) => withUri(m, "bob"), 400],
    ["two Dates", (m: SipRequest) => replaceHeader(m, "date", ["x", "y"]), 400],
  ])("RFC 3261 8.2.2 and 16.3: %s", (_name, edit, status) => {
    expect(judged(edit)).toBe(status);
  });

  it("RFC 3261 10.2.2: * is the only Contact of a REGISTER, or none", () => {
    const register = (contact: string) =>
      judged((m) => ({ ...setHeader(setHeader(m, "cseq", "1 REGISTER"), "contact", contact), method: "REGISTER" }));
    expect(register("*")).toBe(0);
    expect(register("*, <sip:a@b>")).toBe(400);
  });
});
