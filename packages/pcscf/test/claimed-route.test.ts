// Where a registered UE can make this edge send: to the places of the core it knows, whatever Route it writes.
// RFC 3608 6.1, RFC 3261 16.12 and 19.1.1, TS 24.229 5.2.6.3.
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerValue, headerValues, type SipRequest } from "@sallyport/sip";
import { openScenario, settled, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
let elsewhere: Server;
let reached = 0;

beforeEach(async () => {
  reached = 0;
  elsewhere = createServer((socket) => {
    reached += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      core: { ...config.core, trusted: { ...config.core.trusted, addresses: ["127.0.0.1"] } },
    }),
  });
  alice = await scenario.ue("alice");
  await alice.register();
});
afterEach(async () => {
  await scenario.close();
  elsewhere.close();
});

const elsewherePort = (): number => (elsewhere.address() as { readonly port: number }).port;

/** A request in a dialog that is no call, with a Route of the UE's own behind ours. */
const inDialog = async (claimed: string): Promise<SipRequest> => {
  const first = alice.send(alice.request("SUBSCRIBE", "sip:carol@far.example", { headers: [["Event", "presence"]] }));
  const arrived = await scenario.core.expect("SUBSCRIBE");
  scenario.core.respond(arrived, 200, {
    headers: [
      ["Contact", "<sip:carol@far.example>"],
      ...headerValues(arrived.request, "record-route").map((value) => ["Record-Route", value] as const),
    ],
  });
  const ok = await first.final();
  const routes = [...headerValues(ok, "record-route").toReversed(), claimed];
  return alice.request("SUBSCRIBE", "sip:carol@far.example", {
    seq: 2,
    to: headerValue(ok, "to") ?? "",
    headers: [["Event", "presence"], ...routes.map((route) => ["Route", route] as const)],
  });
};

describe("RFC 3261 16.12: a Route that a UE claims", () => {
  it("leads to the core where it names a place of the core", async () => {
    const sent = alice.send(await inDialog(`<sip:orig@127.0.0.1:${scenario.core.port};transport=tcp;lr>`));
    scenario.core.respond(await scenario.core.expect("SUBSCRIBE"), 200);
    expect((await sent.final()).status).toBe(200);
  });

  for (const [what, route] of [
    ["another port of a host of the core", () => `<sip:127.0.0.1:${elsewherePort()};transport=tcp;lr>`],
    ["another transport", () => `<sip:127.0.0.1:${scenario.core.port};transport=udp;lr>`],
    ["another host", () => `<sip:127.0.0.9:${elsewherePort()};transport=tcp;lr>`],
  ] as const) {
    it(`leads to the next hop where it names ${what}`, async () => {
      const sent = alice.send(await inDialog(route()));
      scenario.core.respond(await scenario.core.expect("SUBSCRIBE"), 200);
      expect((await sent.final()).status).toBe(200);
      expect(reached).toBe(0);
    });
  }

  it("RFC 3261 19.1.1: is refused with 403 where maddr leads aside", async () => {
    const claimed = `<sip:127.0.0.1:${scenario.core.port};maddr=127.0.0.1;transport=tcp;lr>`;
    const before = scenario.core.requests.all.length;
    expect((await alice.send(await inDialog(claimed)).final()).status).toBe(403);
    await settled();
    expect(scenario.core.requests.all.length - before).toBe(1);
  });
});
