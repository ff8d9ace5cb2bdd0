// What a stranger or a UE writes so that the next reader takes it for something else, or that costs more than it should.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createResponse, type SipMessage } from "@sallyport/sip";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let bob: TestUe;
let path: string;

beforeEach(async () => {
  scenario = await openScenario();
  bob = await scenario.ue("bob", { protocol: "udp" });
  ({ path } = await bob.register());
});
afterEach(async () => {
  await scenario.close();
});

const withoutLength = <M extends SipMessage>(message: M, body: string): M => ({
  ...message,
  headers: message.headers.filter(({ name }) => name !== "content-length"),
  body: Buffer.from(body, "latin1"),
});

const smuggled =
  "INVITE sip:bank@home.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKsmuggled\r\n" +
  "From: <sip:ceo@home.example>;tag=1\r\nTo: <sip:bank@home.example>\r\nCall-ID: smuggled\r\nCSeq: 1 INVITE\r\n" +
  "P-Asserted-Identity: <sip:ceo@home.example>\r\nContent-Length: 0\r\n\r\n";

describe("RFC 3261 18.3: a datagram without Content-Length on its way to a stream", () => {
  it("a request: its body stays its body, and is no request of its own on the connection to the core", async () => {
    const text = { headers: [["Content-Type", "text/plain"]] } as const;
    const sent = bob.send(withoutLength(bob.request("MESSAGE", "sip:carol@far.example", text), smuggled));
    const arrived = await scenario.core.expect("MESSAGE");
    expect(arrived.request.body.toString("latin1")).toBe(smuggled);
    scenario.core.respond(arrived, 200);
    expect((await sent.final()).status).toBe(200);
    expect(scenario.core.requests.all.filter(({ request }) => request.method === "INVITE")).toEqual([]);
  });

  it("a REGISTER of a stranger does not end the connection all others use", async () => {
    const mallory = await scenario.ue("mallory", { protocol: "udp" });
    const alice = await scenario.ue("alice");
    await alice.register();
    const waiting = alice.send(alice.request("OPTIONS", "sip:carol@far.example"));
    const asked = await scenario.core.expect("OPTIONS");
    mallory.send(withoutLength(mallory.request("REGISTER", "sip:home.example"), ""));
    await scenario.core.expect("REGISTER");
    scenario.core.respond(asked, 200);
    expect((await waiting.final()).status).toBe(200);
  });

  it("a response of a UE: the core can frame it", async () => {
    const sent = scenario.core.send(coreRequest(scenario.core, "MESSAGE", bob.contact, { route: [path] }));
    const arrived = await bob.expect("MESSAGE");
    const answer = createResponse(arrived.request, 200, undefined, {
      toTag: "x",
      headers: [["Content-Type", "text/plain"]],
    });
    arrived.respond(withoutLength(answer, "got it"));
    const final = await sent.final();
    expect([final.status, final.body.toString("latin1")]).toEqual([200, "got it"]);
  });
});
