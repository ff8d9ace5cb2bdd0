import { describe, expect, it } from "vitest";
import { summarise } from "../src/index.ts";
import { audio, coreBody, crypto, cryptoLines, head, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { both, facts, forwarded, kinds, openCall, planOf, sdp } from "./support/call.ts";

const openOffer = sdp(ueOffer());
const coreAnswer = sdp(coreBody());

const shown = (call: ReturnType<typeof openCall>, clause: string): readonly string[] =>
  call.evidence.filter((each) => each.clause === clause).map((each) => each.step);

describe("the UE's call, step by step", () => {
  it("TS 33.328 7.2.1 step 2, 4.2.2 (a): allocates the required resources and includes the IMS Access GW in the media path", () => {
    const call = openCall();
    const effects = call.offer("access", ueOffer());
    expect(kinds(effects)).toEqual(["gateway", "zeroise", "forward"]);
    expect(planOf(effects)).toEqual({
      context: "new",
      remove: [],
      streams: [
        {
          stream: 1,
          access: {
            protocol: "RTP/SAVP",
            media: "audio",
            formats: ["-"],
            remote: { address: "10.0.0.7", port: 40_000 },
            rtcpMux: false,
            mode: "inactive",
          },
          core: { protocol: "RTP/AVP", media: "audio", formats: ["-"], rtcpMux: false, mode: "inactive" },
        },
      ],
    });
  });

  it("TS 33.328 7.2.1 step 2: without the indication nothing is terminated, no gateway, the body untouched", () => {
    const call = openCall();
    const text = [...head(), ...secureAudio(crypto(1, 1))];
    const effects = call.offer("access", text);
    expect(kinds(effects)).toEqual(["forward"]);
    expect(forwarded(effects)).toBe(`${text.join("\r\n")}\r\n`);
    expect(summarise(call.state)).toMatchObject({ security: "e2e", reason: "e2e-offered" });
  });

  it("TS 33.328 7.2.1 step 3: selects one crypto attribute, removes all received ones and the indication", () => {
    const call = openCall();
    const text = forwarded(call.offer("access", ueOffer()));
    expect(text).toContain("m=audio 20000 RTP/AVP 96 8");
    expect(text).not.toMatch(/crypto|3ge2ae|inline/);
    expect(call.zeroised).toHaveLength(1);
  });

  it("TS 33.328 7.2.1 step 7, 6.2.1.3 (a), 6.2.1.3 (b): creates K12 and gives K11 and K12 to the gateway, tied to the stream, before the answer leaves", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const effects = call.answer("core", coreBody());
    expect(kinds(effects)).toEqual(["gateway", "forward"]);
    const [stream] = planOf(effects).streams;
    expect(stream?.stream).toBe(1);
    expect(stream?.access?.mode).toBe("send-receive");
    expect(stream?.core?.remote).toEqual({ address: "192.0.2.77", port: 6000 });
    const written = cryptoLines(forwarded(effects))[0];
    expect(
      stream?.access?.localCrypto?.keys[0]?.master.use((octets) => written?.endsWith(octets.toString("base64"))),
    ).toBe(true);
    expect(stream?.access?.remoteCrypto?.keys[0]?.master.use((octets) => octets.every((octet) => octet === 0x11))).toBe(
      true,
    );
  });

  it("TS 33.328 7.2.1 step 8: SRTP again, one crypto attribute with K12, and the confirmation", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const text = forwarded(call.answer("core", coreBody()));
    expect(text).toContain("m=audio 30000 RTP/SAVP 96 8");
    expect(cryptoLines(text)).toHaveLength(1);
    expect(text).toMatch(/a=3ge2ae:applied\r\n/);
  });

  it("TS 33.328 7.2.1 step 1, 7.2.1 step 9: evidence tells every step that happened here", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    expect(shown(call, "7.2.1")).toEqual(["1", "2", "3", "7", "8", "9"]);
    expect(summarise(call.state)).toMatchObject({
      security: "e2ae",
      reason: "secured",
      streams: [{ suite: "AES_CM_128_HMAC_SHA1_80" }],
    });
  });

  it('TS 33.328 7.2.1 (b): "confirmed by network" of another party is removed, in answers, offers and on plain calls, and told', () => {
    for (const forged of ["a=3ge2ae:applied", "a=3GE2AE: applied", "a=3ge2ae:requested", "a=3ge2ae"]) {
      const plain = openCall();
      plain.offer("access", coreBody());
      const answer = forwarded(plain.answer("core", [...head(2), forged, ...audio(forged)]));
      expect(answer, forged).not.toMatch(/3ge2ae/i);
      expect(plain.evidence.some((each) => each.step === "remove" && each.origin === "core")).toBe(true);
      const secured = openCall();
      secured.offer("access", ueOffer());
      expect(forwarded(secured.answer("core", [...coreBody(), forged])).match(/3ge2ae/gi)).toHaveLength(1);
      const e2e = openCall();
      e2e.offer("access", [...head(), ...secureAudio(crypto(1, 1))]);
      expect(forwarded(e2e.answer("core", [...head(2), ...secureAudio(crypto(1, 2), forged)]))).not.toMatch(/3ge2ae/i);
    }
  });

  it("TS 33.328 7.2.1 (b): an indication the UE itself inserts does not reach the core either", () => {
    for (const mark of ["a=3ge2ae:applied", "a=3ge2ae:other"]) {
      const call = openCall();
      expect(forwarded(call.offer("access", [...head(), ...secureAudio(crypto(1, 1), mark)]))).not.toMatch(/3ge2ae/);
    }
  });
});

describe("what is refused, without fall-back to clear", () => {
  const notAnnounced = { registration: { ...both, networkE2ae: false } };
  const marked = (lines: readonly string[]) => [...head(), ...lines];
  it.each([
    ["requested although the network did not announce it", notAnnounced, ueOffer(), "not-announced"],
    [
      "requested although the UE did not announce it",
      { registration: { ...both, ueE2ae: false } },
      ueOffer(),
      "not-announced",
    ],
    [
      "keys over signalling that is not confidential",
      { confidential: false },
      ueOffer(),
      "signalling-not-confidential",
    ],
    ["requested on AVP", {}, marked(audio(crypto(1, 1), requested)), "malformed-request"],
    ["requested without crypto", {}, marked(secureAudio(requested)), "malformed-request"],
    ["requested on T.38", {}, marked(["m=image 9 udptl t38", "c=IN IP4 10.0.0.7", requested]), "malformed-request"],
    [
      "requested on DTLS-SRTP",
      {},
      marked(["m=audio 9 UDP/TLS/RTP/SAVP 0", "c=IN IP4 10.0.0.7", requested]),
      "malformed-request",
    ],
    [
      "no usable address",
      {},
      marked(secureAudio(crypto(1, 1), requested).filter((line) => !line.startsWith("c="))),
      "malformed-request",
    ],
    [
      "several ports in one line",
      {},
      marked(secureAudio(crypto(1, 1), requested).map((line) => line.replace("40000", "40000/2"))),
      "malformed-request",
    ],
    [
      "no common suite",
      {},
      marked(secureAudio(crypto(1, 1, "AES_256_CM_HMAC_SHA1_80", 46), requested)),
      "no-common-suite",
    ],
    [
      "a key of 28 octets for a suite of 30",
      {},
      marked(secureAudio(crypto(1, 1, undefined, 28), requested)),
      "no-common-suite",
    ],
  ])("TS 33.328 7.2.1 step 2: %s gets 488 and nothing leaves", (_, change, offer, reason) => {
    const call = openCall(change);
    const effects = call.offer("access", offer);
    expect(effects.filter((effect) => effect.kind !== "zeroise")).toEqual([{ kind: "refuse", status: 488, reason }]);
    expect(summarise(call.state).reason).toBe(reason);
  });

  it("TS 33.328 7.2.1 step 2: beside another line, the refused one goes on with port 0 and without its keys", () => {
    const call = openCall(notAnnounced);
    const text = forwarded(call.offer("access", [...ueOffer(), "m=video 9000 RTP/AVP 98", "c=IN IP4 10.0.0.7"]));
    expect(text).toContain("m=audio 0 RTP/AVP 96 8");
    expect(text).toContain("m=video 9000 RTP/AVP 98");
    expect(text).not.toMatch(/crypto|3ge2ae|inline/);
    const answer = forwarded(call.answer("core", [...coreBody(), "m=video 7000 RTP/AVP 98"]));
    expect(answer).toContain("m=audio 0 RTP/SAVP 96 8");
    expect(summarise(call.state)).toMatchObject({ security: "none", reason: "not-announced" });
  });

  it("TS 33.328 4.2.2 (a): a gateway that refuses to reserve refuses the call with 503, and the next try may succeed", () => {
    const call = openCall();
    const effects = call.feed({ kind: "offer", from: "access", sdp: openOffer, carrier: "INVITE" }, { refuse: true });
    expect(kinds(effects)).toEqual(["gateway", "zeroise", "refuse", "zeroise"]);
    expect(effects).toContainEqual({ kind: "refuse", status: 503, reason: "gateway-refused" });
    expect(kinds(call.offer("access", ueOffer()))).toContain("forward");
  });

  it("TS 33.328 7.2.1 step 7: a gateway that refuses the keys ends the call, everything is let go", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const effects = call.feed({ kind: "answer", from: "core", sdp: coreAnswer, carrier: "2xx" }, { refuse: true });
    expect(kinds(effects)).toEqual(["gateway", "end-call", "release-gateway", "zeroise"]);
    expect(call.zeroised).toHaveLength(3);
  });

  it("TS 33.328 7.2.1 step 8: an answer from the core that is SRTP, or has other lines than the offer, ends the call", () => {
    for (const answer of [[...head(2), ...secureAudio(crypto(1, 5))], head(2), [...coreBody(), ...audio()]]) {
      const call = openCall();
      call.offer("access", ueOffer());
      const effects = call.answer("core", answer);
      expect(effects).toContainEqual({ kind: "end-call", reason: "answer-invalid", coreStatus: 488, from: "core" });
      expect(kinds(effects)).toEqual(["end-call", "release-gateway", "zeroise"]);
    }
  });

  it("an emergency call is not refused for lack of announcement or confidentiality", () => {
    for (const change of [notAnnounced, { confidential: false }, { policy: { ...facts.policy, suites: [] } }]) {
      const call = openCall({ ...change, emergency: true });
      expect(forwarded(call.offer("access", ueOffer()))).toContain("RTP/AVP");
      expect(forwarded(call.answer("core", coreBody()))).toContain("a=3ge2ae:applied");
    }
  });

  it("a=crypto on AVP from the UE is no SRTP offer: stripped, or left alone where policy says so", () => {
    const best = [...head(), ...audio(crypto(1, 1), "a=ptime:20")];
    expect(forwarded(openCall().offer("access", best))).not.toMatch(/crypto/);
    const pass = openCall({ policy: { ...facts.policy, bestEffortCrypto: "pass" } });
    expect(forwarded(pass.offer("access", best))).toBe(`${best.join("\r\n")}\r\n`);
  });

  it("RFC 5939 3.5.1: where only a potential configuration asks for e2ae, policy says whether the actual one will do", () => {
    const tcap = "a=tcap:1 RTP/SAVP";
    const asks = ["a=pcfg:1 t=1", "a=3ge2ae:requested"];
    const offers = [
      [...head(), ...audio(tcap, ...asks)],
      [...head(), tcap, ...audio(...asks)],
    ];
    for (const lines of offers) {
      const text = forwarded(openCall().offer("access", lines));
      expect(text).not.toMatch(/tcap|pcfg|3ge2ae/);
      const strict = openCall({ policy: { ...facts.policy, e2ae: "required" } });
      expect(strict.offer("access", lines)).toContainEqual(expect.objectContaining({ kind: "refuse", status: 488 }));
    }
    // No potential configuration, or none with SRTP: the indication asks for what there is no key for.
    for (const [lines] of [[["a=3ge2ae:requested"]], [["a=tcap:1 RTP/AVPF", ...asks]]] as const)
      expect(openCall().offer("access", [...head(), ...audio(...lines)])).toContainEqual(
        expect.objectContaining({ kind: "refuse", status: 488 }),
      );
  });

  it("RFC 5939: a potential configuration with a key does not leave on a plain line, other lines do", () => {
    const capable = audio(`a=acap:1 ${crypto(1, 1).slice(2)}`, "a=tcap:1 RTP/SAVP", "a=pcfg:1 t=1 a=1", "a=ptime:20");
    const text = forwarded(openCall().offer("access", [...head(), ...capable]));
    expect(text).not.toMatch(/cap|pcfg|inline/);
    expect(text).toContain("a=ptime:20");
  });
});
