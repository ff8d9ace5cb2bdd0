// Calls that a third party controls, and re-INVITEs within which something happens: RFC 3725, RFC 6141.
import { headerValue } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { flows, reliable } from "./support/flow.ts";
import { audio, bodyOf, video, type Line } from "./support/flow-checks.ts";
import type { Dialog, Flow, Party } from "./support/flow-types.ts";
import { settled, until } from "./support/scenario.ts";

const rack = (text: string) => ({ headers: [["RAck", text]] as const });
const rel = [["Supported", "100rel"]] as const;

describe("RFC 3725 4: third party call control", () => {
  flows("RFC 3725 4.1 (flow I): the answer waits in the ACK while the 200 comes again", async (flow) => {
    const passed = await flow.invite({ body: "" });
    const body = flow.called.offer();
    const ok = await flow.reply(passed, 200, { body });
    flow.say(passed, 200, { body });
    expect(bodyOf(await passed.sent.responses.next(({ status }) => status === 200))).toBe(bodyOf(ok));
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1, { body: flow.caller.answer() });
    await dialog.bye("caller");
  });

  flows(
    "RFC 3725 4.2 and 4.3 (flows II, III): held at nowhere first, then offered what the other party offers",
    async (flow) => {
      const hole = { lines: ["a=inactive"] };
      const passed = await flow.invite({ body: "" });
      const ok = await flow.reply(passed, 200, { body: flow.called.offer() });
      const dialog = flow.dialog(passed, ok);
      const nowhere = flow.caller.answer(hole).replace(/^c=.*$/m, "c=IN IP4 0.0.0.0");
      await dialog.ack("caller", 1, { body: nowhere });
      const again = await dialog.pass("caller", "INVITE");
      await flow.reply(again, 200, { body: flow.called.offer({ version: 2 }) });
      await dialog.ack("caller", 2, { body: flow.caller.answer({ version: 2 }) });
      const third = await dialog.pass("caller", "INVITE", { body: flow.caller.offer({ version: 3, port: 45_000 }) });
      await flow.reply(third, 200, { body: flow.called.answer({ version: 3 }) });
      await dialog.ack("caller", 3);
      await dialog.bye("called");
    },
  );

  flows(
    "RFC 3725 6: the other party refuses: BYE with the answer never given, after an ACK that takes no media",
    async (flow) => {
      const passed = await flow.invite({ body: "" });
      const ok = await flow.reply(passed, 200, { body: flow.called.describe([audio(49_170)]) });
      const dialog = flow.dialog(passed, ok);
      await dialog.ack("caller", 1, { body: flow.caller.describe([audio(0)], { answers: true }) });
      await dialog.bye("caller");
    },
  );
});

describe("RFC 6141: re-INVITEs within which something happens", () => {
  for (const by of ["caller", "called"] as const) {
    const other = by === "caller" ? "called" : "caller";
    const open = async (flow: Flow) => {
      const { dialog } = await flow.call({
        offer: flow.caller.describe([audio(49_170)]),
        answer: flow.called.describe([audio(49_172)], { answers: true }),
      });
      const before = flow.scenario.iq.commands.at(-1)?.streams;
      const body = flow.end(by).describe([audio(by === "caller" ? 49_170 : 49_172), video(51_000)], { version: 2 });
      const again = await dialog.pass(by, "INVITE", { headers: rel, body });
      const seq = Number(headerValue(again.asked, "cseq")?.split(" ")[0]);
      const both = flow.end(other).describe([audio(49_176), video(51_002)], { version: 2, answers: true });
      await flow.reply(again, 183, { headers: reliable(3), body: both });
      await flow.reply(await dialog.pass(by, "PRACK", rack(`3 ${seq} INVITE`)), 200);
      return { dialog, again, seq, before };
    };

    flows(
      `RFC 6141 3.4: video offered by the ${by}, taken, taken back by UPDATE of the other end, then 200`,
      async (flow) => {
        const { dialog, again, seq } = await open(flow);
        const without = flow.end(other).describe([audio(49_176), video(0)], { version: 3 });
        const update = await dialog.pass(other, "UPDATE", { body: without });
        const agreed = flow.end(by).describe([audio(49_178), video(0)], { version: 3, answers: true });
        await flow.reply(update, 200, { body: agreed });
        await flow.reply(again, 200);
        await dialog.ack(by, seq);
        const streams = flow.scenario.edge.calls()[0]?.streams.filter(({ security }) => security === "e2ae").length;
        expect(streams).toBe(flow.kind.mode === "e2ae" ? 1 : 0);
        await offerAnswerOf(flow, dialog, other, [audio(49_190), video(0)]);
        await dialog.bye(by);
      },
    );

    flows(`RFC 6141 3.1: the same refused at the end: what was before is back at the gateway (${by})`, async (flow) => {
      const { dialog, again, before } = await open(flow);
      await flow.reply(again, 580);
      if (flow.kind.mode === "e2ae") {
        await until(() => flow.scenario.iq.commands.at(-2)?.kind === "remove", "video gone from the gateway");
        expect(flow.scenario.iq.commands.at(-1)?.streams).toEqual(before);
        const view = flow.scenario.edge.calls()[0];
        expect(view?.streams.filter(({ security }) => security === "e2ae")).toHaveLength(1);
      }
      await offerAnswerOf(flow, dialog, by, [audio(49_190)]);
      await dialog.bye(other);
    });

    flows(
      `RFC 6141 3.1: refused at the end, and the gateway is lost: what was before is offered again (${by})`,
      async (flow) => {
        const { dialog, again } = await open(flow);
        await flow.reply(again, 488);
        await settled();
        flow.scenario.iq.notify((context) => ({
          kind: "context-lost",
          gateway: context.gateway,
          context,
          reason: "restart",
        }));
        flow.scenario.clock.advance(300);
        for (const side of ["UE", "core"] as const) {
          const end = flow.caller.side === side ? flow.caller : flow.called;
          const asked = await end.peer.expect("INVITE");
          expect(bodyOf(asked.request).match(/^m=\S+/gm)).toEqual(["m=audio"]);
          const body = end.describe([audio(49_170)], { version: 5, answers: true });
          end.peer.respond(asked, 200, { headers: [["Contact", `<${end.contact}>`]], body });
          await end.peer.acks.next();
          flow.scenario.clock.advance(300);
        }
        expect(flow.scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae" });
        const bye = dialog.send(by, "BYE");
        flow.end(other).peer.respond(await flow.end(other).peer.expect("BYE"), 200);
        expect((await bye.sent.final()).status).toBe(200);
        // The lost context was never given back: there is nothing to give back.
        flow.lost = 1;
      },
      { mode: "e2ae" },
    );

    flows(`RFC 6141 4.4: a Contact of the ${by} that a failed re-INVITE or UPDATE named is not taken`, async (flow) => {
      const { dialog } = await flow.call();
      for (const method of ["INVITE", "UPDATE"]) {
        const contact = flow.end(by).contact.replace("sip:", "sip:elsewhere-");
        const again = await dialog.pass(by, method, { contact, body: flow.end(by).offer({ version: 2 }) });
        await flow.reply(again, 488);
      }
      // The edge speaks to it itself: a session that nobody refreshes is one way to make it.
      flow.scenario.iq.failNext("add");
      flow.scenario.iq.notify((context) => ({
        kind: "media-inactivity",
        gateway: context.gateway,
        context,
        side: "core",
      }));
      if (flow.kind.mode === "plain") return dialog.bye(by);
      for (const party of [by, other] as const) {
        const bye = await flow.end(party).peer.expect("BYE");
        expect(bye.request.uri).toBe(flow.end(party).contact);
        flow.end(party).peer.respond(bye, 200);
      }
    });
  }
});

const offerAnswerOf = async (flow: Flow, dialog: Dialog, by: Party, lines: readonly Line[]): Promise<void> => {
  const other = by === "caller" ? "called" : "caller";
  const passed = await dialog.pass(by, "INVITE", { body: flow.end(by).describe(lines, { version: 7 }) });
  await flow.reply(passed, 200, { body: flow.end(other).describe(lines, { version: 7, answers: true }) });
  await dialog.ack(by, Number(headerValue(passed.asked, "cseq")?.split(" ")[0]));
};
