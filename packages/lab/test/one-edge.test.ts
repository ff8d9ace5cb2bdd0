// Invariant 8: two UEs behind one edge and one gateway. The call crosses the edge twice, and each crossing is secured on its own.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../src/demo/await.ts";
import type { LabUe } from "../src/topology/lab.ts";
import { connect, held, openLab, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { hex, openedWith } from "./support/srtp.ts";
import { audioIn, named, packetsOf, readCrypto, sipBetween } from "./support/wires.ts";

describe("two UEs behind one edge", () => {
  let lab: TestLab;
  let alice: LabUe;
  let bob: LabUe;
  let ends: BothEnds;
  let during: ReturnType<typeof held>;
  let views: ReturnType<TestLab["a"]["gateway"]["counters"]>;

  const message = (from: string, to: string, name: string) => {
    const [first] = named(lab.recorder.sightings, { from, to, callId: ends.calling.id }, name);
    if (first === undefined) throw new Error(`no ${name} from ${from} to ${to}`);
    return audioIn(first);
  };
  /** Ports of the gateway as alice and bob know them, and the keys on their legs. */
  const facts = () => {
    const [toAlice, toBob] = [message("edge-a", "alice", "200 INVITE"), message("edge-a", "bob", "INVITE")];
    const [fromAlice, fromBob] = [message("alice", "edge-a", "INVITE"), message("bob", "edge-a", "200 INVITE")];
    const [k12, k22] = [readCrypto(toAlice.cryptos[0]), readCrypto(fromBob.cryptos[0])];
    const k11 = fromAlice.cryptos.map(readCrypto).find(({ tag }) => tag === k12.tag);
    const k21 = toBob.cryptos.map(readCrypto).find(({ tag }) => tag === k22.tag);
    if (k11 === undefined || k21 === undefined) throw new Error("a key is missing");
    return { portOfAlice: toAlice.port, portOfBob: toBob.port, k11, k12, k21, k22 };
  };

  beforeAll(async () => {
    lab = await openLab({ sides: ["a"] });
    ({ alice, bob } = await registered(lab, { alice: {}, bob: {} }));
    ends = await connect(alice, bob);
    await speak(ends, 600);
    during = held(lab.a);
    views = lab.a.gateway.counters();
    await ends.calling.hangup();
    await ends.called.ended;
  });
  afterAll(() => lab?.close());

  it("invariant 8: the same Call-ID crosses the edge twice, and makes two contexts", () => {
    const offers = ["alice", "core"].map(
      (from) => sipBetween(lab.recorder.sightings, { from, to: "edge-a", callId: ends.calling.id }).length,
    );
    expect(offers.every((count) => count > 0)).toBe(true);
    expect(during).toMatchObject({ calls: 2, edgeContexts: 2, contexts: 2, terminations: 4, mediaPorts: 8 });
    expect(
      lab.a.edge
        .calls()
        .map(({ callId, direction, security }) => `${callId === ends.calling.id} ${direction} ${security}`)
        .toSorted(),
    ).toEqual(["true originating e2ae", "true terminating e2ae"]);
  });

  it("TS 33.328 4.2.2 (a): the UEs exchange packets with the gateway alone, though they could reach each other", () => {
    const { portOfAlice, portOfBob } = facts();
    expect(portOfAlice).not.toBe(portOfBob);
    for (const [{ tap }, port] of [
      [alice, portOfAlice],
      [bob, portOfBob],
    ] as const)
      expect([...new Set(packetsOf(tap, { kind: "rtp" }).map(({ remote }) => remote.port))]).toEqual([port]);
  });

  it("invariant 8, 4: the keys of the four directions are four", () => {
    const { k11, k12, k21, k22 } = facts();
    expect(new Set([k11, k12, k21, k22].map(({ key }) => key)).size).toBe(4);
    const shown = views.filter(({ side }) => side === "access").flatMap(({ keys }) => [keys.fromUe, keys.towardsUe]);
    expect(new Set(shown).size).toBe(4);
  });

  it("invariant 8: each UE's SRTP ends at the gateway: what one key opens is what goes in under the other, octet for octet", () => {
    const { portOfAlice, portOfBob, k11, k12, k21, k22 } = facts();
    for (const [said, heard] of [
      [
        openedWith(k11, "rtp", packetsOf(alice.tap, { direction: "out", kind: "rtp", remotePort: portOfAlice })),
        openedWith(k21, "rtp", packetsOf(bob.tap, { direction: "in", kind: "rtp", remotePort: portOfBob })),
      ],
      [
        openedWith(k22, "rtp", packetsOf(bob.tap, { direction: "out", kind: "rtp", remotePort: portOfBob })),
        openedWith(k12, "rtp", packetsOf(alice.tap, { direction: "in", kind: "rtp", remotePort: portOfAlice })),
      ],
    ] as const) {
      expect(said.plain.length).toBeGreaterThan(25);
      expect([said.refused, heard.refused]).toEqual([0, 0]);
      expect(heard.plain).toEqual(said.plain);
    }
    // The same speech, sealed with other keys: no packet of one leg is a packet of the other.
    const sealed = new Set(hex(packetsOf(alice.tap, { direction: "out", kind: "rtp" })));
    expect(hex(packetsOf(bob.tap, { direction: "in", kind: "rtp" })).filter((packet) => sealed.has(packet))).toEqual(
      [],
    );
  });

  it("invariant 10: both contexts go when the call does", async () => {
    await until("the gateway to be released", () => held(lab.a).contexts === 0);
    expect(held(lab.a)).toMatchObject({ calls: 0, edgeContexts: 0, contexts: 0, terminations: 0, mediaPorts: 0 });
  });
});
