import * as fc from "fast-check";
import { SallyportError, defineErrors, seededRandom } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { LateReplies } from "../src/association/late.ts";
import { createAssociation } from "../src/index.ts";
import type { ActionReply, AssociationOptions } from "../src/index.ts";
import { alone, audit, audited, pair, peerAt, settle } from "./wire.ts";

const there = peerAt("192.0.2.2");
const request = (id: number, mid = "<b.example>"): string => `!/2 ${mid} T=${id}{C=-{AV=ROOT{AT{}}}}`;
const replyTo = (id: number, flag = ""): string => `!/2 <b.example> P=${id}{${flag}C=-{AV=ROOT}}`;

/** A handler that ends when the test says so. */
const held = () => {
  const waiting: { resolve(replies: readonly ActionReply[]): void; reject(error: unknown): void }[] = [];
  const onRequest: AssociationOptions["onRequest"] = () =>
    new Promise((resolve, reject) => void waiting.push({ resolve, reject }));
  return { onRequest, waiting };
};
const caught = async (promise: Promise<unknown>): Promise<SallyportError> => {
  try {
    await promise;
  } catch (error) {
    if (error instanceof SallyportError) return error;
  }
  throw new Error("it should have failed");
};
const idOf = (line: string | undefined): number => Number(/\d+/.exec(line ?? "")?.[0]);

describe("H.248.1 D.1.1: at most once", () => {
  it("repeats the stored answer to whoever asks again, and carries the request out once", async () => {
    let executions = 0;
    const end = alone({ onRequest: () => Promise.resolve((executions++, audited)) });
    end.come(request(5));
    await settle();
    const [first] = end.sent.splice(0);
    end.come(request(5));
    end.come(request(5));
    await settle();
    expect(end.sent.map((sent) => sent.octets.toString())).toEqual([
      first?.octets.toString(),
      first?.octets.toString(),
    ]);
    expect(executions).toBe(1);
  });

  it("keeps senders apart by mid and by address, and counts a new connection of the same certificate as the same", async () => {
    let executions = 0;
    const end = alone({ onRequest: () => Promise.resolve((executions++, audited)) });
    end.come(request(5));
    end.come(request(5, "<c.example>"));
    end.come(request(5), peerAt("192.0.2.3"));
    await settle();
    expect(executions).toBe(3);
    const tls = (id: string) => ({ ...peerAt("192.0.2.2", "tls", ["gw-a.example"]), id });
    end.come(request(5), tls("first"));
    end.come(request(5), tls("second"));
    await settle();
    expect(executions).toBe(4);
  });

  it("forgets an answer after LONG-TIMER and the network's delays", async () => {
    const end = alone();
    end.come(request(5));
    await settle();
    expect(end.association.counts()).toMatchObject({ remembered: 1 });
    end.clock.advance(44_999);
    expect(end.association.counts()).toMatchObject({ remembered: 1 });
    end.clock.advance(1);
    expect(end.association.counts()).toMatchObject({ remembered: 0, answerOctets: 0 });
    expect(end.clock.waiting).toBe(0);
  });

  it("D.1.2: TransactionResponseAck frees the answer, but a late copy is not carried out", async () => {
    let executions = 0;
    const end = alone({ onRequest: () => Promise.resolve((executions++, audited)) });
    for (const id of [5, 7, 8, 9, 11]) end.come(request(id));
    await settle();
    end.taken();
    end.come("!/2 <b.example> K{5,7-9}");
    for (const id of [5, 7, 8, 9, 11]) end.come(request(id));
    expect(end.taken()).toEqual(["reply 11"]);
    expect(executions).toBe(5);
  });

  it("D.1.2: an acknowledgement of every id there is costs no more than what is remembered", async () => {
    const end = alone();
    for (let id = 1; id <= 20_000; id++) end.come(request(id));
    await settle();
    const before = process.cpuUsage();
    // 3000 ranges over 20,000 answers would be 60 million steps.
    end.come(`!/2 <b.example> K{${"1-4294967295,".repeat(3000)}1-4294967295}`);
    // Of our own time: what else the machine does is not counted.
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(2000);
    end.taken();
    end.come(request(25));
    expect(end.taken()).toEqual([]);
  });

  it("bounds what strangers can make it remember: past that a request is dropped and not carried out", async () => {
    let executions = 0;
    const end = alone({
      onRequest: () => Promise.resolve((executions++, audited)),
      limits: { maxRemembered: 10, maxRememberedPerPeer: 6 },
    });
    for (let id = 1; id <= 8; id++) end.come(request(id));
    // Another name is no other peer: it takes nobody else's room.
    for (let id = 1; id <= 8; id++) end.come(request(id, "<c.example>"));
    await settle();
    expect(executions).toBe(6);
    for (let id = 1; id <= 8; id++) end.come(request(id), peerAt("192.0.2.3"));
    await settle();
    expect(executions).toBe(10);
    expect(end.association.counts()).toMatchObject({ remembered: 10, dropped: 14 });
    end.clock.advance(120_000);
    for (let id = 11; id <= 18; id++) end.come(request(id));
    await settle();
    expect(executions).toBe(16);
  });

  it("bounds the octets of stored answers: the oldest are freed, their ids are remembered", async () => {
    let executions = 0;
    const end = alone({
      onRequest: () => Promise.resolve((executions++, audited)),
      limits: { maxAnswerOctets: 400 },
    });
    for (let id = 1; id <= 20; id++) end.come(request(id));
    await settle();
    expect(end.association.counts().answerOctets).toBeLessThanOrEqual(400);
    end.taken();
    end.come(request(1));
    end.come(request(20));
    expect(end.taken()).toEqual(["reply 20"]);
    expect(executions).toBe(20);
  });
});

describe("H.248.1 8.2.3: Pending", () => {
  it("says Pending while it works, then answers with ImmAckRequired and repeats that until it is acknowledged", async () => {
    const handler = held();
    const end = alone({ onRequest: handler.onRequest });
    end.come(request(5));
    expect(end.taken()).toEqual([]);
    end.clock.advance(1000);
    expect(end.taken()).toEqual(["pending 5"]);
    end.come(request(5));
    expect(end.taken()).toEqual(["pending 5"]);
    handler.waiting[0]?.resolve(audited);
    await settle();
    expect(end.taken()).toEqual(["reply 5 ack!"]);
    end.clock.advance(1000);
    expect(end.taken()).toEqual(["reply 5 ack!"]);
    end.come("!/2 <b.example> K{5}");
    end.clock.advance(20_000);
    expect(end.taken()).toEqual([]);
  });

  it("E.2: past the limit it answers 506 and drops what the execution brings", async () => {
    const handler = held();
    const end = alone({ onRequest: handler.onRequest, timers: { pendingLimit: 3 } });
    end.come(request(5));
    end.clock.advance(4000);
    expect(end.taken()).toEqual(["pending 5", "pending 5", "pending 5", "reply 5 ack! error 506"]);
    handler.waiting[0]?.resolve(audited);
    await settle();
    expect(end.taken()).toEqual([]);
  });

  it("a ServiceChange is not answered with Pending", () => {
    const end = alone({ onRequest: held().onRequest });
    end.come("!/1 <b.example> T=5{C=-{SC=ROOT{SV{MT=RS}}}}");
    end.clock.advance(20_000);
    end.come("!/1 <b.example> T=5{C=-{SC=ROOT{SV{MT=RS}}}}");
    expect(end.taken()).toEqual([]);
  });

  it("the requester waits longer after Pending and asks again for an answer that was lost", async () => {
    const end = alone();
    const reply = end.association.request(audit, { peer: there });
    const id = idOf(end.taken()[0]);
    end.clock.advance(500);
    end.come(`!/2 <b.example> PN=${id}{}`);
    end.clock.advance(4999);
    expect(end.taken()).toEqual([]);
    end.clock.advance(1);
    expect(end.taken()).toEqual([`request ${id}`]);
    end.come(replyTo(id, "IA,"));
    expect(await reply).toEqual(audited);
    expect(end.taken()).toEqual([`ack ${id}-${id}`]);
    // The acknowledgement was lost: the answer comes again, long after the request was done.
    end.come(replyTo(id, "IA,"));
    expect(end.taken()).toEqual([`ack ${id}-${id}`]);
  });
});

describe("H.248.1 D.1.3: requests", () => {
  it("repeats the same octets with doubling intervals and ends in SALLY_H248_TIMEOUT", async () => {
    const end = alone();
    const failed = caught(end.association.request(audit, { peer: there }));
    const times: number[] = [];
    for (let ms = 0; ms <= 31_000; ms += 100) {
      for (const _ of end.sent.splice(0)) times.push(ms);
      end.clock.advance(100);
    }
    expect(times).toEqual([0, 1000, 3000, 7000, 15_000, 23_000]);
    expect(await failed).toMatchObject({ code: "SALLY_H248_TIMEOUT" });
    expect(end.association.counts()).toMatchObject({ outstanding: 0, repeated: 5 });
    expect(end.clock.waiting).toBe(0);
  });

  it("measures the path, then repeats sooner", async () => {
    const end = alone();
    for (let turn = 0; turn < 20; turn++) {
      const reply = end.association.request(audit, { peer: there });
      const id = idOf(end.taken()[0]);
      end.clock.advance(3);
      end.come(replyTo(id));
      await reply;
    }
    void caught(end.association.request(audit, { peer: there }));
    end.taken();
    end.clock.advance(200);
    expect(end.taken()).toHaveLength(1);
  });

  it("6.1.3: ids are never 0 and never one that is in use", () => {
    const end = alone({ random: { bytes: () => Buffer.from([0xff, 0xff, 0xff, 0xff]) } });
    for (let turn = 0; turn < 5; turn++) void caught(end.association.request(audit, { peer: there }));
    expect(end.taken().map(idOf)).toEqual([0x8000_0000, 0x8000_0001, 0x8000_0002, 0x8000_0003, 0x8000_0004]);
  });

  it("takes an answer only from whom it asked, by address and by mid", async () => {
    const end = alone();
    const reply = end.association.request(audit, { peer: there, mid: "<B.example>" });
    let done = false;
    void reply.then(() => (done = true));
    const id = idOf(end.taken()[0]);
    end.come(replyTo(id), peerAt("192.0.2.66"));
    end.come(replyTo(id), peerAt("192.0.2.2", "tcp"));
    end.come(`!/2 <evil.example> P=${id}{C=-{AV=ROOT}}`);
    end.come(`!/2 <evil.example> P=${id}{ER=500{}}`);
    await settle();
    expect(done).toBe(false);
    end.come(replyTo(id));
    expect(await reply).toEqual(audited);
  });

  it("D.1.2.1: answers in hand are acknowledged with the next request to a datagram peer", async () => {
    const end = alone();
    const reply = end.association.request(audit, { peer: there });
    const id = idOf(end.taken()[0]);
    end.come(replyTo(id));
    await reply;
    void caught(end.association.request(audit, { peer: there }));
    expect(end.taken()).toEqual([`request ${id + 1} + ack ${id}-${id}`]);
  });

  it("an error reply becomes SALLY_H248_ERROR with the peer's code and without keys", async () => {
    const end = alone();
    const failed = caught(end.association.request(audit, { peer: there }));
    const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    end.come(`!/2 <b.example> P=${idOf(end.taken()[0])}{ER=449{"a=crypto:1 AES_CM inline:${key} ${key}"}}`);
    const error = await failed;
    expect(error).toMatchObject({ code: "SALLY_H248_ERROR", h248Error: 449 });
    expect(error.message).toContain("AES_CM");
    expect(error.message).not.toContain("d0Rmdm");
  });

  it("a reply that cannot be read ends its request at once", async () => {
    const end = alone();
    const first = caught(end.association.request(audit, { peer: there }));
    end.come(`!/2 <b.example> P=${idOf(end.taken()[0])}{C=-{What=ROOT}}`);
    expect(await first).toMatchObject({ code: "SALLY_H248_UNREADABLE" });
  });

  it("a message error ends the one request that waits for this peer", async () => {
    const end = alone();
    const failed = caught(end.association.request(audit, { peer: there }));
    end.taken();
    end.come('!/1 <b.example> ER=406{"Version"}');
    expect(await failed).toMatchObject({ code: "SALLY_H248_ERROR", h248Error: 406 });
    expect(end.taken()).toEqual([]);
  });

  it("a closed peer rejects what waits for it, and only that", async () => {
    const closed: string[] = [];
    const end = alone({ onPeerClosed: (peer) => void closed.push(peer.id) });
    const gone = peerAt("192.0.2.9", "tls", ["gw"]);
    const first = caught(end.association.request(audit, { peer: gone }));
    const second = end.association.request(audit, { peer: there });
    end.association.peerClosed(gone);
    expect(await first).toMatchObject({ code: "SALLY_H248_CLOSED" });
    expect(closed).toEqual([gone.id]);
    end.come(replyTo(idOf(end.taken()[1])));
    expect(await second).toEqual(audited);
  });

  it("a send that fails rejects at once; close rejects everything and leaves no timer", async () => {
    const end = alone();
    const waiting = caught(end.association.request(audit, { peer: there }));
    end.cut();
    expect(await caught(end.association.request(audit, { peer: there }))).toMatchObject({ code: "SALLY_H248_CLOSED" });
    end.come(request(5));
    await settle();
    end.association.close();
    expect(await waiting).toMatchObject({ code: "SALLY_H248_CLOSED" });
    expect(end.clock.waiting).toBe(0);
    expect(end.association.counts()).toMatchObject({ outstanding: 0, remembered: 0, answerOctets: 0 });
    expect(await caught(end.association.request(audit, { peer: there }))).toMatchObject({ code: "SALLY_H248_CLOSED" });
  });

  it("refuses more requests than its limit, and what the transport cannot carry", async () => {
    const end = alone({ limits: { maxOutstanding: 1 } });
    void caught(end.association.request(audit, { peer: there }));
    expect(await caught(end.association.request(audit, { peer: there }))).toMatchObject({ code: "SALLY_H248_BUSY" });
    const small = alone({ transport: { send: () => true, maxMessage: () => 20 } });
    expect(await caught(small.association.request(audit, { peer: there }))).toMatchObject({
      code: "SALLY_H248_TOO_LARGE",
    });
  });
});

describe("H.248.1 clause 8: answers", () => {
  const errors = defineErrors({ SALLY_TEST_SUITE: { summary: "No.", action: "-", h248Error: 449 } });

  it("a rejection becomes an error reply: the error's code and detail, without keys; 500 for the rest", async () => {
    const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let error: Error = errors("SALLY_TEST_SUITE", `AES_CM_999 inline:${key}`);
    const end = alone({ onRequest: () => Promise.reject(error) });
    end.come(request(5));
    await settle();
    expect(end.sent[0]?.octets.toString()).toContain('449 {"AES_CM_999 inline:<redacted>"}');
    error = new Error(`boom ${key}`);
    end.come(request(6));
    await settle();
    expect(end.sent[1]?.octets.toString()).toContain('500 {"Internal failure"}');
    expect(JSON.stringify(end.records)).not.toContain("d0Rmdm");
  });

  it("a handler that throws instead of rejecting is answered too", async () => {
    const end = alone({
      onRequest: () => {
        throw new TypeError("defect");
      },
    });
    end.come(request(5));
    await settle();
    expect(end.taken()).toEqual(["reply 5 error 500"]);
    expect(end.association.counts().faults).toBe(1);
  });

  it("H.248.8 error 500: whatever goes wrong while an answer is made is answered, counted, told without its text, and ends nothing", async () => {
    const defect = new TypeError("defect inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj");
    let unable = 0;
    const broken: readonly Partial<AssociationOptions>[] = [
      { onRequest: () => Promise.reject(defect) },
      { onRequest: () => Promise.resolve(undefined as never) },
      { onRequest: () => Promise.resolve([{ context: 1, commands: undefined as never }]) },
      {
        transport: {
          send: () => true,
          maxMessage: () => {
            unable += 1;
            throw defect;
          },
        },
      },
    ];
    for (const options of broken) {
      const sent: string[] = [];
      const send = (octets: Uint8Array): boolean => sent.push(Buffer.from(octets).toString()) > 0;
      const end = alone({ ...options, transport: { maxMessage: () => 60_000, ...options.transport, send } });
      end.come(request(5));
      await settle();
      expect(sent.map((text) => /Error = (\d+)/.exec(text)?.[1])).toEqual(["500"]);
      expect(end.association.counts()).toMatchObject({ faults: 1, remembered: 1 });
      expect(end.records.map(({ level }) => level)).toContain("error");
      expect(JSON.stringify(end.records)).not.toContain("d0Rmdm");
      end.association.close();
    }
    expect(unable).toBe(1);
  });

  it("H.248.1 8.2.3: a reply that comes after its request was given up is told, once, of the right peer, for LONG-TIMER", async () => {
    const end = alone();
    const late: number[] = [];
    const give = async (mark: number): Promise<number> => {
      const to = { peer: there, mid: "<b.example>" };
      const waiting = caught(end.association.request(audit, to, { timeoutMs: 100, onLate: () => late.push(mark) }));
      end.clock.advance(100);
      expect(await waiting).toMatchObject({ code: "SALLY_H248_TIMEOUT" });
      return Number(/request (\d+)/.exec(end.taken()[0] ?? "")?.[1]);
    };
    const reply = (id: number, mid = "<b.example>"): string => `!/2 ${mid} P=${id}{C=-{AV=ROOT}}`;
    const [first, second, third] = [await give(1), await give(2), await give(3)];
    end.come(reply(first, "<evil.example>"));
    end.come(reply(first), peerAt("192.0.2.66"));
    end.come(reply(first + 1000));
    expect(late).toEqual([]);
    end.come(reply(first));
    end.come(reply(first));
    end.come(`!/2 <b.example> P=${third}{ER=500{}}`);
    expect(late).toEqual([1]);
    end.clock.advance(30_000);
    end.come(reply(second));
    expect(late).toEqual([1]);
    end.association.close();
    expect(end.clock.waiting).toBe(0);
  });

  it("who never answers makes it remember no more than so many requests that were given up: the newest", () => {
    const late = new LateReplies(30_000);
    const givenUp = { scope: "s", mid: undefined, onLate: () => undefined };
    for (let id = 1; id <= 5000; id += 1) late.remember(id, givenUp, 1000);
    const known = Array.from({ length: 5000 }, (_, at) => late.take(at + 1, "s", "<b>", 1000) !== undefined);
    expect(known.filter(Boolean)).toHaveLength(4096);
    expect(known.indexOf(true)).toBe(5000 - 4096);
  });

  it("a transport that throws loses the message, and neither the process nor the transaction", async () => {
    let working = false;
    const sent: string[] = [];
    const send = (octets: Uint8Array): boolean => {
      if (!working) throw new Error("no buffer space");
      return sent.push(Buffer.from(octets).toString()) > 0;
    };
    const end = alone({ transport: { send, maxMessage: () => 60_000 } });
    end.come(request(5));
    await settle();
    // Nothing came back, so it is asked again.
    working = true;
    end.come(request(5));
    expect(sent).toHaveLength(1);
    working = false;
    end.come("!/2 <b.example> Q=5{}");
    expect(await caught(end.association.request(audit, { peer: there }))).toMatchObject({ code: "SALLY_H248_CLOSED" });
    expect(end.association.counts()).toMatchObject({ faults: 3, outstanding: 0 });
    working = true;
    const waiting = caught(end.association.request(audit, { peer: there }));
    working = false;
    // A repetition comes from a timer.
    end.clock.advance(1000);
    expect(await waiting).toMatchObject({ code: "SALLY_H248_CLOSED" });
    end.association.close();
    expect(end.clock.waiting).toBe(0);
  });

  it("a reply that does not fit the transport becomes 533, one that cannot be written 500", async () => {
    const long: ActionReply[] = [{ context: 1, commands: [], error: { code: 500, text: "x".repeat(4000) } }];
    const sent: string[] = [];
    const transport = {
      send: (octets: Uint8Array) => sent.push(Buffer.from(octets).toString()) > 0,
      maxMessage: () => 1000,
    };
    const end = alone({ onRequest: () => Promise.resolve(long), transport });
    end.come(request(5));
    await settle();
    expect(sent[0]).toContain("Error = 533");
    const bad = alone({ onRequest: () => Promise.resolve([]) });
    bad.come(request(5));
    await settle();
    expect(bad.taken()).toEqual(["reply 5 error 500"]);
  });

  it("answers a broken transaction with its error, a broken message with a message error, and noise with silence", () => {
    const end = alone();
    end.come("!/2 <b.example> T=5{C=1{Delete=a}}");
    end.come("!/2 <b.example> Q=5{}");
    end.come("!/4 T=5{}");
    end.come("\0\0\0\0");
    expect(end.taken()).toEqual(["reply 5 error 443", "error 400"]);
    expect(end.association.counts()).toMatchObject({ refused: 4 });
  });

  it("11.3: a version nobody here speaks is answered with 406, in the version everybody reads", () => {
    const end = alone();
    end.come("MEGACO/4 <b.example> Transaction = 7 { Context = - { AuditValue = ROOT } }");
    expect(end.sent[0]?.message).toMatchObject({ version: 1, body: { kind: "error", error: { code: 406 } } });
    expect(end.sent).toHaveLength(1);
  });

  it("an error is never answered with an error", () => {
    const end = alone();
    end.come('!/2 <b.example> ER=400{"x"}');
    end.come("!/2 <b.example> P=5{ER=400{}}");
    end.come("!/2 <b.example> P=5{What}");
    expect(end.taken()).toEqual([]);
  });

  it("6.1.3: a request with id 0 is answered with error 410", () => {
    const end = alone();
    end.come(request(0));
    expect(end.taken()).toEqual(["reply 0 error 410"]);
  });

  it("requests of one message run one after the other; a reply carries its request's version", async () => {
    const handler = held();
    const end = alone({ onRequest: handler.onRequest });
    end.come("!/1 <b.example> T=5{C=-{AV=ROOT}}T=6{C=-{AV=ROOT}}");
    await settle();
    expect(handler.waiting).toHaveLength(1);
    handler.waiting[0]?.resolve(audited);
    await settle();
    expect(handler.waiting).toHaveLength(2);
    handler.waiting[1]?.resolve(audited);
    await settle();
    expect(end.sent.map((sent) => sent.message.version)).toEqual([1, 1]);
    expect(end.taken()).toEqual(["reply 5", "reply 6"]);
  });

  it("refuses a malformed own mid at the start", () => {
    expect(() => alone({ mid: "not a mid" })).toThrow(/SALLY_H248_UNWRITABLE/);
    expect(createAssociation).toBeTypeOf("function");
  });
});

describe("H.248 over a bad network", () => {
  it("loss, doubling and reordering: every request is answered or timed out, none is carried out twice", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const dice = seededRandom(seed);
        const roll = (): number => dice.bytes(1)[0] ?? 0;
        const executed = new Map<string, number>();
        const both = pair(
          (octets, deliver) => {
            if (roll() < 77) return;
            deliver(octets, roll() * 8);
            if (roll() < 64) deliver(octets, roll() * 16);
          },
          ({ actions, mid }) => {
            const name = `${mid} ${actions[0]?.commands[0]?.termination}`;
            executed.set(name, (executed.get(name) ?? 0) + 1);
            return new Promise((resolve) => void both.clock.after(roll() * 10, () => resolve(audited)));
          },
        );
        let answered = 0;
        let failed = 0;
        for (let call = 0; call < 30; call++) {
          const [from, to] = call % 2 === 0 ? [both.a, both.bAddress] : [both.b, both.aAddress];
          const actions = [
            {
              context: "-" as const,
              commands: [{ command: "AuditValue" as const, termination: `t${call}`, descriptors: [] }],
            },
          ];
          from.request(actions, { peer: to }).then(
            () => answered++,
            () => failed++,
          );
        }
        for (let turn = 0; turn < 1500; turn++) {
          both.clock.advance(100);
          await settle();
        }
        expect(answered + failed).toBe(30);
        expect(Math.max(...executed.values())).toBe(1);
        expect(answered).toBeGreaterThan(20);
        expect(both.a.counts()).toMatchObject({ outstanding: 0, remembered: 0, answerOctets: 0 });
        expect(both.b.counts()).toMatchObject({ outstanding: 0, remembered: 0, answerOctets: 0 });
        expect(both.clock.waiting).toBe(0);
      }),
      { seed: 5, numRuns: 12 },
    );
  });
});
