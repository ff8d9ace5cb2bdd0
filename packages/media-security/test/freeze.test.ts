import { Secret } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import {
  freezeNegotiation,
  openNegotiation,
  thawNegotiation,
  type Negotiation,
  type PlainValue,
} from "../src/index.ts";
import { liveKeys } from "../src/negotiation/keys.ts";
import { coreBody, crypto, cryptoLines, head, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { facts, forwarded, gatewayReply, kinds, openCall, planOf, sdp } from "./support/call.ts";

/** Through JSON and a seal: every secret comes back as another object. */
const reborn = (state: Negotiation): Negotiation => {
  const { value, secrets } = freezeNegotiation(state);
  const text = JSON.stringify(value);
  const byName = new Map(secrets.map(({ name, secret }) => [name, secret.copy()]));
  const thawed = thawNegotiation(JSON.parse(text) as PlainValue, byName);
  if (!thawed.ok) throw new Error(JSON.stringify(thawed.error));
  return thawed.value;
};

const established = () => {
  const call = openCall();
  call.offer("access", [
    ...head(),
    ...secureAudio(`${crypto(1, 0x11)}|2^20|1:4 WSH=128`, requested),
    "m=video 40002 RTP/SAVP 98",
    "c=IN IP4 10.0.0.7",
    crypto(1, 0x21),
    requested,
  ]);
  const video = ["m=video 6002 RTP/AVP 98", "c=IN IP4 192.0.2.77"];
  const answer = forwarded(call.answer("core", [...coreBody(), ...video], { branch: "b1" }));
  return { call, answer, video };
};

describe("a negotiation in a store", () => {
  it("invariant 7: the plain value holds no key and no body, each secret stands beside it once", () => {
    const { call } = established();
    call.feed({ kind: "offer", from: "access", sdp: sdp(ueOffer(2, 0x55)), carrier: "INVITE" }, { hold: true });
    const { value, secrets } = freezeNegotiation(call.state);
    const text = JSON.stringify(value);
    expect(text).not.toMatch(/inline|m=audio|VVVVVV/);
    const keys = secrets.filter(({ lent }) => lent);
    expect(new Set(keys.map(({ secret }) => secret))).toEqual(liveKeys(call.state));
    expect(new Set(secrets.map(({ name }) => name)).size).toBe(secrets.length);
  });

  it("invariant 5: a re-offer after the thaw keeps K12, and the gateway is asked for nothing that did not change", () => {
    const { call, answer, video } = established();
    const frozen = call.state;
    call.state = reborn(frozen);
    const offer = [...head(1, 2), ...secureAudio(`${crypto(1, 0x11)}|2^20|1:4 WSH=128`, requested)];
    const both = [...offer, "m=video 40002 RTP/SAVP 98", "c=IN IP4 10.0.0.7", crypto(1, 0x21), requested];
    call.offer("access", both);
    const again = call.answer("core", [...coreBody(), ...video], { branch: "b1" });
    expect(kinds(again)).toEqual(["forward"]);
    expect(cryptoLines(forwarded(again))).toEqual(cryptoLines(answer));
  });

  it("invariant 10: after the thaw the end zeroises every thawed key and releases the gateway", () => {
    const { call } = established();
    call.state = reborn(call.state);
    const keys = liveKeys(call.state);
    expect(kinds(call.feed({ kind: "ended" }))).toEqual(["release-gateway", "zeroise"]);
    expect([...keys].every((key) => key.released)).toBe(true);
  });

  it("a message that waited for the gateway leaves with its own body after the thaw, e2e lines and all", () => {
    const held = [...ueOffer(), "m=video 40002 RTP/SAVP 98", "c=IN IP4 10.0.0.7", crypto(1, 0x66)];
    const straight = openCall();
    const expected = forwarded(straight.offer("access", held));
    const call = openCall();
    const asked = call.feed({ kind: "offer", from: "access", sdp: sdp(held), carrier: "INVITE" }, { hold: true });
    const { secrets } = freezeNegotiation(call.state);
    expect(secrets.filter(({ lent }) => !lent).map(({ name }) => name.split("-")[0])).toEqual(["body"]);
    call.state = reborn(call.state);
    const request = asked.find((effect) => effect.kind === "gateway");
    if (request?.kind !== "gateway") throw new Error("no request");
    expect(forwarded(call.feed(gatewayReply(request.request, planOf(asked))))).toBe(expected);
  });

  it("tells what is missing or not ours, and never throws", () => {
    const { call } = established();
    const { value, secrets } = freezeNegotiation(call.state);
    const byName = new Map(secrets.map(({ name, secret }) => [name, secret]));
    const [first] = secrets;
    if (first === undefined) throw new Error("no secret");
    const without = new Map([...byName].filter(([name]) => name !== first.name));
    expect(thawNegotiation(value, without)).toEqual({ ok: false, error: { code: "secret-missing", name: first.name } });
    const released = Secret.copyOf(Buffer.alloc(30, 1));
    released.release();
    expect(thawNegotiation(value, new Map(byName).set(first.name, released)).ok).toBe(false);
    const deep = JSON.parse(`${"[".repeat(60)}${"]".repeat(60)}`) as PlainValue;
    for (const [broken, code] of [
      [null, "version"],
      [[], "version"],
      [{ version: 2, negotiation: {} }, "version"],
      [{ version: 1 }, "malformed"],
      [{ version: 1, negotiation: { phase: "open" } }, "malformed"],
      [{ version: 1, negotiation: deep }, "malformed"],
      [{ version: 1, negotiation: { x: { $integer: "-1" } } }, "malformed"],
      [{ version: 1, negotiation: { x: { $secret: 7 } } }, "malformed"],
      [{ version: 1, negotiation: { x: { $body: "nowhere" } } }, "secret-missing"],
    ] as const) {
      const thawed = thawNegotiation(broken, byName);
      expect(!thawed.ok && thawed.error.code, JSON.stringify(broken)).toBe(code);
    }
  });

  it("a negotiation before its first offer and one that has ended come back as they were", () => {
    const fresh = openNegotiation({
      ...facts,
      policy: { ...facts.policy, quirks: { each: { "suite-alias": "strict" } } },
    });
    expect(reborn(fresh)).toEqual(fresh);
    const { call } = established();
    call.feed({ kind: "ended" });
    expect(reborn(call.state)).toEqual(call.state);
  });
});
