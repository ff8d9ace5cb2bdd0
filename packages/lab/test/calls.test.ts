// Calls as people and phones differ: suites, dialects, digests, rtcp-mux, DTMF, hold, and a re-INVITE in mid-sentence.
import { headerList } from "@sallyport/sip";
import { attributeValues, hasAttribute } from "@sallyport/sdp";
import { classifyPacket } from "@sallyport/srtp";
import type { UeConfigInput } from "@sallyport/ue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { voiceOf } from "../src/speech.ts";
import { connect, openLab, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { hex, openedWith } from "./support/srtp.ts";
import { audioIn, named, nameOf, one, packetsOf, readCrypto, sdpIn, sipBetween } from "./support/wires.ts";

type Change = Partial<UeConfigInput>;

describe("calls", () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await openLab();
  });
  afterAll(() => lab?.close());

  const message = (ends: BothEnds, from: string, to: string, name: string) =>
    one(lab.recorder.sightings, { from, to, callId: ends.calling.id }, name);

  /** A call between alice and bob as configured, then both are gone. */
  const callOf = async (
    alice: Change,
    bob: Change,
    what: (ends: BothEnds, ues: Awaited<ReturnType<typeof registered<"alice" | "bob">>>) => Promise<void>,
  ): Promise<void> => {
    const ues = await registered(lab, { alice, bob });
    const ends = await connect(ues.alice, ues.bob);
    try {
      expect([ends.calling.report().security, ends.called.report().security]).toEqual(["e2ae", "e2ae"]);
      await what(ends, ues);
    } finally {
      await ends.calling.hangup();
      await ends.called.ended;
      await Promise.all([ues.alice.ue.close(), ues.bob.ue.close()]);
      await until("both contexts to be given back", () => lab.a.gateway.contexts() + lab.b.gateway.contexts() === 0);
    }
  };

  it.each(["MD5", "SHA-256"] as const)("RFC 8760 2: users of %s register and call", async (algorithm) => {
    const before = lab.recorder.sightings.length;
    await callOf({ digest: [algorithm] }, { digest: [algorithm] }, (ends) => speak(ends, 200));
    const authorized = sipBetween(lab.recorder.sightings.slice(before), { from: "alice", to: "edge-a" })
      .map(({ message: { headers } }) => headers.find(({ name }) => name === "authorization")?.value)
      .filter((value) => value?.includes('response="') === true && !value.includes('response=""'));
    expect(authorized.length).toBeGreaterThan(0);
    for (const value of authorized)
      expect(/algorithm=([^\s,]+)/.exec(value ?? "")?.[1]?.replaceAll('"', "") ?? "MD5").toBe(algorithm);
  });

  it.each([
    ["3gpp", "draft"],
    ["draft", "3gpp"],
    ["draft", "draft"],
  ] as const)(
    "TS 33.328 7.1 (a), 7.1 (d): alice in the %s dialect calls bob in the %s dialect",
    async (first, second) => {
      const before = lab.recorder.sightings.length;
      await callOf({ security: { dialect: first } }, { security: { dialect: second } }, (ends) => speak(ends, 200));
      const seen = lab.recorder.sightings.slice(before);
      for (const [ue, edge, dialect] of [
        ["alice", "edge-a", first],
        ["bob", "edge-b", second],
      ] as const) {
        const said = sipBetween(seen, { from: ue, to: edge });
        const initial = said.find((sighting) => nameOf(sighting) === "REGISTER");
        expect(
          initial &&
            headerList(initial.message, "security-client").some((value) => /^sdes-srtp\s*;\s*mediasec$/i.test(value)),
        ).toBe(true);
        const tagged = said.some(({ message: sent }) =>
          headerList(sent, "require").concat(headerList(sent, "proxy-require")).includes("mediasec"),
        );
        expect(tagged).toBe(dialect === "draft");
      }
      const core = seen.filter(({ kind, from, to }) => kind === "sip" && (from === "core" || to === "core"));
      expect(core.filter(({ octets }) => /mediasec|security-|3ge2ae|crypto/i.test(octets.toString("latin1")))).toEqual(
        [],
      );
    },
  );

  it("RFC 5761: a UE with rtcp-mux has RTCP on its RTP port, and plain RTCP beside RTP is on the core side", async () => {
    const change: Change = { media: { rtcpMux: true, rtcpIntervalMs: 60 } };
    await callOf(change, { media: { rtcpIntervalMs: 60 } }, async (ends, { alice }) => {
      await speak(ends, 600);
      expect(hasAttribute(sdpIn(message(ends, "alice", "edge-a", "INVITE")).media[0]?.lines ?? [], "rtcp-mux")).toBe(
        true,
      );
      const access = audioIn(message(ends, "edge-a", "alice", "200 INVITE")).port;
      const sealed = packetsOf(alice.tap, { direction: "out", kind: "rtcp" });
      expect(new Set(sealed.map(({ remote }) => remote.port))).toEqual(new Set([access]));
      const k11 = message(ends, "alice", "edge-a", "INVITE");
      const opened = openedWith(readCrypto(audioIn(k11).cryptos[0]), "rtcp", sealed);
      expect({ refused: opened.refused, some: opened.plain.length > 1 }).toEqual({ refused: 0, some: true });
      const core = audioIn(message(ends, "edge-a", "core", "INVITE")).port;
      const inside = hex(
        packetsOf(lab.a.tap, { direction: "out", kind: "rtcp" }).filter(
          ({ local }) => local.port === core || local.port === core + 1,
        ),
      );
      expect(inside.filter((packet) => opened.plain.includes(packet)).length).toBeGreaterThan(1);
      expect(hex(sealed).filter((packet) => inside.includes(packet))).toEqual([]);
    });
  });

  it("TS 33.328 6.2.1.1 (e), 6.2.1.1 (f): sender reports are SRTCP outside and plain RTCP, with SSRC and counts, on the core side", async () => {
    const change: Change = { media: { rtcpIntervalMs: 60 } };
    await callOf(change, change, async (ends, { alice }) => {
      await speak(ends, 600);
      const core = audioIn(message(ends, "edge-a", "core", "INVITE")).port;
      const reports = packetsOf(lab.a.tap, { direction: "out", port: core + 1 }).filter(
        ({ octets }) => octets[1] === 200,
      );
      expect(reports.length).toBeGreaterThan(1);
      expect(reports.every(({ octets }) => classifyPacket(octets) === "rtcp" && octets.length % 4 === 0)).toBe(true);
      const ssrc = ends.calling.sent.frames()[0]?.ssrc;
      expect(new Set(reports.map(({ octets }) => octets.readUInt32BE(4)))).toEqual(new Set([ssrc]));
      const outside = packetsOf(alice.tap, { direction: "out", kind: "rtcp" }).filter(
        ({ octets }) => octets[1] === 200,
      );
      // E flag and index, four octets, and a tag of ten.
      expect(outside.map(({ octets }) => octets.length % 4)).toEqual(outside.map(() => 2));
      expect(ends.called.report().media.control.senderReports).toBeGreaterThan(0);
    });
  });

  it("TS 23.334 5.8: the record of an ended call says what its gateway counted", async () => {
    let [id, said, heard] = ["", 0, 0];
    await callOf({}, {}, async (ends) => {
      await speak(ends, 300);
      id = ends.calling.id;
      said = ends.calling.sent.frames().length;
      heard = ends.called.sent.frames().length;
    });
    const record = (side: "access" | "core") =>
      lab.a.edge
        .calls()
        .find(({ callId }) => callId === id)
        ?.media.find((leg) => leg.side === side);
    expect(lab.a.edge.calls().find(({ callId }) => callId === id)?.durationMs).toSatisfy(Number.isInteger);
    await until("the gateway's answer to Subtract", () => record("core") !== undefined);
    expect(said).toBeGreaterThan(5);
    expect(record("access")).toMatchObject({
      stream: 1,
      packetsIn: said,
      packetsOut: heard,
      lost: 0,
      authenticationFailures: 0,
      replays: 0,
      clearDropped: 0,
      indexReuse: 0,
    });
    expect(record("core")).toMatchObject({ packetsIn: heard, packetsOut: said });
  });

  it("RFC 4733: DTMF passes both ways, as telephone-event under the call's keys", async () => {
    await callOf({}, {}, async (ends, { alice }) => {
      const { calling, called } = ends;
      const heard = Promise.all([called.digitsReceived("19*#"), calling.digitsReceived("A0")]);
      await Promise.all([calling.sendDigits("19*#"), called.sendDigits("A0")]);
      await heard;
      expect(
        called
          .report()
          .media.digits.map(({ digit }) => digit)
          .join(""),
      ).toBe("19*#");
      expect(
        calling
          .report()
          .media.digits.map(({ digit }) => digit)
          .join(""),
      ).toBe("A0");
      const k11 = readCrypto(audioIn(message(ends, "alice", "edge-a", "INVITE")).cryptos[0]);
      const opened = openedWith(k11, "rtp", packetsOf(alice.tap, { direction: "out", kind: "rtp" }));
      expect(opened.refused).toBe(0);
      // Payload type 101 of the offer, the marker bit aside: at least the three last packets of each digit.
      expect(
        opened.plain.filter((packet) => (Number.parseInt(packet.slice(2, 4), 16) & 0x7f) === 101).length,
      ).toBeGreaterThan(12);
    });
  });

  it("RFC 4568 7.1.4: re-INVITEs with unchanged keys in mid-sentence lose no octet, in either direction", async () => {
    await callOf({}, {}, async (ends) => {
      const speaking = Promise.all([ends.calling.play(voiceOf("alice", 1600)), ends.called.play(voiceOf("bob", 1600))]);
      await until("some speech", () => ends.called.received.frames().length > 10);
      await ends.calling.reinvite();
      await ends.called.reinvite();
      await ends.calling.reinvite();
      expect(ends.called.received.frames().length).toBeLessThan(80);
      await speaking;
      await until(
        "all to be heard",
        () =>
          ends.calling.sent.octets().equals(ends.called.received.octets()) &&
          ends.called.sent.octets().equals(ends.calling.received.octets()),
      );
      expect(ends.calling.sent.frames().length).toBe(80);
      const keys = (from: string, to: string, name: string) =>
        named(lab.recorder.sightings, { from, to, callId: ends.calling.id }, name).map((sighting) =>
          audioIn(sighting)
            .cryptos.map((value) => readCrypto(value).key)
            .at(0),
        );
      expect(keys("alice", "edge-a", "INVITE")).toHaveLength(3);
      expect(new Set(keys("alice", "edge-a", "INVITE")).size).toBe(1);
      expect(new Set(keys("edge-a", "alice", "200 INVITE")).size).toBe(1);
      for (const side of [lab.a, lab.b])
        for (const { counters } of side.gateway.counters())
          expect(counters).toMatchObject({ keyChanges: 0, authenticationFailures: 0, replays: 0, indexReuse: 0 });
    });
  });

  it("RFC 3264 8.4: hold stops the speech of the held side, resume brings it back under the same keys", async () => {
    await callOf({}, {}, async (ends) => {
      await speak(ends, 200);
      const { fingerprints } = ends.calling.report();
      await ends.calling.reinvite("sendonly");
      expect([ends.calling.report().mediaDirection, ends.called.report().mediaDirection]).toEqual([
        "sendonly",
        "recvonly",
      ]);
      const before = ends.calling.received.frames().length;
      void ends.called.play(voiceOf("bob", 200)).catch(() => undefined);
      await ends.calling.play(voiceOf("alice", 200));
      await settle(100);
      expect(ends.calling.received.frames().length).toBe(before);
      expect(ends.called.received.octets()).toEqual(ends.calling.sent.octets());
      await ends.calling.reinvite("sendrecv");
      await speak(ends, 200);
      expect(ends.calling.report().fingerprints).toEqual(fingerprints);
      expect([ends.calling.report().security, ends.called.report().security]).toEqual(["e2ae", "e2ae"]);
    });
  });

  it("RFC 4568 6: a UE that knows PCMU and one of two suites calls one that knows both", async () => {
    await callOf({ codecs: ["PCMU"], security: { suites: ["AES_CM_128_HMAC_SHA1_32"] } }, {}, async (ends) => {
      await speak(ends, 200);
      expect(ends.calling.report()).toMatchObject({ codec: "PCMU", suite: "AES_CM_128_HMAC_SHA1_32" });
      expect(ends.called.report()).toMatchObject({ codec: "PCMU", suite: "AES_CM_128_HMAC_SHA1_80" });
    });
  });
});

describe("suites by policy", () => {
  it.each(["AES_256_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_32", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM"] as const)(
    "TS 33.328 7.2.1 step 3, 7.3.1 step 4: %s, where policy names it, on both access sides",
    async (suite) => {
      const lab = await openLab({ change: { edge: { policy: { rules: [{ e2ae: "offered", suites: [suite] }] } } } });
      try {
        const change: Change = { security: { suites: ["AES_CM_128_HMAC_SHA1_80", suite] } };
        const { alice, bob } = await registered(lab, { alice: change, bob: change });
        const ends = await connect(alice, bob);
        await speak(ends, 300);
        expect([ends.calling.report().suite, ends.called.report().suite]).toEqual([suite, suite]);
        const answer = one(
          lab.recorder.sightings,
          { from: "edge-a", to: "alice", callId: ends.calling.id },
          "200 INVITE",
        );
        const offer = one(lab.recorder.sightings, { from: "alice", to: "edge-a", callId: ends.calling.id }, "INVITE");
        expect(readCrypto(audioIn(answer).cryptos[0])).toMatchObject({ suite, tag: 2 });
        expect(attributeValues(sdpIn(offer).media[0]?.lines ?? [], "crypto")).toHaveLength(2);
        await ends.calling.hangup();
        await ends.called.ended;
      } finally {
        await lab.close();
      }
    },
  );
});
