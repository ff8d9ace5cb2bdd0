// Early dialogs of a fork, reliable early media, CANCEL among it all, and requests that merely pass.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, tagOf } from "@sallyport/sip";
import { bodyOf, dialogOf, establishOriginating, establishTerminating, originate } from "./support/calls.ts";
import { textOf } from "./support/peer.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(() => scenario.close());

const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const keyIn = (body: string): string => /a=crypto:\d+ \S+ inline:(\S+)/.exec(body)?.[1] ?? "";
const reliable = (seq: number) => [["Require", "100rel"] as const, ["RSeq", String(seq)] as const];
/** Local keys the gateway was given, in order, each once. */
const keysGiven = (): readonly (string | undefined)[] => [
  ...new Set(
    scenario.iq.commands.flatMap(({ streams }) =>
      streams.flatMap(({ access }) => access?.localCrypto?.keys[0]?.master.fingerprint ?? []),
    ),
  ),
];

describe("forking in the core", () => {
  it("RFC 3711 9.1 with TS 33.328 7.2.1: three early dialogs have a key each, so that two sources with one SSRC share no keystream; the winner keeps its own", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    const seen = new Map<string, string>();
    const early = async (tag: string, port: number): Promise<void> => {
      scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp({ port }), tag });
      const response = await sent.responses.next(({ status }) => status === 183);
      expect(tagOf(response, "to")).toBe(tag);
      seen.set(tag, keyIn(bodyOf(response)));
    };
    await early("one", 6000);
    await early("two", 7000);
    await early("three", 8000);
    expect(new Set(seen.values()).size).toBe(3);
    // The same dialog again: the same answer, the same key (RFC 3261 13.2.1).
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp({ port: 7000 }), tag: "two" });
    const again = await sent.responses.next(({ status }) => status === 183);
    expect(keyIn(bodyOf(again))).toBe(seen.get("two"));
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ port: 7000 }), tag: "two" });
    const ok = await sent.final();
    expect(keyIn(bodyOf(ok))).toBe(seen.get("two"));
    expect(keysGiven()).toHaveLength(3);
    const last = scenario.iq.commands.at(-1)?.streams[0];
    expect(last?.core?.remote?.port).toBe(7000);
    const inForce = last?.access?.localCrypto?.keys[0]?.master;
    expect(inForce?.fingerprint).toBe(keysGiven()[1]);
    // The keys of the dialogs that lost are gone, the winner's is not.
    const losers = scenario.iq.commands
      .flatMap(({ streams }) => streams.flatMap(({ access }) => access?.localCrypto?.keys[0]?.master ?? []))
      .filter((key) => key.fingerprint !== inForce?.fingerprint);
    expect(losers.map((key) => key.released)).toEqual(losers.map(() => true));
    expect(inForce?.released).toBe(false);
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });

  it("RFC 3261 13.2.2.4: two branches answer 200: the first one stands, the second gets ACK and BYE here and is not told to the UE", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    for (const [tag, port] of [
      ["one", 6000],
      ["two", 7000],
    ] as const)
      scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ port }), tag });
    const ok = await sent.final();
    expect(tagOf(ok, "to")).toBe("one");
    const bye = await scenario.core.expect("BYE");
    expect(tagOf(bye.request, "to")).toBe("two");
    scenario.core.respond(bye, 200);
    await settled();
    const told = sent.responses.all.filter(({ status }) => status === 200).map((response) => tagOf(response, "to"));
    expect(new Set(told)).toEqual(new Set(["one"]));
    expect(scenario.iq.commands.at(-1)?.streams[0]?.core?.remote?.port).toBe(6000);
  });

  it("RFC 3261 16.7: a fork that fails everywhere leaves nothing of its early dialogs", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    for (const [tag, port] of [
      ["one", 6000],
      ["two", 7000],
    ] as const) {
      scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp({ port }), tag });
      await sent.responses.next(({ status }) => status === 183);
    }
    scenario.core.respond(arrived, 486, { tag: "two" });
    expect((await sent.final()).status).toBe(486);
    await until(() => scenario.iq.open.size === 0, "the context given back");
    const given = scenario.iq.commands.flatMap(({ streams }) =>
      streams.flatMap(({ access }) => access?.localCrypto?.keys[0]?.master ?? []),
    );
    expect(given.every((key) => key.released)).toBe(true);
  });
});

describe("early media and preconditions", () => {
  it("RFC 3262 and RFC 3312: reliable 183 with the answer, PRACK, UPDATE with met preconditions, 180, 200: a=curr, des and conf untouched", async () => {
    const qos = (met: string) => [
      `a=curr:qos local ${met}`,
      "a=curr:qos remote none",
      "a=des:qos mandatory local sendrecv",
      "a=conf:qos remote sendrecv",
    ];
    const body = ueOffer({ lines: qos("none") });
    const { sent, arrived } = await originate(scenario, alice, {
      body,
      headers: [["Supported", "100rel, precondition"]],
    });
    expect(bodyOf(arrived.request)).toContain(qos("none").join("\r\n"));
    expect(headerList(arrived.request, "supported")).toEqual(["100rel", "precondition"]);
    scenario.core.respond(arrived, 183, {
      headers: [coreContact(), ...reliable(7)],
      body: coreSdp({ lines: qos("none") }),
      tag: "one",
    });
    const early = await sent.responses.next(({ status }) => status === 183);
    expect([headerValue(early, "rseq"), headerList(early, "require")]).toEqual(["7", ["100rel"]]);
    expect(bodyOf(early)).toContain(qos("none").join("\r\n"));
    const key = keyIn(bodyOf(early));
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, early);
    const prack = alice.send(dialog.byCaller("PRACK", 2));
    scenario.core.respond(await scenario.core.expect("PRACK"), 200);
    expect((await prack.final()).status).toBe(200);
    const update = alice.send(dialog.byCaller("UPDATE", 3, ueOffer({ version: 2, lines: qos("sendrecv") })));
    const atCore = await scenario.core.expect("UPDATE");
    expect(bodyOf(atCore.request)).toContain(qos("sendrecv").join("\r\n"));
    expect(bodyOf(atCore.request)).not.toMatch(/inline:|3ge2ae/);
    scenario.core.respond(atCore, 200, {
      headers: [coreContact()],
      body: coreSdp({ version: 2, lines: qos("sendrecv") }),
    });
    expect(keyIn(bodyOf(await update.final()))).toBe(key);
    scenario.core.respond(arrived, 180, { headers: [coreContact()], tag: "one" });
    scenario.core.respond(arrived, 200, { headers: [coreContact()], tag: "one" });
    expect((await sent.final()).status).toBe(200);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });

  it("RFC 3262 5: an offer in PRACK is answered in its 200, towards the UE as from it", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 183, { headers: [coreContact(), ...reliable(1)], body: coreSdp(), tag: "one" });
    const early = await sent.responses.next(({ status }) => status === 183);
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, early);
    const prack = alice.send(dialog.byCaller("PRACK", 2, ueOffer({ version: 2 })));
    const atCore = await scenario.core.expect("PRACK");
    expect(bodyOf(atCore.request)).toMatch(/RTP\/AVP/);
    expect(bodyOf(atCore.request)).not.toContain("inline:");
    scenario.core.respond(atCore, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    expect(bodyOf(await prack.final())).toContain("a=3ge2ae:applied");
  });

  it("RFC 3261 13.2.1: SDP in an unreliable 18x of the UE and again in its 200 is one answer; the core sees one key-free body", async () => {
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    const arrived = await alice.expect("INVITE");
    const contact = ["Contact", `<${alice.contact}>`] as const;
    alice.respond(arrived, 183, { headers: [contact], body: ueAnswer() });
    const early = await sent.responses.next(({ status }) => status === 183);
    expect(bodyOf(early)).not.toMatch(/crypto|3ge2ae/);
    const commands = scenario.iq.commands.length;
    alice.respond(arrived, 200, { headers: [contact], body: ueAnswer() });
    expect(bodyOf(await sent.final())).toBe(bodyOf(early));
    expect(scenario.iq.commands).toHaveLength(commands);
  });
});

describe("CANCEL races", () => {
  it("RFC 3261 9.2: CANCEL that meets early media: 487 of the core reaches the UE, the early keys are gone", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    let cancelled = false;
    arrived.onCancel = () => (cancelled = true);
    scenario.core.respond(arrived, 183, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    await sent.responses.next(({ status }) => status === 183);
    sent.cancel();
    await until(() => cancelled, "CANCEL at the core");
    scenario.core.respond(arrived, 487, { tag: "one" });
    expect((await sent.final()).status).toBe(487);
    await until(() => scenario.iq.open.size === 0, "the context given back");
  });

  it("RFC 3261 9.1: CANCEL right after a 200 that is already on its way does nothing to the call", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp(), tag: "one" });
    const ok = await sent.final();
    sent.cancel();
    await settled();
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    await scenario.core.acks.next();
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed" }]);
    expect(scenario.iq.open.size).toBe(1);
  });

  it("RFC 3261 9.1: CANCEL before any provisional answer waits for one, then goes on; the UE that answers 200 in between is ended", async () => {
    const sent = scenario.core.send(
      coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() }),
    );
    const arrived = await alice.expect("INVITE");
    sent.cancel();
    await settled();
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer() });
    const final = await sent.final();
    if (final.status === 200) {
      const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path] });
      const dialog = dialogOf(invite, arrived.request, final, `127.0.0.1:${scenario.core.port}`);
      await scenario.core.ack(dialog.byCaller("ACK", 1));
      const bye = scenario.core.send(dialog.byCaller("BYE", 2));
      alice.respond(await alice.expect("BYE"), 200);
      await bye.final();
    } else alice.respond(await alice.expect("BYE"), 200);
    await until(() => scenario.iq.open.size === 0, "the context given back");
  });
});

describe("requests that pass", () => {
  const outside = ["OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "INFO"] as const;
  for (const method of outside) {
    it(`RFC 3261 16: ${method} outside a dialog passes both ways with its body, its answer and a failure`, async () => {
      const text = { body: "hello", type: "text/plain" };
      const more: readonly (readonly [string, string])[] =
        method === "REFER" ? [["Refer-To", "<sip:dave@far.example>"]] : [["Event", "presence"]];
      for (const status of [200, 404]) {
        const up = alice.send(
          alice.request(method, "sip:carol@far.example", { ...text, headers: more, callId: `up${status}` }),
        );
        const atCore = await scenario.core.expect(method);
        expect([bodyOf(atCore.request), headerValue(atCore.request, more[0]?.[0] ?? "")]).toEqual([
          "hello",
          more[0]?.[1],
        ]);
        scenario.core.respond(atCore, status);
        expect((await up.final()).status).toBe(status);
        const down = scenario.core.send(
          coreRequest(scenario.core, method, alice.contact, {
            ...text,
            route: [path],
            headers: more,
            callId: `down${status}`,
          }),
        );
        const atUe = await alice.expect(method);
        expect(bodyOf(atUe.request)).toBe("hello");
        alice.respond(atUe, status);
        expect((await down.final()).status).toBe(status);
      }
      expect(scenario.edge.counts().calls).toBe(0);
    });
  }

  for (const method of ["INFO", "MESSAGE", "REFER", "NOTIFY", "OPTIONS", "SUBSCRIBE"] as const) {
    it(`RFC 3261 12.2: ${method} inside a call passes both ways, and the call goes on`, async () => {
      const dialog = await establishTerminating(scenario, alice, path);
      const up = alice.send(dialog.byCalled(method, 5));
      scenario.core.respond(await scenario.core.expect(method), 202);
      expect((await up.final()).status).toBe(202);
      const down = scenario.core.send(dialog.byCaller(method, 5));
      alice.respond(await alice.expect(method), 200);
      expect((await down.final()).status).toBe(200);
      expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
    });
  }

  it("RFC 6665 4.4.1: a subscription's dialog: NOTIFY of the core finds the UE, a refresh finds the core, by our Record-Route", async () => {
    const sent = alice.send(alice.request("SUBSCRIBE", "sip:carol@far.example", { headers: [["Event", "presence"]] }));
    const arrived = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(arrived, 200, {
      headers: [
        coreContact(),
        ...headerList(arrived.request, "record-route").map((route) => ["Record-Route", route] as const),
      ],
      tag: "watcher",
    });
    const ok = await sent.final();
    const dialog = dialogOf(alice.request("SUBSCRIBE", "sip:carol@far.example"), arrived.request, ok);
    const notify = scenario.core.send(dialog.byCalled("NOTIFY", 1));
    alice.respond(await alice.expect("NOTIFY"), 200);
    expect((await notify.final()).status).toBe(200);
    const refresh = alice.send(dialog.byCaller("SUBSCRIBE", 2));
    scenario.core.respond(await scenario.core.expect("SUBSCRIBE"), 200);
    expect((await refresh.final()).status).toBe(200);
  });

  it("RFC 3515 and RFC 3891: REFER and Replaces pass; the call that replaces has keys of its own", async () => {
    const first = await establishOriginating(scenario, alice);
    const refer = scenario.core.send(first.byCalled("REFER", 3));
    alice.respond(await alice.expect("REFER"), 202);
    expect((await refer.final()).status).toBe(202);
    const replaces = "12345@far.example;to-tag=7743;from-tag=6472";
    const key = keyOf(0x77);
    const { sent, arrived } = await originate(scenario, alice, {
      to: "sip:dave@far.example",
      callId: "second",
      headers: [
        ["Replaces", replaces],
        ["Require", "replaces"],
      ],
      body: sdp({ protocol: "RTP/SAVP", lines: [crypto(key), "a=3ge2ae:requested"] }),
    });
    expect([headerValue(arrived.request, "replaces"), headerList(arrived.request, "require")]).toEqual([
      replaces,
      ["replaces"],
    ]);
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ port: 7000 }) });
    const ok = await sent.final();
    expect(keyIn(bodyOf(ok))).not.toBe(keyIn(bodyOf(first.ok)));
    expect(scenario.iq.open.size).toBe(2);
    const remote = new Set(
      scenario.iq.commands.flatMap(
        ({ streams }) => streams[0]?.access?.remoteCrypto?.keys[0]?.master.fingerprint ?? [],
      ),
    );
    expect(remote.size).toBe(2);
    const bye = alice.send(first.byCaller("BYE", 9));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await bye.final();
    await until(() => scenario.iq.open.size === 1, "only the first call's context given back");
    expect(scenario.edge.calls().filter(({ phase }) => phase === "confirmed")).toHaveLength(1);
  });

  it("RFC 3261 8.2.2.3: Require of the far end's extensions passes; only what is for one hop is taken out", async () => {
    const { arrived } = await originate(scenario, alice, {
      headers: [
        ["Require", "100rel, mediasec, timer"],
        ["Supported", "replaces, sec-agree"],
      ],
    });
    expect(headerList(arrived.request, "require")).toEqual(["100rel", "timer"]);
    expect(headerList(arrived.request, "supported")).toEqual(["replaces"]);
    expect(textOf(arrived.request)).not.toContain(keys.k11);
  });
});
