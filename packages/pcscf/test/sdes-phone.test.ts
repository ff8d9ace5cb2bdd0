// SDES phone mode "terminate": what the edge learns of a phone from its own offers, and from nobody else's.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryStore, type StateStore } from "@sallyport/store";
import { bodyOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys, sdp } from "./support/sdp.ts";

let store: StateStore;
let scenario: Scenario;
let phone: TestUe;
let path: string;
beforeEach(async () => {
  store = memoryStore();
  scenario = await openScenario({
    store,
    change: (config) => ({ ...config, policy: { rules: [{ e2ae: "offered", sdesPhone: "terminate" }] } }),
  });
  phone = await scenario.ue("phone", { protocol: "udp" });
  ({ path } = await phone.register({ dialect: "none" }));
});
afterEach(async () => {
  await scenario.close();
  await store.close();
});

const savp = (lines: readonly string[] = [crypto(keys.k11)]): string => sdp({ protocol: "RTP/SAVP", lines });
const learned = (): unknown => scenario.edge.registrations().find(({ aor }) => aor === phone.aor)?.offersSdes;
let calls = 0;

/** What the phone is offered by the next call to it; declined. */
const offeredTo = async (ue: TestUe, to: string): Promise<string> => {
  calls += 1;
  const options = { route: [to], body: coreSdp(), callId: `towards-${calls}` };
  const sent = scenario.core.send(coreRequest(scenario.core, "INVITE", ue.contact, options));
  const arrived = await ue.expect("INVITE");
  ue.respond(arrived, 486);
  await sent.final();
  await until(() => scenario.edge.counts().contexts === 0, "the context given back");
  return bodyOf(arrived.request);
};

/** An offer of the phone that the core declines. */
const offers = async (body: string): Promise<void> => {
  calls += 1;
  const { sent, arrived } = await originate(scenario, phone, { body, callId: `from-${calls}` });
  scenario.core.respond(arrived, 486);
  await sent.final();
};

describe("a phone that has shown SRTP", () => {
  it("TS 33.328 7.3.1: is offered the core's call in the clear before, and with a key and no indication after; the evidence says why", async () => {
    expect(await offeredTo(phone, path)).toBe(coreSdp());
    await establishOriginating(scenario, phone, { body: savp() });
    expect(learned()).toBe(true);
    const { offered, answered } = await establishTerminating(scenario, phone, path, { callId: "called" });
    expect(offered).toMatch(/m=audio \d+ RTP\/SAVP [\s\S]*a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/);
    expect(offered).not.toContain("3ge2ae");
    expect(answered).toMatch(/m=audio \d+ RTP\/AVP /);
    const call = scenario.edge
      .calls()
      .find(({ direction, phase }) => direction === "terminating" && phase === "confirmed");
    expect(call).toMatchObject({ security: "e2ae", reason: "sdes-phone" });
    expect(call?.evidence[0]).toMatchObject({ changed: ["SDES phone mode: offered, learned"], mode: "sdes-phone" });
  });

  it("stays known over a refresh and over a restart of the edge, and is forgotten with its registration", async () => {
    await offers(savp());
    await phone.register({ dialect: "none" });
    expect(learned()).toBe(true);
    await scenario.restart();
    expect(learned()).toBe(true);
    expect(await offeredTo(phone, path)).toContain("RTP/SAVP");
    await phone.register({ dialect: "none", expires: 0 });
    ({ path } = await phone.register({ dialect: "none" }));
    expect(learned()).toBeUndefined();
    expect(await offeredTo(phone, path)).toBe(coreSdp());
  });

  it("that calls in the clear again is called in the clear again", async () => {
    await offers(savp());
    expect(learned()).toBe(true);
    await offers(sdp());
    expect(learned()).toBeUndefined();
    expect(await offeredTo(phone, path)).toBe(coreSdp());
  });

  it("says so in its REGISTER by sdes-srtp without the mediasec flag: the same from the start; nothing is announced to it", async () => {
    const bob = await scenario.ue("bob");
    const { ok, path: toBob } = await bob.register({ dialect: "none", headers: [["Security-Client", "sdes-srtp"]] });
    expect(ok.headers.map(({ name }) => name)).not.toContain("security-server");
    expect(await offeredTo(bob, toBob)).toContain("RTP/SAVP");
    expect(learned()).toBeUndefined();
  });
});

describe("what teaches nothing", () => {
  it("the core's own SRTP, answered by the phone: end to end is none of the edge's business", async () => {
    const body = sdp({ protocol: "RTP/SAVP", address: "192.0.2.77", lines: [crypto(keys.e2e)] });
    await establishTerminating(scenario, phone, path, { body, answer: savp([crypto(keys.e2e)]) });
    expect(learned()).toBeUndefined();
  });

  it.each([
    ["a key of wrong length", savp([crypto(keyOf(0x11, 20))])],
    ["SRTP without any key", savp([])],
    ["a suite nobody has in common", savp([crypto(keys.k11, 1, "F8_128_HMAC_SHA1_80")])],
    ["a key on an AVP line", sdp({ lines: [crypto(keys.k11)] })],
  ])("%s", async (_, body) => {
    calls += 1;
    const sent = phone.send(phone.request("INVITE", "sip:carol@far.example", { body, callId: `bad-${calls}` }));
    await until(
      () =>
        sent.responses.all.some(({ status }) => status >= 300) ||
        scenario.core.requests.all.some(({ request }) => request.method === "INVITE"),
      "refused or sent on",
    );
    expect(learned()).toBeUndefined();
  });

  it("another phone, on another flow or with another identity", async () => {
    const other = await scenario.ue("other");
    await other.register({ dialect: "none" });
    calls += 1;
    const { sent, arrived } = await originate(scenario, other, { body: savp(), callId: `other-${calls}` });
    expect(bodyOf(arrived.request)).toContain("RTP/AVP");
    scenario.core.respond(arrived, 486);
    await sent.final();
    expect(learned()).toBeUndefined();
    expect(await offeredTo(phone, path)).toBe(coreSdp());
  });

  it("a stranger who is not registered: his offer is refused and nobody's registration changes", async () => {
    const mallory = await scenario.ue("mallory", { protocol: "udp" });
    const refused = await mallory
      .send(
        mallory.request("INVITE", "sip:carol@far.example", {
          body: savp(),
          headers: [["P-Preferred-Identity", `<${phone.aor}>`]],
        }),
      )
      .final();
    expect(refused.status).toBe(403);
    expect(learned()).toBeUndefined();
  });
});
