// The services of RFC 5359 and what they are made of: REFER, Replaces, Join, dialog and refer events, both ways.
import { headerValue } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { flows } from "./support/flow.ts";
import type { Dialog, Flow, Headers, Party } from "./support/flow-types.ts";
import { bodyOf } from "./support/flow-checks.ts";
import { settled } from "./support/scenario.ts";

const sipfrag = { type: "message/sipfrag;version=2.0" } as const;
const state = (value: string): Headers => [
  ["Event", "refer"],
  ["Subscription-State", value],
];
const again = async (flow: Flow, dialog: Dialog, by: Party, lines: readonly string[], version: number) => {
  const other = by === "caller" ? "called" : "caller";
  const passed = await dialog.pass(by, "INVITE", { body: flow.end(by).offer({ version, lines }) });
  const back = lines.map((line) => (line === "a=sendonly" ? "a=recvonly" : line));
  await flow.reply(passed, 200, { body: flow.end(other).answer({ version, lines: back }) });
  await dialog.ack(by, Number(headerValue(passed.asked, "cseq")?.split(" ")[0]));
};

describe("RFC 5359 2.1 to 2.3: hold", () => {
  for (const by of ["caller", "called"] as const) {
    flows(
      `2.2, 2.3: the ${by} holds, plays music from elsewhere, talks to somebody else, and comes back`,
      async (flow) => {
        const { dialog } = await flow.call();
        const other = by === "caller" ? "called" : "caller";
        await again(flow, dialog, by, ["a=sendonly"], 2);
        const second = await flow.call();
        const music = flow.end(by).offer({ version: 3, address: "203.0.113.9", port: 5000, lines: ["a=sendonly"] });
        const passed = await dialog.pass(by, "INVITE", { body: music });
        await flow.reply(passed, 200, { body: flow.end(other).answer({ version: 3, lines: ["a=recvonly"] }) });
        await dialog.ack(by, 3);
        await second.dialog.bye("called");
        await again(flow, dialog, by, [], 4);
        await dialog.bye("caller");
        if (flow.kind.mode === "e2ae") expect(flow.orders().filter((order) => order === "add")).toHaveLength(2);
      },
    );
  }
});

describe("RFC 5359 2.4 and 2.5: transfer", () => {
  for (const by of ["caller", "called"] as const) {
    const other = by === "caller" ? "called" : "caller";

    flows(
      `2.4, RFC 3515 2.4.4: the ${by} transfers and hangs up; what became of it is told in the dialog after the BYE`,
      async (flow) => {
        const { dialog } = await flow.call();
        const headers = [
          ["Refer-To", "<sip:dave@far.example>"],
          ["Referred-By", "<sip:transferor@home.example>"],
        ] as const;
        await flow.reply(await dialog.pass(by, "REFER", { headers }), 202);
        const trying = { ...sipfrag, body: "SIP/2.0 100 Trying\r\n", headers: state("active;expires=180") };
        await flow.reply(await dialog.pass(other, "NOTIFY", trying), 200);
        await dialog.bye(by);
        if (flow.kind.mode === "e2ae") {
          await settled();
          expect(flow.orders().at(-1)).toBe("subtract");
        }
        // It rings for a while at the target.
        flow.scenario.clock.advance(60_000);
        const ringing = { ...sipfrag, body: "SIP/2.0 180 Ringing\r\n", headers: state("active;expires=90") };
        await flow.reply(await dialog.pass(other, "NOTIFY", ringing), 200);
        const done = { ...sipfrag, body: "SIP/2.0 200 OK\r\n", headers: state("terminated;reason=noresource") };
        await flow.reply(await dialog.pass(other, "NOTIFY", done), 200);
        // That was the last of it.
        const more = dialog.send(other, "NOTIFY", done);
        expect((await more.sent.final()).status).toBe(481);
      },
    );

    flows(
      `RFC 3515 2.4.4: a NOTIFY that is before the 202 of the ${by}'s REFER, and one that nobody knows any more`,
      async (flow) => {
        const { dialog } = await flow.call();
        const refer = await dialog.pass(by, "REFER", { headers: [["Refer-To", "<sip:dave@far.example>"]] });
        const trying = { ...sipfrag, body: "SIP/2.0 100 Trying\r\n", headers: state("active;expires=60") };
        const notify = await dialog.pass(other, "NOTIFY", trying);
        await flow.reply(notify, 200);
        await flow.reply(refer, 202);
        await dialog.bye(other);
        const late = await dialog.pass(other, "NOTIFY", { ...trying, body: "SIP/2.0 503 Service Unavailable\r\n" });
        await flow.reply(late, 481);
        expect((await dialog.send(other, "NOTIFY", trying).sent.final()).status).toBe(481);
      },
    );

    flows(
      `RFC 5057 4: a NOTIFY about the ${by}'s REFER that crosses the BYE is answered by who gets it, and so is the next`,
      async (flow) => {
        const { dialog } = await flow.call();
        const refer = await dialog.pass(by, "REFER", { headers: [["Refer-To", "<sip:dave@far.example>"]] });
        await flow.reply(refer, 202);
        const trying = { ...sipfrag, body: "SIP/2.0 100 Trying\r\n", headers: state("active;expires=60") };
        const crossing = await dialog.pass(other, "NOTIFY", trying);
        await dialog.bye(by);
        await flow.reply(crossing, 200);
        const done = { ...sipfrag, body: "SIP/2.0 603 Decline\r\n", headers: state("terminated;reason=noresource") };
        await flow.reply(await dialog.pass(other, "NOTIFY", done), 200);
      },
    );

    flows(
      `RFC 4488: no subscription was wanted (Refer-Sub: false): nothing is waited for after the ${by}'s BYE`,
      async (flow) => {
        const { dialog } = await flow.call();
        const headers = [
          ["Refer-To", "<sip:dave@far.example>"],
          ["Refer-Sub", "false"],
          ["Supported", "norefersub"],
        ] as const;
        await flow.reply(await dialog.pass(by, "REFER", { headers }), 202, { headers: [["Refer-Sub", "false"]] });
        await dialog.bye(by);
        const late = dialog.send(other, "NOTIFY", {
          ...sipfrag,
          body: "SIP/2.0 200 OK\r\n",
          headers: state("terminated"),
        });
        expect((await late.sent.final()).status).toBe(481);
      },
    );

    flows(
      `2.4: a transfer of the ${by} that ends in nothing is waited for no longer than a call may ring`,
      async (flow) => {
        const { dialog } = await flow.call();
        await flow.reply(await dialog.pass(by, "REFER", { headers: [["Refer-To", "<sip:dave@far.example>"]] }), 202);
        await dialog.bye(by);
      },
    );
  }

  flows("2.5, RFC 3891: the called is replaced: INVITE with Replaces, then BYE of what is replaced", async (flow) => {
    const { dialog, passed } = await flow.call();
    const replaces = `${headerValue(passed.asked, "call-id")};to-tag=${dialog.tag};from-tag=x`;
    const target = `<sip:carol@far.example?Replaces=${encodeURIComponent(replaces)}&Require=replaces>`;
    const refer = await dialog.pass("called", "REFER", { headers: [["Refer-To", target]] });
    await flow.reply(refer, 202);
    const headers = [
      ["Replaces", replaces],
      ["Require", "replaces"],
      ["Referred-By", "<sip:bob@home.example>"],
    ] as const;
    const second = await flow.invite({ headers });
    for (const [name, value] of headers) expect(headerValue(second.arrived.request, name)).toBe(value);
    const ok = await flow.reply(second, 200, { body: flow.called.answer() });
    const next = flow.dialog(second, ok);
    await next.ack("caller", 1);
    await dialog.bye("called");
    await flow.reply(
      await dialog.pass("caller", "NOTIFY", {
        ...sipfrag,
        body: "SIP/2.0 200 OK\r\n",
        headers: state("terminated;reason=noresource"),
      }),
      200,
    );
    await next.bye("caller");
  });
});

describe("RFC 5359 2.9 to 2.18: subscriptions and requests around calls", () => {
  for (const by of ["caller", "called"] as const) {
    const other = by === "caller" ? "called" : "caller";

    flows(
      `2.15, RFC 4235: the ${by} watches dialogs; the NOTIFY comes before the 200, two places answer, each on its own`,
      async (flow) => {
        const event = [
          ["Event", "dialog"],
          ["Accept", "application/dialog-info+xml"],
        ] as const;
        const passed = await flow.outside(by, "SUBSCRIBE", { headers: [...event, ["Expires", "600"]] });
        expect(headerValue(passed.arrived.request, "event")).toBe("dialog");
        const dialogs = ["one", "two"].map((tag) => flow.placed(passed, tag));
        const info = { type: "application/dialog-info+xml", body: '<dialog-info version="0" state="full"/>' };
        const active = {
          headers: [
            ["Event", "dialog"],
            ["Subscription-State", "active;expires=600"],
          ] as const,
        };
        for (const dialog of dialogs) await flow.reply(await dialog.pass(other, "NOTIFY", { ...info, ...active }), 200);
        const ok = await flow.reply(passed, 200, { tag: "one", headers: [["Expires", "600"]] });
        const dialog = flow.dialog(passed, ok);
        await flow.reply(await dialog.pass(by, "SUBSCRIBE", { headers: [...event, ["Expires", "0"]] }), 200);
        const over = {
          headers: [
            ["Event", "dialog"],
            ["Subscription-State", "terminated;reason=timeout"],
          ] as const,
        };
        await flow.reply(await dialog.pass(other, "NOTIFY", { ...info, ...over, seq: 7 }), 200);
        await flow.reply(await flow.placed(passed, "two").pass(other, "NOTIFY", { ...info, ...over, seq: 7 }), 481);
      },
    );

    flows(
      `2.18: the ${by} is asked to call by a REFER outside of any call, and tells of it (RFC 3515, RFC 4538)`,
      async (flow) => {
        const headers = [
          ["Refer-To", "<sip:dave@far.example;method=INVITE>"],
          ["Target-Dialog", "abc@far.example;local-tag=1;remote-tag=2"],
          ["Require", "tdialog"],
        ] as const;
        const refer = await flow.outside(other, "REFER", { headers });
        for (const [name, value] of headers) expect(headerValue(refer.arrived.request, name)).toBe(value);
        const dialog = flow.dialog(refer, await flow.reply(refer, 202));
        for (const [at, line] of ["SIP/2.0 100 Trying\r\n", "SIP/2.0 200 OK\r\n"].entries()) {
          const headersOf = state(at === 0 ? "active;expires=60" : "terminated;reason=noresource");
          await flow.reply(await dialog.pass(by, "NOTIFY", { ...sipfrag, body: line, headers: headersOf }), 200);
        }
      },
    );

    flows(
      `2.16, RFC 3911: the ${by} is picked up or joined: INVITE with Replaces of an early dialog, or with Join`,
      async (flow) => {
        if (by === "called") return;
        for (const header of [
          ["Replaces", "12345@far.example;to-tag=7743;from-tag=6472;early-only"],
          ["Join", "12345@far.example;to-tag=7743;from-tag=6472"],
        ] as const) {
          const passed = await flow.invite({ headers: [header, ["Require", header[0].toLowerCase()]] });
          expect(headerValue(passed.arrived.request, header[0])).toBe(header[1]);
          const ok = await flow.reply(passed, 200, { body: flow.called.answer() });
          const dialog = flow.dialog(passed, ok);
          await dialog.ack("caller", 1);
          await dialog.bye("called");
        }
      },
    );
  }

  flows("2.9: no answer: it is cancelled and the caller's network tries elsewhere on the same call", async (flow) => {
    const passed = await flow.invite();
    await flow.reply(passed, 180);
    const cancelled = new Promise<void>((resolve) => (passed.arrived.onCancel = () => resolve()));
    passed.sent.cancel([["Reason", 'SIP;cause=408;text="Request Timeout"']]);
    await cancelled;
    const gone = await flow.reply(passed, 487);
    expect(bodyOf(gone)).toBe("");
  });

  flows(
    "2.10: three-way: the focus asks the other to take part, with isfocus in its Contact (RFC 4579)",
    async (flow) => {
      const { dialog } = await flow.call();
      const contact = `${flow.caller.contact};conf=1`;
      const passed = await dialog.pass("caller", "INVITE", {
        body: flow.caller.offer({ version: 2 }),
        contact,
        headers: [["Allow-Events", "conference"]],
      });
      dialog.moved("caller", contact);
      await flow.reply(passed, 200, { body: flow.called.answer({ version: 2 }) });
      await dialog.ack("caller", 2);
      const watch = await dialog.pass("called", "SUBSCRIBE", {
        headers: [
          ["Event", "conference"],
          ["Expires", "60"],
        ],
      });
      await flow.reply(watch, 200, { headers: [["Expires", "60"]] });
      const info = { type: "application/conference-info+xml", body: '<conference-info entity="x"/>' };
      const active: Headers = [
        ["Event", "conference"],
        ["Subscription-State", "active;expires=60"],
      ];
      await flow.reply(await dialog.pass("caller", "NOTIFY", { ...info, headers: active }), 200);
      await dialog.bye("called");
      const over: Headers = [
        ["Event", "conference"],
        ["Subscription-State", "terminated;reason=noresource"],
      ];
      await flow.reply(await dialog.pass("caller", "NOTIFY", { ...info, headers: over }), 200);
    },
  );
});

describe("RFC 3578 3: overlap signalling", () => {
  flows("a second INVITE with more digits while the first is open, which gets 484", async (flow) => {
    const first = await flow.invite({ callId: "overlap-1" });
    await flow.reply(first, 183);
    const second = await flow.invite({ callId: "overlap-1", from: headerValue(first.asked, "from") ?? "", seq: 2 });
    await flow.reply(first, 484);
    await flow.reply(second, 180, { tag: "answered" });
    const ok = await flow.reply(second, 200, { body: flow.called.answer(), tag: "answered" });
    const dialog = flow.dialog(second, ok);
    await dialog.ack("caller", 2);
    await dialog.bye("caller");
  });
});
