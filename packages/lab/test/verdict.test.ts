// Whether the verdict can be trusted: the wires of a good call are tampered with, one thing at a time, and exactly the
// judgement that is about this thing must fail.
import { parseRtpHeader } from "@sallyport/srtp";
import { payloadOf } from "@sallyport/ue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cast } from "../src/demo/scenario.ts";
import { ladderOf } from "../src/ladder/ladder.ts";
import { voiceOf } from "../src/speech.ts";
import type { LabUe } from "../src/topology/lab.ts";
import { searchCoreLegs } from "../src/verdict/leaks.ts";
import { clearFrames, comparePlain, heardWhole } from "../src/verdict/media.ts";
import { originatingSteps, terminatingSteps } from "../src/verdict/steps.ts";
import { verdictRows, verdictText, type VerdictFacts } from "../src/verdict/table.ts";
import type { Sighting } from "../src/watch/recorder.ts";
import { altered, delayed, without } from "./support/alter.ts";
import { connect, openLab, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { audioIn, cryptosIn, one, packetsOf, streamsOnIq } from "./support/wires.ts";

const goodMedia = { bothWays: true, protectedOnAccess: true };
const strangerKey = "a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk\r\n";

const drop = (pattern: RegExp) => (text: string) => text.replaceAll(pattern, "");
const swap = (from: string | RegExp, to: string) => (text: string) => text.replace(from, to);
const append = (lines: string) => (text: string) => text + lines;
const inline = /inline:([A-Za-z0-9+/=]+)/;

describe("the judgement of the steps", () => {
  let lab: TestLab;
  let alice: LabUe;
  let ends: BothEnds;
  let good: readonly Sighting[];

  const failing = (sightings: readonly Sighting[]): string => {
    const rows = ladderOf(cast, ends.calling.id, sightings);
    const of = (side: "o" | "t", judged: ReturnType<typeof originatingSteps>) =>
      judged.filter(({ ok }) => !ok).map(({ step }) => `${side}${step}`);
    return [...of("o", originatingSteps(rows, goodMedia)), ...of("t", terminatingSteps(rows, goodMedia))].join(" ");
  };
  const invite = (from: string, to: string): Sighting => one(good, { from, to, callId: ends.calling.id }, "INVITE");
  const answer = (from: string, to: string): Sighting => one(good, { from, to, callId: ends.calling.id }, "200 INVITE");
  const onIq = (side: "a" | "b", command: "Add" | "Modify"): Sighting => {
    const found = streamsOnIq(good, `edge-${side}`, `gw-${side}`).find((stream) => stream.command === command);
    if (found === undefined) throw new Error(`no ${command}`);
    return found.sighting;
  };
  const replyTo = (command: Sighting): Sighting => {
    const found = good
      .slice(good.indexOf(command))
      .find(({ kind, from, to }) => kind === "iq" && from === command.to && to === command.from);
    if (found === undefined) throw new Error("no reply");
    return found;
  };
  /** Local and Remote key of a Modify, as written. */
  const keyTexts = (side: "a" | "b"): readonly [string, string] => {
    const found = streamsOnIq(good, `edge-${side}`, `gw-${side}`).find(({ command }) => command === "Modify");
    const [local, remote] = [cryptosIn(found?.local)[0], cryptosIn(found?.remote)[0]].map(
      (value) => inline.exec(value ?? "")?.[1],
    );
    if (local === undefined || remote === undefined) throw new Error("no keys on Iq");
    return [local, remote];
  };
  const swapped =
    (side: "a" | "b") =>
    (text: string): string => {
      const [local, remote] = keyTexts(side);
      return text.replace(local, "\u0000").replace(remote, local).replace("\u0000", remote);
    };
  const port = (sighting: Sighting): string => (sighting.kind === "sip" ? String(audioIn(sighting).port) : "");

  beforeAll(async () => {
    lab = await openLab();
    const ues = await registered(lab, { alice: {}, bob: {} });
    ({ alice } = ues);
    ends = await connect(alice, ues.bob);
    await speak(ends, 600);
    await ends.calling.hangup();
    await ends.called.ended;
    good = lab.recorder.sightings.slice();
  });
  afterAll(() => lab?.close());

  it("finds nothing wrong with the call as it was", () => {
    expect(failing(good)).toBe("");
    expect(searchCoreLegs("core", good).found).toEqual([]);
  });

  const alterations: readonly (readonly [what: string, fails: string, how: () => readonly Sighting[]])[] = [
    ["alice's offer without crypto", "o1 o7", () => altered(good, invite("alice", "edge-a"), drop(/a=crypto:.*\r\n/g))],
    [
      "alice's offer without `requested`",
      "o1",
      () => altered(good, invite("alice", "edge-a"), drop(/a=3ge2ae:.*\r\n/g)),
    ],
    ["alice's offer with RTP/AVP", "o1", () => altered(good, invite("alice", "edge-a"), swap("RTP/SAVP", "RTP/AVP"))],
    [
      "gateway A reserved after the offer went on",
      "o2",
      () => delayed(good, replyTo(onIq("a", "Add")), invite("edge-a", "core")),
    ],
    ["gateway A never reserved", "o2 o7 o8", () => without(good, onIq("a", "Add"))],
    [
      "`requested` left in the offer to the core",
      "o3 t1",
      () => altered(good, invite("edge-a", "core"), append("a=3ge2ae:requested\r\n")),
    ],
    [
      "a crypto attribute left in the offer to the core",
      "o3 t1",
      () => altered(good, invite("edge-a", "core"), append(strangerKey)),
    ],
    [
      "the offer to the core with another protocol",
      "o3 o4 t1 t2",
      () => altered(good, invite("edge-a", "core"), swap("RTP/AVP", "RTP/SAVP")),
    ],
    [
      "alice's own port in the offer to the core",
      "o3 o4 t2",
      () =>
        altered(good, invite("edge-a", "core"), swap(port(invite("edge-a", "core")), port(invite("alice", "edge-a")))),
    ],
    ["the core adds a key to the offer", "o4 t2", () => altered(good, invite("core", "edge-b"), append(strangerKey))],
    ["the core swallows the offer", "o4 t2 t4", () => without(good, invite("core", "edge-b"))],
    [
      "the core adds an indication to the answer",
      "o6 t8",
      () => altered(good, answer("core", "edge-a"), append("a=3ge2ae:applied\r\n")),
    ],
    ["K11 and K12 swapped on Iq", "o7 o8", () => altered(good, onIq("a", "Modify"), swapped("a"))],
    ["K12 the same as K11", "o7 o8", () => altered(good, onIq("a", "Modify"), swap(...keyTexts("a")))],
    ["the gateway asked without keys", "o7 o8", () => altered(good, onIq("a", "Modify"), drop(/a=crypto:.*\r?\n/g))],
    [
      "gateway A answers after the 200 went on",
      "o7",
      () => delayed(good, replyTo(onIq("a", "Modify")), answer("edge-a", "alice")),
    ],
    [
      "the answer to alice without `applied`",
      "o8",
      () => altered(good, answer("edge-a", "alice"), drop(/a=3ge2ae:.*\r\n/g)),
    ],
    [
      "the answer to alice with a second key",
      "o8",
      () => altered(good, answer("edge-a", "alice"), append(strangerKey)),
    ],
    [
      "the answer to alice with another key",
      "o8",
      () => altered(good, answer("edge-a", "alice"), swap(inline, "inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk")),
    ],
    [
      "the answer to alice with RTP/AVP",
      "o8",
      () => altered(good, answer("edge-a", "alice"), swap("RTP/SAVP", "RTP/AVP")),
    ],
    [
      "gateway B reserved after the offer went on",
      "t3",
      () => delayed(good, replyTo(onIq("b", "Add")), invite("edge-b", "bob")),
    ],
    [
      "the offer to bob without `applied`",
      "t4",
      () => altered(good, invite("edge-b", "bob"), drop(/a=3ge2ae:.*\r\n/g)),
    ],
    [
      "the offer to bob without crypto",
      "t4 t6",
      () => altered(good, invite("edge-b", "bob"), drop(/a=crypto:.*\r\n/g)),
    ],
    [
      "gateway A's port in the offer to bob",
      "t4",
      () => altered(good, invite("edge-b", "bob"), swap(port(invite("edge-b", "bob")), port(invite("core", "edge-b")))),
    ],
    ["bob answers RTP/AVP", "t5", () => altered(good, answer("bob", "edge-b"), swap("RTP/SAVP", "RTP/AVP"))],
    ["bob answers with two keys", "t5", () => altered(good, answer("bob", "edge-b"), append(strangerKey))],
    ["bob answers without a key", "t5 t6", () => altered(good, answer("bob", "edge-b"), drop(/a=crypto:.*\r\n/g))],
    ["K21 and K22 swapped on Iq", "t6", () => altered(good, onIq("b", "Modify"), swapped("b"))],
    [
      "gateway B answers after the 200 went on",
      "t6",
      () => delayed(good, replyTo(onIq("b", "Modify")), answer("edge-b", "core")),
    ],
    [
      "a crypto attribute left in the answer to the core",
      "o5 t7",
      () => altered(good, answer("edge-b", "core"), append(strangerKey)),
    ],
    [
      "bob's own port in the answer to the core",
      "o6 t7 t8",
      () =>
        altered(good, answer("edge-b", "core"), swap(port(answer("edge-b", "core")), port(answer("bob", "edge-b")))),
    ],
  ];

  it.each(alterations)("sees %s: %s", (_, fails, how) => {
    expect(failing(how())).toBe(fails);
  });

  it("fails every step of a call it did not see", () => {
    expect(failing([])).toBe("o1 o2 o3 o4 o5 o6 o7 o8 t1 t2 t3 t4 t5 t6 t7 t8");
  });

  it("TS 33.328 7.2.1 step 9, 7.3.1 step 9: fails the last step alone when the media was not whole, or not protected", () => {
    const rows = ladderOf(cast, ends.calling.id, good);
    for (const media of [
      { bothWays: false, protectedOnAccess: true },
      { bothWays: true, protectedOnAccess: false },
    ])
      for (const judge of [originatingSteps, terminatingSteps])
        expect(judge(rows, media).flatMap(({ step, ok }) => (ok ? [] : [step]))).toEqual([9]);
  });

  it("invariant 1: finds a key of this call in a core message, in any spelling and any place", () => {
    const [, k11] = keyTexts("a");
    const octets = Buffer.from(k11, "base64");
    const bye = one(good, { from: "core", to: "edge-b", callId: ends.calling.id }, "BYE");
    for (const spelling of [
      k11,
      octets.toString("base64url"),
      octets.toString("hex"),
      octets.toString("hex").toUpperCase(),
    ]) {
      const leaking = altered(good, bye, swap("Max-Forwards", `X-Note: ${spelling}\r\nMax-Forwards`));
      expect(searchCoreLegs("core", leaking).found).toEqual(["a media key in BYE from core to edge-b"]);
    }
  });

  it("compares plain packets octet for octet: one flipped, one lost, one added", () => {
    const corePort = Number(port(answer("edge-b", "core")));
    const frames = ends.calling.sent.frames();
    const compare = (inside: typeof lab.b.tap.packets) => comparePlain(frames, alice.tap.packets, inside, corePort);
    const whole = lab.b.tap.packets;
    const sent = frames.length;
    expect(compare(whole)).toEqual({ sent, equal: sent, foreign: 0 });
    const [packet] = packetsOf(lab.b.tap, { direction: "in", kind: "rtp", port: corePort });
    if (packet === undefined) throw new Error("no packet");
    const octets = Buffer.from(packet.octets);
    octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
    expect(compare(whole.map((each) => (each === packet ? { ...packet, octets } : each)))).toEqual({
      sent,
      equal: sent - 1,
      foreign: 1,
    });
    expect(compare(whole.filter((each) => each !== packet))).toEqual({ sent, equal: sent - 1, foreign: 0 });
    expect(compare([...whole, { ...packet, octets }])).toEqual({ sent, equal: sent, foreign: 1 });
    expect(compare([])).toEqual({ sent, equal: 0, foreign: 0 });
  });

  it("hears a missing and a foreign octet, and sees speech in clear", () => {
    const voice = payloadOf(voiceOf("alice", 600), "PCMA");
    const said = ends.calling.sent.octets();
    expect(heardWhole(said, ends.called.received.octets(), voice)).toBe(true);
    expect(heardWhole(said, said.subarray(1), voice)).toBe(false);
    expect(heardWhole(said, Buffer.concat([said, Buffer.from([1])]), voice)).toBe(false);
    expect(heardWhole(said, said, payloadOf(voiceOf("bob", 600), "PCMA"))).toBe(false);
    expect(heardWhole(Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0))).toBe(false);
    expect(clearFrames(alice.tap.packets, [voice])).toBe(0);
    const inside = packetsOf(lab.a.tap, { direction: "out", kind: "rtp" }).filter(({ octets }) => {
      const header = parseRtpHeader(octets);
      return header.ok && voice.includes(octets.subarray(header.headerLength));
    });
    expect(inside.length).toBeGreaterThan(20);
    expect(clearFrames([...alice.tap.packets, ...inside], [voice])).toBeGreaterThan(15);
  });
});

describe("the verdict", () => {
  const nine = Array.from({ length: 9 }, (_, index) => ({ step: index + 1, ok: true, why: "" }));
  const facts: VerdictFacts = {
    originating: nine,
    terminating: nine,
    leaks: { messages: 30, legs: 2, found: [] },
    plain: { sent: 100, equal: 100, foreign: 0 },
    attack: { sent: 60, dropped: 60, delivered: 0 },
    carol: { answered: true, heard: true, reason: "ue-not-capable", protocol: "RTP/AVP" },
    forged: { sent: true, arrived: true, removed: true },
    contextsLeft: 0,
  };
  const failing = (changed: Partial<VerdictFacts>): readonly string[] =>
    verdictRows({ ...facts, ...changed }).flatMap(({ claim, passed }) => (passed ? [] : [claim]));

  it("passes when every fact is good", () => expect(failing({})).toEqual([]));

  it.each<readonly [string, Partial<VerdictFacts>]>([
    ["originating e2ae (7.2.1)", { originating: nine.with(4, { step: 5, ok: false, why: "x" }) }],
    ["originating e2ae (7.2.1)", { originating: nine.slice(0, 8) }],
    ["originating e2ae (7.2.1)", { originating: [] }],
    ["terminating e2ae (7.3.1)", { terminating: nine.with(0, { step: 1, ok: false, why: "x" }) }],
    ["keys or indications past P-CSCF", { leaks: { messages: 30, legs: 2, found: ["x"] } }],
    ["keys or indications past P-CSCF", { leaks: { messages: 0, legs: 0, found: [] } }],
    ["core side is plain RTP", { plain: { sent: 100, equal: 99, foreign: 0 } }],
    ["core side is plain RTP", { plain: { sent: 100, equal: 100, foreign: 1 } }],
    ["core side is plain RTP", { plain: { sent: 0, equal: 0, foreign: 0 } }],
    ["tampered / replayed / wrong key", { attack: { sent: 60, dropped: 59, delivered: 0 } }],
    ["tampered / replayed / wrong key", { attack: { sent: 60, dropped: 60, delivered: 1 } }],
    ["tampered / replayed / wrong key", { attack: { sent: 0, dropped: 0, delivered: 0 } }],
    ["indication forged in the core", { forged: { sent: true, arrived: true, removed: false } }],
    ["indication forged in the core", { forged: { sent: true, arrived: false, removed: true } }],
    ["indication forged in the core", { forged: { sent: false, arrived: true, removed: true } }],
    ["UE without e2ae (carol)", { carol: { ...facts.carol, answered: false } }],
    ["UE without e2ae (carol)", { carol: { ...facts.carol, heard: false } }],
    ["UE without e2ae (carol)", { carol: { ...facts.carol, reason: "network-policy" } }],
    ["UE without e2ae (carol)", { carol: { ...facts.carol, protocol: "RTP/SAVP" } }],
    ["gateway contexts left", { contextsLeft: 1 }],
  ])("fails %s, and no other row, for %j", (claim, changed) => {
    expect(failing(changed)).toEqual([claim]);
    expect(verdictText(verdictRows({ ...facts, ...changed })).join("\n")).toContain("FAIL");
  });
});
