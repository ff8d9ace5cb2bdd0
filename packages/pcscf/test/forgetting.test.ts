// What a leg keeps of decided descriptions, which have keys in them: what a retransmission needs, for 64*T1 at most.
// RFC 3261 13.3.1.4, RFC 3262 3; invariants 4 and 7.
import { seededRandom } from "@sallyport/kit";
import { createRequest, createResponse, type SipResponse } from "@sallyport/sip";
import { describe, expect, it } from "vitest";
import { openCall, step } from "../src/call/step.ts";
import type { CallEffect, CallInput, CallState, Side } from "../src/call/types.ts";
import { coreSdp, keys, ueOffer } from "./support/sdp.ts";

const start = 1_800_000_000_000;
const invite = createRequest({
  method: "INVITE",
  uri: "sip:target@x",
  headers: [
    ["From", "<sip:caller@x>;tag=caller"],
    ["To", "<sip:called@x>"],
    ["Call-ID", "forget"],
    ["CSeq", "1 INVITE"],
    ["Contact", "<sip:access@10.0.0.1>"],
    ["Content-Type", "application/sdp"],
  ],
  body: Buffer.from(ueOffer(), "latin1"),
});
const answer = (status: number): SipResponse =>
  createResponse(invite, status, undefined, {
    toTag: "one",
    headers: [
      ["Contact", "<sip:core@10.0.0.2>"],
      ["Content-Type", "application/sdp"],
    ],
    body: Buffer.from(coreSdp(), "latin1"),
  });

const openLeg = () => {
  let now = start;
  const env = {
    random: seededRandom("forget"),
    now: () => now,
    limits: { maxQueuedPerCall: 32, maxEvidence: 256, setupMs: 1, acknowledgeMs: 1, flowLostMs: 1 },
  };
  let state: CallState = openCall({
    id: "leg",
    token: "c.leg.mac",
    direction: "originating",
    callId: "forget",
    bindingId: "binding",
    media: {
      registration: { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true },
      policy: { e2ae: "offered", suites: ["AES_CM_128_HMAC_SHA1_80"], announceUnasked: false },
      confidential: true,
      ueRole: "originating",
    },
  });
  const feed = (input: CallInput): readonly CallEffect[] => {
    const taken = step(state, input, env);
    state = taken.state;
    return taken.effects.flatMap((effect): readonly CallEffect[] => {
      if (effect.kind !== "gateway") return [effect];
      const ends = (side: Side) =>
        effect.plan.streams.flatMap((stream) =>
          stream[side] === undefined
            ? []
            : [{ stream: stream.stream, address: "192.0.2.1", port: 20_000, rtcpPort: 20_001 }],
        );
      return feed({ kind: "gateway-done", request: effect.request, access: ends("access"), core: ends("core") });
    });
  };
  return {
    feed,
    pass: (ms: number) => void (now += ms),
    /** The table with all that it holds, as text. */
    held: () => JSON.stringify([...state.decided]),
  };
};

const told = (effects: readonly CallEffect[]): readonly string[] =>
  effects.flatMap((effect) => (effect.kind === "respond" ? [effect.response.body.toString("latin1")] : []));
const armed = (effects: readonly CallEffect[]): readonly number[] =>
  effects.flatMap((effect) => (effect.kind === "arm" && effect.timer === "forget" ? [effect.ms] : []));

describe("invariants 4 and 7: decided descriptions", () => {
  it("RFC 3261 13.3.1.4: a copy gets what the first got for 64*T1; then no key is left, and a copy goes on without a body", () => {
    const leg = openLeg();
    leg.feed({ kind: "request", exchange: 1, from: "access", request: invite });
    expect(leg.held()).not.toContain(keys.k11);
    const first = leg.feed({ kind: "response", exchange: 1, response: answer(183) });
    expect(told(first)).toHaveLength(1);
    expect(told(first)[0]).toContain("inline:");
    expect(armed(first)).toEqual([32_000]);
    expect(leg.held()).toContain("inline:");
    leg.pass(20_000);
    const second = leg.feed({ kind: "response", exchange: 1, response: answer(200) });
    expect(told(second)[0]).toContain("inline:");
    expect(armed(second), "one timer").toEqual([]);
    expect(told(leg.feed({ kind: "response", exchange: 1, response: answer(200) }))).toEqual(told(second));
    leg.pass(12_000);
    // The 18x has had its time, the 2xx has not.
    expect(armed(leg.feed({ kind: "timer", timer: "forget" }))).toEqual([20_000]);
    expect(told(leg.feed({ kind: "response", exchange: 1, response: answer(200) }))).toEqual(told(second));
    leg.pass(20_000);
    expect(armed(leg.feed({ kind: "timer", timer: "forget" }))).toEqual([]);
    expect(leg.held()).not.toMatch(/inline|crypto/);
    expect(told(leg.feed({ kind: "response", exchange: 1, response: answer(200) }))).toEqual([""]);
  });

  it("nothing is left when the call is over", () => {
    const leg = openLeg();
    leg.feed({ kind: "request", exchange: 1, from: "access", request: invite });
    leg.feed({ kind: "response", exchange: 1, response: answer(200) });
    expect(leg.held()).toContain("inline:");
    leg.feed({ kind: "end", reason: "closing", status: 503, detail: "over" });
    expect(leg.held()).toBe("[]");
  });
});
