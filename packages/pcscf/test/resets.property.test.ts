// Random calls over connections that break at any moment: whatever was under way, nothing is left, and nothing goes wrong.
// `SALLYPORT_SCRIPTS=2000 npx vitest run packages/pcscf/test/resets.property.test.ts` plays that many; a failure names its seed.
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headerValue, tagOf, type ServerTransaction, type SipRequest } from "@sallyport/sip";
import { dialogOf } from "./support/calls.ts";
import type { Peer, Sent } from "./support/peer.ts";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./support/sdp.ts";
import { openTls, type TestTls } from "./support/tls.ts";

const usual = 12;
const wanted = Number(process.env["SALLYPORT_SCRIPTS"] ?? usual);
const seed = Number(process.env["SALLYPORT_SCRIPTS_SEED"] ?? 20_261_124);

const move = fc.record({
  kind: fc.constantFrom(
    ...(["call-out", "call-in", "answer", "answer", "answer", "ack", "ack", "bye", "cancel", "rest", "rest"] as const),
    ...(["reset-ue", "reset-core", "reset-core", "wait", "wait", "register"] as const),
  ),
  status: fc.constantFrom(180, 183, 200, 200, 200, 486),
  ms: fc.constantFrom(5, 210, 2_000, 20_000),
  pick: fc.nat({ max: 5 }),
});
type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

interface Call {
  readonly callId: string;
  readonly outwards: boolean;
  readonly invite: SipRequest;
  readonly sent: Sent;
  acked: boolean;
}

const tick = (ms = 12): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each(["tcp", "tls"] as const)("connections over %s that break", (protocol) => {
  let scenario: Scenario;
  let tls: TestTls;
  let alice: TestUe;
  let path = "";
  let number = 0;
  let calls: Call[] = [];
  beforeAll(async () => {
    tls = await openTls();
    const { certificate, key } = tls.files;
    const access = { name: "tls", protocol: "tls", address: "127.0.0.1", port: 0, tls: { certificate, key } } as const;
    scenario = await openScenario(protocol === "tls" ? { change: (config) => ({ ...config, access: [access] }) } : {});
    alice = await scenario.ue("alice", protocol === "tls" ? { protocol, tls: tls.ue } : {});
    ({ path } = await alice.register());
  });
  afterAll(async () => {
    await scenario.close();
    tls.close();
  });

  const answered = new WeakSet<ServerTransaction>();
  const open = (peer: Peer, invites: boolean): readonly ServerTransaction[] =>
    peer.requests.all.filter(
      (each) =>
        !answered.has(each) && (each.request.method === "INVITE") === invites && each.request.method !== "REGISTER",
    );
  const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;

  /** Requests that are no INVITE are answered 200 by whoever got them. */
  const rest = (): void => {
    for (const peer of [alice, scenario.core])
      for (const each of open(peer, false)) {
        answered.add(each);
        peer.respond(each, 200);
      }
  };
  const answer = (status: number, pick: number): void => {
    const waiting = [...open(alice, true), ...open(scenario.core, true)];
    const one = waiting[pick % Math.max(1, waiting.length)];
    if (one === undefined) return;
    const atUe = alice.requests.all.includes(one);
    if (status >= 200) answered.add(one);
    const peer = atUe ? alice : scenario.core;
    const contact = atUe ? (["Contact", `<${alice.contact}>`] as const) : coreContact();
    const offered = one.request.body.length > 0;
    const body = status === 180 || status >= 300 || !offered ? {} : { body: atUe ? ueAnswer() : coreSdp() };
    peer.respond(one, status, { headers: [contact], ...body });
  };
  const acknowledge = async (call: Call, method: "ACK" | "BYE"): Promise<void> => {
    const ok = call.sent.responses.all.find(({ status }) => status >= 200 && status < 300);
    const caller = call.outwards ? alice : scenario.core;
    const called = call.outwards ? scenario.core : alice;
    const arrived = called.requests.all.find(({ request }) => headerValue(request, "call-id") === call.callId);
    if (ok === undefined || arrived === undefined || tagOf(ok, "to") === undefined) return;
    const dialog = dialogOf(
      call.invite,
      arrived.request,
      ok,
      call.outwards ? "none" : `127.0.0.1:${scenario.core.port}`,
    );
    if (method === "BYE") return void caller.send(dialog.byCaller("BYE", 2));
    call.acked = true;
    await caller.ack(dialog.byCaller("ACK", 1)).catch(() => undefined);
  };

  /** Again where the REGISTER went down with the connection it was written to. */
  const register = async (): Promise<void> => {
    for (let turn = 0; ; turn += 1) {
      await tick();
      try {
        ({ path } = await alice.register());
        return;
      } catch (error) {
        if (turn === 3) throw new Error("no registration any more", { cause: error });
      }
    }
  };

  const play = async (moves: readonly Move[]): Promise<void> => {
    calls = [];
    for (const { kind, status, ms, pick } of moves) {
      const call = calls[pick % Math.max(1, calls.length)];
      if (kind === "call-out" || kind === "call-in") {
        number += 1;
        const callId = `reset-${protocol}-${number}`;
        const outwards = kind === "call-out";
        const invite = outwards
          ? alice.request("INVITE", "sip:carol@far.example", { callId, body: ueOffer() })
          : coreRequest(scenario.core, "INVITE", alice.contact, { callId, route: [path], body: coreSdp() });
        calls.push({ callId, outwards, invite, sent: (outwards ? alice : scenario.core).send(invite), acked: false });
      } else if (kind === "answer") answer(status, pick);
      else if (kind === "ack" && call !== undefined) await acknowledge(call, "ACK");
      else if (kind === "bye" && call?.acked) await acknowledge(call, "BYE");
      else if (kind === "cancel") call?.sent.cancel();
      else if (kind === "rest") rest();
      else if (kind === "reset-ue") alice.hangUp();
      else if (kind === "reset-core") scenario.core.hangUp();
      else if (kind === "wait") scenario.clock.advance(ms);
      else if (kind === "register") await register();
      await tick();
    }
  };

  const left = (): readonly string[] => {
    const { calls, contexts, transactions } = scenario.edge.counts();
    const wrong = scenario.logs.filter(({ level }) => level === "error").map(({ event }) => event);
    return [
      ...(calls + contexts + transactions + scenario.iq.open.size === 0
        ? []
        : [
            `${calls} calls, ${contexts} contexts, ${transactions} transactions, ${scenario.iq.open.size} at the gateway`,
          ]),
      ...wrong,
    ];
  };
  /** Timer C and 64*T1 after it, the patience with lost flows, and a while. */
  const passes = async (): Promise<void> => {
    // Who still speaks hangs up.
    await register();
    const live = new Set(scenario.edge.calls().flatMap(({ phase, callId }) => (phase === "confirmed" ? [callId] : [])));
    for (const call of calls) if (live.has(call.callId)) await acknowledge(call, "BYE");
    for (let turn = 0; turn < 40 && left().length > 0; turn += 1) {
      rest();
      await tick(turn === 0 ? 30 : 12);
      scenario.clock.advance(10_000);
      await tick();
    }
  };

  it(
    "invariant 10: no context, call or transaction is left, and no error of ours shows",
    { timeout: 60_000 + wanted * 4000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(move, { minLength: 6, maxLength: 22 }), async (moves) => {
          await play(moves);
          await passes();
          expect(left()).toEqual([]);
          ({ path } = await alice.register());
        }),
        { seed, numRuns: wanted, endOnFailure: wanted === usual },
      );
      const ends = new Set(scenario.edge.calls().map(({ ended }) => ended?.reason));
      expect(ends.size).toBeGreaterThan(2);
    },
  );
});
