// Invariant 9: alice prefers end-to-end SDES for one call. The edges and the gateways keep their hands off it.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LabUe } from "../src/topology/lab.ts";
import { connect, held, openLab, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { hex, openedWith } from "./support/srtp.ts";
import { audioIn, named, packetsOf, readCrypto, sipBetween } from "./support/wires.ts";

describe("end-to-end SDES", () => {
  let lab: TestLab;
  let alice: LabUe;
  let bob: LabUe;
  let ends: BothEnds;
  let during: readonly ReturnType<typeof held>[];

  /** The first message of that name on a leg: what follows are re-INVITEs. */
  const firstOf = (from: string, to: string, name: string) => {
    const [first] = named(lab.recorder.sightings, { from, to, callId: ends.calling.id }, name);
    if (first === undefined) throw new Error(`no ${name} from ${from} to ${to}`);
    return first;
  };
  const way = ["alice", "edge-a", "core", "edge-b", "bob"] as const;
  const legs = way.slice(1).map((to, at) => [way[at] ?? "", to] as const);

  beforeAll(async () => {
    lab = await openLab();
    ({ alice, bob } = await registered(lab, { alice: {}, bob: {} }));
    ends = await connect(alice, bob, { security: "e2e" });
    await speak(ends, 600);
    during = [held(lab.a), held(lab.b)];
    await ends.calling.reinvite("sendonly");
    await ends.calling.reinvite("sendrecv");
    await ends.calling.hangup();
    await ends.called.ended;
  });
  afterAll(() => lab?.close());

  it("TS 33.328 4.2.1 (b), 7.2.1 step 2: offer and answer pass every leg byte for byte, a=crypto lines and all", () => {
    for (const [name, hops] of [
      ["INVITE", legs],
      ["200 INVITE", legs.map(([from, to]) => [to, from] as const)],
    ] as const) {
      const bodies = hops.map(([from, to]) => firstOf(from, to, name).message.body.toString("latin1"));
      expect(new Set(bodies).size).toBe(1);
      expect(bodies[0]).toMatch(/a=crypto:\d AES_CM_128_HMAC_SHA1_80 inline:/);
    }
  });

  it("invariant 9, TS 33.328 7.2.1: nobody adds an indication to any message of the call", () => {
    const all = way.flatMap((from) =>
      way.flatMap((to) => sipBetween(lab.recorder.sightings, { from, to, callId: ends.calling.id })),
    );
    expect(all.length).toBeGreaterThan(40);
    expect(all.filter(({ octets }) => octets.toString("latin1").toLowerCase().includes("3ge2ae"))).toEqual([]);
    expect([ends.calling.report().security, ends.called.report().security]).toEqual(["e2e", "e2e"]);
  });

  it("invariant 9: no gateway context, no media port of ours", () => {
    for (const side of during)
      expect(side).toMatchObject({ calls: 1, edgeContexts: 0, contexts: 0, terminations: 0, mediaPorts: 0 });
    expect([lab.a, lab.b].flatMap(({ tap }) => tap.packets)).toEqual([]);
    expect([lab.a, lab.b].flatMap(({ edge }) => edge.calls().map(({ security }) => security))).toEqual(["e2e", "e2e"]);
  });

  it("TS 33.328 4.2.1 (a), 4.2.1 (b): bob gets the very packets alice sent, and the other way round, and the agreed keys open them", () => {
    const k2 = readCrypto(audioIn(firstOf("bob", "edge-b", "200 INVITE")).cryptos[0]);
    const k1 = audioIn(firstOf("alice", "edge-a", "INVITE"))
      .cryptos.map(readCrypto)
      .find(({ tag }) => tag === k2.tag);
    if (k1 === undefined) throw new Error("the answer's tag was not offered");
    for (const [from, to, key] of [
      [alice, bob, k1],
      [bob, alice, k2],
    ] as const) {
      const sent = packetsOf(from.tap, { direction: "out", kind: "rtp" });
      expect(sent.length).toBeGreaterThan(25);
      expect(hex(packetsOf(to.tap, { direction: "in", kind: "rtp" }))).toEqual(hex(sent));
      expect(openedWith(key, "rtp", sent).refused).toBe(0);
    }
  });
});
