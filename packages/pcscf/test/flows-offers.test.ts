// Offers and answers wherever SIP lets them stand: RFC 6337, RFC 4317, RFC 3725, RFC 6141, RFC 3311, RFC 3262.
import { headerValue } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { settled } from "./support/scenario.ts";
import { bodyOf, flows, reliable, type Dialog, type Flow, type Line, type Party, type Passed } from "./support/flow.ts";

const rack = (text: string) => ({ headers: [["RAck", text]] as const });
const rel = [["Supported", "100rel"]] as const;

const offerAnswer = async (flow: Flow, dialog: Dialog, by: Party, version: number, method = "INVITE") => {
  const other = by === "caller" ? "called" : "caller";
  const passed = await dialog.pass(by, method, { body: flow.end(by).offer({ version }) });
  await flow.reply(passed, 200, { body: flow.end(other).answer({ version }) });
  if (method === "INVITE") await dialog.ack(by, Number(headerValue(passed.asked, "cseq")?.split(" ")[0]));
};

describe("RFC 6337 2.2: the six patterns", () => {
  flows("pattern 1: offer in the INVITE, answer in the 2xx; the same again by either end", async (flow) => {
    const { dialog } = await flow.call();
    await offerAnswer(flow, dialog, "caller", 2);
    await offerAnswer(flow, dialog, "called", 2);
    await dialog.bye("called");
    if (flow.kind.mode === "e2ae") expect(flow.orders().at(0)).toBe("add");
  });

  flows("pattern 2: offer in the 2xx, answer in the ACK; the same again by either end", async (flow) => {
    const passed = await flow.invite({ body: "" });
    const ok = await flow.reply(passed, 200, { body: flow.called.offer() });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1, { body: flow.caller.answer() });
    for (const by of ["caller", "called"] as const) {
      const other = by === "caller" ? "called" : "caller";
      const again = await dialog.pass(by, "INVITE");
      await flow.reply(again, 200, { body: flow.end(other).offer({ version: 2 }) });
      await dialog.ack(by, 2, { body: flow.end(by).answer({ version: 2 }) });
    }
    await dialog.bye("caller");
  });

  flows("pattern 3: offer in the INVITE, answer in a reliable 183", async (flow) => {
    const passed = await flow.invite({ headers: rel });
    const early = await flow.reply(passed, 183, { headers: reliable(4), body: flow.called.answer() });
    const dialog = flow.dialog(passed, early);
    await flow.reply(await dialog.pass("caller", "PRACK", rack("4 1 INVITE")), 200);
    await flow.reply(passed, 180, { headers: reliable(5) });
    await flow.reply(await dialog.pass("caller", "PRACK", rack("5 1 INVITE")), 200);
    await flow.reply(passed, 200);
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
  });

  flows(
    "pattern 4: offer in a reliable 183, answer in the PRACK; in the call by a re-INVITE of either end",
    async (flow) => {
      const passed = await flow.invite({ body: "", headers: rel });
      const early = await flow.reply(passed, 183, { headers: reliable(1), body: flow.called.offer() });
      const dialog = flow.dialog(passed, early);
      const prack = await dialog.pass("caller", "PRACK", { ...rack("1 1 INVITE"), body: flow.caller.answer() });
      await flow.reply(prack, 200);
      await flow.reply(passed, 200);
      await dialog.ack("caller", 1);
      for (const by of ["caller", "called"] as const) {
        const other = by === "caller" ? "called" : "caller";
        const again = await dialog.pass(by, "INVITE", { headers: rel });
        await flow.reply(again, 183, { headers: reliable(9), body: flow.end(other).offer({ version: 2 }) });
        const seq = headerValue(again.asked, "cseq")?.split(" ")[0];
        const body = flow.end(by).answer({ version: 2 });
        await flow.reply(await dialog.pass(by, "PRACK", { ...rack(`9 ${seq} INVITE`), body }), 200);
        await flow.reply(again, 200);
        await dialog.ack(by, Number(seq));
      }
      await dialog.bye("called");
    },
  );

  flows("pattern 5: offer in the PRACK, answer in its 200", async (flow) => {
    const passed = await flow.invite({ headers: rel });
    const early = await flow.reply(passed, 183, { headers: reliable(1), body: flow.called.answer() });
    const dialog = flow.dialog(passed, early);
    const body = flow.caller.offer({ version: 2 });
    const prack = await dialog.pass("caller", "PRACK", { ...rack("1 1 INVITE"), body });
    await flow.reply(prack, 200, { body: flow.called.answer({ version: 2 }) });
    await flow.reply(passed, 200);
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
  });

  flows("pattern 6: UPDATE of either end, early and in the call", async (flow) => {
    const passed = await flow.invite({ headers: rel });
    const early = await flow.reply(passed, 183, { headers: reliable(1), body: flow.called.answer() });
    const dialog = flow.dialog(passed, early);
    await flow.reply(await dialog.pass("caller", "PRACK", rack("1 1 INVITE")), 200);
    await offerAnswer(flow, dialog, "caller", 2, "UPDATE");
    await offerAnswer(flow, dialog, "called", 2, "UPDATE");
    await flow.reply(passed, 200);
    await dialog.ack("caller", 1);
    await offerAnswer(flow, dialog, "called", 3, "UPDATE");
    await offerAnswer(flow, dialog, "caller", 3, "UPDATE");
    await dialog.bye("called");
  });
});

const final = async ({ sent }: Pick<Passed, "sent">) => {
  const response = await sent.final();
  return { status: response.status, retryAfter: headerValue(response, "retry-after") };
};

describe("RFC 6337 3: what is not allowed", () => {
  flows("RFC 3311 5.2, RFC 3261 14.2: a second offer of the same end: 500 with Retry-After 0 to 10", async (flow) => {
    const { dialog } = await flow.call();
    const update = await dialog.pass("caller", "UPDATE", { body: flow.caller.offer({ version: 2 }) });
    for (const method of ["UPDATE", "INVITE"]) {
      const { status, retryAfter } = await final(
        dialog.send("caller", method, { body: flow.caller.offer({ version: 3 }) }),
      );
      expect(status).toBe(500);
      expect(Number(retryAfter)).toBeLessThanOrEqual(10);
      expect(retryAfter).toMatch(/^\d+$/);
    }
    await flow.reply(update, 200, { body: flow.called.answer({ version: 2 }) });
    await dialog.bye("caller");
  });

  flows("RFC 3262 5: an offer in the PRACK of a 183 without answer is refused, and the call goes on", async (flow) => {
    const passed = await flow.invite({ headers: rel });
    const early = await flow.reply(passed, 183, { headers: reliable(1) });
    const dialog = flow.dialog(passed, early);
    const prack = dialog.send("caller", "PRACK", { ...rack("1 1 INVITE"), body: flow.caller.offer({ version: 2 }) });
    expect((await final(prack)).status).toBe(500);
    await flow.reply(await dialog.pass("caller", "PRACK", rack("1 1 INVITE")), 200);
    await flow.reply(passed, 200, { body: flow.called.answer() });
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
  });

  flows("RFC 3311 5.1: an UPDATE before the first answer: 491 to the called, 500 to the caller", async (flow) => {
    const passed = await flow.invite({ headers: rel });
    const early = await flow.reply(passed, 183, { headers: reliable(1) });
    const dialog = flow.dialog(passed, early);
    expect((await final(dialog.send("called", "UPDATE", { body: flow.called.offer() }))).status).toBe(491);
    expect((await final(dialog.send("caller", "UPDATE", { body: flow.caller.offer({ version: 2 }) }))).status).toBe(
      500,
    );
    await flow.reply(passed, 200, { body: flow.called.answer() });
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
  });

  flows("RFC 6337 3.1.1: an ACK that repeats an answer nobody asked for goes on without it", async (flow) => {
    const passed = await flow.invite();
    const ok = await flow.reply(passed, 200, { body: flow.called.answer() });
    const dialog = flow.dialog(passed, ok);
    await dialog.sendAck("caller", 1, { body: flow.caller.offer() });
    expect(bodyOf(await flow.called.peer.acks.next())).toBe("");
    await dialog.bye("caller");
  });

  flows(
    "RFC 6337 2.4: SDP of an unreliable 18x to an INVITE without offer is none; that of the 2xx is",
    async (flow) => {
      const passed = await flow.invite({ body: "" });
      flow.say(passed, 183, { body: flow.called.offer({ port: 41_000 }) });
      const early = await passed.sent.responses.next(({ status }) => status === 183);
      expect(bodyOf(early)).not.toMatch(/crypto|3ge2ae/);
      const ok = await flow.reply(passed, 200, { body: flow.called.offer() });
      const dialog = flow.dialog(passed, ok);
      await dialog.ack("caller", 1, { body: flow.caller.answer() });
      await dialog.bye("caller");
    },
  );

  flows("RFC 3261 13.2.1: a 200 that says another address than the 183 before: the last word counts", async (flow) => {
    const passed = await flow.invite();
    await flow.reply(passed, 183, { body: flow.called.answer(), tag: "one" });
    const ok = await flow.reply(passed, 200, { body: flow.called.answer({ version: 2, port: 42_000 }), tag: "one" });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    const side = flow.called.side === "UE" ? "access" : "core";
    if (flow.kind.mode === "e2ae")
      expect(flow.scenario.iq.commands.at(-1)?.streams[0]?.[side]?.remote?.port).toBe(42_000);
    await dialog.bye("caller");
  });
});

type Step = readonly [by: Party, offer: readonly Line[], answer: readonly Line[], versions?: readonly [number, number]];
const audio = (port: number, formats = "0 97", ...attributes: readonly string[]): Line => ({
  port,
  formats,
  attributes: ["a=rtpmap:0 PCMU/8000", "a=rtpmap:97 iLBC/8000", ...attributes],
});
const video = (port: number, formats = "31 32", ...attributes: readonly string[]): Line => ({
  media: "video",
  port,
  formats,
  attributes: ["a=rtpmap:31 H261/90000", "a=rtpmap:32 MPV/90000", ...attributes],
});

const examples: readonly (readonly [title: string, ...steps: readonly Step[]])[] = [
  [
    "RFC 4317 2.1: audio and video, the answer takes one codec of each",
    ["caller", [audio(49_170, "0 8 97"), video(51_372)], [audio(49_174, "0"), video(49_170, "32")]],
  ],
  [
    "RFC 4317 2.2: the answer takes two of three codecs, and an UPDATE narrows them to one",
    ["caller", [audio(49_170, "0 8 97"), video(51_372)], [audio(49_172, "0 8"), video(0, "31")]],
    ["caller", [audio(51_372, "0"), video(0, "31")], [audio(49_172, "0"), video(0, "31")]],
  ],
  [
    "RFC 4317 2.4: two audio streams, the second for telephone events alone",
    [
      "caller",
      [
        audio(49_170, "0 97"),
        { port: 49_172, formats: "98", attributes: ["a=rtpmap:98 telephone-event/8000", "a=sendonly"] },
      ],
      [
        audio(49_172, "97"),
        { port: 49_174, formats: "98", attributes: ["a=rtpmap:98 telephone-event/8000", "a=recvonly"] },
      ],
    ],
  ],
  [
    "RFC 4317 2.5: audio and two videos, of which the answer wants none",
    ["caller", [audio(49_170), video(49_174), video(49_176)], [audio(49_172), video(0), video(0)]],
  ],
  [
    "RFC 4317 3.1: hold and unhold of one of two streams by the called",
    ["caller", [audio(49_170), audio(49_174)], [audio(49_172), audio(49_176)]],
    [
      "called",
      [audio(49_172, "0 97", "a=sendonly"), audio(49_176, "0 97")],
      [audio(49_170, "0 97", "a=recvonly"), audio(49_174)],
    ],
    ["called", [audio(49_172, "0 97", "a=sendrecv"), audio(49_176)], [audio(49_170), audio(49_174)]],
  ],
  [
    "RFC 4317 3.2: hold with both sides inactive, and back",
    ["caller", [audio(49_170)], [audio(49_172)]],
    ["caller", [audio(49_170, "0 97", "a=inactive")], [audio(49_172, "0 97", "a=inactive")]],
    ["called", [audio(49_172)], [audio(49_170)]],
  ],
  [
    "RFC 4317 4.1: a second audio stream is added by the called",
    ["caller", [audio(49_170)], [audio(49_172)]],
    ["called", [audio(49_172), audio(49_176)], [audio(49_170), audio(49_174)]],
  ],
  [
    "RFC 4317 4.2: video is added by the caller, and refused first",
    ["caller", [audio(49_170)], [audio(49_172)]],
    ["caller", [audio(49_170), video(49_174)], [audio(49_172), video(0)]],
    ["caller", [audio(49_170), video(49_174)], [audio(49_172), video(49_178)]],
  ],
  [
    "RFC 4317 4.3: video is deleted by the called, and its place taken by audio (RFC 3264 8.1)",
    ["caller", [audio(49_170), video(51_372)], [audio(49_174), video(49_170)]],
    ["called", [audio(49_174), video(0)], [audio(49_170), video(0)]],
    ["caller", [audio(49_170), audio(49_180)], [audio(49_174), audio(49_182)]],
  ],
  ["RFC 3725 4.4: no media at first, then audio", ["caller", [], []], ["caller", [audio(49_170)], [audio(49_172)]]],
  [
    "RFC 3264 8.2: the only stream goes and comes back",
    ["caller", [audio(49_170)], [audio(49_172)]],
    ["caller", [audio(0)], [audio(0)]],
    ["called", [audio(49_172)], [audio(49_170)]],
  ],
];

describe("RFC 4317: examples", () => {
  for (const [title, ...steps] of examples) {
    flows(title, async (flow) => {
      let dialog: Dialog | undefined;
      let version = 0;
      for (const [by, offer, answer] of steps) {
        version += 1;
        const other = by === "caller" ? "called" : "caller";
        const body = flow.end(by).describe(offer, { version });
        const reply = flow.end(other).describe(answer, { version, answers: true });
        const passed = dialog === undefined ? await flow.invite({ body }) : await dialog.pass(by, "INVITE", { body });
        const ok = await flow.reply(passed, 200, { body: reply });
        dialog ??= flow.dialog(passed, ok);
        await dialog.ack(by, Number(headerValue(passed.asked, "cseq")?.split(" ")[0]));
        const streams = [...offer.keys()].filter((at) => offer[at]?.port !== 0 && answer[at]?.port !== 0).length;
        if (flow.kind.mode === "e2ae") {
          const view = flow.scenario.edge.calls()[0];
          expect(view?.streams.filter(({ security }) => security === "e2ae")).toHaveLength(streams);
        }
      }
      await dialog?.bye("caller");
    });
  }
});

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
      const body = flow.end(by).describe([audio(by === "caller" ? 49_170 : 49_172), video(51_000)], { version: 2 });
      const again = await dialog.pass(by, "INVITE", { headers: rel, body });
      const seq = Number(headerValue(again.asked, "cseq")?.split(" ")[0]);
      const both = flow.end(other).describe([audio(49_176), video(51_002)], { version: 2, answers: true });
      await flow.reply(again, 183, { headers: reliable(3), body: both });
      await flow.reply(await dialog.pass(by, "PRACK", rack(`3 ${seq} INVITE`)), 200);
      return { dialog, again, seq };
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
      const { dialog, again } = await open(flow);
      await flow.reply(again, 580);
      if (flow.kind.mode === "e2ae") {
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
      { only: { mode: "e2ae" } },
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
