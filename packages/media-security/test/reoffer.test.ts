// What a call does after its first exchange: hold, new keys, failure, early dialogs, glare, the end.
import { describe, expect, it } from "vitest";
import { isBusy, summarise } from "../src/index.ts";
import { coreBody, crypto, cryptoLines, head, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { facts, forwarded, gatewayReply, kinds, openCall, planOf, sdp } from "./support/call.ts";

const established = () => {
  const call = openCall();
  call.offer("access", ueOffer());
  const answer = forwarded(call.answer("core", coreBody(), { branch: "b1" }));
  return { call, k12: cryptoLines(answer)[0]?.split("inline:")[1] ?? "" };
};
const ue = (version: number, ...attributes: readonly string[]) => [
  ...head(1, version),
  ...secureAudio(...attributes, requested),
];

describe("re-offers", () => {
  it("RFC 4568 7.1.4: the same key of the UE changes nothing at the gateway, whatever its tag and place", () => {
    const { call, k12 } = established();
    const offer = call.offer("access", ue(2, crypto(5, 0x99), crypto(9, 0x11)));
    expect(kinds(offer)).toEqual(["forward", "zeroise"]);
    const answer = call.answer("core", coreBody());
    expect(kinds(answer)).toEqual(["forward"]);
    expect(cryptoLines(forwarded(answer))[0]).toContain(`a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:${k12}`);
  });

  it("RFC 4568 7.1.4: a new key of the UE is a new receive key, our key stays while the suite does", () => {
    const { call, k12 } = established();
    call.offer("access", ue(2, crypto(1, 0x55)));
    const effects = call.answer("core", coreBody());
    expect(kinds(effects)).toEqual(["gateway", "forward", "zeroise"]);
    expect(forwarded(effects)).toContain(k12);
    expect(planOf(effects).streams[0]?.access?.remoteCrypto?.keys[0]?.master.use((octets) => octets[0])).toBe(0x55);
  });

  it("RFC 4568 7.1.4: another suite takes a new key of ours", () => {
    const { call, k12 } = established();
    call.offer("access", ue(2, crypto(1, 0x55, "AES_CM_128_HMAC_SHA1_32")));
    const text = forwarded(call.answer("core", coreBody()));
    expect(text).toContain("AES_CM_128_HMAC_SHA1_32");
    expect(text).not.toContain(k12);
  });

  it("RFC 4568 7.1.4: the core's re-offer repeats to the UE the suite in use with the same key and tag first", () => {
    const { call, k12 } = established();
    const lines = cryptoLines(forwarded(call.offer("core", coreBody(2, "a=sendonly"))));
    expect(lines[0]).toBe(`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${k12}`);
    expect(lines[1]).toMatch(/^a=crypto:2 AES_CM_128_HMAC_SHA1_32 /);
    const effects = call.answer("access", [...head(1, 2), ...secureAudio(crypto(1, 0x11), "a=recvonly")]);
    expect(planOf(effects).streams[0]).toMatchObject({ access: { mode: "send-only" }, core: { mode: "receive-only" } });
  });

  it("RFC 3264 5.1: a line on hold both ways stops RTP at the gateway and leaves RTCP its way", () => {
    const { call } = established();
    call.offer("core", coreBody(2, "a=inactive"));
    const effects = call.answer("access", [...head(1, 2), ...secureAudio(crypto(1, 0x11), "a=inactive")]);
    expect(planOf(effects).streams[0]).toMatchObject({ access: { mode: "send-only" }, core: { mode: "send-only" } });
  });

  it("invariant 1: a re-offer of a secured line without the indication keeps its keys from the core all the same", () => {
    const { call } = established();
    expect(forwarded(call.offer("access", [...head(1, 2), ...secureAudio(crypto(1, 0x77))]))).not.toMatch(
      /crypto|SAVP/,
    );
  });

  it("invariant 1: the key of a stream that was e2ae does not pass as e2e in an answer", () => {
    const { call } = established();
    call.offer("core", [...head(7, 2), ...secureAudio(crypto(1, 0x31))]);
    const effects = call.answer("access", [...head(1, 2), ...secureAudio(crypto(1, 0x11))]);
    expect(kinds(effects)).toContain("end-call");
  });

  it("invariant 5: a failed re-offer puts back what was: nothing changed yet, so nothing is asked of the gateway", () => {
    const { call } = established();
    const before = call.state.agreed;
    call.offer("access", ue(2, crypto(1, 0x55)));
    expect(kinds(call.feed({ kind: "exchange-failed" }))).toEqual(["zeroise"]);
    expect(call.state.agreed).toBe(before);
    expect(call.state.exchange).toBeUndefined();
  });

  it("invariant 5: after an early answer to a failed re-offer the gateway gets the former keys back", () => {
    const { call } = established();
    const first = call.effects.findLast((effect) => effect.kind === "gateway");
    call.offer("access", ue(2, crypto(1, 0x55)));
    call.answer("core", coreBody(2), { carrier: "18x" });
    const effects = call.feed({ kind: "exchange-failed" });
    expect(kinds(effects)).toEqual(["gateway", "zeroise"]);
    expect(planOf(effects).streams).toEqual(first?.kind === "gateway" ? first.plan.streams : []);
  });

  it("invariant 5: a failed re-offer that added a line takes its stream out of the gateway again", () => {
    const { call } = established();
    call.offer("access", [...ueOffer(2), "m=video 40002 RTP/SAVP 98", "c=IN IP4 10.0.0.7", crypto(1, 0x41), requested]);
    expect(planOf(call.feed({ kind: "exchange-failed" }))).toEqual({ context: "existing", streams: [], remove: [2] });
  });

  it("port 0 removes the stream and its keys, re-enabling needs fresh ones", () => {
    const { call, k12 } = established();
    call.offer(
      "access",
      ue(2, crypto(1, 0x11)).map((line) => line.replace("m=audio 40000", "m=audio 0")),
    );
    expect(
      kinds(
        call.answer(
          "core",
          coreBody(2).map((line) => line.replace("m=audio 6000", "m=audio 0")),
        ),
      ),
    ).toEqual(["forward", "release-gateway", "zeroise"]);
    call.offer("access", ueOffer(3));
    expect(forwarded(call.answer("core", coreBody(3)))).not.toContain(k12);
  });

  it("a plain line stays plain when the core holds it, a new line is secured", () => {
    const call = openCall();
    call.offer("access", coreBody());
    call.answer("core", coreBody());
    const text = forwarded(
      call.offer("core", [...coreBody(2, "a=sendonly"), "m=video 7000 RTP/AVP 98", "c=IN IP4 192.0.2.77"]),
    );
    expect(text).toContain("m=audio 6000 RTP/AVP");
    expect(text).toContain("m=video 30002 RTP/SAVP 98");
    expect(call.state.exchange?.lines[0]).toMatchObject({ fate: "passed", reason: "not-requested" });
  });

  it("RFC 3264 8: what differs for the UE has a higher version, although the core's author kept his", () => {
    const { call } = established();
    const versions: string[] = [];
    for (const [version, tag] of [
      [2, 3],
      [3, 3],
      [4, 4],
    ] as const) {
      call.offer("access", ue(version, crypto(tag, 0x11)));
      versions.push(/^o=- 7 (\d+)/m.exec(forwarded(call.answer("core", coreBody(1))))?.[1] ?? "");
    }
    expect(versions).toEqual(["2", "2", "3"]);
  });
});

describe("early and forked dialogs", () => {
  const early = { carrier: "18x", branch: "b1" } as const;
  const other = ["v=0", "o=- 8 1 IN IP4 192.0.2.99", ...coreBody().slice(2)].map((line) =>
    line.replace("6000", "6600"),
  );
  const key = (text: string) => cryptoLines(text)[0];

  it("RFC 3261 13.2.1: early and final answer of one dialog are the same: same K12, gateway asked once", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const first = call.answer("core", coreBody(), early);
    const second = call.answer("core", coreBody(), { branch: "b1" });
    expect(kinds(first)).toEqual(["gateway", "forward"]);
    expect(kinds(second)).toEqual(["forward"]);
    expect(forwarded(second)).toBe(forwarded(first));
  });

  it("RFC 3261 12.1: each early dialog has its own K12, the confirmed one wins, the keys of others are zeroised", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const one = key(forwarded(call.answer("core", coreBody(), early)));
    const two = key(forwarded(call.answer("core", other, { carrier: "18x", branch: "b2" })));
    expect(one).not.toBe(two);
    const before = call.zeroised.length;
    const final = call.answer("core", coreBody(), { branch: "b1" });
    expect(kinds(final)).toEqual(["gateway", "forward", "zeroise"]);
    expect(key(forwarded(final))).toBe(one);
    expect(call.zeroised.length - before).toBe(1);
    expect(kinds(call.answer("core", other, { carrier: "18x", branch: "b2" }))).toEqual(["drop-branch"]);
    expect(kinds(call.answer("core", other, { branch: "b2" }))).toEqual(["drop-branch"]);
  });

  it("a 2xx without SDP confirms its dialog's early answer; without one the call ends", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    call.answer("core", coreBody(), early);
    call.answer("core", other, { carrier: "18x", branch: "b2" });
    const effects = call.feed({ kind: "confirmed", branch: "b1" });
    expect(kinds(effects)).toEqual(["gateway", "zeroise"]);
    expect(call.state.agreed?.branch).toBe("b1");
    const none = openCall();
    none.offer("access", ueOffer());
    expect(kinds(none.feed({ kind: "confirmed", branch: "b1" }))).toEqual(["end-call", "release-gateway", "zeroise"]);
  });

  it("RFC 3311 5.1: an UPDATE in an early dialog renews it, a repeat of the first answer changes nothing", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const first = key(forwarded(call.answer("core", coreBody(), early)));
    const update = { carrier: "UPDATE", branch: "b1" } as const;
    expect(cryptoLines(forwarded(call.offer("core", coreBody(2), update)))[0]).toBe(first);
    call.answer("access", [...head(1, 2), ...secureAudio(crypto(1, 0x66))]);
    const final = call.answer("core", coreBody(), { branch: "b1" });
    expect(kinds(final)).toEqual(["forward", "zeroise"]);
    expect(call.state.agreed?.lines[0]).toMatchObject({ kind: "secured" });
    const line = call.state.agreed?.lines[0];
    expect(line?.kind === "secured" && line.fromUe.keys[0]?.master.use((octets) => octets[0])).toBe(0x66);
  });

  it("a retransmitted 2xx is rewritten the same way again", () => {
    const { call } = established();
    const again = call.answer("core", coreBody(), { branch: "b1" });
    expect(kinds(again)).toEqual(["forward"]);
    expect(forwarded(again)).toContain("a=3ge2ae:applied");
  });

  it("no stranger makes more than sixteen early dialogs: the oldest makes room, and its key is released", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    for (let at = 0; at < 40; at += 1) call.answer("core", coreBody(), { carrier: "18x", branch: `b${at}` });
    expect(call.state.exchange?.answers).toHaveLength(16);
    expect(call.state.exchange?.answers.map(({ branch }) => branch).at(0)).toBe("b24");
    expect(call.effects.filter((effect) => effect.kind === "forward")).toHaveLength(41);
    const released = call.effects.flatMap((effect) => (effect.kind === "zeroise" ? effect.keys : []));
    // One each, and the key of the offer's second line, which was not chosen.
    expect(new Set(released).size).toBe(25);
  });
});

describe("events that cross", () => {
  it("RFC 3261 14.2, RFC 3311 5.2: an offer on top of an open one gets 491 from the other side, 500 from the same", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const state = call.state.exchange;
    expect(call.offer("core", coreBody())).toEqual([{ kind: "refuse", status: 491, reason: "offer-pending" }]);
    expect(call.offer("access", ueOffer(2))).toEqual([{ kind: "refuse", status: 500, reason: "offer-pending" }]);
    expect(call.state.exchange).toBe(state);
  });

  it("an answer while the gateway works is deferred, and nothing changes", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const held = call.feed(
      { kind: "answer", from: "core", sdp: sdp(coreBody()), carrier: "18x", branch: "b1" },
      { hold: true },
    );
    const state = call.state;
    expect(isBusy(state)).toBe(true);
    expect(call.answer("core", coreBody(), { branch: "b1" })).toEqual([{ kind: "defer" }]);
    expect(call.state).toBe(state);
    const request = held.find((effect) => effect.kind === "gateway");
    if (request?.kind !== "gateway") throw new Error("no request");
    expect(kinds(call.feed(gatewayReply(request.request, request.plan)))).toEqual(["forward"]);
    expect(kinds(call.answer("core", coreBody(), { branch: "b1" }))).toEqual(["forward"]);
  });

  it("invariant 10: CANCEL or BYE while the gateway works: its context is released when its reply is there", () => {
    for (const [event, effects] of [
      [{ kind: "ended" }, ["release-gateway", "zeroise"]],
      [{ kind: "exchange-failed" }, ["release-gateway", "zeroise"]],
    ] as const) {
      const call = openCall();
      const [asked] = call.feed(
        { kind: "offer", from: "access", sdp: sdp(ueOffer()), carrier: "INVITE" },
        { hold: true },
      );
      expect(call.feed(event)).toEqual([]);
      if (asked?.kind !== "gateway") throw new Error("no request");
      expect(kinds(call.feed(gatewayReply(asked.request, asked.plan)))).toEqual(effects);
    }
  });

  it("replies to no request of ours change nothing", () => {
    const { call } = established();
    const state = call.state;
    expect(call.feed({ kind: "gateway-done", request: 99, access: [], core: [] })).toEqual([]);
    expect(call.feed({ kind: "gateway-refused", request: 1, status: 500 })).toEqual([]);
    expect(call.state).toBe(state);
  });

  it("invariant 10: a reply without addresses is no success, and its context is released", () => {
    const call = openCall();
    const [asked] = call.feed(
      { kind: "offer", from: "access", sdp: sdp(ueOffer()), carrier: "INVITE" },
      { hold: true },
    );
    if (asked?.kind !== "gateway") throw new Error("no request");
    const effects = call.feed({ kind: "gateway-done", request: asked.request, access: [], core: [] });
    expect(kinds(effects)).toEqual(["refuse", "release-gateway", "zeroise"]);
  });

  it("invariants 7, 10: the end releases the gateway and every key exactly once, and whatever follows changes nothing", () => {
    const { call } = established();
    expect(kinds(call.feed({ kind: "ended" }))).toEqual(["release-gateway", "zeroise"]);
    expect(new Set(call.zeroised).size).toBe(call.zeroised.length);
    expect(summarise(call.state)).toMatchObject({ security: "e2ae", reason: "secured" });
    expect(call.feed({ kind: "ended" })).toEqual([]);
    expect(call.offer("access", ueOffer())).toEqual([{ kind: "refuse", status: 500, reason: "ended" }]);
  });

  it("an answer without an offer, or from the offerer, is refused and never forwarded", () => {
    const call = openCall();
    expect(kinds(call.answer("access", ueOffer()))).toEqual(["drop-branch"]);
    call.offer("access", ueOffer());
    expect(call.answer("access", ueOffer())).toEqual([{ kind: "refuse", status: 500, reason: "no-offer" }]);
  });

  it("RFC 3264 6: an unreliable 18x offer is said again in the 2xx: the same keys are offered again", () => {
    const call = openCall({ policy: facts.policy });
    const one = forwarded(call.offer("core", coreBody(), { carrier: "18x", branch: "b1" }));
    expect(kinds(call.offer("core", coreBody(), { carrier: "18x", branch: "b2" }))).toEqual(["defer"]);
    const two = forwarded(call.offer("core", coreBody(), { carrier: "2xx", branch: "b1" }));
    expect(cryptoLines(two)).toEqual(cryptoLines(one));
  });
});
