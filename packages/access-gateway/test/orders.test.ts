// What the packages of the profile do to the plane: filters, policing, code points, realms, pass-through, limits, reports.
import { silentLog } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import type { LegCounters } from "@sallyport/media-plane";
import type { StreamOrder } from "@sallyport/iq";
import { lookAt, nothingTold } from "../src/load.ts";
import { statisticsOf } from "../src/statistics.ts";
import { watchPlane } from "../src/watch.ts";
import type { Desk, Pair } from "./desk.ts";
import { addTo, code, local, makeDesk, pairOn, remote, stream, watching } from "./desk.ts";
import { zero } from "./plane.ts";
import { cryptoOf, must } from "./rig.ts";

const change = (on: Desk, made: Pair, side: "access" | "core", order: Omit<StreamOrder, "stream">) =>
  on.contexts.handler.modify({
    context: made.context,
    termination: made[side],
    streams: [{ stream: 1, ...order }],
    latch: [],
  });

const heard: StreamOrder["remote"] = { kind: "describe", text: remote("RTP/SAVP") };

describe("H.248.43: source filters", () => {
  it("H.248.43 gm/saf, gm/spf: without a mask or a range they are what Remote says, as Remote changes", async () => {
    const on = makeDesk();
    const made = await pairOn(on);
    const filter = () => must(on.plane.plans.get(1)).sourceFilter;
    await change(on, made, "access", { filter: { addresses: true, ports: true } });
    expect(filter()).toBeUndefined();
    await change(on, made, "access", { remote: heard });
    expect(filter()).toEqual({
      address: { literal: "198.51.100.7", prefix: 32 },
      ports: { first: 5000, last: 5000 },
      rtcpPorts: { first: 5001, last: 5001 },
    });
    await change(on, made, "access", {
      filter: { mask: { literal: "198.51.100.0", prefix: 24 }, range: { first: 5000, last: 6000 } },
    });
    expect(filter()).toEqual({
      address: { literal: "198.51.100.0", prefix: 24 },
      ports: { first: 5000, last: 6000 },
      rtcpPorts: { first: 5000, last: 6001 },
    });
    const updates = on.plane.updates.length;
    await change(on, made, "access", { filter: { addresses: true } });
    expect(on.plane.updates.slice(updates).every(({ change: what }) => !("sourceFilter" in what))).toBe(true);
    await change(on, made, "access", { filter: { addresses: false, ports: false } });
    expect(filter()).toBeUndefined();
  });

  it("TS 29.334 5.17.1 error 449: a mask of the other address family", async () => {
    const on = makeDesk();
    const made = await pairOn(on);
    const filter = { addresses: true, mask: { literal: "2001:db8::", prefix: 32 } };
    expect(code(await change(on, made, "access", { filter }))).toBe(449);
    expect(on.plane.updates).toEqual([]);
  });
});

describe("H.248.53 and H.248.52: rates and code points", () => {
  it("H.248.53 tman: rates count only where policing is on; a bucket needs its rate and its size (472)", async () => {
    const on = makeDesk();
    const made = await pairOn(on);
    const policing = () => must(on.plane.plans.get(2)).policing;
    await change(on, made, "core", { police: { sustained: 8000, burst: 2000 } });
    expect(policing()).toBeUndefined();
    await change(on, made, "core", { police: { on: true, peak: 20_000, toleranceMs: 20 } });
    expect(policing()).toEqual({
      sustained: { octetsPerS: 8000, burstOctets: 2000 },
      peak: { octetsPerS: 20_000, toleranceMs: 20 },
    });
    await change(on, made, "core", { police: { on: false } });
    expect(policing()).toBeUndefined();
    const other = await pairOn(on);
    expect(code(await change(on, other, "core", { police: { on: true, sustained: 1 } }))).toBe(472);
    expect(code(await change(on, other, "core", { police: { on: true, burst: 1 } }))).toBe(472);
    expect(code(await change(on, other, "core", { police: { on: true } }))).toBeUndefined();
  });

  it("H.248.52 ds/dscp: written where the engine marks; where it does not, 445 for any but the default", async () => {
    const on = makeDesk();
    const made = await pairOn(on);
    await change(on, made, "access", { dscp: 46 });
    expect(on.plane.plans.get(1)?.dscp).toBe(46);
    const plane = { ...on.plane, marks: false };
    const plain = makeDesk({ plane });
    expect(code(await plain.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP", { dscp: 46 })])))).toBe(
      445,
    );
    expect(
      code(await plain.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP", { dscp: 0 })]))),
    ).toBeUndefined();
  });

  it("H.248.1 7.2.5: an audit shows what is in force", async () => {
    const on = makeDesk();
    const made = await pairOn(on);
    await change(on, made, "access", {
      filter: { addresses: true, mask: { literal: "198.51.100.0", prefix: 24 } },
      police: { on: true, peak: 9000, toleranceMs: 2.5 },
      dscp: 46,
    });
    const [view] = on.contexts.handler.contexts();
    expect(view?.terminations[0]?.streams[0]?.controls).toEqual({
      "ipdc/realm": "outside",
      "rtcph/rsb": "ON",
      "gm/saf": "ON",
      "gm/sam": "198.51.100.0/24",
      "gm/spf": "OFF",
      "tman/pol": "ON",
      "tman/pdr": "9000",
      "tman/dvt": "25000",
      "ds/dscp": "2E",
    });
  });
});

describe("H.248.41: realms", () => {
  const faces = [
    { address: "192.0.2.20", realm: "outside" },
    { address: "2001:db8::20", realm: "outside" },
    { address: "203.0.113.20", realm: "guests" },
  ];

  it("H.248.41 ipdc/realm: the realm tells the address, within it the family of Remote or of IN IP6 $; a stream stays where it is", async () => {
    const on = makeDesk({
      interfaces: { access: faces, core: [{ address: "10.0.0.20" }, { address: "2001:db8:1::20" }] },
    });
    const at = async (order: Partial<StreamOrder>, side: "access" | "core" = "access") => {
      const added = await on.contexts.handler.add(addTo(side, "new", [stream("RTP/AVP", order)]));
      if (!added.ok) return added.error.code;
      const [chosen] = added.value.chosen;
      return chosen?.local.address.kind === "given" ? chosen.local.address.value : undefined;
    };
    expect(await at({})).toBe("192.0.2.20");
    expect(await at({ realm: "GUESTS" })).toBe("203.0.113.20");
    expect(await at({ realm: "moon" })).toBe(449);
    const six = { kind: "describe", text: local("RTP/AVP", "", 6) } as const;
    expect(await at({ realm: "outside", local: six })).toBe("2001:db8::20");
    expect(await at({ realm: "guests", local: six })).toBe(449);
    const there = { kind: "describe", text: remote("RTP/AVP", "", "2001:db8:9::1") } as const;
    expect(await at({ remote: there })).toBe("2001:db8::20");
    // IPv6 outside, IPv4 inside, in one context: each leg has its own address.
    expect(await at({ remote: there }, "core")).toBe("2001:db8:1::20");
    expect(await at({}, "core")).toBe("10.0.0.20");

    // An address of the one family was asked for, and the far end is of the other: none can be both (H.248.1 7.1.8).
    const here = { kind: "describe", text: remote("RTP/AVP") } as const;
    expect(await at({ remote: here })).toBe("192.0.2.20");
    expect(await at({ local: six, remote: here })).toBe(449);
    expect(await at({ realm: "guests", local: six, remote: here })).toBe(449);

    const made = await pairOn(on, stream("RTP/AVP", { realm: "guests" }));
    expect(code(await change(on, made, "access", { realm: "guests" }))).toBeUndefined();
    expect(code(await change(on, made, "access", { realm: "outside" }))).toBe(449);
  });
});

describe("invariant 9: end-to-end media security passes through", () => {
  const kinds = (on: Desk) => [1, 2].map((leg) => on.plane.plans.get(leg)?.protection.kind);

  it("TS 33.328 5.3: RTP/SAVP on both sides without a key for the gateway is forwarded as it is", async () => {
    const on = makeDesk();
    const made = await pairOn(on, stream("RTP/SAVP"), stream("RTP/SAVP"));
    expect(kinds(on)).toEqual(["transparent", "transparent"]);
    await change(on, made, "access", { mode: "send-receive", remote: heard });
    expect(kinds(on)).toEqual(["transparent", "transparent"]);
  });

  it("invariant 3: a key for the gateway ends the passing through, and so does RTP/AVP on the other side", async () => {
    const on = makeDesk();
    const made = await pairOn(on, stream("RTP/SAVP"), stream("RTP/SAVP"));
    const clear = { kind: "describe", text: local("RTP/AVP") } as const;
    await change(on, made, "core", { local: clear });
    expect(kinds(on)).toEqual(["awaiting-keys", "clear"]);
    await change(on, made, "core", { local: { kind: "describe", text: local("RTP/SAVP") } });
    expect(kinds(on)).toEqual(["transparent", "transparent"]);
    await change(on, made, "access", {
      local: { kind: "describe", text: { ...local("RTP/SAVP"), crypto: cryptoOf(0x12) } },
      remote: { kind: "describe", text: { ...remote("RTP/SAVP"), crypto: cryptoOf(0x11) } },
    });
    expect(kinds(on)).toEqual(["srtp", "awaiting-keys"]);
  });
});

describe("limits", () => {
  it("H.248.1 errors 412 and 510: contexts and memory are refused when used up, emergency calls have a reserve, both recover", async () => {
    let room = true;
    const on = makeDesk({ maxContexts: 2, emergencyReserve: 1, shortage: () => (room ? undefined : "memory budget") });
    const add = async (emergency: boolean) => {
      const added = await on.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")], { emergency }));
      return added.ok ? added.value.context : added.error.code;
    };
    const first = await add(false);
    room = false;
    expect(await add(false)).toBe(510);
    const urgent = await add(true);
    room = true;
    expect(await add(false)).toBe(412);
    expect(await add(true)).toBe(3);
    expect(await add(true)).toBe(412);
    expect(on.contexts.refused).toBe(3);
    for (const context of [first, urgent]) await on.contexts.handler.subtract({ context, termination: "*" });
    expect(await add(false)).toBe(4);
    await on.contexts.handler.clear();
    expect([on.contexts.size, on.plane.legs, on.contexts.places().length]).toEqual([0, 0, 0]);
  });

  it("H.248.1 error 510: no ports, nothing left, and the next Add finds what became free", async () => {
    const on = makeDesk();
    on.plane.failOpenAfter(1);
    const made = await on.contexts.handler.add(
      addTo("access", "new", [stream("RTP/SAVP"), { ...stream("RTP/SAVP"), stream: 2 }]),
    );
    expect(code(made)).toBe(510);
    expect([on.contexts.size, on.plane.legs, on.contexts.refused]).toEqual([0, 0, 1]);
    on.plane.failOpenAfter(Infinity);
    await pairOn(on);
    expect(on.plane.legs).toBe(2);
  });

  it("H.248.1 6.1.1: emergency, priority and IEPS are the context's, and can be changed", async () => {
    const on = makeDesk();
    const marks = { emergency: true, priority: 9, ieps: true };
    await on.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")], marks));
    expect(on.contexts.handler.contexts()[0]).toMatchObject(marks);
    on.contexts.handler.mark?.(1, { emergency: false });
    on.contexts.handler.mark?.(99, { emergency: true });
    expect(on.contexts.handler.contexts()[0]).toMatchObject({ emergency: false, priority: 9 });
  });

  it("H.248.10, H.248.41 Amd. 1: each is told when it changes: congestion in steps, realms that go and come", () => {
    const look = { contexts: 0, maxContexts: 100, addresses: new Set(["192.0.2.20"]) };
    const faces = [
      { address: "192.0.2.20", realm: "a" },
      { address: "192.0.2.21", realm: "a" },
      { address: "192.0.2.22", realm: "b" },
    ];
    const steps = [
      look,
      { ...look, contexts: 89 },
      { ...look, contexts: 90 },
      { ...look, contexts: 90 },
      { ...look, contexts: 100 },
      { ...look, contexts: 3, addresses: new Set(["192.0.2.21", "192.0.2.22"]) },
      { ...look, contexts: 3, addresses: new Set<string>() },
    ];
    let told = nothingTold;
    const events = steps.map((step) => {
      const seen = lookAt(told, step, faces);
      told = seen.told;
      return seen.events;
    });
    expect(events).toEqual([
      [{ kind: "realms", available: [], unavailable: ["b"] }],
      [],
      [{ kind: "congestion", reduction: 10 }],
      [],
      [{ kind: "congestion", reduction: 100 }],
      [
        { kind: "congestion", reduction: 0 },
        { kind: "realms", available: ["b"], unavailable: [] },
      ],
      [{ kind: "realms", available: [], unavailable: ["a", "b"] }],
    ]);
  });
});

describe("reports", () => {
  const watched = async (order: Parameters<typeof watching>[0]) => {
    const on = makeDesk();
    const made = await pairOn(on);
    await on.contexts.handler.modify({
      context: made.context,
      termination: made.access,
      streams: [],
      latch: [],
      watch: watching(order),
    });
    const told: string[] = [];
    let clear = 0;
    const watch = watchPlane({
      clock: on.clock,
      log: silentLog,
      plane: { events: () => on.plane.events(), counters: (): LegCounters => ({ ...zero, clearDropped: clear }) },
      everyMs: 100,
      place: (leg) => on.contexts.place(leg),
      watched: () => on.contexts.watched(),
      notify: async ({ name, parameters, request, stream: number, termination }) => {
        told.push(`${request} ${termination} ${number ?? "-"} ${name} ${JSON.stringify(parameters ?? {})}`);
      },
    });
    return {
      on,
      made,
      told,
      watch,
      clear: (count: number) => {
        clear = count;
      },
    };
  };

  it("H.248.36 hangterm/thb: told after the time without a command about the termination, and again after as long", async () => {
    const { made, on, told, watch } = await watched({ hangingMs: 5000 });
    on.clock.advance(4900);
    on.contexts.handler.touched?.(made.context, "ip/1/access/*");
    on.clock.advance(4900);
    expect(told).toEqual([]);
    on.clock.advance(200);
    expect(told).toEqual(["5 ip/1/access/1 - hangterm/thb {}"]);
    on.clock.advance(5100);
    expect(told).toHaveLength(2);
    await on.contexts.handler.subtract({ context: made.context, termination: made.access });
    on.clock.advance(20_000);
    expect(told).toHaveLength(2);
    expect(on.contexts.watched().size).toBe(0);
    watch.close();
  });

  it("TS 33.328 6.2.1: clear media on a protected leg is told from the second packet on; one at the start is only counted", async () => {
    const { clear, on, told, watch } = await watched({ clearMedia: true });
    clear(1);
    on.plane.happen({ kind: "alarm", leg: 1, what: "clear-on-protected", count: 1 });
    on.clock.advance(300);
    expect(told).toEqual([]);
    clear(4);
    on.clock.advance(100);
    expect(told).toEqual(['5 ip/1/access/1 1 xsrtp/clear {"count":"4"}']);
    on.clock.advance(1000);
    expect(told).toHaveLength(1);
    on.plane.happen({ kind: "alarm", leg: 1, what: "clear-on-protected", count: 9 });
    on.clock.advance(100);
    expect(told).toHaveLength(2);
    watch.close();
  });

  it("RFC 3711 9.2: a key near its end and a key that is spent are told to whoever asked, and to nobody else", async () => {
    const both = { keyExpiring: true, bearer: true };
    for (const order of [both, {}]) {
      const { on, told, watch } = await watched(order);
      on.plane.happen({ kind: "key-expiring", leg: 1, direction: "in" });
      on.plane.happen({ kind: "key-expiring", leg: 2, direction: "out" });
      on.plane.happen({ kind: "alarm", leg: 1, what: "lifetime", count: 1 });
      on.clock.advance(100);
      expect(told).toEqual(
        order === both
          ? [
              '5 ip/1/access/1 1 xsrtp/kexp {"dir":"IN"}',
              '5 ip/1/access/1 1 g/cause {"Generalcause":"FT","Failurecause":"media key spent"}',
            ]
          : [],
      );
      watch.close();
    }
  });

  it("H.248.1 E.11, E.12: statistics: what was lost as a share, delay only where the clock is known, proof of protection", () => {
    const counters = {
      ...zero,
      rtpIn: 97,
      lost: 3,
      jitter: 12,
      roundTripMs: 40,
      carriedForward: 2,
      rocTrials: 1,
      policed: 5,
    };
    expect(statisticsOf(counters, 2000, ["8", "101"])).toMatchObject({
      "nt/dur": "2000",
      "rtp/pr": "97",
      "rtp/pl": "3",
      "rtp/jit": "12",
      "rtp/delay": "160",
      "xsrtp/lost": "3",
      "xsrtp/rtt": "40",
      "xsrtp/cf": "2",
      "xsrtp/rt": "1",
      "xsrtp/pd": "5",
    });
    expect(statisticsOf(counters, 2000, ["96"])).not.toHaveProperty("rtp/delay");
    expect(statisticsOf({ ...counters, rtpIn: 2, lost: 1 }, 1)["rtp/pl"]).toBe("33.33");
    expect(statisticsOf(zero, 1)["rtp/pl"]).toBe("0");
  });
});
