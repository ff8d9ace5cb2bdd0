// Several early dialogs, several answers, redirections and refusals, both ways through one edge.
// RFC 3261 13.2.2.4 and 16.7, RFC 6228 (199), RFC 3960, RFC 5359 2.11.
import { createResponse, headerList, headerValue, tagOf, type SipResponse } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { flows, reliable } from "./support/flow.ts";
import type { Dialog, Flow, Passed } from "./support/flow-types.ts";
import { bodyOf } from "./support/flow-checks.ts";
import { settled } from "./support/scenario.ts";

const rack = (text: string) => ({ headers: [["RAck", text]] as const });

/** The called side's port the gateway has in force for the first stream. */
const farPort = (flow: Flow): number | undefined =>
  flow.scenario.iq.commands.findLast(({ kind }) => kind === "add" || kind === "modify")?.streams[0]?.[
    flow.called.side === "UE" ? "access" : "core"
  ]?.remote?.port;

const answersAs = async (
  flow: Flow,
  passed: Passed,
  tag: string,
  port: number,
  parts: { readonly early?: string } = {},
) => {
  const ok = await flow.reply(passed, 200, {
    tag,
    ...(parts.early === "only" ? {} : { body: flow.called.answer({ port }) }),
  });
  const dialog = flow.dialog(passed, ok);
  await dialog.ack("caller", 1);
  if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(port);
  return dialog;
};

/** A further 2xx that the called side sends: it gets ACK and BYE here, and the caller hears nothing of it. */
const isDropped = async (
  flow: Flow,
  passed: Passed,
  tag: string,
  reason = 'SIP;cause=200;text="Call completed elsewhere"',
): Promise<void> => {
  const { peer } = flow.called;
  expect(tagOf(await peer.acks.next(), "to")).toBe(tag);
  const bye = await peer.expect("BYE");
  expect(tagOf(bye.request, "to")).toBe(tag);
  // RFC 3326 2: no failure of anybody's.
  expect(headerValue(bye.request, "reason")).toBe(reason);
  peer.respond(bye, 200);
  await settled();
  expect(
    passed.sent.responses.all.map((response) => (response.status === 200 ? tagOf(response, "to") : "-")),
  ).not.toContain(tag);
};

describe("early dialogs", () => {
  flows("RFC 6228 4: 199 tells that one early dialog is over; another answers", async (flow) => {
    const passed = await flow.invite({ headers: [["Supported", "199, 100rel"]] });
    await flow.reply(passed, 183, { tag: "one", body: flow.called.answer({ port: 6100 }) });
    await flow.reply(passed, 180, { tag: "two" });
    const gone = await flow.reply(passed, 199, { tag: "one", headers: [["Reason", 'SIP;cause=486;text="Busy Here"']] });
    expect(headerValue(gone, "reason")).toContain("486");
    const dialog = await answersAs(flow, passed, "two", 6200);
    await dialog.bye("caller");
  });

  flows(
    "RFC 5359 2.11: twenty places are tried one after the other, each rings with media of its own, the last one answers",
    async (flow) => {
      const passed = await flow.invite();
      for (let at = 1; at <= 20; at += 1) {
        await flow.reply(passed, 183, { tag: `place-${at}`, body: flow.called.answer({ port: 7000 + at * 10 }) });
        flow.scenario.clock.advance(20_000);
      }
      const dialog = await answersAs(flow, passed, "place-20", 7200);
      await dialog.bye("called");
    },
  );

  flows(
    "RFC 5359 2.11: the same without media before the answer, which comes from a place that never rang",
    async (flow) => {
      const passed = await flow.invite();
      for (let at = 1; at <= 20; at += 1) await flow.reply(passed, 180, { tag: `place-${at}` });
      const dialog = await answersAs(flow, passed, "place-21", 7210);
      await dialog.bye("caller");
    },
  );

  flows("RFC 3960 3.2: forwarded after media of the first place: 181, another 183, and its 200", async (flow) => {
    const passed = await flow.invite({ headers: [["Supported", "100rel"]] });
    const one = await flow.reply(passed, 183, {
      tag: "one",
      headers: reliable(1),
      body: flow.called.answer({ port: 6100 }),
    });
    await flow.reply(await flow.dialog(passed, one).pass("caller", "PRACK", rack("1 1 INVITE")), 200);
    await flow.reply(passed, 181, { tag: "network", headers: [["History-Info", "<sip:bob@home.example>;index=1"]] });
    const two = await flow.reply(passed, 183, {
      tag: "two",
      headers: reliable(8),
      body: flow.called.answer({ port: 6200 }),
    });
    await flow.reply(await flow.dialog(passed, two).pass("caller", "PRACK", rack("8 1 INVITE")), 200);
    const dialog = await answersAs(flow, passed, "two", 6200, { early: "only" });
    await dialog.bye("caller");
  });
});

describe("RFC 3261 13.2.2.4: two places answer", () => {
  flows("each with its answer: the first stands", async (flow) => {
    const passed = await flow.invite();
    await flow.reply(passed, 180, { tag: "one" });
    await flow.reply(passed, 180, { tag: "two" });
    const dialog = await answersAs(flow, passed, "two", 6200);
    flow.say(passed, 200, { tag: "one", body: flow.called.answer({ port: 6100 }) });
    await isDropped(flow, passed, "one");
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(6200);
    await dialog.bye("called");
  });

  flows("the second without SDP, as it has answered reliably before: the first stands", async (flow) => {
    const passed = await flow.invite({ headers: [["Supported", "100rel"]] });
    const one = await flow.reply(passed, 183, {
      tag: "one",
      headers: reliable(1),
      body: flow.called.answer({ port: 6100 }),
    });
    await flow.reply(await flow.dialog(passed, one).pass("caller", "PRACK", rack("1 1 INVITE")), 200);
    const dialog = await answersAs(flow, passed, "two", 6200);
    flow.say(passed, 200, { tag: "one" });
    await isDropped(flow, passed, "one");
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(6200);
    await dialog.bye("caller");
  });

  flows("each with an offer, as the INVITE had none: the first stands, before and after its ACK", async (flow) => {
    for (const order of ["before", "after"] as const) {
      const passed = await flow.invite({ body: "" });
      const ok = await flow.reply(passed, 200, { tag: `${order}-one`, body: flow.called.offer({ port: 6100 }) });
      const dialog = flow.dialog(passed, ok);
      const second = (): void =>
        flow.say(passed, 200, { tag: `${order}-two`, body: flow.called.offer({ port: 6200 }) });
      if (order === "before") {
        second();
        await isDropped(flow, passed, `${order}-two`);
      }
      await dialog.ack("caller", 1, { body: flow.caller.answer() });
      if (order === "after") {
        second();
        await isDropped(flow, passed, `${order}-two`);
      }
      if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(6100);
      await dialog.bye("caller");
    }
  });

  flows("the second when the call is over already: it gets ACK and BYE", async (flow) => {
    const passed = await flow.invite();
    await flow.reply(passed, 180, { tag: "one" });
    await flow.reply(passed, 180, { tag: "two" });
    const dialog = await answersAs(flow, passed, "one", 6100);
    await dialog.bye("caller");
    flow.say(passed, 200, { tag: "two", body: flow.called.answer({ port: 6200 }) });
    await isDropped(flow, passed, "two", 'SIP;cause=500;text="ended"');
  });

  flows("RFC 3261 12.1.2: an answer without a tag makes a dialog all the same", async (flow) => {
    const passed = await flow.invite();
    const response = createResponse(passed.arrived.request, 200, undefined, {
      headers: [
        ["Contact", `<${flow.called.contact}>`],
        ["Content-Type", "application/sdp"],
      ],
      body: Buffer.from(flow.called.answer(), "latin1"),
    });
    passed.arrived.respond(response);
    const ok = await passed.sent.final();
    expect([ok.status, tagOf(ok, "to")]).toEqual([200, undefined]);
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    await dialog.bye("called");
  });
});

describe("RFC 6337 2.1 pattern 4: an INVITE without an offer, and two places that make theirs in a reliable 18x", () => {
  const ports = { one: 6100, two: 6200 } as const;
  const offers = (flow: Flow, tag: "one" | "two") => ({
    tag,
    headers: reliable(1),
    body: flow.called.offer({ port: ports[tag] }),
  });
  const begin = async (flow: Flow): Promise<Passed> =>
    await flow.invite({ body: "", headers: [["Supported", "100rel"]] });
  /** The caller's answer to the offer in `early`. */
  const takes = async (flow: Flow, passed: Passed, early: SipResponse): Promise<Dialog> => {
    const dialog = flow.dialog(passed, early);
    const prack = await dialog.pass("caller", "PRACK", { ...rack("1 1 INVITE"), body: flow.caller.answer() });
    await flow.reply(prack, 200);
    return dialog;
  };
  const wins = async (flow: Flow, passed: Passed, tag: "one" | "two", body = ""): Promise<void> => {
    const ok = await flow.reply(passed, 200, { tag, ...(body === "" ? {} : { body }) });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(ports[tag]);
    await dialog.bye("caller");
  };

  for (const winner of ["one", "two"] as const) {
    flows(`one after the other, each with a key of its own, and "${winner}" answers`, async (flow) => {
      const passed = await begin(flow);
      const keys: string[] = [];
      for (const tag of ["one", "two"] as const) {
        const early = await flow.reply(passed, 183, offers(flow, tag));
        for (const [key] of bodyOf(early).matchAll(/inline:\S+/g)) keys.push(key);
        await takes(flow, passed, early);
      }
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys.length > 0).toBe(flow.kind.mode === "e2ae" && flow.caller.side === "UE");
      await wins(flow, passed, winner);
    });

    flows(`the second before the first has its answer, and "${winner}" answers`, async (flow) => {
      const passed = await begin(flow);
      const one = await flow.reply(passed, 183, offers(flow, "one"));
      flow.say(passed, 183, offers(flow, "two"));
      await settled();
      await takes(flow, passed, one);
      await takes(flow, passed, await passed.sent.responses.next((response) => tagOf(response, "to") === "two"));
      await wins(flow, passed, winner);
    });
  }

  flows("the first says its offer again when it answers", async (flow) => {
    const passed = await begin(flow);
    for (const tag of ["one", "two"] as const)
      await takes(flow, passed, await flow.reply(passed, 183, offers(flow, tag)));
    await wins(flow, passed, "one", flow.called.offer({ port: ports.one }));
  });

  flows("the first answers while the offer of the second is open, whose answer then means nothing", async (flow) => {
    const passed = await begin(flow);
    await takes(flow, passed, await flow.reply(passed, 183, offers(flow, "one")));
    const two = flow.dialog(passed, await flow.reply(passed, 183, offers(flow, "two")));
    const ok = await flow.reply(passed, 200, { tag: "one" });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    two.send("caller", "PRACK", { ...rack("1 1 INVITE"), body: flow.caller.answer() });
    await settled();
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(ports.one);
    await dialog.bye("called");
  });

  flows("the second answers with its offer in the 200, while that of the first is open", async (flow) => {
    const passed = await begin(flow);
    await flow.reply(passed, 183, offers(flow, "one"));
    const ok = await flow.reply(passed, 200, { tag: "two", body: flow.called.offer({ port: ports.two }) });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1, { body: flow.caller.answer() });
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(ports.two);
    await dialog.bye("called");
  });

  flows("RFC 3311 5.1: an UPDATE of the first beside the second changes the first alone", async (flow) => {
    const passed = await begin(flow);
    const one = await takes(flow, passed, await flow.reply(passed, 183, offers(flow, "one")));
    await takes(flow, passed, await flow.reply(passed, 183, offers(flow, "two")));
    const update = await one.pass("called", "UPDATE", { body: flow.called.offer({ port: 6110, version: 2 }) });
    await flow.reply(update, 200, { body: flow.caller.answer({ version: 2 }) });
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(6110);
    await wins(flow, passed, "two");
  });

  flows("SDP in a PRACK of the other dialog answers nothing", async (flow) => {
    const passed = await begin(flow);
    const one = await takes(flow, passed, await flow.reply(passed, 183, offers(flow, "one")));
    const early = await flow.reply(passed, 183, offers(flow, "two"));
    const astray = one.send("caller", "PRACK", { ...rack("2 1 INVITE"), body: flow.caller.answer({ port: 49_990 }) });
    const { peer } = flow.called;
    peer.respond(await peer.expect("PRACK"), 200);
    expect((await astray.sent.final()).status).toBe(200);
    if (flow.kind.mode === "e2ae") expect(farPort(flow)).toBe(ports.one);
    await takes(flow, passed, early);
    await wins(flow, passed, "two");
  });

  flows("both come to nothing", async (flow) => {
    const passed = await begin(flow);
    for (const tag of ["one", "two"] as const)
      await takes(flow, passed, await flow.reply(passed, 183, offers(flow, tag)));
    expect((await flow.reply(passed, 486)).status).toBe(486);
  });
});

describe("RFC 3665 3 and RFC 3261 21: calls that come to nothing", () => {
  for (const [status, headers] of [
    [300, [["Contact", "<sip:carol@second.example>, <sip:carol@third.example>;q=0.5"]]],
    [302, [["Contact", "<sip:dave@far.example>"]]],
    [380, [["Contact", "<urn:service:sos>"]]],
    [404, [["Reason", 'Q.850;cause=1;text="Unallocated number"']]],
    [407, [["Proxy-Authenticate", 'Digest realm="far.example", nonce="n", algorithm=MD5']]],
    [415, [["Accept", "application/sdp"]]],
    [420, [["Unsupported", "x-none"]]],
    [433, []],
    [480, [["Retry-After", "120 (in a meeting)"]]],
    [484, []],
    [486, [["Retry-After", "60"]]],
    [488, [["Warning", '304 far.example "Media type not available"']]],
    [503, [["Retry-After", "3"]]],
    [580, []],
    [600, [["Retry-After", "9"]]],
    [603, [["Error-Info", "<sip:screening@far.example>"]]],
    [604, []],
  ] as const) {
    flows(
      `${status} with early media before it, from another place, reaches the caller with what it says`,
      async (flow) => {
        const passed = await flow.invite();
        await flow.reply(passed, 183, { tag: "early", body: flow.called.answer() });
        const refused = await flow.reply(passed, status, { tag: "late", headers });
        expect(bodyOf(refused)).toBe("");
        await settled();
        expect(flow.scenario.edge.calls()[0]).toMatchObject({ phase: "ended" });
      },
      { mode: "e2ae" },
    );
  }

  flows("RFC 3665 3.2: challenged, and called again with the same Call-ID and tag", async (flow) => {
    const first = await flow.invite({ callId: "again" });
    const challenge = [["Proxy-Authenticate", 'Digest realm="far.example", nonce="n", algorithm=MD5']] as const;
    await flow.reply(first, 407, { headers: challenge });
    const from = headerValue(first.asked, "from") ?? "";
    const second = await flow.invite({
      callId: "again",
      seq: 2,
      from,
      headers: [
        [
          "Proxy-Authorization",
          'Digest username="alice", realm="far.example", nonce="n", uri="sip:far.example", response="00000000000000000000000000000000"',
        ],
      ],
    });
    expect(headerValue(second.arrived.request, "proxy-authorization")).toContain("alice");
    const ok = await flow.reply(second, 200, { body: flow.called.answer() });
    const dialog = flow.dialog(second, ok);
    await dialog.ack("caller", 2);
    await dialog.bye("called");
    expect(headerList(ok, "record-route").length).toBeGreaterThan(0);
  });

  flows("RFC 3665 3.3: redirected, and called again elsewhere with the same Call-ID", async (flow) => {
    const first = await flow.invite({ callId: "moved" });
    await flow.reply(first, 302, { headers: [["Contact", "<sip:dave@far.example>"]] });
    const second = await flow.invite({ callId: "moved", seq: 2, from: headerValue(first.asked, "from") ?? "" });
    const ok = await flow.reply(second, 200, { body: flow.called.answer() });
    const dialog = flow.dialog(second, ok);
    await dialog.ack("caller", 2);
    await dialog.bye("caller");
  });
});
