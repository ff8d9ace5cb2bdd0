import { describe, expect, it } from "vitest";
import {
  afterRequest,
  afterResponse,
  createRequest,
  createResponse,
  dialogFromRequest,
  dialogFromResponse,
  dialogId,
  dialogIdOf,
  dialogRequest,
  headerList,
  headerValue,
  removeHeader,
  setHeader,
  tagOf,
} from "@sallyport/sip";
import type { Dialog, SipRequest } from "@sallyport/sip";

const invite = (extra: readonly (readonly [string, string])[] = []): SipRequest =>
  createRequest({
    method: "INVITE",
    uri: "sip:bob@example.org",
    headers: [
      ["Via", "SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1"],
      ["From", '"Alice" <sip:alice@example.com>;tag=a'],
      ["To", "<sip:bob@example.org>"],
      ["Call-ID", "call-1"],
      ["CSeq", "314 INVITE"],
      ["Contact", "<sip:alice@192.0.2.1;transport=tls>"],
      ...extra,
    ],
  });

const recorded = [
  ["Record-Route", "<sip:p2.example.org;lr>"],
  ["Record-Route", "<sip:p1.example.com;lr>, <sip:p0.example.com;lr>"],
] as const;

const answered = (request: SipRequest, status: number, tag = "b", contact = "<sip:bob@198.51.100.2>") =>
  createResponse(request, status, undefined, { toTag: tag, headers: [["Contact", contact]] });

const built = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("no dialog");
  return value;
};

describe("making a dialog", () => {
  it("RFC 3261 12.1.1: the callee takes Record-Route in order", () => {
    const dialog = built(dialogFromRequest(invite(recorded), "b"));
    expect(dialog).toEqual({
      callId: "call-1",
      localTag: "b",
      remoteTag: "a",
      localUri: "sip:bob@example.org",
      remoteUri: "sip:alice@example.com",
      localSeq: 0,
      remoteSeq: 314,
      routeSet: ["<sip:p2.example.org;lr>", "<sip:p1.example.com;lr>", "<sip:p0.example.com;lr>"],
      remoteTarget: "sip:alice@192.0.2.1;transport=tls",
      secure: false,
      state: "early",
    });
  });

  it("RFC 3261 12.1.2: the caller takes it reversed", () => {
    const dialog = built(dialogFromResponse(invite(recorded), answered(invite(recorded), 183)));
    expect(dialog).toEqual({
      callId: "call-1",
      localTag: "a",
      remoteTag: "b",
      localUri: "sip:alice@example.com",
      remoteUri: "sip:bob@example.org",
      localSeq: 314,
      routeSet: ["<sip:p0.example.com;lr>", "<sip:p1.example.com;lr>", "<sip:p2.example.org;lr>"],
      remoteTarget: "sip:bob@198.51.100.2",
      secure: false,
      state: "early",
    });
    expect(dialogFromResponse(invite(), answered(invite(), 200))?.state).toBe("confirmed");
  });

  it("RFC 3261 12.1: 100, failures and messages without Contact make none", () => {
    for (const status of [100, 302, 486])
      expect(dialogFromResponse(invite(), answered(invite(), status))).toBeUndefined();
    expect(dialogFromResponse(invite(), createResponse(invite(), 180))).toBeUndefined();
    expect(dialogFromRequest(removeHeader(invite(), "contact"), "b")).toBeUndefined();
    expect(dialogFromRequest(setHeader(invite(), "from", "<<"), "b")).toBeUndefined();
  });

  it("RFC 3261 12: both ends and both directions name the same dialog", () => {
    const response = answered(invite(), 200);
    const caller = built(dialogFromResponse(invite(), response));
    const callee = built(dialogFromRequest(invite(), "b", "confirmed"));
    expect(dialogIdOf(response, "from")).toBe(dialogId(caller));
    expect(dialogIdOf(response, "to")).toBe(dialogId(callee));
    expect(dialogIdOf(dialogRequest(callee, "BYE").request, "to")).toBe(dialogId(caller));
    expect(dialogIdOf(dialogRequest(caller, "BYE").request, "to")).toBe(dialogId(callee));
    expect(dialogId(caller)).not.toBe(dialogId(callee));
  });
});

const confirmed = (routeSet: readonly string[]): Dialog => ({
  ...built(dialogFromResponse(invite(), answered(invite(), 200, "b", "<sip:bob@198.51.100.2;method=BYE?x=y>"))),
  routeSet,
});

describe("requests inside a dialog", () => {
  it("RFC 3261 12.2.1.1: without routes the remote target is asked directly, stripped of what no Request-URI has", () => {
    const { request, dialog, nextHopUri } = dialogRequest(confirmed([]), "BYE");
    expect(request.uri).toBe("sip:bob@198.51.100.2");
    expect(nextHopUri).toBe("sip:bob@198.51.100.2");
    expect(headerList(request, "route")).toEqual([]);
    expect(headerValue(request, "cseq")).toBe("315 BYE");
    expect(headerValue(request, "call-id")).toBe("call-1");
    expect(headerValue(request, "max-forwards")).toBe("70");
    expect([tagOf(request, "from"), tagOf(request, "to")]).toEqual(["a", "b"]);
    expect(dialog.localSeq).toBe(315);
  });

  it("RFC 3261 12.2.1.1: loose routing", () => {
    const routes = ["<sip:p1.example.com;lr>", "<sip:p2.example.org;lr=on>"];
    const { request, nextHopUri } = dialogRequest(confirmed(routes), "INFO", {
      headers: [["Contact", "<sip:alice@192.0.2.1>"]],
      body: Buffer.from("x"),
      contentType: "text/plain",
    });
    expect(request.uri).toBe("sip:bob@198.51.100.2");
    expect(nextHopUri).toBe("sip:p1.example.com;lr");
    expect(headerList(request, "route")).toEqual(routes);
    expect(headerValue(request, "content-type")).toBe("text/plain");
    expect(headerValue(request, "content-length")).toBe("1");
  });

  it("RFC 3261 12.2.1.1: strict routing puts the proxy into the Request-URI and the target last", () => {
    const { request, nextHopUri } = dialogRequest(
      confirmed(["<sip:p1.example.com>", "<sip:p2.example.org;lr>"]),
      "BYE",
    );
    expect(request.uri).toBe("sip:p1.example.com");
    expect(nextHopUri).toBe("sip:p1.example.com");
    expect(headerList(request, "route")).toEqual(["<sip:p2.example.org;lr>", "<sip:bob@198.51.100.2;method=BYE?x=y>"]);
  });

  it("RFC 3261 13.2.2.4: an ACK has the number of its INVITE and counts nothing", () => {
    const once = dialogRequest(confirmed([]), "UPDATE").dialog;
    const ack = dialogRequest(once, "ACK", { seq: 314 });
    expect(headerValue(ack.request, "cseq")).toBe("314 ACK");
    expect(ack.dialog.localSeq).toBe(315);
    expect(headerValue(dialogRequest(confirmed([]), "ACK").request, "cseq")).toBe("314 ACK");
  });
});

describe("what messages change", () => {
  const early = () => built(dialogFromResponse(invite(recorded), answered(invite(recorded), 180)));

  it("RFC 3261 13.2.2.4: the 2xx confirms with its own route set and target", () => {
    const response = setHeader(answered(invite(recorded), 200, "b", "<sip:bob@new>"), "record-route", "<sip:px;lr>");
    const dialog = afterResponse(early(), response);
    expect(dialog).toMatchObject({ state: "confirmed", routeSet: ["<sip:px;lr>"], remoteTarget: "sip:bob@new" });
    const reinvite = dialogRequest(dialog, "INVITE");
    const later = afterResponse(reinvite.dialog, answered(reinvite.request, 200, "b", "<sip:bob@third>"));
    expect(later).toMatchObject({ routeSet: ["<sip:px;lr>"], remoteTarget: "sip:bob@third" });
  });

  it("RFC 3261 12.2.1.2: 481 and 408 end it, other failures do not; the answer to BYE does", () => {
    for (const [status, state] of [
      [481, "terminated"],
      [408, "terminated"],
      [491, "early"],
      [183, "early"],
    ] as const) {
      expect(afterResponse(early(), answered(invite(), status)).state).toBe(state);
    }
    const bye = dialogRequest(early(), "BYE");
    expect(afterResponse(bye.dialog, createResponse(bye.request, 200)).state).toBe("terminated");
    const prack = dialogRequest(early(), "PRACK");
    expect(afterResponse(prack.dialog, createResponse(prack.request, 200)).state).toBe("early");
  });

  it("RFC 3261 12.2.2: a request out of order is refused with 500, one in order may move the peer", () => {
    const callee = built(dialogFromRequest(invite(), "b", "confirmed"));
    const caller = confirmed([]);
    const request = (method: string, seq: number) =>
      setHeader(dialogRequest(caller, method, { seq }).request, "contact", "<sip:alice@moved>");
    expect(afterRequest(callee, request("INFO", 313))).toMatchObject({ ok: false, status: 500 });
    expect(afterRequest(callee, request("INFO", 314))).toMatchObject({ ok: false, status: 500 });
    expect(afterRequest(callee, request("ACK", 314))).toEqual({ ok: true, dialog: callee });
    expect(afterRequest(callee, request("INFO", 320))).toMatchObject({
      dialog: { remoteSeq: 320, remoteTarget: "sip:alice@192.0.2.1;transport=tls" },
    });
    expect(afterRequest(callee, request("UPDATE", 315))).toMatchObject({ dialog: { remoteTarget: "sip:alice@moved" } });
    expect(afterRequest(callee, request("BYE", 315))).toMatchObject({ dialog: { state: "terminated" } });
  });
});
