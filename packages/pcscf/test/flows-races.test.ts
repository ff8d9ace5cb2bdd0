// RFC 5407: messages that cross each other, are lost or come again, both ways through one edge.
import { describe, expect } from "vitest";
import { flows } from "./support/flow.ts";
import type { Flow, Passed } from "./support/flow-types.ts";
import { bodyOf } from "./support/flow-checks.ts";
import { settled, until } from "./support/scenario.ts";

const final = async ({ sent }: Pick<Passed, "sent">): Promise<number> => (await sent.final()).status;
const starts =
  (...words: readonly string[]) =>
  (text: string) =>
    words.every((word) => text.includes(word));
const ringing = async (flow: Flow) => {
  const passed = await flow.invite();
  const early = await flow.reply(passed, 180);
  return { passed, early, dialog: flow.dialog(passed, early) };
};
const answered = async (flow: Flow) => {
  const { passed } = await ringing(flow);
  const ok = await flow.reply(passed, 200, { body: flow.called.answer() });
  return { passed, ok, dialog: flow.dialog(passed, ok) };
};

describe("RFC 5407 3.1: the called has answered and has no ACK yet", () => {
  flows(
    "RFC 5407 3.1.1: a copy of the INVITE goes no further",
    async (flow) => {
      const { dialog } = await answered(flow);
      await flow.caller.peer.again(starts("INVITE sip:"));
      await settled();
      expect(flow.called.peer.requests.all.filter(({ request }) => request.method === "INVITE")).toHaveLength(1);
      await dialog.ack("caller", 1);
      await dialog.bye("caller");
    },
    { protocol: "udp" },
  );

  flows("RFC 5407 3.1.2: a CANCEL that crosses the 200 changes nothing; ACK and BYE follow", async (flow) => {
    const { passed } = await ringing(flow);
    flow.say(passed, 200, { body: flow.called.answer() });
    passed.sent.cancel();
    const ok = await passed.sent.final();
    expect(ok.status).toBe(200);
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
  });

  flows("RFC 5407 3.1.3: a BYE of the early dialog that crosses the 200: ACK, and both are answered", async (flow) => {
    const { passed, dialog } = await ringing(flow);
    const bye = await dialog.pass("caller", "BYE");
    await flow.reply(passed, 200, { body: flow.called.answer() });
    await dialog.ack("caller", 1);
    await flow.reply(bye, 200);
  });

  flows(
    "RFC 5407 3.1.3: the same, and the 200 of the BYE comes first: ACK to the called, a final answer to the caller",
    async (flow) => {
      const { passed, dialog } = await ringing(flow);
      await flow.reply(await dialog.pass("caller", "BYE"), 200);
      flow.say(passed, 200, { body: flow.called.answer() });
      await flow.called.peer.acks.next();
      expect(await final(passed)).toBe(487);
    },
  );

  flows("RFC 5407 A: a BYE of the early dialog ends it: 200 to the BYE, 487 to the INVITE", async (flow) => {
    const { passed, dialog } = await ringing(flow);
    await flow.reply(await dialog.pass("caller", "BYE"), 200);
    expect((await flow.reply(passed, 487)).status).toBe(487);
  });

  flows("RFC 5407 3.1.4: a re-INVITE that overtakes the ACK; both ACKs arrive", async (flow) => {
    const { dialog } = await answered(flow);
    const again = await dialog.pass("caller", "INVITE", { body: flow.caller.offer({ version: 2 }) });
    await dialog.ack("caller", 1);
    await flow.reply(again, 200, { body: flow.called.answer({ version: 2 }) });
    await dialog.ack("caller", 2);
    await dialog.bye("called");
  });

  flows(
    "RFC 5407 3.1.5: one that overtakes the answer in the ACK is refused with 491, and goes through after it",
    async (flow) => {
      const passed = await flow.invite({ body: "" });
      const ok = await flow.reply(passed, 200, { body: flow.called.offer() });
      const dialog = flow.dialog(passed, ok);
      const early = dialog.send("caller", "INVITE", { body: flow.caller.offer({ version: 2 }) });
      expect(await final(early)).toBe(491);
      await dialog.ack("caller", 1, { body: flow.caller.answer() });
      const again = await dialog.pass("caller", "INVITE", { body: flow.caller.offer({ version: 2 }) });
      await flow.reply(again, 200, { body: flow.called.answer({ version: 2 }) });
      await dialog.ack("caller", 3);
      await dialog.bye("called");
    },
  );

  flows("RFC 5407 3.1.6: a BYE that overtakes the ACK: the ACK finds the called all the same", async (flow) => {
    const { dialog } = await answered(flow);
    await flow.reply(await dialog.pass("caller", "BYE"), 200);
    await dialog.ack("caller", 1);
  });
});

describe("RFC 5407 3.2: one end has said BYE", () => {
  flows("RFC 5407 3.2.1: two BYEs that cross are both answered by the other end", async (flow) => {
    const { dialog } = await flow.call();
    const [one, two] = [await dialog.pass("caller", "BYE"), await dialog.pass("called", "BYE")];
    await flow.reply(two, 200);
    await flow.reply(one, 200);
  });

  flows("RFC 5407 3.2.2: a re-INVITE that crosses the BYE: 481 to the one, 200 to the other", async (flow) => {
    const { dialog } = await flow.call();
    const bye = await dialog.pass("caller", "BYE");
    const again = await dialog.pass("called", "INVITE", { body: flow.called.offer({ version: 2 }) });
    await flow.reply(again, 481);
    await flow.reply(bye, 200);
  });

  flows("RFC 5407 3.2.3: the 200 of a re-INVITE that crosses the BYE is acknowledged by who asked", async (flow) => {
    const { dialog } = await flow.call();
    const again = await dialog.pass("caller", "INVITE", { body: flow.caller.offer({ version: 2 }) });
    const bye = await dialog.pass("caller", "BYE");
    await flow.reply(again, 200, { body: flow.called.answer({ version: 2 }) });
    await dialog.ack("caller", 2);
    await flow.reply(bye, 200);
  });

  flows(
    "RFC 5407 3.2.3: the same after the 200 of the BYE: the called has its ACK, the caller an answer",
    async (flow) => {
      const { dialog } = await flow.call();
      const again = await dialog.pass("caller", "INVITE", { body: flow.caller.offer({ version: 2 }) });
      await flow.reply(await dialog.pass("caller", "BYE"), 200);
      flow.say(again, 200, { body: flow.called.answer({ version: 2 }) });
      await flow.called.peer.acks.next();
      expect([481, 487]).toContain(await final(again));
    },
  );

  flows(
    "RFC 5407 3.2.4: the called hangs up before the ACK: the ACK finds it, before and after the BYE's answer",
    async (flow) => {
      for (const order of ["before", "after"] as const) {
        const { dialog } = await answered(flow);
        const bye = await dialog.pass("called", "BYE");
        if (order === "after") await flow.reply(bye, 200);
        await dialog.ack("caller", 1);
        if (order === "before") await flow.reply(bye, 200);
      }
    },
  );
});

describe("RFC 5407 3.3: offers and requests that cross", () => {
  flows("RFC 5407 3.3.2: an UPDATE and a re-INVITE: 491 to both, then one after the other", async (flow) => {
    const { dialog } = await flow.call();
    const update = await dialog.pass("caller", "UPDATE", { body: flow.caller.offer({ version: 2 }) });
    const again = dialog.send("called", "INVITE", { body: flow.called.offer({ version: 2 }) });
    expect(await final(again)).toBe(491);
    await flow.reply(update, 491);
    const second = await dialog.pass("called", "INVITE", { body: flow.called.offer({ version: 2 }) });
    await flow.reply(second, 200, { body: flow.caller.answer({ version: 2 }) });
    await dialog.ack("called", 3);
    const third = await dialog.pass("caller", "UPDATE", { body: flow.caller.offer({ version: 3 }) });
    await flow.reply(third, 200, { body: flow.called.answer({ version: 3 }) });
    await dialog.bye("caller");
  });

  flows("RFC 5407 3.3.3: a REFER that crosses the BYE: 481 to the one, 200 to the other", async (flow) => {
    const { dialog } = await flow.call();
    const bye = await dialog.pass("caller", "BYE");
    const refer = await dialog.pass("called", "REFER", { headers: [["Refer-To", "<sip:dave@far.example>"]] });
    await flow.reply(refer, 481);
    await flow.reply(bye, 200);
  });

  flows("RFC 6086 4.2: an INFO that crosses the BYE is answered", async (flow) => {
    const { dialog } = await flow.call();
    const info = await dialog.pass("called", "INFO", { body: "Signal=5\r\n", type: "application/dtmf-relay" });
    await dialog.bye("caller");
    expect(await final(info)).toBe(481);
  });
});

describe("RFC 3261 13.3.1.4: what is lost comes again", () => {
  flows(
    "an ACK that is lost: the 200 comes again, and so does the ACK",
    async (flow) => {
      const { passed, ok, dialog } = await answered(flow);
      await dialog.ack("caller", 1);
      flow.say(passed, 200, { body: flow.called.answer() });
      const copy = await passed.sent.responses.next(({ status }) => status === 200);
      expect(bodyOf(copy)).toBe(bodyOf(ok));
      await flow.caller.peer.again(starts("ACK sip:"));
      expect((await flow.called.peer.acks.next()).uri).toBe(flow.called.contact);
      await dialog.bye("caller");
    },
    { protocol: "udp" },
  );

  for (const by of ["caller", "called"] as const) {
    flows(
      `the ACK of a re-INVITE of the ${by} is lost, and other requests come between`,
      async (flow) => {
        const { dialog } = await flow.call();
        const other = by === "caller" ? "called" : "caller";
        const again = await dialog.pass(by, "INVITE", { body: flow.end(by).offer({ version: 2 }) });
        const body = flow.end(other).answer({ version: 2 });
        const ok = await flow.reply(again, 200, { body });
        await dialog.ack(by, 2);
        await flow.reply(await dialog.pass(by, "INFO"), 200);
        await flow.reply(await dialog.pass(other, "OPTIONS"), 200);
        flow.say(again, 200, { body });
        const copy = await again.sent.responses.next(({ status }) => status === 200);
        expect(bodyOf(copy)).toBe(bodyOf(ok));
        await flow.end(by).peer.again(starts("ACK sip:"));
        expect((await flow.end(other).peer.acks.next()).uri).toBe(flow.end(other).contact);
        await dialog.bye("caller");
      },
      { protocol: "udp" },
    );
  }

  flows(
    "copies of BYE, CANCEL and UPDATE go no further, and are answered alike",
    async (flow) => {
      const { dialog } = await flow.call();
      const update = await dialog.pass("caller", "UPDATE", { body: flow.caller.offer({ version: 2 }) });
      await flow.caller.peer.again(starts("UPDATE sip:"));
      await flow.reply(update, 200, { body: flow.called.answer({ version: 2 }) });
      await flow.caller.peer.again(starts("UPDATE sip:"));
      await dialog.bye("caller");
      const answers = (): number =>
        flow.caller.peer.wire.filter(
          ({ direction, text }) => direction === "in" && /^SIP\/2.0 200 [^]*CSeq: \d+ BYE/.test(text),
        ).length;
      const before = answers();
      await flow.caller.peer.again(starts("BYE sip:"));
      await until(() => answers() > before, "another 200");
      for (const method of ["UPDATE", "BYE"])
        expect(flow.called.peer.requests.all.filter(({ request }) => request.method === method)).toHaveLength(1);
    },
    { protocol: "udp" },
  );

  flows("RFC 3262 3: a reliable 183 that comes again before its PRACK, and one PRACK answers it", async (flow) => {
    const passed = await flow.invite({ headers: [["Supported", "100rel"]] });
    const headers = [
      ["Require", "100rel"],
      ["RSeq", "9"],
    ] as const;
    const body = flow.called.answer();
    const early = await flow.reply(passed, 183, { headers, body });
    flow.say(passed, 183, { headers, body });
    const copy = await passed.sent.responses.next(({ status }) => status === 183);
    expect(bodyOf(copy)).toBe(bodyOf(early));
    const dialog = flow.dialog(passed, early);
    await flow.reply(await dialog.pass("caller", "PRACK", { headers: [["RAck", "9 1 INVITE"]] }), 200);
    await flow.reply(passed, 200);
    await dialog.ack("caller", 1);
    await dialog.bye("called");
  });
});

describe("RFC 3261 9: CANCEL", () => {
  flows("RFC 3326 2: says why, and who is cancelled hears it", async (flow) => {
    const { passed } = await ringing(flow);
    const reason = 'SIP;cause=200;text="Call completed elsewhere"';
    const cancelled = new Promise<string | undefined>((resolve) => {
      passed.arrived.onCancel = (cancel) => resolve(cancel.headers.find(({ name }) => name === "reason")?.value);
    });
    passed.sent.cancel([["Reason", reason]]);
    expect(await cancelled).toBe(reason);
    await flow.reply(passed, 487);
  });

  flows("RFC 3261 9.1: before any answer: it waits for one, and then goes with its reason", async (flow) => {
    const passed = await flow.invite();
    const reason = 'SIP;cause=200;text="Call completed elsewhere"';
    const cancelled = new Promise<string | undefined>((resolve) => {
      passed.arrived.onCancel = (cancel) => resolve(cancel.headers.find(({ name }) => name === "reason")?.value);
    });
    flow.scenario.clock.advance(250);
    await passed.sent.responses.next(({ status }) => status === 100);
    passed.sent.cancel([["Reason", reason]]);
    await settled();
    flow.say(passed, 180);
    expect(await cancelled).toBe(reason);
    await flow.reply(passed, 487);
  });

  flows("RFC 3261 9.1: of a re-INVITE: 487, and the call goes on as it was", async (flow) => {
    const { dialog } = await flow.call();
    const again = await dialog.pass("called", "INVITE", { body: flow.called.offer({ version: 2 }) });
    await flow.reply(again, 180);
    const cancelled = new Promise<void>((resolve) => (again.arrived.onCancel = () => resolve()));
    again.sent.cancel();
    await cancelled;
    await flow.reply(again, 487);
    expect(flow.scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed" });
    await dialog.bye("called");
  });
});

describe("RFC 5057 5: answers to requests within that say the dialog is gone", () => {
  for (const by of ["caller", "called"] as const) {
    const other = by === "caller" ? "called" : "caller";

    flows(
      `RFC 3261 12.2.1.2: 408 to a re-INVITE and an UPDATE of the ${by}, whose BYE finds the other end`,
      async (flow) => {
        const { dialog } = await flow.call();
        for (const method of ["INVITE", "UPDATE"] as const) {
          const passed = await dialog.pass(by, method, { body: flow.end(by).offer({ version: 2 }) });
          await flow.reply(passed, 408);
          expect(flow.scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed" });
        }
        await dialog.bye(by);
      },
    );

    flows(
      `RFC 3261 12.2.1.2: 481 to a re-INVITE of the ${by}: the call is over, its BYE is answered here`,
      async (flow) => {
        const { dialog } = await flow.call();
        await flow.reply(await dialog.pass(by, "INVITE", { body: flow.end(by).offer({ version: 2 }) }), 481);
        expect(await final(dialog.send(by, "BYE"))).toBe(481);
      },
    );

    flows(`RFC 3311 5.2: an UPDATE of the ${by} that fails before the answer does not cost the call`, async (flow) => {
      const passed = await flow.invite({ headers: [["Supported", "100rel"]] });
      const headers = [
        ["Require", "100rel"],
        ["RSeq", "1"],
      ] as const;
      const early = await flow.reply(passed, 183, { headers, body: flow.called.answer() });
      const dialog = flow.dialog(passed, early);
      await flow.reply(await dialog.pass("caller", "PRACK", { headers: [["RAck", "1 1 INVITE"]] }), 200);
      for (const status of [408, 481, 500]) {
        const update = await dialog.pass(by, "UPDATE", { body: flow.end(by).offer({ version: 2 }) });
        await flow.reply(update, status);
      }
      await flow.reply(passed, 200);
      await dialog.ack("caller", 1);
      await dialog.bye(other);
    });

    flows(
      `RFC 3261 13.2.2.4: the network ends a call in which a re-INVITE of the ${by} waits for its ACK: who answered it gets one`,
      async (flow) => {
        const { dialog } = await flow.call();
        const again = await dialog.pass(by, "INVITE", {
          seq: by === "called" ? 1 : 2,
          body: flow.end(by).offer({ version: 2 }),
        });
        await flow.reply(again, 200, { body: flow.end(other).answer({ version: 2 }) });
        flow.scenario.iq.notify((context) => ({
          kind: "media-inactivity",
          gateway: context.gateway,
          context,
          side: "core",
        }));
        const ack = await flow.end(other).peer.acks.next();
        expect(ack.uri).toBe(flow.end(other).contact);
        for (const party of ["caller", "called"] as const) {
          const { peer } = flow.end(party);
          peer.respond(await peer.expect("BYE"), 200);
        }
      },
      { mode: "e2ae" },
    );
  }
});
