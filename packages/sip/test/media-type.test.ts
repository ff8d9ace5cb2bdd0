// The one reading of Content-Type, and what a response may not say twice. RFC 3261 25.1, 7.3.1.
import { describe, expect, it } from "vitest";
import { createRequest, createResponse, parseMediaType, validateResponse, type SipResponse } from "@sallyport/sip";

describe("RFC 3261 25.1: media-type", () => {
  it.each([
    ["application/sdp", "application/sdp", []],
    ["Application / SDP", "application/sdp", []],
    [" application/ sdp ; charset = utf-8 ", "application/sdp", [["charset", "utf-8"]]],
    ['multipart/mixed;boundary="a;b"', "multipart/mixed", [["boundary", '"a;b"']]],
    ["application/sdp;", "application/sdp", undefined],
    ["text/plain;x, application/sdp", "text/plain", undefined],
  ])("%j is %s", (text, name, params) => {
    expect(parseMediaType(text)).toEqual({ name, params });
  });

  it.each([
    "",
    "application",
    "/sdp",
    "application/",
    "application/;x=y",
    "application/sdp (x)",
    '"application/sdp"',
    "application/sdp, text/plain",
    "application/sdp text/plain",
    "application/sdp\0",
    "application//sdp",
  ])("%j is none", (text) => {
    expect(parseMediaType(text)).toBeUndefined();
  });
});

describe("RFC 3261 7.3.1: what stands once in a response", () => {
  const request = createRequest({
    method: "INVITE",
    uri: "sip:bob@home.example",
    headers: [
      ["Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"],
      ["From", "<sip:a@b>;tag=1"],
      ["To", "<sip:c@d>"],
      ["Call-ID", "x"],
      ["CSeq", "1 INVITE"],
    ],
  });
  const again = (name: string, value: string): SipResponse =>
    createResponse(request, 200, undefined, { headers: [[name, value]] });

  it.each([
    ["From", "<sip:evil@b>;tag=1"],
    ["To", "<sip:evil@d>;tag=2"],
    ["Call-ID", "y"],
    ["CSeq", "2 BYE"],
  ])("a second %s is not acted on", (name, value) => {
    expect(validateResponse(again(name, value))).toEqual({ ok: false, reason: `repeated ${name.toLowerCase()}` });
  });

  it("Contact may stand more than once, and a second Content-Type is for who reads the body", () => {
    for (const [name, ok] of [
      ["Contact", true],
      ["Content-Type", true],
      ["Expires", false],
    ] as const) {
      const headers = [
        [name, "60"],
        [name, "70"],
      ] as const;
      expect(validateResponse(createResponse(request, 200, undefined, { headers })).ok, name).toBe(ok);
    }
  });
});
