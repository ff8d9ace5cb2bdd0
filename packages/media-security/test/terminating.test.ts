import { describe, expect, it } from "vitest";
import { summarise } from "../src/index.ts";
import { applied, audio, coreBody, crypto, cryptoLines, head, requested, secureAudio } from "./support/bodies.ts";
import { body, both, facts, forwarded, kinds, openCall, planOf } from "./support/call.ts";

const terminating = { ueRole: "terminating" } as const;
const answer = (...attributes: readonly string[]) => [...head(3), ...secureAudio(...attributes)];

describe("the call to the UE, step by step", () => {
  it("TS 33.328 7.3.1 (a), 7.3.1 step 3: both indicated support and the core offers RTP: e2ae is established, the IMS Access GW included", () => {
    const call = openCall(terminating);
    const effects = call.offer("core", coreBody());
    expect(kinds(effects)).toEqual(["gateway", "forward"]);
    expect(planOf(effects).streams[0]).toMatchObject({
      access: { protocol: "RTP/SAVP", mode: "inactive" },
      core: { protocol: "RTP/AVP", remote: { address: "192.0.2.77", port: 6000 } },
    });
  });

  it.each([
    ["the UE did not", { ...both, ueE2ae: false, networkE2ae: false }, "ue-not-capable"],
    ["the network did not", { ...both, networkE2ae: false }, "network-policy"],
  ])(
    "TS 33.328 7.3.1 step 3, 7.1 (c): %s indicate support: the call goes on without, untouched",
    (_, registration, reason) => {
      const call = openCall({ ...terminating, registration });
      const effects = call.offer("core", coreBody());
      expect(kinds(effects)).toEqual(["forward"]);
      expect(forwarded(effects)).toBe(`${coreBody().join("\r\n")}\r\n`);
      expect(summarise(call.state)).toMatchObject({ security: "none", reason });
    },
  );

  it("TS 33.328 7.3.1 step 4: SRTP with one or more crypto attributes, each its own K21, and the indication", () => {
    const call = openCall(terminating);
    const text = forwarded(call.offer("core", coreBody()));
    expect(text).toContain("m=audio 30000 RTP/SAVP 96 8");
    expect(cryptoLines(text).map((line) => line.split(" ")[1])).toEqual(facts.policy.suites);
    expect(new Set(cryptoLines(text).map((line) => line.split("inline:")[1])).size).toBe(2);
    expect(text.match(/a=3ge2ae:applied/g)).toHaveLength(1);
  });

  it("TS 33.328 7.3.1 step 6, 7.3.1 step 5: K22 of the answer and the chosen K21 reach the gateway before the answer leaves", () => {
    const call = openCall(terminating);
    const offer = cryptoLines(forwarded(call.offer("core", coreBody())));
    const effects = call.answer("access", answer(crypto(2, 9, "AES_CM_128_HMAC_SHA1_32")));
    expect(kinds(effects)).toEqual(["gateway", "forward", "zeroise"]);
    const access = planOf(effects).streams[0]?.access;
    expect(access?.localCrypto?.keys[0]?.master.use((octets) => offer[1]?.endsWith(octets.toString("base64")))).toBe(
      true,
    );
    expect(access?.remoteCrypto?.keys[0]?.master.use((octets) => octets.every((octet) => octet === 9))).toBe(true);
  });

  it("TS 33.328 7.3.1 step 7: RTP again, the crypto attribute removed, also an indication the UE should not have sent", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody());
    const text = forwarded(call.answer("access", answer(crypto(1, 9), requested)));
    expect(text).toContain("m=audio 20000 RTP/AVP 96 8");
    expect(text).not.toMatch(/crypto|3ge2ae|inline/);
  });

  it("TS 33.328 7.3.1 step 9: evidence tells the steps, and who brought what", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody());
    call.answer("access", answer(crypto(1, 9)));
    expect(call.evidence.map((each) => `${each.step} ${each.origin}`)).toEqual([
      "3 core",
      "4 core",
      "5 access",
      "6 edge",
      "7 edge",
      "9 gateway",
    ]);
  });

  it("TS 33.328 7.3.1 (a): SRTP offered by the core means e2e, with SDES, KMS or DTLS: left alone octet for octet", () => {
    for (const lines of [
      secureAudio(crypto(1, 1)),
      secureAudio("a=key-mgmt:mikey AQAF"),
      ["m=audio 9 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 192.0.2.1", "a=fingerprint:sha-256 AA", "a=setup:actpass"],
    ]) {
      const call = openCall(terminating);
      const effects = call.offer("core", [...head(), ...lines]);
      expect(kinds(effects)).toEqual(["forward"]);
      expect(forwarded(effects)).toBe(`${[...head(), ...lines].join("\r\n")}\r\n`);
      expect(summarise(call.state)).toMatchObject({ security: "e2e", reason: "e2e-offered" });
    }
  });

  it('TS 33.328 7.3.1 (b): "offered by network" of another party is removed on secured, plain and e2e offers alike, and told', () => {
    const plain = { ...terminating, registration: { ...both, ueE2ae: false } };
    const secured = openCall(terminating);
    expect(forwarded(secured.offer("core", coreBody(1, applied))).match(/3ge2ae/g)).toHaveLength(1);
    const unsecured = openCall(plain);
    expect(forwarded(unsecured.offer("core", [...head(), applied, ...audio(applied)]))).not.toMatch(/3ge2ae/);
    expect(unsecured.evidence.filter((each) => each.clause === "7.3.1" && each.step === "remove")).toHaveLength(2);
    const e2e = openCall(terminating);
    expect(forwarded(e2e.offer("core", [...head(), ...secureAudio(crypto(1, 1), applied)]))).not.toMatch(/3ge2ae/);
  });

  it("stray a=crypto of the core on AVP never reaches the UE: it would be a key of nobody", () => {
    const forged = crypto(1, 0x7a);
    const secured = openCall(terminating);
    expect(forwarded(secured.offer("core", coreBody(1, forged)))).not.toContain(forged);
    const plain = openCall({ ...terminating, registration: { ...both, ueE2ae: false } });
    expect(forwarded(plain.offer("core", coreBody(1, forged)))).not.toContain("crypto");
  });

  it("TS 33.328 7.3.1 step 5: rtcp-mux is negotiated per hop: granted to the core, not offered to the UE", () => {
    const call = openCall(terminating);
    const effects = call.offer("core", coreBody(1, "a=rtcp-mux", "a=rtcp:7001"));
    expect(planOf(effects).streams[0]?.core).toMatchObject({ rtcpMux: true, remote: { port: 6000, rtcpPort: 6000 } });
    expect(forwarded(effects)).not.toContain("mux");
    const back = call.answer("access", answer(crypto(1, 9), "a=rtcp-mux", "a=rtcp:40009"));
    expect(forwarded(back)).toContain("a=rtcp-mux");
    expect(planOf(back).streams[0]?.access).toMatchObject({
      rtcpMux: false,
      remote: { port: 40_000, rtcpPort: 40_009 },
    });
  });
});

describe("RFC 3605 2.1: where a party wants its RTCP", () => {
  it.each([
    ["a=rtcp:7001", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 192.0.2.99", { rtcpPort: 7001, rtcpAddress: "192.0.2.99" }],
    ["a=rtcp: 7001  in ip4 192.0.2.99 ", { rtcpPort: 7001, rtcpAddress: "192.0.2.99" }],
    // What cannot be sent to from where media is sent: RTCP follows the media.
    ["a=rtcp:7001 IN IP6 2001:db8::9", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 rtcp.example", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 0.0.0.0", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 127.0.0.1", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 239.1.2.3", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4 255.255.255.255", { rtcpPort: 7001 }],
    ["a=rtcp:7001 IN IP4", { rtcpPort: 7001 }],
    ["a=rtcp:0 IN IP4 192.0.2.99", {}],
    ["a=rtcp:70001 IN IP4 192.0.2.99", {}],
    ["a=rtcp:x", {}],
  ])("%s", (line, expected) => {
    const remote = planOf(openCall(terminating).offer("core", coreBody(1, line))).streams[0]?.core?.remote;
    expect(remote).toEqual({ address: "192.0.2.77", port: 6000, ...expected });
  });

  it("an address that changes in a re-offer is told to the gateway, one that stays is not", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody(1, "a=rtcp:7001 IN IP4 192.0.2.98"));
    call.answer("access", answer(crypto(1, 9)));
    const again = call.offer("core", coreBody(1, "a=rtcp:7001 IN IP4 192.0.2.99"));
    expect(forwarded(again)).not.toContain("192.0.2.9");
    const settled = call.answer("access", answer(crypto(1, 9)));
    expect(planOf(settled).streams[0]?.core?.remote).toMatchObject({ rtcpAddress: "192.0.2.99" });
  });
});

describe("answers that cannot be used", () => {
  const ours = (text: string) => cryptoLines(text)[0] ?? "";
  it.each([
    ["in the clear", () => coreBody()],
    ["without crypto", () => answer()],
    ["with two lines", () => answer(crypto(1, 1), crypto(2, 2, "AES_CM_128_HMAC_SHA1_32"))],
    ["with a tag never offered", () => answer(crypto(3, 1))],
    ["with another suite than its tag's", () => answer(crypto(1, 1, "AES_CM_128_HMAC_SHA1_32"))],
    ["with a key of 28 octets", () => answer(crypto(1, 1, undefined, 28))],
    ["with UNENCRYPTED_SRTP", () => answer(`${crypto(1, 1)} UNENCRYPTED_SRTP`)],
    ["with our own key", (text: string) => answer(ours(text))],
    ["with another number of lines", () => [...answer(crypto(1, 1)), ...audio()]],
  ])("TS 33.328 7.3.1 step 5: a UE that answers %s ends the call with 488, never in the clear", (_, made) => {
    const call = openCall(terminating);
    const text = forwarded(call.offer("core", coreBody()));
    const effects = call.answer("access", made(text));
    expect(kinds(effects)).toEqual(["end-call", "release-gateway", "zeroise"]);
    expect(effects[0]).toEqual({ kind: "end-call", reason: "answer-invalid", coreStatus: 488, from: "access" });
    expect(call.state.phase).toBe("ended");
  });

  it("TS 33.328 7.3.1 step 5: beside a good line, the bad one is answered with port 0 to the core and its stream goes", () => {
    const call = openCall(terminating);
    call.offer("core", [...coreBody(), "m=video 7000 RTP/AVPF 98", "c=IN IP4 192.0.2.77"]);
    const effects = call.answer("access", [...answer(crypto(1, 1)), "m=video 40002 RTP/SAVPF 98", "c=IN IP4 10.0.0.7"]);
    expect(forwarded(effects)).toMatch(/m=audio 20000 RTP\/AVP [^]*m=video 0 RTP\/AVPF 98/);
    expect(planOf(effects).remove).toEqual([2]);
  });

  it("TS 33.328 7.3.1 step 7: a line the UE refuses is refused to the core, the gateway is let go", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody());
    const effects = call.answer(
      "access",
      answer(crypto(1, 1)).map((line) => line.replace("m=audio 40000", "m=audio 0")),
    );
    expect(kinds(effects)).toEqual(["forward", "release-gateway", "zeroise"]);
    expect(forwarded(effects)).toContain("m=audio 0 RTP/AVP 96 8");
    expect(forwarded(effects)).not.toContain("crypto");
  });

  it("TS 33.328 6.2.1.2 (b): no key over signalling that is not confidential: refused, not sent in the clear", () => {
    const call = openCall({ ...terminating, confidential: false });
    expect(call.offer("core", coreBody())).toEqual([
      { kind: "refuse", status: 488, reason: "signalling-not-confidential" },
    ]);
  });

  it("TS 33.328 7.3.1 step 4: a core offer in a response, answered in the ACK, follows 7.3.1", () => {
    const call = openCall({ ueRole: "originating" });
    expect(forwarded(call.offer("core", coreBody(), { carrier: "2xx", branch: "b" }))).toContain(applied);
    const effects = call.answer("access", answer(crypto(1, 4)), { carrier: "ACK" });
    expect(forwarded(effects)).toContain("m=audio 20000 RTP/AVP");
    expect(call.evidence.every((each) => each.clause === "7.3.1")).toBe(true);
    expect(body(effects.find((each) => each.kind === "forward")?.sdp ?? { session: [], media: [] })).not.toContain(
      "crypto",
    );
  });
});
