// Who may speak for a call: its own UE, on a flow that it registered on, and nobody else behind the same address.
// RFC 5626 5.3, TS 24.229 5.2.6.3 and 5.2.10; invariants 1 and 5 depend on it, as whoever speaks is told the key.
import { afterEach, describe, expect, it } from "vitest";
import { headerValue, headerValues, setHeader } from "@sallyport/sip";
import { establishOriginating, type Established } from "./support/calls.ts";
import { openScenario, settled, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, sdp } from "./support/sdp.ts";

let scenario: Scenario;
afterEach(async () => {
  await scenario.close();
});

const evil = sdp({
  address: "203.0.113.66",
  port: 6666,
  version: 2,
  protocol: "RTP/SAVP",
  lines: [crypto(keyOf(0x66)), "a=3ge2ae:requested"],
});

/** What anybody can write who has seen the call's messages on their way. */
const speaksFor = async (
  speaker: TestUe,
  call: Established,
  method: string,
  seq: number,
  body?: string,
): Promise<number> => (await speaker.send(call.byCaller(method, seq, body)).final()).status;

describe("RFC 5626 5.3: who speaks for a call", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    it(`invariant 5: not another UE behind the same address, registered or not (${protocol})`, async () => {
      scenario = await openScenario();
      const alice = await scenario.ue("alice", { protocol });
      await alice.register();
      const call = await establishOriginating(scenario, alice);
      if (protocol === "tcp") {
        alice.hangUp();
        await settled();
      }
      const mallory = await scenario.ue("mallory", { protocol });
      const [before, told] = [scenario.core.requests.all.length, scenario.iq.commands.length];
      expect(await speaksFor(mallory, call, "INVITE", 9, evil)).toBe(403);
      await mallory.ack(call.byCaller("ACK", 1, evil));
      await mallory.register();
      expect(await speaksFor(mallory, call, "INVITE", 10, evil)).toBe(403);
      expect(await speaksFor(mallory, call, "BYE", 11)).toBe(403);
      expect(scenario.core.requests.all.slice(before).map(({ request }) => request.method)).toEqual([
        "REGISTER",
        "REGISTER",
      ]);
      expect(scenario.iq.commands).toHaveLength(told);
      expect(scenario.edge.calls()[0]?.phase).toBe("confirmed");
    });
  }

  it("TS 24.229 5.2.2: the UE itself on a new connection, once it has registered there, also with another Contact", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    await alice.register();
    const call = await establishOriginating(scenario, alice);
    alice.hangUp();
    await settled();
    expect(await speaksFor(alice, call, "UPDATE", 2)).toBe(403);
    const again = await scenario.ue("alice");
    await again.register();
    expect(scenario.edge.registrations()).toHaveLength(2);
    const bye = again.send(call.byCaller("BYE", 3));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
  });

  it("TS 24.229 5.2.10: an emergency call without registration is spoken for on its own flow alone, whatever name it claims", async () => {
    scenario = await openScenario({ change: (config) => ({ ...config, emergency: { unregistered: true } }) });
    const stranger = await scenario.ue("stranger");
    const claimed = await scenario.ue("alice");
    await claimed.register();
    // The call says that alice makes it.
    const invite = stranger.request("INVITE", "urn:service:sos", { body: sdp() });
    const from = `<${claimed.aor}>;tag=s`;
    const sent = stranger.send(setHeader(invite, "from", from));
    const arrived = await scenario.core.expect("INVITE");
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:psap@127.0.0.1>"]], body: coreSdp() });
    const ok = await sent.final();
    const bye = stranger.request("BYE", "sip:psap@127.0.0.1", {
      seq: 2,
      callId: headerValue(ok, "call-id") ?? "",
      to: headerValue(ok, "to") ?? "",
      headers: headerValues(ok, "record-route")
        .toReversed()
        .map((value) => ["Route", value] as const),
    });
    const byeNamed = setHeader(bye, "from", from);
    expect((await claimed.send(byeNamed).final()).status).toBe(403);
    const own = stranger.send(byeNamed);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await own.final()).status).toBe(200);
  });
});
