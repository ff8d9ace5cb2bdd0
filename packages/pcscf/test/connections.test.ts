// Connections that close under requests: what is told to whom, and by which way the rest comes. RFC 3261 18.2.2, 18.4.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerValue } from "@sallyport/sip";
import { bodyOf, establishTerminating, originate } from "./support/calls.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;

beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(async () => {
  await scenario.close();
});

const nothingLeft = (): Promise<void> =>
  until(() => scenario.iq.open.size === 0 && scenario.edge.counts().calls === 0, "nothing left");
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;

describe("RFC 3261 18.4: the connection to the core closes", () => {
  it("RFC 3261 17.1.4: under an INVITE that was not answered: the caller hears 504 at once and nothing is left", async () => {
    const { sent } = await originate(scenario, alice);
    scenario.core.hangUp();
    expect((await sent.final()).status).toBe(504);
    await nothingLeft();
    expect(scenario.edge.calls()[0]?.ended).toEqual({ reason: "transport-failed", detail: "503" });
  });

  it("RFC 3261 17.1.4: under a REGISTER and a MESSAGE that were not answered: 504 at once", async () => {
    for (const method of ["REGISTER", "MESSAGE"]) {
      const sent = alice.send(
        alice.request(method, method === "REGISTER" ? "sip:home.example" : "sip:carol@far.example"),
      );
      await scenario.core.expect(method);
      scenario.core.hangUp();
      expect((await sent.final()).status, method).toBe(504);
      await settled();
    }
  });

  it("RFC 3261 18.2.2: under an INVITE that rings: it rings on, and the 200 comes on a connection the core opens", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 180);
    await sent.responses.next(({ status }) => status === 180);
    scenario.core.hangUp();
    await settled();
    expect(scenario.edge.calls()[0]?.phase).toBe("setup");
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
    const ok = await sent.final();
    expect([ok.status, /RTP\/SAVP/.test(bodyOf(ok))]).toEqual([200, true]);
  });

  it("RFC 3261 18.2.2: under an INVITE of its own: the UE's answer goes to the port its Via names", async () => {
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    const arrived = await alice.expect("INVITE");
    scenario.core.hangUp();
    await settled();
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer() });
    expect((await sent.final()).status).toBe(200);
  });
});

describe("RFC 5626 5.3: the connection of a UE closes", () => {
  it("under an INVITE to it that was not answered: the core hears 480 at once", async () => {
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    await alice.expect("INVITE");
    alice.hangUp();
    expect((await sent.final()).status).toBe(480);
    await nothingLeft();
  });

  it("under an INVITE of its own: no connection is opened to answer it, wherever its Via points", async () => {
    const { arrived } = await originate(scenario, alice);
    const heard = alice.wire.length;
    alice.hangUp();
    await settled();
    scenario.core.respond(arrived, 486);
    await nothingLeft();
    await settled();
    expect(alice.wire.slice(heard).filter(({ direction }) => direction === "in")).toEqual([]);
  });

  it("under a BYE to it: the far end that hung up is answered at once, and the context is given back", async () => {
    const dialog = await establishTerminating(scenario, alice, path);
    const bye = scenario.core.send(dialog.byCaller("BYE", 2));
    await alice.expect("BYE");
    alice.hangUp();
    const answer = await bye.final();
    expect([answer.status, headerValue(answer, "cseq")]).toEqual([480, "2 BYE"]);
    await nothingLeft();
  });
});
