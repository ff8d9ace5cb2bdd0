import { describe, expect, it } from "vitest";
import { headerValue } from "@sallyport/sip";
import { dialogOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import type { Peer } from "./support/peer.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

interface Parts {
  readonly scenario: Scenario;
  readonly core: Peer;
  readonly ue: TestUe;
  readonly path: string;
}

interface Ending {
  readonly name: string;
  /** The reason the edge gives. */
  readonly reason: string;
  run(parts: Parts): Promise<void>;
}

const contact = (core: Peer) => ["Contact", `<sip:carol@127.0.0.1:${core.port};transport=tcp>`] as const;

const terminate = async ({ core, ue, path }: Parts) => {
  const sent = core.send(coreRequest(core, "INVITE", ue.contact, { route: [path], body: coreSdp() }));
  return { sent, arrived: await ue.expect("INVITE") };
};

const bothGetBye = async ({ core, ue }: Parts, cause: string): Promise<void> => {
  const atUe = await ue.expect("BYE");
  const atCore = await core.expect("BYE");
  expect(headerValue(atUe.request, "reason")).toContain(cause);
  expect(headerValue(atCore.request, "reason")).toContain(cause);
  ue.respond(atUe, 200);
  core.respond(atCore, 200);
};

const endings: readonly Ending[] = [
  {
    name: "RFC 3261 15.1: BYE of the core in an originating call",
    reason: "bye",
    run: async ({ scenario, core, ue }) => {
      const dialog = await establishOriginating(scenario, ue);
      const bye = core.send(dialog.byCalled("BYE", 1));
      ue.respond(await ue.expect("BYE"), 200);
      expect((await bye.final()).status).toBe(200);
    },
  },
  {
    name: "RFC 3261 15.1: BYE of the core in a terminating call",
    reason: "bye",
    run: async ({ scenario, core, ue, path }) => {
      const dialog = await establishTerminating(scenario, ue, path);
      const bye = core.send(dialog.byCaller("BYE", 2));
      ue.respond(await ue.expect("BYE"), 200);
      expect((await bye.final()).status).toBe(200);
    },
  },
  {
    name: "RFC 3261 15.1.2: BYE answered 481",
    reason: "bye",
    run: async ({ scenario, core, ue }) => {
      const dialog = await establishOriginating(scenario, ue);
      const bye = ue.send(dialog.byCaller("BYE", 2));
      core.respond(await core.expect("BYE"), 481);
      expect((await bye.final()).status).toBe(481);
    },
  },
  {
    name: "RFC 3261 15.1.1: BYE that nobody answers",
    reason: "bye",
    run: async ({ scenario, core, ue }) => {
      const dialog = await establishOriginating(scenario, ue);
      ue.send(dialog.byCaller("BYE", 2));
      await core.expect("BYE");
      scenario.clock.advance(33_000);
    },
  },
  {
    name: "RFC 3261 9: CANCEL of the UE",
    reason: "cancelled",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      arrived.onCancel = () => core.respond(arrived, 487);
      sent.cancel();
      expect((await sent.final()).status).toBe(487);
    },
  },
  {
    name: "RFC 3261 9: CANCEL of the core",
    reason: "cancelled",
    run: async (parts) => {
      const { sent, arrived } = await terminate(parts);
      parts.ue.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      arrived.onCancel = () => parts.ue.respond(arrived, 487);
      sent.cancel();
      expect((await sent.final()).status).toBe(487);
    },
  },
  {
    name: "RFC 3261 9.1: CANCEL after which the called side falls silent",
    reason: "cancelled",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      const cancelled = new Promise<void>((resolve) => (arrived.onCancel = () => resolve()));
      sent.cancel();
      await cancelled;
      await settled();
      scenario.clock.advance(33_000);
      await until(() => sent.responses.all.some(({ status }) => status >= 400), "a final response");
    },
  },
  {
    name: "RFC 3261 9.1: CANCEL while the gateway still works on the offer",
    reason: "cancelled",
    run: async ({ scenario, core, ue }) => {
      scenario.iq.hold();
      const sent = ue.send(ue.request("INVITE", "sip:carol@far.example", { body: ueOffer() }));
      await until(() => scenario.iq.timeline.includes("add sent"), "add");
      scenario.clock.advance(300);
      await sent.responses.next(({ status }) => status === 100);
      sent.cancel();
      await settled();
      scenario.iq.release();
      const arrived = await core.expect("INVITE");
      arrived.onCancel = () => core.respond(arrived, 487);
      core.respond(arrived, 180);
      expect((await sent.final()).status).toBe(487);
    },
  },
  {
    name: "RFC 3261 13.2.2.4: a 2xx that crosses the CANCEL, then BYE of the caller",
    reason: "bye",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      arrived.onCancel = () => core.respond(arrived, 200, { headers: [contact(core)], body: coreSdp() });
      sent.cancel();
      const ok = await sent.final();
      expect(ok.status).toBe(200);
      const dialog = dialogOf(ue.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
      await ue.ack(dialog.byCaller("ACK", 1));
      const bye = ue.send(dialog.byCaller("BYE", 2));
      core.respond(await core.expect("BYE"), 200);
      await bye.final();
    },
  },
  {
    name: "RFC 3261 21.4.18: the core is busy",
    reason: "rejected",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 486);
      expect((await sent.final()).status).toBe(486);
    },
  },
  {
    name: "RFC 3261 21.4.18: the UE is busy",
    reason: "rejected",
    run: async (parts) => {
      const { sent, arrived } = await terminate(parts);
      parts.ue.respond(arrived, 486);
      expect((await sent.final()).status).toBe(486);
    },
  },
  {
    name: "RFC 3261 17.1.1.2: nobody answers the INVITE (timer B)",
    reason: "setup-timeout",
    run: async ({ scenario, ue }) => {
      const { sent } = await originate(scenario, ue);
      scenario.clock.advance(33_000);
      expect((await sent.final()).status).toBe(408);
    },
  },
  {
    name: "RFC 3261 16.8: it rings for ever (timer C)",
    reason: "setup-timeout",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      scenario.clock.advance(186_000);
      expect((await sent.final()).status).toBe(408);
    },
  },
  {
    name: "RFC 3261 13.3.1.4: the ACK never comes",
    reason: "no-acknowledgement",
    run: async (parts) => {
      const { scenario, core, ue } = parts;
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 200, { headers: [contact(core)], body: coreSdp() });
      expect((await sent.final()).status).toBe(200);
      scenario.clock.advance(33_000);
      await bothGetBye(parts, "408");
    },
  },
  {
    name: "RFC 4028 10: the session is not refreshed",
    reason: "session-expired",
    run: async (parts) => {
      await establishOriginating(parts.scenario, parts.ue, { headers: [["Session-Expires", "90;refresher=uas"]] });
      parts.scenario.clock.advance(123_000);
      await bothGetBye(parts, "408");
    },
  },
  {
    name: "TS 24.229 5.2.8.1: the flow to the UE is lost",
    reason: "flow-lost",
    run: async ({ scenario, core, ue }) => {
      await establishOriginating(scenario, ue);
      ue.hangUp();
      await until(() => scenario.logs.some(({ event }) => event === "connection closed"), "closed");
      scenario.clock.advance(6000);
      core.respond(await core.expect("BYE"), 200);
    },
  },
  {
    name: "TS 24.229 5.2.8.1: the flow to a ringing UE is lost",
    reason: "flow-lost",
    run: async (parts) => {
      const { sent, arrived } = await terminate(parts);
      parts.ue.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      parts.ue.hangUp();
      await until(() => parts.scenario.logs.some(({ event }) => event === "connection closed"), "closed");
      parts.scenario.clock.advance(6000);
      expect((await sent.final()).status).toBe(480);
    },
  },
  {
    name: "TS 33.328 4.2.2: the gateway loses the context in a call, and no other takes it",
    reason: "gateway-lost",
    run: async (parts) => {
      await establishOriginating(parts.scenario, parts.ue);
      parts.scenario.iq.failNext("add");
      parts.scenario.iq.notify((context) => ({
        kind: "context-lost",
        gateway: context.gateway,
        context,
        reason: "restart",
      }));
      await bothGetBye(parts, "503");
    },
  },
  {
    name: "TS 33.328 4.2.2: the gateway loses the context while it rings",
    reason: "gateway-lost",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 180);
      await sent.responses.next(({ status }) => status === 180);
      const cancelled = new Promise<void>((resolve) => (arrived.onCancel = () => resolve()));
      scenario.iq.notify((context) => ({ kind: "context-lost", gateway: context.gateway, context, reason: "silence" }));
      expect((await sent.final()).status).toBe(503);
      await cancelled;
    },
  },
  {
    name: "TS 23.334 5.15: media inactivity",
    reason: "media-inactive",
    run: async (parts) => {
      await establishTerminating(parts.scenario, parts.ue, parts.path);
      parts.scenario.iq.notify((context) => ({
        kind: "media-inactivity",
        gateway: context.gateway,
        context,
        side: "access",
      }));
      await bothGetBye(parts, "408");
    },
  },
  {
    name: "TS 33.328 7.2.1 step 2: the gateway has no room for the offer; the core never hears of the call",
    reason: "media-security",
    run: async ({ scenario, core, ue }) => {
      scenario.iq.failNext("add");
      const sent = ue.send(ue.request("INVITE", "sip:carol@far.example", { body: ueOffer() }));
      expect((await sent.final()).status).toBe(503);
      expect(core.requests.all.filter(({ request }) => request.method === "INVITE")).toEqual([]);
    },
  },
  {
    name: "TS 33.328 7.2.1 step 7: the gateway refuses the keys; never continued in the clear",
    reason: "media-security",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      scenario.iq.failNext("modify");
      core.respond(arrived, 200, { headers: [contact(core)], body: coreSdp() });
      expect((await sent.final()).status).toBe(503);
      await core.acks.next();
      core.respond(await core.expect("BYE"), 200);
      expect(ue.requests.all.map(({ request }) => request.method)).not.toContain("BYE");
    },
  },
  {
    name: "TS 33.328 7.3.1 step 6: the gateway refuses the keys of the answer; ACK and BYE to the UE",
    reason: "media-security",
    run: async (parts) => {
      const { sent, arrived } = await terminate(parts);
      parts.scenario.iq.failNext("modify");
      parts.ue.respond(arrived, 200, { headers: [["Contact", `<${parts.ue.contact}>`]], body: ueAnswer() });
      expect((await sent.final()).status).toBe(503);
      await parts.ue.acks.next();
      parts.ue.respond(await parts.ue.expect("BYE"), 200);
    },
  },
  {
    name: "TS 33.328 7.3.1 step 5: the UE answers early in the clear; it is cancelled",
    reason: "media-security",
    run: async (parts) => {
      const { sent, arrived } = await terminate(parts);
      const cancelled = new Promise<void>((resolve) => (arrived.onCancel = () => resolve()));
      parts.ue.respond(arrived, 183, { headers: [["Contact", `<${parts.ue.contact}>`]], body: sdp() });
      expect((await sent.final()).status).toBe(488);
      await cancelled;
      parts.ue.respond(arrived, 487);
    },
  },
  {
    name: "RFC 3264 4: the answer is no SDP",
    reason: "media-security",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 200, { headers: [contact(core)], body: "v=1\r\nnonsense" });
      expect((await sent.final()).status).toBe(488);
      await core.acks.next();
      core.respond(await core.expect("BYE"), 200);
    },
  },
  {
    name: "RFC 3261 13.2.1: the answer is missing",
    reason: "media-security",
    run: async ({ scenario, core, ue }) => {
      const { sent, arrived } = await originate(scenario, ue);
      core.respond(arrived, 200, { headers: [contact(core)] });
      expect((await sent.final()).status).toBe(488);
      await core.acks.next();
      core.respond(await core.expect("BYE"), 200);
    },
  },
];

describe("invariant 10: whatever ends, no context, leg, timer or transaction is left", () => {
  for (const ending of endings) {
    it(ending.name, async () => {
      const scenario = await openScenario();
      const ue = await scenario.ue("alice");
      const { path } = await ue.register();
      await ending.run({ scenario, core: scenario.core, ue, path });
      await until(() => scenario.edge.counts().calls === 0, "the call's end");
      await until(() => scenario.iq.open.size === 0, "the subtraction");
      expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
      await settled();
      // Everything that lingers for stragglers is gone after two times 64*T1.
      scenario.clock.advance(70_000);
      await until(() => scenario.edge.calls()[0]?.phase === "ended", "the view");
      expect(scenario.edge.calls()).toMatchObject([{ phase: "ended", ended: { reason: ending.reason } }]);
      expect(scenario.edge.counts().transactions).toBe(0);
      await scenario.close();
    });
  }

  it("the edge closes in the middle of calls: both sides hear of it and every context goes back", async () => {
    const scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const { path } = await alice.register();
    await establishOriginating(scenario, alice);
    const ringing = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp(), callId: "second" }),
    );
    await alice.expect("INVITE");
    expect(scenario.iq.open.size).toBe(2);
    await scenario.close();
    expect(scenario.iq.open.size).toBe(0);
    expect(scenario.edge.counts()).toEqual({ calls: 0, registrations: 0, transactions: 0, contexts: 0 });
    void ringing;
  });
});
