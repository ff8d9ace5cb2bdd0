import { afterEach, describe, expect, it } from "vitest";
import { headerList, headerValue } from "@sallyport/sip";
import { bodyOf, dialogOf, originate } from "./support/calls.ts";
import { registerRaw } from "./support/registering.ts";
import { openScenario, until, type Scenario } from "./support/scenario.ts";
import { coreSdp, sdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
afterEach(() => scenario.close());

const unregistered = { change: (config: object) => ({ ...config, emergency: { unregistered: true } }) as never };
const sos = "urn:service:sos.fire";

describe("RFC 5031: emergency calls without a registration", () => {
  it("TS 24.229 5.2.10: refused with 403 unless the operator serves them", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    expect((await alice.send(alice.request("INVITE", sos, { body: sdp() })).final()).status).toBe(403);
    expect(scenario.core.requests.all).toEqual([]);
  });

  it("TS 24.229 5.2.10: served, nothing is asserted, and in both directions the dialog works to its end", async () => {
    scenario = await openScenario(unregistered);
    const alice = await scenario.ue("alice");
    const { sent, arrived } = await originate(scenario, alice, {
      to: sos,
      body: sdp(),
      headers: [["P-Preferred-Identity", "<sip:ceo@home.example>"]],
    });
    expect(arrived.request.uri).toBe(sos);
    expect(headerValue(arrived.request, "p-asserted-identity")).toBeUndefined();
    expect(headerValue(arrived.request, "p-preferred-identity")).toBeUndefined();
    expect(headerList(arrived.request, "route")).toEqual([]);
    scenario.core.respond(arrived, 200, {
      headers: [["Contact", `<sip:psap@127.0.0.1:${scenario.core.port};transport=tcp>`]],
      body: coreSdp(),
    });
    const dialog = dialogOf(alice.request("INVITE", sos), arrived.request, await sent.final());
    await alice.ack(dialog.byCaller("ACK", 1));
    await scenario.core.acks.next();
    const bye = scenario.core.send(dialog.byCalled("BYE", 1));
    alice.respond(await alice.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    expect(scenario.edge.counts()).toMatchObject({ registrations: 0, calls: 0 });
  });

  it("TS 24.229 5.2.10: nothing but an emergency INVITE is served without registration", async () => {
    scenario = await openScenario(unregistered);
    const alice = await scenario.ue("alice");
    for (const [method, uri] of [
      ["INVITE", "sip:bob@home.example"],
      ["INVITE", "urn:service:sosage"],
      ["MESSAGE", sos],
    ] as const) {
      const refused = await alice.send(alice.request(method, uri, { callId: `${method} ${uri.length}` })).final();
      expect(refused.status).toBe(403);
    }
  });

  it("TS 33.328 7.2.1: such a caller's own SRTP still ends at the gateway, and clear media passes under required", async () => {
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        emergency: { unregistered: true },
        policy: { rules: [{ e2ae: "required" }] },
      }),
    });
    const alice = await scenario.ue("alice");
    const secured = await originate(scenario, alice, { to: sos, body: ueOffer(), callId: "secured" });
    expect(bodyOf(secured.arrived.request)).toMatch(/RTP\/AVP /);
    const clear = await originate(scenario, alice, { to: sos, body: sdp(), callId: "clear" });
    expect(bodyOf(clear.arrived.request)).toMatch(/RTP\/AVP /);
  });

  it("invariant 10: the caller's connection breaks, and the call ends after the usual patience", async () => {
    scenario = await openScenario(unregistered);
    const alice = await scenario.ue("alice");
    const { sent, arrived } = await originate(scenario, alice, { to: sos, body: ueOffer() });
    scenario.core.respond(arrived, 200, {
      headers: [["Contact", `<sip:psap@127.0.0.1:${scenario.core.port};transport=tcp>`]],
      body: coreSdp(),
    });
    const dialog = dialogOf(alice.request("INVITE", sos), arrived.request, await sent.final());
    await alice.ack(dialog.byCaller("ACK", 1));
    await scenario.core.acks.next();
    alice.hangUp();
    await until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");
    scenario.clock.advance(5001);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await until(() => scenario.iq.open.size === 0, "context given back");
    expect(scenario.edge.counts().calls).toBe(0);
  });

  it("the calls one unregistered connection may have at once are bounded like those of a registration", async () => {
    scenario = await openScenario({
      change: (config) => ({ ...config, emergency: { unregistered: true }, limits: { maxCallsPerBinding: 2 } }),
    });
    const alice = await scenario.ue("alice");
    for (const callId of ["one", "two"]) await originate(scenario, alice, { to: sos, body: sdp(), callId });
    const third = await alice.send(alice.request("INVITE", sos, { body: sdp(), callId: "three" })).final();
    expect(third.status).toBe(503);
  });
});

describe("emergency registrations", () => {
  const contact = (port: number): string => `<sip:alice@127.0.0.1:${port};transport=tcp;sos>`;

  it("TS 24.229 5.2.2: never refused for lack of media security: an altered Security-Verify does no harm", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const register = { aor: alice.aor, contacts: [contact(alice.port)] };
    const draft = [
      ["Security-Client", "sdes-srtp;mediasec"],
      ["Require", "mediasec"],
    ] as const;
    await registerRaw(scenario, alice, { ...register, seq: 1, headers: draft }, { status: 401, granted: [] });
    const { response } = await registerRaw(scenario, alice, {
      ...register,
      seq: 2,
      headers: [
        ...draft,
        ["Security-Verify", "dtls-srtp;mediasec"],
        ["Authorization", 'Digest username="alice", nonce="n", response="00112233445566778899aabbccddeeff"'],
      ],
    });
    expect(response.status).toBe(200);
    expect(scenario.edge.counts().registrations).toBe(1);
  });

  it("TS 33.328 7.2.1: calls of an emergency registration pass in the clear where required would refuse them", async () => {
    scenario = await openScenario({
      change: (config) => ({ ...config, policy: { rules: [{ e2ae: "required" }] } }),
    });
    const alice = await scenario.ue("alice");
    await registerRaw(scenario, alice, { aor: alice.aor, contacts: [contact(alice.port)], seq: 1 });
    const { arrived } = await originate(scenario, alice, { to: "tel:112", body: sdp() });
    expect(bodyOf(arrived.request)).toMatch(/RTP\/AVP /);
  });

  it("with every place taken an emergency registration still finds one", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, limits: { maxRegistrations: 1 } }) });
    const bob = await scenario.ue("bob");
    await bob.register();
    const alice = await scenario.ue("alice");
    const plain = alice.request("REGISTER", "sip:home.example", { to: `<${alice.aor}>`, callId: "plain" });
    expect((await alice.send(plain).final()).status).toBe(503);
    const { response } = await registerRaw(scenario, alice, {
      aor: alice.aor,
      contacts: [contact(alice.port)],
      seq: 1,
    });
    expect(response.status).toBe(200);
  });
});
