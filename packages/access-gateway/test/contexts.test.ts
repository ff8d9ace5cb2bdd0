// Contexts and terminations on a plane without sockets: limits, names, all or nothing, what a failure leaves behind.
import type { H248Error } from "@sallyport/h248";
import type { AddRequest, SessionText, StreamOrder, WatchOrder } from "@sallyport/iq";
import { readSessionText } from "@sallyport/iq";
import type { Result } from "@sallyport/kit";
import { VirtualClock, silentLog } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import type { Contexts } from "../src/contexts.ts";
import { createContexts, type ContextsOptions } from "../src/contexts.ts";
import { eventFor, watchPlane } from "../src/watch.ts";
import type { PaperPlane } from "./plane.ts";
import { paperPlane } from "./plane.ts";
import { cryptoOf, must } from "./rig.ts";

const make = (more: Partial<ContextsOptions> = {}): { contexts: Contexts; plane: PaperPlane; clock: VirtualClock } => {
  const plane = paperPlane();
  const clock = new VirtualClock(1000);
  const contexts = createContexts({
    plane,
    clock,
    interfaces: { access: [{ address: "192.0.2.20", realm: "outside" }], core: [{ address: "10.0.0.20" }] },
    maxContexts: 10,
    maxStreams: 4,
    ...more,
  });
  return { contexts, plane, clock };
};

const watching = (more: Partial<WatchOrder>): WatchOrder => ({
  request: 5,
  inactivity: [],
  bearer: false,
  keyExpiring: false,
  clearMedia: false,
  events: [],
  ...more,
});

const text = (lines: string): SessionText => {
  const read = readSessionText(lines);
  if (!read.ok) throw new Error(read.error.text);
  return read.value;
};

const local = (protocol: string, extra = ""): SessionText => text(`v=0\nc=IN IP4 $\nm=audio $ ${protocol} -\n${extra}`);
const remote = (protocol: string, extra = "", address = "198.51.100.7", port = 5000): SessionText =>
  text(`v=0\nc=IN IP${address.includes(":") ? 6 : 4} ${address}\nm=audio ${port} ${protocol} -\n${extra}`);

const stream = (protocol: string, more: Partial<StreamOrder> = {}): StreamOrder => ({
  stream: 1,
  local: { kind: "describe", text: local(protocol) },
  ...more,
});

const addTo = (side: "access" | "core", context: number | "new", streams: readonly StreamOrder[]): AddRequest => ({
  context,
  emergency: false,
  name: { side, group: 1 },
  streams,
  latch: [],
});

const code = (result: Result<unknown, H248Error>): number | undefined => (result.ok ? undefined : result.error.code);

const pair = async ({ contexts }: { contexts: Contexts }) => {
  const access = await contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")]));
  if (!access.ok) throw new Error(access.error.text);
  const core = await contexts.handler.add(addTo("core", access.value.context, [stream("RTP/AVP")]));
  if (!core.ok) throw new Error(core.error.text);
  return { context: access.value.context, access: access.value, core: core.value };
};

const keyed = (fillLocal = 0x12, fillRemote = 0x11): StreamOrder => ({
  stream: 1,
  mode: "send-receive",
  local: { kind: "describe", text: { ...local("RTP/SAVP"), crypto: cryptoOf(fillLocal) } },
  remote: { kind: "describe", text: { ...remote("RTP/SAVP"), crypto: cryptoOf(fillRemote) } },
});

const modify = (on: Contexts, context: number, termination: string, ...streams: readonly StreamOrder[]) =>
  on.handler.modify({ context, termination, streams, latch: [] });

describe("contexts", () => {
  it("H.248.1 6.1: two terminations, joined stream by stream; the context goes with the last", async () => {
    const on = make();
    const made = await pair(on);
    expect(made.access.termination).toBe("ip/1/access/1");
    expect(made.core.termination).toBe("ip/1/core/2");
    expect(on.plane.joined).toEqual([[1, 2]]);
    expect(on.plane.plans.get(1)).toMatchObject({
      protection: { kind: "awaiting-keys" },
      mode: "inactive",
      address: "192.0.2.20",
    });
    expect(on.plane.plans.get(2)).toMatchObject({ protection: { kind: "clear" }, address: "10.0.0.20" });
    await on.contexts.handler.subtract({ context: made.context, termination: made.access.termination });
    expect([on.contexts.size, on.contexts.terminations, on.plane.legs]).toEqual([1, 1, 1]);
    await on.contexts.handler.subtract({ context: made.context, termination: "*" });
    expect([on.contexts.size, on.contexts.terminations, on.plane.legs]).toEqual([0, 0, 0]);
  });

  it("H.248.1 error 412: no more contexts than configured; one that ends makes room", async () => {
    const on = make({ maxContexts: 1 });
    const made = await pair(on);
    expect(code(await on.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")])))).toBe(412);
    await on.contexts.handler.subtract({ context: made.context, termination: "*" });
    expect(code(await on.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")])))).toBeUndefined();
  });

  it("H.248.11 8.1: an emergency context that is taken in spite of a shortage says so, so that its controller is told", async () => {
    let short: string | undefined;
    const on = make({ maxContexts: 2, emergencyReserve: 5, shortage: () => short });
    const add = async (emergency: boolean) => {
      const added = await on.contexts.handler.add({ ...addTo("access", "new", [stream("RTP/SAVP")]), emergency });
      return added.ok ? (added.value.pressed ?? false) : added.error.code;
    };
    expect(await add(true)).toBe(false);
    short = "memory budget";
    expect([await add(false), await add(true)]).toEqual([510, true]);
    short = undefined;
    expect([await add(false), await add(true)]).toEqual([412, true]);
  });

  it("IANA error 434: one termination on each side", async () => {
    const on = make();
    const made = await pair(on);
    expect(code(await on.contexts.handler.add(addTo("core", made.context, [stream("RTP/AVP")])))).toBe(434);
    expect(on.plane.legs).toBe(2);
  });

  it("H.248.1 errors 411, 430, 431 and 435: what is not there, and what is elsewhere", async () => {
    const on = make();
    const one = await pair(on);
    const two = await pair(on);
    const { handler } = on.contexts;
    expect(code(await handler.add(addTo("core", 99, [stream("RTP/AVP")])))).toBe(411);
    expect(code(await modify(on.contexts, 99, one.access.termination))).toBe(411);
    expect(code(await handler.subtract({ context: 99, termination: "*" }))).toBe(411);
    expect(code(await modify(on.contexts, one.context, "ip/1/access/77"))).toBe(430);
    expect(code(await handler.subtract({ context: one.context, termination: "ip/1/access/77" }))).toBe(430);
    expect(code(await handler.subtract({ context: one.context, termination: "ip/2/*/*" }))).toBe(431);
    expect(code(await modify(on.contexts, one.context, two.access.termination))).toBe(435);
    expect(code(await modify(on.contexts, one.context, one.access.termination.toUpperCase()))).toBeUndefined();
    expect(on.contexts.terminations).toBe(4);
  });

  it("invariant 10: error 510, no ports, in words: neither context nor leg is left, whichever stream failed", async () => {
    for (const opens of [0, 1, 2]) {
      const on = make();
      on.plane.failOpenAfter(opens);
      const streams = [1, 2, 3].map((id) => stream("RTP/SAVP", { stream: id }));
      expect(await on.contexts.handler.add(addTo("access", "new", streams))).toMatchObject({
        ok: false,
        error: { code: 510, text: "No pair of media ports is free. (SALLY_PLANE_PORTS)" },
      });
      expect([on.contexts.size, on.plane.legs]).toEqual([0, 0]);
    }
  });

  it("H.248.1 error 510: no more streams than configured, counted over commands", async () => {
    const on = make({ maxStreams: 2 });
    const made = await pair(on);
    const more = [2, 3].map((id) => stream("RTP/SAVP", { stream: id }));
    expect(code(await modify(on.contexts, made.context, made.access.termination, ...more))).toBe(510);
    expect(on.plane.legs).toBe(2);
    const swap = [
      stream("RTP/SAVP", { stream: 2 }),
      stream("RTP/SAVP", { stream: 3 }),
      { stream: 1, local: { kind: "release" } } as const,
    ];
    expect(code(await modify(on.contexts, made.context, made.access.termination, ...swap))).toBeUndefined();
    expect(on.plane.legs).toBe(3);
  });

  it.each([
    ["127.0.0.1", 449],
    ["127.8.9.10", 449],
    ["224.0.0.5", 449],
    ["239.255.255.250", 449],
    ["255.255.255.255", 449],
    ["0.1.2.3", 449],
    ["::ffff:127.0.0.1", 449],
    ["::1", 449],
    ["ff02::1", 449],
    ["198.51.100.7", undefined],
    // Hold as RFC 2543 wrote it: nothing is sent.
    ["0.0.0.0", undefined],
  ])(
    "TS 29.334 5.17.1: a Remote that would have the gateway speak to itself or to everybody: %s: %s",
    async (address, code_) => {
      const on = make();
      const at = (text: object) => ({ kind: "describe", text: { ...remote("RTP/AVP"), ...text } }) as const;
      const order = (text: object): StreamOrder => ({ ...stream("RTP/AVP"), remote: at(text) });
      const add = (text: object) => on.contexts.handler.add(addTo("core", "new", [order(text)]));
      expect(code(await add({ address: { kind: "given", value: address } }))).toBe(code_);
      const rtcp = { port: { kind: "given", value: 5077 }, address };
      expect(code(await add({ rtcp }))).toBe(address === "0.0.0.0" ? 449 : code_);
      expect([...on.plane.plans.values()].filter((plan) => plan.remote?.address === "0.0.0.0")).toEqual([]);
    },
  );

  it.each([
    ["::ffff:198.51.100.7", 449],
    ["0:0:0:0:0:FFFF:c633:6407", 449],
    ["fe80::1%eth0", 449],
    ["2001:db8::7", undefined],
  ])(
    "RFC 4291 2.5.5.2, RFC 4007 11: what no IPv6 socket sends to is told at once, not by silence: %s: %s",
    async (address, code_) => {
      const on = make({ interfaces: { access: [{ address: "2001:db8::20" }], core: [{ address: "2001:db8::21" }] } });
      const text = { ...remote("RTP/AVP"), address: { kind: "given", value: address } } as const;
      const local = {
        kind: "describe",
        text: { ...remote("RTP/AVP"), address: { kind: "choose" }, port: { kind: "choose" } },
      } as const;
      const order: StreamOrder = { stream: 1, local, remote: { kind: "describe", text } };
      expect(code(await on.contexts.handler.add(addTo("core", "new", [order])))).toBe(code_);
    },
  );

  it("invariant 10: contexts cleared while a port is being bound leave nothing", async () => {
    const on = make();
    const release = on.plane.hold();
    const adding = on.contexts.handler.add(addTo("access", "new", [stream("RTP/SAVP")]));
    await on.contexts.handler.clear();
    release();
    expect(code(await adding)).toBe(411);
    expect([on.contexts.size, on.plane.legs]).toEqual([0, 0]);
  });

  it("H.248.1 8.3: a Modify that fails on one stream has changed none and keeps the old keys", async () => {
    const on = make();
    const made = await pair(on);
    await modify(on.contexts, made.context, made.access.termination, keyed());
    const before = new Map(on.plane.plans);
    on.plane.failUpdateAfter(0);
    const both = [keyed(0x22, 0x21), stream("RTP/SAVP", { stream: 2 })];
    expect(code(await modify(on.contexts, made.context, made.access.termination, ...both))).toBe(449);
    expect(on.plane.plans.get(1)).toEqual(before.get(1));
    expect(on.plane.legs).toBe(2);
    const view = must(on.contexts.places().find(({ side }) => side === "access")).stream.state;
    expect(view.cryptos.local?.keys[0]?.master.use((octets) => octets[0])).toBe(0x12);
    // An error that is found before the plane is asked changes nothing either.
    const wrong = {
      stream: 2,
      local: {
        kind: "describe",
        text: local("RTP/AVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:EhISEhISEhISEhISEhISEhISEhISEhISEhISEhIS"),
      },
    } as const;
    expect(code(await modify(on.contexts, made.context, made.access.termination, keyed(0x32, 0x31), wrong))).toBe(473);
    expect(on.plane.plans.get(1)).toEqual(before.get(1));
  });

  it("H.248.1 8.3: what a Modify had changed before it failed is put back", async () => {
    const on = make();
    const made = await pair(on);
    const second = (local: number, remote: number): StreamOrder => ({ ...keyed(local, remote), stream: 2 });
    const third = stream("RTP/SAVP", { stream: 3 });
    const to = (...orders: readonly StreamOrder[]) =>
      modify(on.contexts, made.context, made.access.termination, ...orders);
    await to(stream("RTP/SAVP", { stream: 2 }));
    await to(keyed(0x12, 0x11), second(0x14, 0x13));
    const before = new Map(on.plane.plans);
    on.plane.failUpdateAfter(1);
    expect(code(await to({ ...keyed(0x22, 0x21), mode: "send-only" }, second(0x24, 0x23), third))).toBe(449);
    expect(new Map(on.plane.plans)).toEqual(before);
    expect(on.contexts.places().filter(({ side }) => side === "access")).toHaveLength(2);
  });

  it("invariant 7: keys that are replaced, or whose termination ends, are zeroised", async () => {
    const on = make();
    const made = await pair(on);
    const first = keyed();
    const second = keyed(0x22, 0x21);
    const keysOf = (order: StreamOrder) =>
      [order.local, order.remote].map((text) =>
        must(text?.kind === "describe" ? text.text.crypto?.keys[0]?.master : undefined),
      );
    await modify(on.contexts, made.context, made.access.termination, first);
    expect(keysOf(first).map((key) => key.released)).toEqual([false, false]);
    await modify(on.contexts, made.context, made.access.termination, second);
    expect(keysOf(first).map((key) => key.released)).toEqual([true, true]);
    await on.contexts.handler.subtract({ context: made.context, termination: "*" });
    expect(keysOf(second).map((key) => key.released)).toEqual([true, true]);
  });
});

describe("streams", () => {
  it("RFC 3711 3.3.1: the same keys again are not handed to the plane, other keys are", async () => {
    const on = make();
    const made = await pair(on);
    await modify(on.contexts, made.context, made.access.termination, keyed());
    await modify(on.contexts, made.context, made.access.termination, keyed());
    await modify(on.contexts, made.context, made.access.termination, keyed(0x22, 0x21));
    expect(on.plane.updates.map(({ change }) => "protection" in change)).toEqual([true, false, true]);
  });

  it("RFC 4568 and TS 33.328 7.2.1: the key of Local is sent with, the key of Remote is received with", async () => {
    const on = make();
    const made = await pair(on);
    await modify(on.contexts, made.context, made.access.termination, keyed(0x12, 0x11));
    const { protection } = must(on.plane.plans.get(1));
    if (protection.kind !== "srtp") throw new Error(protection.kind);
    expect(protection.send.master.use((octets) => octets[0])).toBe(0x12);
    expect(protection.receive.map((key) => key.master.use((octets) => octets[0]))).toEqual([0x11]);
    expect(protection.suite).toBe("AES_CM_128_HMAC_SHA1_80");
  });

  it("H.248.1 error 472: configured and opened with the key of one direction only", async () => {
    const on = make();
    const made = await pair(on);
    const half: StreamOrder = { ...keyed(), remote: { kind: "describe", text: remote("RTP/SAVP") } };
    const result = await modify(on.contexts, made.context, made.access.termination, half);
    expect(code(result)).toBe(472);
    expect(result.ok ? "" : result.error.text).toBe("a=crypto in Remote");
    // Reserved with the UE's key, the other still to come: that is how an originating call begins.
    expect(
      code(await modify(on.contexts, made.context, made.access.termination, { ...half, mode: "inactive" })),
    ).toBeUndefined();
    expect(must(on.plane.plans.get(1)).protection.kind).toBe("awaiting-keys");
  });

  const refusals: readonly (readonly [string, number, string, StreamOrder])[] = [
    ["a realm this side is not in", 449, "ipdc/realm=inside", stream("RTP/SAVP", { realm: "inside" })],
    [
      "transports that contradict",
      473,
      "RTP/SAVP in Local, RTP/AVP in Remote",
      stream("RTP/SAVP", { remote: { kind: "describe", text: remote("RTP/AVP") } }),
    ],
    ["no RTCP without multiplexing", 449, "rtcph/rsb=OFF without a=rtcp-mux", stream("RTP/SAVP", { rtcp: false })],
    [
      "another address family",
      449,
      "Remote c= 2001:db8::1",
      stream("RTP/SAVP", { remote: { kind: "describe", text: remote("RTP/SAVP", "", "2001:db8::1") } }),
    ],
    [
      "RTCP elsewhere",
      449,
      "Remote a=rtcp address 2001:db8::8",
      stream("RTP/SAVP", {
        remote: { kind: "describe", text: remote("RTP/SAVP", "a=rtcp:5001 IN IP6 2001:db8::8\n") },
      }),
    ],
    [
      "RTCP beyond the last port",
      449,
      "Remote port 65535 without a=rtcp",
      stream("RTP/SAVP", { remote: { kind: "describe", text: remote("RTP/SAVP", "", "198.51.100.7", 65_535) } }),
    ],
    [
      "an address we did not choose",
      449,
      "Local c= 192.0.2.99",
      { stream: 1, local: { kind: "describe", text: text("v=0\nc=IN IP4 192.0.2.99\nm=audio $ RTP/SAVP 0") } },
    ],
    [
      "a port we did not choose",
      449,
      "Local port 4000",
      { stream: 1, local: { kind: "describe", text: text("v=0\nc=IN IP4 $\nm=audio 4000 RTP/SAVP 0") } },
    ],
    [
      "neither address nor port",
      441,
      "Local without address and port",
      { stream: 1, local: { kind: "describe", text: text("v=0\nc=IN IP4 -\nm=audio - RTP/SAVP 0") } },
    ],
  ];

  it.each(refusals)(
    "TS 29.334 5.17.1: %s is refused with %i and %s, at Add and at Modify",
    async (_title, expected, words, order) => {
      const on = make();
      const added = await on.contexts.handler.add(addTo("access", "new", [order]));
      expect([code(added), added.ok ? "" : added.error.text]).toEqual([expected, words]);
      expect([on.contexts.size, on.plane.legs]).toEqual([0, 0]);
      const made = await pair(on);
      const changed = await modify(on.contexts, made.context, made.access.termination, order);
      expect([code(changed), changed.ok ? "" : changed.error.text]).toEqual([expected, words]);
    },
  );

  it("H.248.1 7.1.8: `$` in a Modify keeps what was chosen and says so; an explicit repetition is silent", async () => {
    const on = make();
    const made = await pair(on);
    const [chosen] = made.access.chosen;
    const again = await modify(on.contexts, made.context, made.access.termination, stream("RTP/SAVP"));
    expect(again.ok && again.value[0]?.local).toEqual(must(chosen).local);
    const explicit = text("v=0\nc=IN IP4 192.0.2.20\nm=audio 40002 RTP/SAVP -\na=rtcp:40003");
    const silent = await modify(on.contexts, made.context, made.access.termination, {
      stream: 1,
      local: { kind: "describe", text: explicit },
    });
    expect(silent).toEqual({ ok: true, value: [] });
  });

  it("RFC 5761 5.1.1: multiplexed only where both descriptions say so; RFC 3264 8.2: port 0 is nowhere", async () => {
    const on = make();
    const made = await pair(on);
    const order = (localExtra: string, remoteExtra: string, port = 5000): StreamOrder => ({
      stream: 1,
      local: { kind: "describe", text: local("RTP/SAVP", localExtra) },
      remote: { kind: "describe", text: remote("RTP/SAVP", remoteExtra, "198.51.100.7", port) },
    });
    const planAfter = async (change: StreamOrder) => {
      await modify(on.contexts, made.context, made.access.termination, change);
      return must(on.plane.plans.get(1));
    };
    expect(await planAfter(order("a=rtcp-mux\n", "a=rtcp-mux\n"))).toMatchObject({
      rtcp: "mux",
      remote: { rtpPort: 5000, rtcpPort: 5000 },
    });
    expect(await planAfter(order("a=rtcp-mux\n", ""))).toMatchObject({ rtcp: "separate", remote: { rtcpPort: 5001 } });
    expect(await planAfter(order("", "a=rtcp:5077\n"))).toMatchObject({ rtcp: "separate", remote: { rtcpPort: 5077 } });
    // RFC 3605: RTCP may be at another address; with rtcp-mux it is where RTP is.
    const elsewhere = "a=rtcp:5077 IN IP4 198.51.100.8\n";
    expect(await planAfter(order("", elsewhere))).toMatchObject({
      remote: { address: "198.51.100.7", rtcpPort: 5077, rtcpAddress: "198.51.100.8" },
    });
    const muxed = await planAfter(order("a=rtcp-mux\n", `a=rtcp-mux\n${elsewhere}`));
    expect(muxed.remote).toEqual({ address: "198.51.100.7", rtpPort: 5000, rtcpPort: 5000 });
    expect((await planAfter(order("", "", 0))).remote).toBeUndefined();
  });

  it("H.248.37 and H.248.40: latching and inactivity reach the stream they name, or all", async () => {
    const on = make();
    const made = await pair(on);
    await modify(on.contexts, made.context, made.access.termination, stream("RTP/SAVP", { stream: 2 }));
    const { handler } = on.contexts;
    const order = { context: made.context, termination: made.access.termination, streams: [] };
    await handler.modify({
      ...order,
      latch: [{ napt: "latch" }],
      watch: watching({ inactivity: [{ stream: 2, afterMs: 9000, direction: "in" }] }),
    });
    const plans = () =>
      on.contexts
        .places()
        .filter(({ side }) => side === "access")
        .map(({ stream: { leg } }) => must(on.plane.plans.get(leg)));
    expect(plans().map(({ latch, inactivityMs }) => [latch, inactivityMs])).toEqual([
      ["latch", undefined],
      ["latch", 9000],
    ]);
    await handler.modify({ ...order, latch: [{ napt: "off", stream: 2 }], watch: watching({ request: 6 }) });
    expect(plans().map(({ latch, inactivityMs }) => [latch, inactivityMs])).toEqual([
      ["latch", undefined],
      ["off", undefined],
    ]);
    const [place] = on.contexts.places();
    expect(eventFor({ kind: "inactive", leg: 1, direction: "in" }, must(place))).toBeUndefined();
  });
});

describe("events of the plane", () => {
  it("H.248.40: silence is told only in the direction asked for, and to the controller; alarms go to the log", async () => {
    const on = make();
    const made = await pair(on);
    const told: unknown[] = [];
    await on.contexts.handler.modify({
      context: made.context,
      termination: made.access.termination,
      streams: [],
      latch: [],
      watch: watching({ inactivity: [{ stream: 1, afterMs: 9000, direction: "in" }] }),
    });
    const watch = watchPlane({
      clock: on.clock,
      log: silentLog,
      plane: on.plane,
      everyMs: 100,
      place: (leg) => on.contexts.place(leg),
      watched: () => on.contexts.watched(),
      notify: async (event) => void told.push(event),
    });
    on.plane.happen({ kind: "inactive", leg: 1, direction: "out" });
    on.plane.happen({ kind: "inactive", leg: 2, direction: "in" });
    on.plane.happen({ kind: "inactive", leg: 77, direction: "in" });
    on.plane.happen({ kind: "alarm", leg: 1, what: "authentication", count: 3 });
    on.plane.happen({ kind: "inactive", leg: 1, direction: "in" });
    on.clock.advance(100);
    expect(told).toEqual([
      {
        context: made.context,
        termination: made.access.termination,
        request: 5,
        name: "adid/ipstop",
        stream: 1,
        parameters: { dir: "IN" },
      },
    ]);
    watch.close();
    on.clock.advance(1000);
    expect(on.clock.waiting).toBe(0);
  });
});
