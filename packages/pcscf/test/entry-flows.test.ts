// A UE with two flows (RFC 5626 reg-id 1 and 2) of which one dies in a call: what is under way goes on over the other.
// RFC 5626 3.2, 4.2 and 5.3; TS 24.229 5.2.8.1.2.
import { afterEach, describe, expect, it } from "vitest";
import { memoryStore } from "@sallyport/store";
import { establishOriginating, establishTerminating } from "./support/calls.ts";
import { registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { sdp } from "./support/sdp.ts";

let scenario: Scenario;
afterEach(() => scenario.close());

const aor = "sip:alice@home.example";
const instance = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';

interface Flows {
  readonly one: TestUe;
  readonly two: TestUe;
  readonly paths: readonly string[];
}

/** One device over two connections; `other`: the second is another device of the same user. */
const open = async (other = instance, tag = "outbound"): Promise<Flows> => {
  scenario = await openScenario({ store: memoryStore() });
  const one = await scenario.ue("alice");
  const two = await scenario.ue("two");
  const paths: string[] = [];
  for (const [at, ue] of [one, two].entries()) {
    const device = at === 0 ? instance : other;
    const contacts = [`<${one.contact}>${device};reg-id=${at + 1}`];
    const headers = [["Supported", tag]] as const;
    const { path } = await registerRaw(scenario, ue, { aor, contacts, seq: 1, headers });
    paths.push(path);
  }
  return { one, two, paths };
};

const hangUp = async (ue: TestUe): Promise<void> => {
  const closed = (): number => scenario.logs.filter(({ event }) => event === "connection closed").length;
  const before = closed();
  ue.hangUp();
  await until(() => closed() > before, "the connection closed");
};

const phases = (): readonly string[] => scenario.edge.calls().map(({ phase }) => phase);

describe("RFC 5626 5.3: flow 1 of two dies in a call", () => {
  it("RFC 5626 3.2: the call lives on; what the far end sends comes over flow 2, and the UE hangs up over it", async () => {
    const { one, two } = await open();
    const call = await establishOriginating(scenario, one, { body: sdp() });
    await hangUp(one);
    scenario.clock.advance(60_000);
    await settled();
    expect(phases()).toEqual(["confirmed"]);
    const info = scenario.core.send(call.byCalled("INFO", 1));
    two.respond(await two.expect("INFO"), 200);
    expect((await info.final()).status).toBe(200);
    const bye = two.send(call.byCaller("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await until(() => scenario.iq.open.size === 0, "nothing left");
  });

  it("RFC 5626 3.2: a call that was received too: the BYE of the far end ends it over flow 2", async () => {
    const { one, two, paths } = await open();
    const call = await establishTerminating(scenario, one, paths[0] ?? "", { answer: sdp() });
    await hangUp(one);
    scenario.clock.advance(60_000);
    const bye = scenario.core.send(call.byCaller("BYE", 2));
    two.respond(await two.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
  });

  it("TS 24.229 5.2.8.1.2: flow 2 dies as well: the call ends after the usual patience, unless one of them is opened again", async () => {
    const { one, two } = await open();
    await establishOriginating(scenario, one, { body: sdp() });
    await hangUp(one);
    await hangUp(two);
    scenario.clock.advance(3_000);
    await registerRaw(scenario, two, {
      aor,
      contacts: [`<${one.contact}>${instance};reg-id=2`],
      seq: 2,
      headers: [["Supported", "outbound"]],
    });
    scenario.clock.advance(60_000);
    await settled();
    expect(phases()).toEqual(["confirmed"]);
    await hangUp(two);
    scenario.clock.advance(6_000);
    await scenario.core.expect("BYE");
    expect(scenario.edge.calls()[0]?.ended?.reason).toBe("flow-lost");
  });

  it("RFC 5626 5.3: a new request along the Path of flow 1 gets 430, so that whoever knows both tries the other", async () => {
    const { one, two, paths } = await open();
    const call = await establishOriginating(scenario, one, { body: sdp() });
    await hangUp(one);
    const info = scenario.core.send(call.byCalled("INFO", 1));
    two.respond(await two.expect("INFO"), 200);
    await info.final();
    const sent = scenario.core.send(coreRequest(scenario.core, "MESSAGE", one.contact, { route: paths.slice(0, 1) }));
    expect((await sent.final()).status).toBe(430);
    expect(two.requests.all.map(({ request }) => request.method)).toEqual(["INFO"]);
  });

  it.each([
    ["another device of the same user", ';+sip.instance="<urn:uuid:2>"', "outbound"],
    ["contacts that are no flows of outbound", instance, "path"],
  ])("invariant 5: not over that of %s", async (_, other, tag) => {
    const { one, two } = await open(other, tag);
    await establishOriginating(scenario, one, { body: sdp() });
    await hangUp(one);
    scenario.clock.advance(6_000);
    await scenario.core.expect("BYE");
    await settled();
    expect(two.requests.all).toEqual([]);
  });
});
