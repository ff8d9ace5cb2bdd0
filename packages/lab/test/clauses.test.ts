// One whole call between alice and bob, each behind an edge and a gateway of its own, judged clause by clause on the wires.
import { systemClock } from "@sallyport/kit";
import { headerList, headerValue } from "@sallyport/sip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../src/demo/await.ts";
import type { LabUe } from "../src/topology/lab.ts";
import type { TappedPacket } from "../src/watch/taps.ts";
import { connect, held, openLab, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { hex, openedWith } from "./support/srtp.ts";
import {
  answeredBetween,
  audioIn,
  cryptosIn,
  named,
  one,
  packetsOf,
  readCrypto,
  sdpIn,
  streamsOnIq,
} from "./support/wires.ts";

const anyWord = /a=crypto|inline:|3ge2ae|mediasec|security-(client|server|verify)/i;

/** As many packets as `wanted` has, from where its first one stands. */
const runIn = (packets: readonly string[], wanted: readonly string[]): readonly string[] => {
  const start = packets.indexOf(wanted[0] ?? "");
  return packets.slice(start, start + wanted.length);
};

describe("a whole call", () => {
  let lab: TestLab;
  let alice: LabUe;
  let bob: LabUe;
  let ends: BothEnds;
  let hungUpAt = 0;

  const invite = (from: string, to: string) =>
    one(lab.recorder.sightings, { from, to, callId: ends.calling.id }, "INVITE");
  const answer = (from: string, to: string) =>
    one(lab.recorder.sightings, { from, to, callId: ends.calling.id }, "200 INVITE");
  const onIq = (side: "a" | "b") => streamsOnIq(lab.recorder.sightings, `edge-${side}`, `gw-${side}`);
  const keysOnIq = (side: "a" | "b") => {
    const modified = onIq(side).filter(({ command, local }) => command === "Modify" && cryptosIn(local).length > 0);
    const [first] = modified;
    if (first === undefined) throw new Error("no Modify with keys");
    return {
      commands: modified,
      sighting: first.sighting,
      local: cryptosIn(first.local).map(readCrypto),
      remote: cryptosIn(first.remote).map(readCrypto),
    };
  };
  /** K11, K12, K21, K22, as the access legs carried them. */
  const keys = () => {
    const [k12] = audioIn(answer("edge-a", "alice")).cryptos.map(readCrypto);
    const [k22] = audioIn(answer("bob", "edge-b")).cryptos.map(readCrypto);
    const k11 = audioIn(invite("alice", "edge-a"))
      .cryptos.map(readCrypto)
      .find(({ tag }) => tag === k12?.tag);
    const k21 = audioIn(invite("edge-b", "bob"))
      .cryptos.map(readCrypto)
      .find(({ tag }) => tag === k22?.tag);
    if (k11 === undefined || k12 === undefined || k21 === undefined || k22 === undefined)
      throw new Error("a key is missing");
    return { k11, k12, k21, k22 };
  };
  /** The ports of each gateway, as the SDP told the ends. */
  const ports = () => ({
    accessA: audioIn(answer("edge-a", "alice")).port,
    coreA: audioIn(invite("edge-a", "core")).port,
    accessB: audioIn(invite("edge-b", "bob")).port,
    coreB: audioIn(answer("edge-b", "core")).port,
  });

  beforeAll(async () => {
    lab = await openLab();
    const ues = await registered(lab, {
      alice: { media: { rtcpIntervalMs: 100 } },
      bob: { media: { rtcpIntervalMs: 100 } },
    });
    ({ alice, bob } = ues);
    ends = await connect(alice, bob, {}, { ringMs: 20 });
    await speak(ends, 1000);
    hungUpAt = systemClock.now();
    await ends.calling.hangup();
    await ends.called.ended;
    await until("both gateways to be released", () => [lab.a, lab.b].every(({ gateway }) => gateway.contexts() === 0));
  });
  afterAll(() => lab?.close());

  it("TS 33.328 7.1 (a): the initial REGISTER of a UE says sdes-srtp;mediasec in Security-Client", () => {
    for (const [ue, edge] of [
      ["alice", "edge-a"],
      ["bob", "edge-b"],
    ] as const) {
      const [initial] = named(lab.recorder.sightings, { from: ue, to: edge }, "REGISTER");
      expect(initial && headerList(initial.message, "security-client")).toContain("sdes-srtp;mediasec");
    }
  });

  it("TS 33.328 7.1 (b), 7.1 (c): the indications of bob's REGISTER decide the offer to him, though nobody repeats them", () => {
    const offered = invite("core", "edge-b");
    expect(offered.octets.toString("latin1")).not.toMatch(anyWord);
    expect(audioIn(invite("edge-b", "bob")).indications).toEqual(["applied"]);
    expect(lab.b.edge.registrations().find(({ aor }) => aor.includes("bob@"))?.indications).toMatchObject({
      ueE2ae: true,
      networkE2ae: true,
    });
  });

  it("TS 33.328 7.1 (d), 7.1 (e): the network answers the indication, and alice's offer rests on it", () => {
    const challenged = one(lab.recorder.sightings, { from: "edge-a", to: "alice" }, "401 REGISTER");
    const accepted = one(lab.recorder.sightings, { from: "edge-a", to: "alice" }, "200 REGISTER");
    const announced = [challenged, accepted].some(({ message }) =>
      headerList(message, "security-server").some((value) => /^sdes-srtp\b.*;\s*mediasec/i.test(value)),
    );
    expect(announced).toBe(true);
    expect(alice.ue.registration?.networkE2ae).toBe(true);
    expect(audioIn(invite("alice", "edge-a")).indications).toEqual(["requested"]);
  });

  it("TS 33.328 7.2.1 (a), 7.2.1 step 1: alice offers SRTP, a key with each crypto attribute, and `requested`", () => {
    const { protocol, cryptos, indications } = audioIn(invite("alice", "edge-a"));
    expect({ protocol, indications }).toEqual({ protocol: "RTP/SAVP", indications: ["requested"] });
    const read = cryptos.map(readCrypto);
    expect(read.map(({ suite }) => suite)).toEqual(["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"]);
    expect(new Set(read.map(({ key }) => key)).size).toBe(2);
    expect(read.every(({ key }) => key.length === 60)).toBe(true);
  });

  it("TS 33.328 7.2.1 step 2: the gateway's reservation is answered before the offer goes on", () => {
    const [add] = onIq("a");
    expect(add?.command).toBe("Add");
    const { sightings } = lab.recorder;
    expect(add && sightings.indexOf(invite("alice", "edge-a")) < sightings.indexOf(add.sighting)).toBe(true);
    expect(add && answeredBetween(sightings, add.sighting, invite("edge-a", "core"))).toBe(true);
  });

  it("TS 33.328 7.2.1 step 3: RTP, no crypto attribute, no indication, the gateway's address go towards the core", () => {
    const { protocol, cryptos, indications } = audioIn(invite("edge-a", "core"));
    expect({ protocol, cryptos, indications }).toEqual({ protocol: "RTP/AVP", cryptos: [], indications: [] });
    expect(invite("edge-a", "core").octets.toString("latin1")).not.toMatch(anyWord);
    expect(ports().coreA).not.toBe(audioIn(invite("alice", "edge-a")).port);
  });

  it("TS 33.328 7.2.1 step 4, 7.3.1 step 1, 7.3.1 step 2: the core takes an offer for RTP and forwards it unchanged", () => {
    expect(audioIn(invite("edge-a", "core")).protocol).toBe("RTP/AVP");
    expect(invite("core", "edge-b").message.body).toEqual(invite("edge-a", "core").message.body);
  });

  it("TS 33.328 7.2.1 step 5, 7.2.1 step 6, 7.3.1 step 8: the core takes the answer and forwards it unchanged", () => {
    expect(audioIn(answer("edge-b", "core")).protocol).toBe("RTP/AVP");
    expect(answer("core", "edge-a").message.body).toEqual(answer("edge-b", "core").message.body);
  });

  it("TS 33.328 7.2.1 step 7: K11 to decrypt and K12 to encrypt are with the gateway before the answer goes on", () => {
    const { k11, k12 } = keys();
    const { local, remote, sighting } = keysOnIq("a");
    expect(local).toEqual([k12]);
    expect(remote).toEqual([k11]);
    expect(k12.key).not.toBe(k11.key);
    expect(answeredBetween(lab.recorder.sightings, sighting, answer("edge-a", "alice"))).toBe(true);
  });

  it("TS 33.328 7.2.1 step 8: SRTP, one crypto attribute with alice's tag and suite, and `applied` go to alice", () => {
    const { protocol, cryptos, indications } = audioIn(answer("edge-a", "alice"));
    expect({ protocol, count: cryptos.length, indications }).toEqual({
      protocol: "RTP/SAVP",
      count: 1,
      indications: ["applied"],
    });
    const [chosen] = audioIn(invite("alice", "edge-a")).cryptos.map(readCrypto);
    expect(readCrypto(cryptos[0])).toMatchObject({ tag: chosen?.tag, suite: chosen?.suite });
    expect(ports().accessA).not.toBe(audioIn(answer("core", "edge-a")).port);
  });

  it("TS 33.328 7.3.1 (a), 7.3.1 step 3: bob's gateway is reserved before the offer goes to him", () => {
    const [add] = onIq("b");
    expect(add?.command).toBe("Add");
    expect(add && answeredBetween(lab.recorder.sightings, add.sighting, invite("edge-b", "bob"))).toBe(true);
  });

  it("TS 33.328 7.3.1 step 4: SRTP, crypto attributes with keys of their own, and `applied` go to bob", () => {
    const { protocol, cryptos, indications } = audioIn(invite("edge-b", "bob"));
    expect({ protocol, indications }).toEqual({ protocol: "RTP/SAVP", indications: ["applied"] });
    expect(cryptos.length).toBeGreaterThan(0);
    expect(new Set(cryptos.map((value) => readCrypto(value).key)).size).toBe(cryptos.length);
    expect(ports().accessB).not.toBe(audioIn(invite("core", "edge-b")).port);
  });

  it("TS 33.328 7.3.1 step 5: bob answers SRTP with one crypto attribute of the offer and a key of his own", () => {
    const { protocol, cryptos } = audioIn(answer("bob", "edge-b"));
    expect({ protocol, count: cryptos.length }).toEqual({ protocol: "RTP/SAVP", count: 1 });
    const { k21, k22 } = keys();
    expect({ tag: k22.tag, suite: k22.suite }).toEqual({ tag: k21.tag, suite: k21.suite });
    expect(k22.key).not.toBe(k21.key);
  });

  it("TS 33.328 7.3.1 step 6: K22 to decrypt and K21 to encrypt are with the gateway before the answer goes on", () => {
    const { k21, k22 } = keys();
    const { local, remote, sighting } = keysOnIq("b");
    expect(local.map(({ key, suite }) => ({ key, suite }))).toEqual([{ key: k21.key, suite: k21.suite }]);
    expect(remote.map(({ key, suite }) => ({ key, suite }))).toEqual([{ key: k22.key, suite: k22.suite }]);
    expect(answeredBetween(lab.recorder.sightings, sighting, answer("edge-b", "core"))).toBe(true);
  });

  it("TS 33.328 7.3.1 step 7: RTP without crypto attribute goes to the core", () => {
    const { protocol, cryptos, indications } = audioIn(answer("edge-b", "core"));
    expect({ protocol, cryptos, indications }).toEqual({ protocol: "RTP/AVP", cryptos: [], indications: [] });
    expect(answer("edge-b", "core").octets.toString("latin1")).not.toMatch(anyWord);
  });

  it("TS 33.328 6.2.1.1 (a), 6.2.1.1 (b): no SIP message behind an edge carries a key, and each key crossed its Iq", () => {
    const onCore = lab.recorder.sightings.filter(
      ({ kind, from, to }) => kind === "sip" && (from === "core" || to === "core"),
    );
    expect(onCore.length).toBeGreaterThan(20);
    expect(onCore.filter(({ octets }) => anyWord.test(octets.toString("latin1")))).toEqual([]);
    const { k11, k12, k21, k22 } = keys();
    const [a, b] = [keysOnIq("a"), keysOnIq("b")];
    expect([a.remote, a.local, b.local, b.remote].map(([crypto]) => crypto?.key)).toEqual(
      [k11, k12, k21, k22].map(({ key }) => key),
    );
  });

  it("TS 33.328 6.2.1.3 (a), 6.2.1.3 (b): one crypto attribute for each direction goes to one stream of one termination", () => {
    for (const side of ["a", "b"] as const) {
      const { commands, local, remote } = keysOnIq(side);
      expect(
        new Set(commands.map(({ context, termination, stream }) => `${context}/${termination}/${stream}`)).size,
      ).toBe(1);
      expect(commands[0]?.stream).toBe(1);
      expect([local.length, remote.length]).toEqual([1, 1]);
    }
  });

  it("TS 33.328 6.2.1.3 (d), 6.2.1.2 (b): Iq is TLS with both certificates; SIP between UE and edge is TLS", () => {
    for (const { edge } of [lab.a, lab.b]) {
      expect(edge.iq?.protocol).toBe("tls");
      expect(edge.gateways().map(({ protected: secured }) => secured)).toEqual([true]);
      expect(edge.access.map(({ protocol }) => protocol)).toEqual(["tls"]);
    }
    const received = named(lab.recorder.sightings, { from: "alice", to: "edge-a" }, "INVITE");
    expect(received.every(({ message }) => headerValue(message, "via")?.startsWith("SIP/2.0/TLS"))).toBe(true);
  });

  it("TS 33.328 4.1.2.1 (a), 6.2.1.2 (a): keys travel as SDES attributes, on no wire but TLS ones", () => {
    const carrying = lab.recorder.sightings.filter(({ octets }) => octets.toString("latin1").includes("inline:"));
    const legs = new Set(carrying.map(({ from, to }) => [from, to].sort().join(" ")));
    expect([...legs].sort()).toEqual(["alice edge-a", "bob edge-b", "edge-a gw-a", "edge-b gw-b"]);
    expect(sdpIn(invite("alice", "edge-a")).media[0]?.lines.some(({ value }) => value.startsWith("crypto:"))).toBe(
      true,
    );
  });

  it("TS 33.328 6.2.1.1 (c), 6.2.1.1 (e), 6.2.1.3 (c): K11 and K22 open all the UEs sent, K12 and K21 all the gateways sent them", () => {
    const { k11, k12, k21, k22 } = keys();
    const { accessA, accessB } = ports();
    for (const [key, tap, direction, port] of [
      [k11, alice.tap, "out", accessA],
      [k12, alice.tap, "in", accessA],
      [k22, bob.tap, "out", accessB],
      [k21, bob.tap, "in", accessB],
    ] as const) {
      for (const [kind, remotePort] of [
        ["rtp", port],
        ["rtcp", port + 1],
      ] as const) {
        const packets = packetsOf(tap, { direction, remotePort });
        const opened = openedWith(key, kind, packets);
        expect({ refused: opened.refused, few: opened.plain.length < (kind === "rtp" ? 50 : 2) }).toEqual({
          refused: 0,
          few: false,
        });
      }
    }
  });

  it("TS 33.328 7.2.1 step 9, 7.3.1 step 9, 6.2.1.1 (d), 6.2.1.1 (f): what SRTP and SRTCP carry outside is plain RTP and RTCP between the gateways", () => {
    const { k11, k12, k21, k22 } = keys();
    const { accessA, accessB, coreA, coreB } = ports();
    for (const [fromUe, towardsUe, ue, gateway, access, core] of [
      [k11, k12, alice, lab.a, accessA, coreA],
      [k22, k21, bob, lab.b, accessB, coreB],
    ] as const) {
      for (const [kind, step] of [
        ["rtp", 0],
        ["rtcp", 1],
      ] as const) {
        // Receivers report before the gateways have their keys and while they are released: between, every sender report is there.
        const told = (packets: readonly string[]) =>
          packets.filter((packet) => kind === "rtp" || packet.startsWith("c8", 2));
        const during = ({ at }: TappedPacket): boolean => at < hungUpAt;
        const said = packetsOf(ue.tap, { direction: "out", remotePort: access + step }).filter(during);
        const opened = told(openedWith(fromUe, kind, said).plain);
        const inside = told(hex(packetsOf(gateway.tap, { direction: "out", port: core + step })));
        expect(opened).toEqual(runIn(inside, opened));
        const sent = packetsOf(ue.tap, { direction: "in", remotePort: access + step });
        const heard = told(openedWith(towardsUe, kind, sent).plain);
        const came = told(hex(packetsOf(gateway.tap, { direction: "in", port: core + step })));
        expect(heard).toEqual(runIn(came, heard));
        expect([opened.length, heard.length].every((count) => count >= (kind === "rtp" ? 50 : 2))).toBe(true);
      }
    }
  });

  it("TS 33.328 4.2.2 (a): UEs exchange packets with their gateways and with nobody else", () => {
    const { accessA, accessB } = ports();
    for (const [{ tap }, access] of [
      [alice, accessA],
      [bob, accessB],
    ] as const) {
      const peers = new Set(tap.packets.map(({ remote }) => remote.port));
      expect(peers).toEqual(new Set([access, access + 1]));
    }
  });

  it("invariant 10: after the BYE neither gateway has a context", () => {
    for (const side of [lab.a, lab.b])
      expect(held(side)).toMatchObject({ contexts: 0, terminations: 0, mediaPorts: 0 });
  });
});
