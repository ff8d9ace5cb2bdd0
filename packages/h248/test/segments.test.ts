// Replies in segments (H.248.1 version 3): cut where a message ends, put together in whatever order they come, repeated
// where they were lost, and never more than was asked for.
import { seededRandom } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cut, gather, whole, type Gathered } from "../src/association/segments.ts";
import { parseH248 } from "../src/index.ts";
import type { ActionReply, H248Version } from "../src/index.ts";
import { alone, audit, pair, peerAt, settle } from "./wire.ts";

const there = peerAt("192.0.2.2");

const listOf = (count: number): readonly ActionReply[] =>
  Array.from({ length: count }, (_, at) => ({
    context: at + 1,
    commands: [{ command: "AuditValue" as const, termination: "ROOT", descriptors: [] }],
  }));

const transactionsOf = (octets: Uint8Array) => {
  const parsed = parseH248(octets);
  if (!parsed.ok || parsed.message.body.kind !== "transactions") throw new Error("no transactions");
  return parsed.message.body.transactions;
};

describe("H.248.1 E.14: a reply in segments", () => {
  it("whatever is cut is the same again, in any order, with repeats; what fits is not cut", () => {
    const reply = fc.array(
      fc.record({
        context: fc.integer({ min: 1, max: 99 }),
        names: fc.array(fc.string({ maxLength: 4 }), { maxLength: 9 }),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(reply, fc.integer({ min: 1, max: 12 }), fc.nat(), (drawn, room, seed) => {
        const actions = drawn.map(({ context, names }): ActionReply => ({
          context,
          commands: names.map((termination) => ({ command: "Subtract", termination, descriptors: [] })),
        }));
        const size = (part: readonly ActionReply[]) => part.reduce((sum, { commands }) => sum + 1 + commands.length, 0);
        const parts = cut(actions, (part) => size(part) <= room);
        expect(parts === undefined).toBe(room < 2 && actions.some(({ commands }) => commands.length > 0));
        if (parts === undefined) return;
        expect(Math.max(...parts.map(size))).toBeLessThanOrEqual(room);
        if (size(actions) <= room) expect(parts).toHaveLength(1);
        const dice = seededRandom(seed);
        const numbered = parts.map((part, at) => ({
          part,
          segment: { number: at + 1, last: at + 1 === parts.length },
        }));
        const shuffled = [...numbered, ...numbered]
          .map((each) => ({ each, at: dice.bytes(4).readUInt32BE(0) }))
          .toSorted((a, b) => a.at - b.at);
        let gathered: Gathered | undefined;
        for (const { each } of shuffled) gathered = gather(gathered, each.segment, each.part);
        const put = gathered === undefined ? undefined : whole(gathered);
        const flat = (some: readonly ActionReply[] = []) =>
          some.flatMap(({ commands, context }) => commands.map(({ termination }) => `${context} ${termination}`));
        expect(flat(put)).toEqual(flat(actions));
      }),
      { seed: 14, numRuns: 400 },
    );
  });

  it("numbers past the last one, two last ones, and more than anybody keeps are no reply", () => {
    const one = listOf(1);
    const last = gather(undefined, { number: 2, last: true }, one);
    expect(gather(last, { number: 3, last: false }, one)).toBeUndefined();
    expect(gather(last, { number: 1, last: true }, one)).toBeUndefined();
    expect(gather(undefined, { number: 0, last: false }, one)).toBeUndefined();
    expect(gather(undefined, { number: 1025, last: false }, one)).toBeUndefined();
    expect(gather({ parts: new Map(), last: undefined, actions: 262_144 }, { number: 1, last: false }, one)).toBe(
      undefined,
    );
  });

  it("only version 3 is answered so; before it 533, and one command that does not fit is 533 in any", async () => {
    const run = async (version: H248Version, actions: readonly ActionReply[]) => {
      const end = alone({ onRequest: async () => actions, transport: { send: () => true, maxMessage: () => 500 } });
      const sent: Buffer[] = [];
      const on = alone({
        onRequest: async () => actions,
        style: "compact",
        transport: { send: (octets) => sent.push(Buffer.from(octets)) > 0, maxMessage: () => 500 },
      });
      end.association.close();
      on.come(`!/${version} <b.example> T=5{C=*{AV=ROOT{AT{}}}}`);
      await settle();
      on.association.close();
      return sent;
    };
    const errorIn = (octets: Uint8Array) => {
      const [reply] = transactionsOf(octets);
      return reply?.kind === "reply" && reply.body.kind === "error" ? reply.body.error.code : undefined;
    };
    expect((await run(2, listOf(100))).map(errorIn)).toEqual([533]);
    const huge: ActionReply = {
      context: 1,
      commands: [
        {
          command: "Notify",
          termination: "x".repeat(60),
          descriptors: [
            { kind: "statistics", statistics: [{ name: "a/b", relation: "=", values: ["9".repeat(600)] }] },
          ],
        },
      ],
    };
    expect((await run(3, [huge])).map(errorIn)).toEqual([533]);
    const segments = await run(3, listOf(100));
    expect(segments.length).toBeGreaterThan(3);
    expect(Math.max(...segments.map(({ length }) => length))).toBeLessThanOrEqual(500);
    const numbers = segments.map((octets) => {
      const [reply] = transactionsOf(octets);
      return reply?.kind === "reply" ? reply.segment : undefined;
    });
    expect(numbers).toEqual(segments.map((_, at) => ({ number: at + 1, last: at + 1 === segments.length })));
  });

  it("on datagrams at most 16 are on their way; acknowledgements let others follow, and the last one frees the answer", async () => {
    const sent: Buffer[] = [];
    const on = alone({
      onRequest: async () => listOf(900),
      style: "compact",
      transport: { send: (octets) => sent.push(Buffer.from(octets)) > 0, maxMessage: () => 500 },
    });
    on.come("!/3 <b.example> T=5{C=*{AV=ROOT{AT{}}}}");
    await settle();
    expect(sent).toHaveLength(16);
    // A copy of the request asks for what was not acknowledged.
    on.come("!/3 <b.example> SM=5/1 SM=5/3 SM=5/77");
    expect(sent).toHaveLength(18);
    on.come("!/3 <b.example> T=5{C=*{AV=ROOT{AT{}}}}");
    expect(sent).toHaveLength(18 + 16);
    expect(on.association.counts().answerOctets).toBeGreaterThan(0);
    for (let number = 1; number < 200; number++) on.come(`!/3 <b.example> SM=5/${number}`);
    expect(on.association.counts()).toMatchObject({ answerOctets: 0, remembered: 1 });
    on.association.close();
    expect(on.clock.waiting).toBe(0);
  });

  it("a segment that comes late is acknowledged again; those that never come end in 459", async () => {
    const end = alone();
    const outcome = end.association.request(audit, { peer: there }, { version: 3, timeoutMs: 4000 }).then(
      () => "answered",
      (error: { readonly code?: string }) => error.code,
    );
    const [asked] = end.sent.splice(0);
    const [request] = asked === undefined ? [] : transactionsOf(asked.octets);
    const id = request?.kind === "request" ? request.id : 0;
    end.come(`!/3 <b.example> P=${id}/1{C=1{AV=ROOT}}`);
    end.come(`!/3 <b.example> P=${id}/4/END{C=4{AV=ROOT}}`);
    expect(end.taken()).toEqual([`segment ${id}`, `segment ${id}`]);
    end.clock.advance(60_000);
    expect(await outcome).toBe("SALLY_H248_TIMEOUT");
    const last = end.sent.at(-1)?.message.body;
    expect(last).toEqual({ kind: "error", error: { code: 459, text: "2,3" } });
    end.sent.splice(0);
    end.come(`!/3 <b.example> P=${id}/2{C=2{AV=ROOT}}`);
    expect(end.taken()).toEqual([`segment ${id}`]);
    expect(end.clock.waiting).toBe(0);
  });

  it("an error in a segment, and segments that contradict each other, end the request", async () => {
    const end = alone();
    for (const [answer, code] of [
      ['/1{ER=411{"gone"}}', "SALLY_H248_ERROR"],
      ["/0{C=1{AV=ROOT}}", "SALLY_H248_UNREADABLE"],
    ] as const) {
      const outcome = end.association.request(audit, { peer: there }).then(
        () => "answered",
        (error: { readonly code?: string }) => error.code,
      );
      const asked = end.sent.at(-1);
      const [request] = asked === undefined ? [] : transactionsOf(asked.octets);
      end.come(`!/3 <b.example> P=${request?.kind === "request" ? request.id : 0}${answer}`);
      expect(await outcome).toBe(code);
    }
    end.association.close();
    expect(end.clock.waiting).toBe(0);
  });

  it("over a wire that loses, doubles and reorders the list comes whole, and is made once", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const dice = seededRandom(seed);
      const roll = (): number => dice.bytes(1)[0] ?? 0;
      let executions = 0;
      const both = pair(
        (octets, deliver) => {
          if (roll() < 60) return;
          deliver(octets, roll());
          if (roll() < 64) deliver(octets, roll() * 4);
        },
        async () => {
          executions++;
          return listOf(2000);
        },
        700,
      );
      let listed: readonly ActionReply[] | undefined;
      void both.a
        .request(
          [{ context: "*", commands: [{ command: "AuditValue", termination: "ROOT", descriptors: [] }] }],
          { peer: both.bAddress },
          { version: 3 },
        )
        .then((replies) => (listed = replies));
      for (let turn = 0; turn < 3000; turn++) {
        both.clock.advance(50);
        await settle();
      }
      expect(listed?.map(({ context }) => context)).toEqual(listOf(2000).map(({ context }) => context));
      expect(executions).toBe(1);
      expect(both.b.counts()).toMatchObject({ remembered: 0, answerOctets: 0 });
      expect(both.clock.waiting).toBe(0);
    }
  });
});
