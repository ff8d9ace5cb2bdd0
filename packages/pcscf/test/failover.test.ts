// A gateway is lost in a running call, or a key of it is nearly used up: the whole edge between a raw UE and a raw core.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerValue, tagOf, type ServerTransaction } from "@sallyport/sip";
import {
  bodyOf,
  dialogOf,
  establishOriginating,
  establishTerminating,
  originate,
  type Established,
} from "./support/calls.ts";
import { openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

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

const lose = (): void =>
  scenario.iq.notify((context) => ({ kind: "context-lost", gateway: context.gateway, context, reason: "silence" }));
const wearOut = (): void =>
  scenario.iq.notify((context) => ({
    kind: "key-expiring",
    gateway: context.gateway,
    context,
    side: "access",
    stream: 1,
    direction: "out",
  }));
const keyIn = (text: string): string => /a=crypto:\d+ \S+ inline:([A-Za-z0-9+/=]+)/.exec(text)?.[1] ?? "";
const seqOf = (transaction: ServerTransaction): number =>
  Number.parseInt(headerValue(transaction.request, "cseq") ?? "", 10);
const contactOf = (ue: TestUe) => ["Contact", `<${ue.contact}>`] as const;
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const lastStream = (kind: string) => scenario.iq.commands.findLast((command) => command.kind === kind)?.streams[0];
const keyOfPlan = (
  crypto: NonNullable<ReturnType<typeof lastStream>>["access"],
  which: "localCrypto" | "remoteCrypto",
) => crypto?.[which]?.keys[0]?.master.use((octets) => octets.toString("base64"));

/** The key towards the UE of a plan, where it has not been zeroised meanwhile. */
const keyOfLive = (end: NonNullable<ReturnType<typeof lastStream>>["access"]): string | undefined => {
  const master = end?.localCrypto?.keys[0]?.master;
  return master === undefined || master.released ? undefined : master.use((octets) => octets.toString("base64"));
};

/** Both sides take the edge's offers; what each was offered. */
const moved = async (
  answer: string = ueAnswer(1),
): Promise<{ readonly ue: ServerTransaction; readonly core: ServerTransaction }> => {
  const ue = await alice.expect("INVITE");
  alice.respond(ue, 200, { headers: [contactOf(alice)], body: answer });
  await alice.acks.next();
  await settled();
  scenario.clock.advance(210);
  const core = await scenario.core.expect("INVITE");
  scenario.core.respond(core, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
  await scenario.core.acks.next();
  await settled();
  return { ue, core };
};

const calls: readonly (readonly [
  string,
  () => Promise<{ readonly dialog: Established; readonly towardsUe: string }>,
])[] = [
  [
    "originating",
    async () => {
      const dialog = await establishOriginating(scenario, alice);
      return { dialog, towardsUe: bodyOf(dialog.ok) };
    },
  ],
  [
    "terminating",
    async () => {
      const dialog = await establishTerminating(scenario, alice, path);
      return { dialog, towardsUe: dialog.offered };
    },
  ],
];

describe.each(calls)("TS 33.328 4.2.2: the gateway is lost in a call, %s", (direction, establish) => {
  it("the call goes on in a new context: new address for both sides, a new key towards the UE, the UE's key as it answers", async () => {
    const { towardsUe } = await establish();
    const before = keyIn(towardsUe);
    lose();
    const { ue, core } = await moved(ueAnswer(1, { lines: [] }));
    const offer = bodyOf(ue.request);
    // Invariant 4: what one gateway has encrypted with, no other ever gets.
    expect(keyIn(offer)).not.toBe(before);
    expect(keyIn(offer)).toHaveLength(40);
    expect(offer.match(/^a=crypto:/gm)).toHaveLength(1);
    expect(offer).toContain("RTP/SAVP");
    expect(offer).toMatch(/a=3ge2ae:applied/);
    expect(offer).toContain("m=audio 20204 ");
    expect(offer).toContain("198.51.100.5");
    expect(bodyOf(core.request)).toContain("m=audio 20206 RTP/AVP");
    expect(bodyOf(core.request)).not.toMatch(/crypto|3ge2ae|SAVP/);
    const plan = lastStream("modify");
    expect(keyOfPlan(plan?.access, "localCrypto")).toBe(keyIn(offer));
    expect(plan?.access?.mode).toBe("send-receive");
    expect([...scenario.iq.open]).toEqual([2]);
    const [call] = scenario.edge.calls();
    expect(call).toMatchObject({ phase: "confirmed", security: "e2ae", gateway: { context: 2 } });
    expect(call?.evidence.some(({ found }) => found === "gateway lost (silence)")).toBe(true);
    // RFC 3264 8: the description changed, so its version went up.
    const version = (text: string): number => Number(/^o=\S+ \S+ (\d+)/m.exec(text)?.[1]);
    expect(version(offer)).toBeGreaterThan(version(towardsUe));
  });

  it("invariant 6: the gateway has the reservation before the offer, and the new keys before the far end is asked", async () => {
    await establish();
    scenario.iq.hold();
    lose();
    await settled();
    expect(
      alice.requests.all.filter(({ request }) => request.method === "INVITE" && bodyOf(request).includes("20204")),
    ).toEqual([]);
    scenario.iq.release();
    const ue = await alice.expect("INVITE");
    const modifies = scenario.iq.commands.filter(({ kind }) => kind === "modify").length;
    scenario.iq.hold();
    alice.respond(ue, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await until(() => scenario.iq.commands.filter(({ kind }) => kind === "modify").length > modifies, "the keys");
    await settled();
    const before = scenario.core.requests.all.length;
    scenario.iq.release();
    await settled();
    scenario.clock.advance(210);
    await scenario.core.expect("INVITE");
    expect(scenario.core.requests.all.length).toBe(before + 1);
  });

  it("RFC 3261 12.2.2: requests of both ends go on, each side's numbers only go up, and answers come back with the sender's own", async () => {
    const { dialog } = await establish();
    lose();
    const { ue, core } = await moved();
    const outwards = direction === "originating";
    const ofUe = (method: string, seq: number, body?: string) =>
      outwards ? dialog.byCaller(method, seq, body) : dialog.byCalled(method, seq, body);
    const ofCore = (method: string, seq: number, body?: string) =>
      outwards ? dialog.byCalled(method, seq, body) : dialog.byCaller(method, seq, body);
    const next = outwards ? { ue: 2, core: 1 } : { ue: 1, core: 2 };
    const info = alice.send(ofUe("INFO", next.ue));
    const atCore = await scenario.core.expect("INFO");
    expect(seqOf(atCore)).toBeGreaterThan(seqOf(core));
    scenario.core.respond(atCore, 200);
    const answered = await info.final();
    expect([answered.status, headerValue(answered, "cseq")]).toEqual([200, `${next.ue} INFO`]);
    // A re-INVITE with its ACK, the other way round.
    const again = scenario.core.send(ofCore("INVITE", next.core, coreSdp({ version: 3 })));
    const atUe = await alice.expect("INVITE");
    expect(seqOf(atUe)).toBeGreaterThan(seqOf(ue));
    expect(keyIn(bodyOf(atUe.request))).toBe(keyIn(bodyOf(ue.request)));
    alice.respond(atUe, 200, { headers: [contactOf(alice)], body: ueAnswer(1, { version: 3 }) });
    const ok = await again.final();
    expect([ok.status, headerValue(ok, "cseq")]).toEqual([200, `${next.core} INVITE`]);
    await scenario.core.ack(ofCore("ACK", next.core));
    expect(headerValue(await alice.acks.next(), "cseq")).toBe(`${seqOf(atUe)} ACK`);
    const bye = alice.send(ofUe("BYE", next.ue + 1));
    const end = await scenario.core.expect("BYE");
    expect(seqOf(end)).toBeGreaterThan(seqOf(atCore));
    scenario.core.respond(end, 200);
    expect((await bye.final()).status).toBe(200);
    await until(() => scenario.iq.open.size === 0, "nothing left");
  });

  it("the gateway it moves to is lost before anybody could use it: it moves on to the next, with another key", async () => {
    await establish();
    lose();
    const first = await alice.expect("INVITE");
    lose();
    // RFC 3261 14.1: no second offer before the first one is answered.
    await settled();
    expect(alice.requests.all.findLast(({ request }) => request.method === "INVITE")).toBe(first);
    alice.respond(first, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await alice.acks.next();
    const { ue, core } = await moved();
    expect(keyIn(bodyOf(ue.request))).not.toBe(keyIn(bodyOf(first.request)));
    expect([bodyOf(ue.request), bodyOf(core.request)].map((text) => /^m=audio (\d+)/m.exec(text)?.[1])).toEqual([
      "20304",
      "20306",
    ]);
    expect([...scenario.iq.open]).toEqual([3]);
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", gateway: { context: 3 } });
  });

  it("lost again while the far end is asked: all of it is offered again", async () => {
    await establish();
    lose();
    const ue = await alice.expect("INVITE");
    alice.respond(ue, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await alice.acks.next();
    await settled();
    scenario.clock.advance(210);
    const core = await scenario.core.expect("INVITE");
    lose();
    scenario.core.respond(core, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    await scenario.core.acks.next();
    const again = await moved();
    expect(keyIn(bodyOf(again.ue.request))).not.toBe(keyIn(bodyOf(ue.request)));
    expect([...scenario.iq.open]).toEqual([3]);
  });

  it("a second loss later moves it again, with another key", async () => {
    await establish();
    lose();
    const first = await moved();
    lose();
    const second = await moved();
    expect(keyIn(bodyOf(second.ue.request))).not.toBe(keyIn(bodyOf(first.ue.request)));
    expect(seqOf(second.ue)).toBeGreaterThan(seqOf(first.ue));
    expect([...scenario.iq.open]).toEqual([3]);
  });
});

describe("TS 33.328 4.2.2: the call can not be moved", () => {
  const ended = async (reason: string): Promise<void> => {
    await until(() => scenario.edge.calls()[0]?.phase === "ended", "the end");
    expect(scenario.edge.calls()[0]?.ended?.reason).toBe(reason);
    await until(() => scenario.iq.open.size === 0, "nothing left");
  };
  const byes = async (...ends: readonly ("ue" | "core")[]): Promise<void> => {
    for (const end of ends) {
      const peer = end === "ue" ? alice : scenario.core;
      const bye = await peer.expect("BYE");
      expect(headerValue(bye.request, "reason")).toContain("503");
      peer.respond(bye, 200);
    }
  };

  it("the UE refuses: BYE to both sides, and the reason is told", async () => {
    await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 488);
    await byes("ue", "core");
    await ended("gateway-lost");
    expect(scenario.edge.calls()[0]?.ended?.detail).toBe("the UE refused another offer with 488");
  });

  it("the far end refuses after the UE agreed: BYE to both sides", async () => {
    await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await alice.acks.next();
    scenario.core.respond(await scenario.core.expect("INVITE"), 488);
    await byes("ue", "core");
    await ended("gateway-lost");
  });

  it("RFC 5057 5.1: the UE does not know the dialog any more: BYE to the far end alone", async () => {
    await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 481);
    await byes("core");
    await ended("gateway-lost");
    expect(alice.requests.all.some(({ request }) => request.method === "BYE")).toBe(false);
  });

  it("nobody answers: the call ends after a while", async () => {
    await establishOriginating(scenario, alice);
    lose();
    await alice.expect("INVITE");
    scenario.clock.advance(12_100);
    await byes("core");
    await ended("gateway-lost");
  });

  it("invariant 3: an answer without SRTP does not carry the call on", async () => {
    await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 200, { headers: [contactOf(alice)], body: sdp() });
    await alice.acks.next();
    await until(() => scenario.edge.calls()[0]?.phase === "ended", "the end");
    expect(lastStream("modify")?.access?.protocol).toBe("RTP/SAVP");
    await until(() => scenario.iq.open.size === 0, "nothing left");
  });

  it("the gateway it moves to is lost again and again: the call ends", async () => {
    await establishOriginating(scenario, alice);
    lose();
    for (let again = 0; again < 4; again += 1) {
      const asked = await alice.expect("INVITE");
      lose();
      alice.respond(asked, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
      await alice.acks.next();
    }
    await alice.expect("INVITE");
    lose();
    await byes("ue", "core");
    await ended("gateway-lost");
  });

  it("it is lost while it gets the new keys: the call ends, no key goes to another gateway", async () => {
    await establishOriginating(scenario, alice);
    lose();
    const asked = await alice.expect("INVITE");
    scenario.iq.hold();
    const commands = scenario.iq.commands.length;
    alice.respond(asked, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await until(() => scenario.iq.commands.length > commands, "the keys");
    lose();
    scenario.iq.release();
    await byes("ue", "core");
    await ended("gateway-lost");
    expect(scenario.iq.commands.slice(commands).map(({ kind }) => kind)).toEqual(["modify"]);
  });

  it("BYE of the UE while it is asked: the call ends as usual", async () => {
    const dialog = await establishOriginating(scenario, alice);
    lose();
    await alice.expect("INVITE");
    const bye = alice.send(dialog.byCaller("BYE", 2));
    const arrived = await scenario.core.expect("BYE");
    scenario.core.respond(arrived, 200);
    expect((await bye.final()).status).toBe(200);
    await ended("bye");
  });
});

describe("offers that cross the edge's own", () => {
  it("RFC 3261 14.2: 491 for an offer that comes while the edge's own is out, to whichever side makes it", async () => {
    const dialog = await establishOriginating(scenario, alice);
    lose();
    const ours = await alice.expect("INVITE");
    const ofUe = alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    expect((await ofUe.final()).status).toBe(491);
    const ofCore = scenario.core.send(dialog.byCalled("UPDATE", 1, coreSdp({ version: 2 })));
    expect((await ofCore.final()).status).toBe(491);
    alice.respond(ours, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    scenario.core.respond(await scenario.core.expect("INVITE"), 200, { headers: [coreContact()], body: coreSdp() });
    await until(() => scenario.core.acks.all.length === 2, "done");
    await settled();
    expect(scenario.edge.calls()[0]?.phase).toBe("confirmed");
  });

  it("RFC 3261 14.1: 491 of the UE: the same offer again, with a higher number, after a while", async () => {
    await establishOriginating(scenario, alice);
    lose();
    const first = await alice.expect("INVITE");
    alice.respond(first, 491);
    await settled();
    scenario.clock.advance(4100);
    const second = await alice.expect("INVITE");
    expect(seqOf(second)).toBeGreaterThan(seqOf(first));
    expect(bodyOf(second.request)).toBe(bodyOf(first.request));
    alice.respond(second, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    scenario.core.respond(await scenario.core.expect("INVITE"), 200, { headers: [coreContact()], body: coreSdp() });
    await until(() => scenario.core.acks.all.length === 2, "done");
  });

  it("RFC 3261 14.1: 491 of the far end: its own offer is let through, and then it knows all there is to know", async () => {
    const dialog = await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await alice.acks.next();
    scenario.core.respond(await scenario.core.expect("INVITE"), 491);
    await settled();
    const theirs = scenario.core.send(dialog.byCalled("INVITE", 1, coreSdp({ version: 2, port: 7000 })));
    const atUe = await alice.expect("INVITE");
    alice.respond(atUe, 200, { headers: [contactOf(alice)], body: ueAnswer(1, { version: 2 }) });
    expect(bodyOf(await theirs.final())).toContain("m=audio 20206 RTP/AVP");
    await scenario.core.ack(dialog.byCalled("ACK", 1));
    await alice.acks.next();
    const asked = scenario.core.requests.all.length;
    scenario.clock.advance(4100);
    await settled();
    expect(scenario.core.requests.all.length).toBe(asked);
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", gateway: { context: 2 } });
  });

  it("RFC 3261 14.1: 491 of the far end without an offer of its own: asked again", async () => {
    await establishOriginating(scenario, alice);
    lose();
    alice.respond(await alice.expect("INVITE"), 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    await alice.acks.next();
    scenario.core.respond(await scenario.core.expect("INVITE"), 491);
    await settled();
    scenario.clock.advance(4100);
    const again = await scenario.core.expect("INVITE");
    expect(bodyOf(again.request)).toContain("m=audio 20206 RTP/AVP");
    scenario.core.respond(again, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    await scenario.core.acks.next();
  });

  it("RFC 3261 13.2.2.4: a 2xx that comes again is acknowledged again and decides nothing twice", async () => {
    await establishOriginating(scenario, alice);
    lose();
    const { ue } = await moved();
    const commands = scenario.iq.commands.length;
    alice.respond(ue, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    expect(headerValue(await alice.acks.next(), "cseq")).toBe(`${seqOf(ue)} ACK`);
    expect(scenario.iq.commands.length).toBe(commands);
  });

  it("a re-INVITE under way when the gateway is lost is let through first", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const sent = alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    const arrived = await scenario.core.expect("INVITE");
    lose();
    await settled();
    scenario.core.respond(arrived, 488, { tag: tagOf(dialog.ok, "to") ?? "" });
    expect((await sent.final()).status).toBe(488);
    scenario.clock.advance(260);
    await moved();
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", gateway: { context: 2 } });
  });

  it("RFC 4028 7.4: a session timer goes on, refreshed by whoever did before", async () => {
    await establishOriginating(scenario, alice, { headers: [["Session-Expires", "1800;refresher=uas"]] });
    lose();
    const ue = await alice.expect("INVITE");
    // The core refreshes, and it is in its name that the UE is asked.
    expect(headerValue(ue.request, "session-expires")).toBe("1800;refresher=uac");
    alice.respond(ue, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
    const core = await scenario.core.expect("INVITE");
    expect(headerValue(core.request, "session-expires")).toBe("1800;refresher=uas");
  });
});

describe("RFC 3711 9.2: a key is nearly used up", () => {
  it("the UE is offered a new one, in the same context; the far end hears nothing of it", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const before = keyIn(bodyOf(dialog.ok));
    const atCore = scenario.core.requests.all.length;
    wearOut();
    const ue = await alice.expect("INVITE");
    const fresh = keyIn(bodyOf(ue.request));
    expect(fresh).not.toBe(before);
    const answer = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keyOf(0x33), 1)] });
    alice.respond(ue, 200, { headers: [contactOf(alice)], body: answer });
    await alice.acks.next();
    await until(() => keyOfPlan(lastStream("modify")?.access, "localCrypto") === fresh, "the new key");
    expect(keyOfPlan(lastStream("modify")?.access, "remoteCrypto")).toBe(keyOf(0x33));
    await settled();
    expect([...scenario.iq.open]).toEqual([1]);
    expect(scenario.core.requests.all.length).toBe(atCore);
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae" });
  });

  it("invariant 5: a UE that refuses keeps the call and the keys it has", async () => {
    const dialog = await establishOriginating(scenario, alice);
    const commands = scenario.iq.commands.length;
    wearOut();
    alice.respond(await alice.expect("INVITE"), 488);
    await settled();
    expect(scenario.iq.commands.length).toBe(commands);
    expect(scenario.edge.calls()[0]?.phase).toBe("confirmed");
    // The next offer of the UE goes through with the key in force.
    const sent = alice.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    scenario.core.respond(await scenario.core.expect("INVITE"), 200, { headers: [coreContact()], body: coreSdp() });
    expect(keyIn(bodyOf(await sent.final()))).toBe(keyIn(bodyOf(dialog.ok)));
  });
});

describe("invariant 4: one SSRC in many calls", () => {
  it("two core sources may choose one SSRC: every context, first or moved, has a key towards its UE that no other ever had", async () => {
    const seen = new Set<string>();
    for (let call = 0; call < 4; call += 1) {
      const { sent, arrived } = await originate(scenario, alice, { callId: `call-${call}` });
      scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
      const ok = await sent.final();
      seen.add(keyIn(bodyOf(ok)));
      const request = alice.request("INVITE", "sip:carol@far.example", { callId: `call-${call}` });
      await alice.ack(dialogOf(request, arrived.request, ok).byCaller("ACK", 1));
      await scenario.core.acks.next();
    }
    const terminated = await establishTerminating(scenario, alice, path);
    seen.add(keyIn(terminated.offered));
    expect(seen.size).toBe(5);
    lose();
    for (let moving = 0; moving < 5; moving += 1) {
      const ue = await alice.expect("INVITE");
      seen.add(keyIn(bodyOf(ue.request)));
      alice.respond(ue, 200, { headers: [contactOf(alice)], body: ueAnswer(1) });
      await alice.acks.next();
    }
    expect(seen.size).toBe(10);
    await settled();
    const installed = scenario.iq.commands
      .filter(({ kind }) => kind === "modify")
      .flatMap(({ streams }) => streams.map(({ access }) => keyOfLive(access)));
    expect(new Set(installed.filter(Boolean)).size).toBe(installed.filter(Boolean).length);
    // Nothing of the lost contexts is left.
    expect([...scenario.iq.open].every((context) => context > 5)).toBe(true);
    expect(scenario.iq.open.size).toBe(5);
  });
});

describe("before the answer", () => {
  it("TS 33.328 4.2.2: while it rings the caller gets 503 and may try again", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 180);
    await sent.responses.next(({ status }) => status === 180);
    lose();
    expect((await sent.final()).status).toBe(503);
    expect(keys.k11).toHaveLength(40);
  });
});
