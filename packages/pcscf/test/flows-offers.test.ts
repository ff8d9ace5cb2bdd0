// Offers and answers wherever SIP lets them stand: RFC 6337, RFC 4317, RFC 3311, RFC 3262.
import { headerValue, type SipResponse } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { flows, reliable } from "./support/flow.ts";
import type { Dialog, Flow, Party, Passed } from "./support/flow-types.ts";
import { audio, bodyOf, video, type Line } from "./support/flow-checks.ts";
import { until } from "./support/scenario.ts";

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

  flows("RFC 3261 13.2.2.4: a 2xx that comes again, and its ACK with the same answer", async (flow) => {
    const passed = await flow.invite({ body: "" });
    const ok = await flow.reply(passed, 200, { body: flow.called.offer(), tag: "one" });
    const dialog = flow.dialog(passed, ok);
    const first = await dialog.ack("caller", 1, { body: flow.caller.answer() });
    flow.say(passed, 200, { body: flow.called.offer(), tag: "one" });
    await until(() => passed.sent.responses.all.filter(({ status }) => status === 200).length === 2, "the 200 again");
    expect(bodyOf(passed.sent.responses.all.at(-1) as SipResponse)).toBe(bodyOf(ok));
    const again = await dialog.ack("caller", 1, { body: flow.caller.answer() });
    expect(bodyOf(again)).toBe(bodyOf(first));
    await dialog.bye("caller");
  });

  flows("RFC 3261 13.2.2.4: an answer in the ACK that cannot be read ends the call on both sides", async (flow) => {
    const passed = await flow.invite({ body: "" });
    const ok = await flow.reply(passed, 200, { body: flow.called.offer() });
    await flow.dialog(passed, ok).sendAck("caller", 1, { body: "v=0\r\nthis is no description\r\n" });
    expect(bodyOf(await flow.called.peer.acks.next())).toBe("");
    for (const { peer } of [flow.caller, flow.called]) peer.respond(await peer.expect("BYE"), 200);
    await until(() => flow.scenario.edge.counts().calls === 0, "the end of the call");
  });

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
