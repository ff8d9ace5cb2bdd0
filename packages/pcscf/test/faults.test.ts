// Errors nobody foresaw, put in on purpose: what they end, what is told of them, and that nothing is left.
import { afterEach, describe, expect, it } from "vitest";
import { memoryLog, VirtualClock } from "@sallyport/kit";
import type { IqContext } from "@sallyport/iq";
import { headerValue } from "@sallyport/sip";
import { createGatewayWork } from "../src/call/gateway-work.ts";
import { createCounters } from "../src/counters.ts";
import { createFaults } from "../src/faults.ts";
import type { GatewayPort, GatewayReply } from "../src/iq/gateway-port.ts";
import { establishOriginating, originate } from "./support/calls.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueOffer } from "./support/sdp.ts";

/** How many of the next uses of the edge's randomness fail, after how many that do not. */
const broken = { times: 0, after: 0 };
let scenario: Scenario;
let alice: TestUe;
let opened = false;

const open = async (): Promise<void> => {
  broken.times = 0;
  broken.after = 0;
  scenario = await openScenario({
    random: (seeded) => ({
      bytes: (length) => {
        if (broken.times > 0 && broken.after-- <= 0) {
          broken.times -= 1;
          throw new RangeError("out of randomness");
        }
        return seeded.bytes(length);
      },
    }),
  });
  opened = true;
  alice = await scenario.ue("alice");
  await alice.register();
};
afterEach(async () => {
  if (opened) await scenario.close();
  opened = false;
});

const faults = () =>
  scenario.edge
    .counters()
    .filter(({ name }) => name === "faults_total")
    .map(({ labels, value }) => [labels["place"], labels["code"], value]);
const nothingLeft = async (): Promise<void> => {
  await until(() => scenario.iq.open.size === 0 && scenario.edge.counts().calls === 0, "nothing left");
  expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  scenario.clock.advance(70_000);
  await until(() => scenario.edge.calls()[0]?.phase === "ended", "the view");
  expect(scenario.edge.counts().transactions).toBe(0);
};
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;

describe("a call in which an error of ours shows", () => {
  it("invariant 10: after the gateway's reply: the caller hears 503, the context goes back, the log has code and call", async () => {
    await open();
    scenario.iq.hold();
    await originate(scenario, alice, { callId: "plain", body: coreSdp() });
    const call = alice.send(alice.request("INVITE", "sip:carol@far.example", { callId: "secured", body: ueOffer() }));
    await until(() => scenario.iq.commands.length === 1, "the Add");
    broken.times = 1;
    scenario.iq.release();
    expect((await call.final()).status).toBe(503);
    await until(() => scenario.iq.open.size === 0, "the context");
    expect(faults()).toEqual([["call", "RangeError", 1]]);
    const told = scenario.logs.find(({ event }) => event === "fault");
    const view = scenario.edge.calls().find(({ callId }) => callId === "secured");
    expect(told).toMatchObject({ level: "error", fields: { place: "call", code: "RangeError", call: view?.id } });
    expect(view?.ended).toEqual({ reason: "internal-error", detail: "RangeError" });
    // The other call of the same UE has nothing to do with it.
    expect(scenario.edge.calls().find(({ callId }) => callId === "plain")?.phase).toBe("setup");
  });

  it("RFC 3261 15: in a running call: BYE to both sides with the reason, the context goes back", async () => {
    await open();
    const dialog = await establishOriginating(scenario, alice);
    broken.times = 1;
    const offer = scenario.core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2 })));
    expect((await offer.final()).status).toBe(503);
    for (const peer of [alice, scenario.core]) {
      const bye = await peer.expect("BYE");
      expect(headerValue(bye.request, "reason")).toBe('SIP;cause=503;text="Service Unavailable"');
      peer.respond(bye, 200);
    }
    await nothingLeft();
  });

  it("invariant 10: one that shows again while the call is ended: whoever waits hears 503, the context goes back", async () => {
    await open();
    const { sent, arrived } = await originate(scenario, alice);
    // What needs randomness next is the key towards the UE, then the tag of the answer that ends the call.
    broken.times = 2;
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
    expect((await sent.final()).status).toBe(503);
    // RFC 3261 13.2.2.4: the far end had answered.
    expect((await scenario.core.acks.next()).method).toBe("ACK");
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await nothingLeft();
    expect(faults()[0]?.slice(0, 2)).toEqual(["call", "RangeError"]);
  });

  it("RFC 3261 8.2: a request that makes no call yet is answered 500, and the edge goes on", async () => {
    await open();
    broken.times = 1;
    const sent = alice.send(alice.request("INVITE", "sip:carol@far.example", { body: coreSdp() }));
    expect((await sent.final()).status).toBe(500);
    expect(faults()).toEqual([["request", "RangeError", 1]]);
    await originate(scenario, alice, { callId: "another" });
  });
});

describe("the gateway's port", () => {
  const context: IqContext = { gateway: "gw-a", context: 7, access: "ip/1/7", core: "ip/2/7" };
  const made: GatewayReply = { ok: true, context, access: [], core: [] };
  const work = (port: Partial<GatewayPort>) => {
    const { log, records } = memoryLog();
    const counters = createCounters();
    const released: number[] = [];
    const gateway: GatewayPort = {
      carryOut: async () => made,
      describe: () => undefined,
      release: async ({ context: id }) => {
        released.push(id);
        return undefined;
      },
      ...port,
    };
    const faults = createFaults(log, counters);
    const media = createGatewayWork({
      call: "c",
      gateway,
      marks: {},
      family: () => "IP4",
      log,
      faults,
      held: undefined,
    });
    return { media, records, released, counters };
  };
  const plan = { context: "new", streams: [], remove: [] } as const;

  it("that fails as it never should is a refusal to whoever waits", async () => {
    const { media, records, counters } = work({
      carryOut: () => Promise.reject(new TypeError("undefined is no function")),
    });
    const replies: GatewayReply[] = [];
    media.carryOut(plan, (reply) => replies.push(reply));
    await media.settled();
    expect(replies).toEqual([{ ok: false, status: 500, code: "TypeError" }]);
    expect(counters.snapshot()).toEqual([
      { name: "faults_total", labels: { place: "gateway", code: "TypeError" }, value: 1 },
    ]);
    expect(records).toMatchObject([{ level: "error", event: "fault", fields: { place: "gateway", call: "c" } }]);
  });

  it("invariant 10: a context made for a call that is over meanwhile goes back, once", async () => {
    const { media, released } = work({});
    media.carryOut(plan, () => undefined);
    media.end();
    await media.settled();
    expect([released, media.context]).toEqual([[7], undefined]);
    media.end();
    await media.settled();
    expect(released).toEqual([7]);
  });

  it("that fails to take a context back is told", async () => {
    const { media, counters } = work({ release: () => Promise.reject(new TypeError("no")) });
    media.carryOut(plan, () => undefined);
    await media.settled();
    media.end();
    await media.settled();
    expect(counters.snapshot()).toMatchObject([{ labels: { place: "gateway", code: "TypeError" } }]);
  });
});

describe("one policy for all that runs alone", () => {
  const policy = () => {
    const { log, records } = memoryLog();
    const counters = createCounters();
    return { faults: createFaults(log, counters), records, counters };
  };

  it("a timer that throws is told and counted, and time goes on", () => {
    const { faults, records } = policy();
    const clock = new VirtualClock(1000);
    const guarded = faults.clock(clock);
    const fired: string[] = [];
    guarded.after(5, () => {
      throw new TypeError("x is undefined");
    });
    guarded.after(6, () => fired.push("next"));
    const cancelled = guarded.after(7, () => fired.push("never"));
    cancelled.cancel();
    clock.advance(10);
    expect([fired, guarded.now(), clock.waiting]).toEqual([["next"], 1010, 0]);
    expect(records).toMatchObject([{ level: "error", fields: { place: "timer", code: "TypeError" } }]);
    expect(String(records[0]?.fields["at"])).toContain("faults.test.ts");
  });

  it("work nobody waits for that rejects is told", async () => {
    const { faults, counters } = policy();
    faults.watch("registration", Promise.reject(new Error("disk")));
    await settled();
    expect(counters.snapshot()).toEqual([
      { name: "faults_total", labels: { place: "registration", code: "Error" }, value: 1 },
    ]);
  });

  it("invariant 7: no key of an SDP is told with an error that quotes one", () => {
    const { faults, records } = policy();
    faults.guard("request", () => {
      throw new Error(
        "cannot read a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20",
      );
    });
    expect(JSON.stringify(records)).not.toContain("WVNfX19z");
  });
});
