import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { VirtualClock } from "@sallyport/kit";
import { headerValue, sourceOf } from "@sallyport/sip";
import { createRates } from "../src/admission/rates.ts";
import type { EdgeConfigInput } from "../src/index.ts";
import { establishOriginating, originate } from "./support/calls.ts";
import { contactOf, rawRegister, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { coreSdp, sdp } from "./support/sdp.ts";

let scenario: Scenario | undefined;
afterEach(async () => {
  await scenario?.close();
  scenario = undefined;
});

const withLimits =
  (limits: EdgeConfigInput["limits"]) =>
  (config: EdgeConfigInput): EdgeConfigInput => ({ ...config, limits, emergency: { unregistered: true } });

const refused = (reason: string): number =>
  scenario?.edge
    .counters()
    .find(({ name, labels }) => name === "admission_refused_total" && labels["reason"] === reason)?.value ?? 0;

describe("rates of a source", () => {
  it("a burst passes, then what the rate allows; another source has its own", () => {
    const clock = new VirtualClock(1000);
    const rates = createRates(clock, { perSecond: 10, burst: 4, max: 100 });
    const plain = (): boolean => false;
    const took = (source: string, times: number): number =>
      Array.from({ length: times }, () => rates.take(source, plain)).filter(Boolean).length;
    expect(took("a", 10)).toBe(4);
    expect(took("b", 1)).toBe(1);
    clock.advance(250);
    expect(took("a", 10)).toBe(2);
    clock.advance(3_600_000);
    expect(took("a", 10)).toBe(4);
  });

  it("preferred requests have a reserve of a quarter of the burst, and no more", () => {
    const rates = createRates(new VirtualClock(0), { perSecond: 1, burst: 8, max: 100 });
    const granted = (preferred: boolean): number =>
      Array.from({ length: 20 }, () => rates.take("a", () => preferred)).filter(Boolean).length;
    expect([granted(false), granted(true), granted(false)]).toEqual([8, 2, 0]);
  });

  it("the table is bounded, and forgets who has been silent longest", () => {
    const rates = createRates(new VirtualClock(0), { perSecond: 1, burst: 2, max: 16 });
    const take = (source: string): boolean => rates.take(source, () => false);
    take("busy");
    take("busy");
    for (let each = 0; each < 1000; each += 1) {
      take(`s${each}`);
      expect(take("busy")).toBe(false);
    }
    expect(rates.size).toBe(16);
  });

  it("RFC 4291 2.5.4: an IPv6 subscriber is one source with all its addresses, IPv4 is itself on any socket", () => {
    expect(sourceOf("2001:DB8:1:2:3:4:5:6")).toBe(sourceOf("2001:db8:1:2::9"));
    expect(sourceOf("2001:db8:1:2::1")).not.toBe(sourceOf("2001:db8:1:3::1"));
    expect(sourceOf("2001:db8::1")).toBe("2001:db8:0:0");
    expect(sourceOf("::1")).toBe("0:0:0:0");
    expect(sourceOf("::ffff:192.0.2.1")).toBe(sourceOf("192.0.2.1"));
  });
});

describe("the gate", () => {
  it("RFC 3261 21.5.4: over its rate a source on a stream gets 503 with Retry-After, before a transaction exists", async () => {
    scenario = await openScenario({ change: withLimits({ sources: { burst: 4, requestsPerSecond: 1 } }) });
    const alice = await scenario.ue("alice");
    const statuses: number[] = [];
    for (let seq = 1; seq <= 6; seq += 1) {
      const answer = await alice.send(rawRegister(alice, { aor: alice.aor, contacts: ["*"], seq, expires: 5 })).final();
      statuses.push(answer.status);
      if (seq === 6) expect(headerValue(answer, "retry-after")).toBe("10");
    }
    expect(statuses).toEqual([400, 400, 400, 400, 503, 503]);
    expect(refused("source-rate")).toBe(2);
    // The four that passed have transactions; the two refused have none.
    expect(scenario.edge.counts().transactions).toBeLessThanOrEqual(4);
  });

  it("over UDP, where a source may be forged, nothing is answered", async () => {
    scenario = await openScenario({ change: withLimits({ sources: { burst: 1, requestsPerSecond: 1 } }) });
    const alice = await scenario.ue("alice", { protocol: "udp" });
    const register = (seq: number) => rawRegister(alice, { aor: alice.aor, contacts: ["*"], seq, expires: 5 });
    expect((await alice.send(register(1)).final()).status).toBe(400);
    const before = alice.wire.length;
    alice.send(register(2));
    await until(() => refused("source-rate") === 1, "dropped");
    await settled();
    expect(alice.wire.slice(before).filter(({ direction }) => direction === "in")).toEqual([]);
  });

  it("requests over flows nobody registered on have a rate of their own; registered ones are not held back by it", async () => {
    scenario = await openScenario({
      change: withLimits({ sources: { unregisteredBurst: 4, unregisteredPerSecond: 1 } }),
    });
    const alice = await scenario.ue("alice");
    await alice.register();
    const mallory = await scenario.ue("mallory");
    const statuses: number[] = [];
    for (let each = 0; each < 4; each += 1) {
      statuses.push(
        (await mallory.send(mallory.request("MESSAGE", "sip:x@y.example", { callId: `${each}` })).final()).status,
      );
    }
    expect(statuses).toEqual([403, 403, 503, 503]);
    expect(refused("unregistered-rate")).toBe(2);
    expect((await originate(scenario, alice)).arrived.request.method).toBe("INVITE");
    // An emergency call of somebody without a registration may use the reserve.
    const help = await originate(scenario, mallory, { to: "urn:service:sos", body: sdp() });
    expect(help.arrived.request.method).toBe("INVITE");
  });

  it("connections of one address are bounded by limits.transport", async () => {
    scenario = await openScenario({ change: withLimits({ transport: { maxConnectionsPerAddress: 3 } }) });
    const port = scenario.edge.access[0]?.port ?? 0;
    const sockets: Socket[] = [];
    let closed = 0;
    for (let each = 0; each < 5; each += 1) {
      const socket = connect(port, "127.0.0.1");
      socket.on("close", () => (closed += 1)).on("error", () => undefined);
      sockets.push(socket);
    }
    await until(() => closed === 2, "two refused");
    await settled();
    expect(closed).toBe(2);
    for (const socket of sockets) socket.destroy();
  });

  it("RFC 4475 3.1.2: malformed input is counted by its kind", async () => {
    scenario = await openScenario();
    const socket = connect(scenario.edge.access[0]?.port ?? 0, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write("INVITE sip:a@b SIP/7.0\r\nContent-Length: 0\r\n\r\n");
    const malformed = (): number =>
      scenario?.edge.counters().find(({ name }) => name === "malformed_total")?.value ?? 0;
    await until(() => malformed() === 1, "counted");
    expect(scenario.edge.counters()).toContainEqual({
      name: "malformed_total",
      labels: { code: "version" },
      value: 1,
    });
    socket.destroy();
  });
});

describe("overload", () => {
  it("RFC 6357: by event-loop delay new requests get 503 with Retry-After; dialogs and emergencies are served; it ends", async () => {
    let delay = 0;
    scenario = await openScenario({
      change: withLimits({ overload: { eventLoopMs: 100, retryAfterS: 7 } }),
      delayMs: () => delay,
    });
    const alice = await scenario.ue("alice");
    const { path } = await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    delay = 101;
    scenario.clock.advance(500);
    const turned = await alice.send(alice.request("INVITE", "sip:x@y.example", { body: sdp(), callId: "new" })).final();
    expect(turned.status).toBe(503);
    const after = Number(headerValue(turned, "retry-after"));
    expect(after).toBeGreaterThanOrEqual(7);
    expect(after).toBeLessThanOrEqual(14);
    const plain = { aor: alice.aor, contacts: [contactOf(alice)] };
    expect((await alice.send(rawRegister(alice, { ...plain, seq: 90 })).final()).status).toBe(503);
    const terminating = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    expect((await terminating.final()).status).toBe(503);
    expect(refused("overload")).toBe(3);
    // RFC 5031: emergency registrations and calls go first.
    const sos = `<sip:alice@127.0.0.1:${alice.port};transport=tcp;sos>`;
    const granted = await registerRaw(scenario, alice, { aor: alice.aor, contacts: [sos], seq: 91 });
    expect(granted.response.status).toBe(200);
    expect((await originate(scenario, alice, { to: "urn:service:sos", callId: "help" })).arrived.request.uri).toBe(
      "urn:service:sos",
    );
    const bye = alice.send(dialog.byCaller("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    // It is not over just below the limit.
    delay = 90;
    scenario.clock.advance(500);
    expect((await alice.send(rawRegister(alice, { ...plain, seq: 92 })).final()).status).toBe(503);
    delay = 79;
    scenario.clock.advance(500);
    expect((await registerRaw(scenario, alice, { ...plain, seq: 93 })).response.status).toBe(200);
  });

  it("RFC 6357: by number of calls", async () => {
    scenario = await openScenario({
      change: withLimits({ overload: { calls: 1, eventLoopMs: 0 } }),
      delayMs: () => 1e6,
    });
    const alice = await scenario.ue("alice");
    await alice.register();
    for (const callId of ["one", "two"]) await originate(scenario, alice, { callId });
    scenario.clock.advance(500);
    const turned = await alice
      .send(alice.request("INVITE", "sip:x@y.example", { body: sdp(), callId: "three" }))
      .final();
    expect(turned.status).toBe(503);
  });
});
