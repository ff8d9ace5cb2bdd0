// What a gateway says no with, seen by a SIP caller: a whole edge with a real controller, and a gateway that answers as told.
import {
  refusal,
  createIqController,
  createIqGateway,
  refusalTable,
  type IqGateway,
  type IqGatewayHandler,
} from "@sallyport/iq";
import { seededRandom, silentLog } from "@sallyport/kit";
import { headerValue } from "@sallyport/sip";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { establishOriginating, originate } from "./support/calls.ts";
import { openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { ueOffer } from "./support/sdp.ts";

interface Told {
  /** The error of every command of that kind from now on; `silent`: it is not answered, `leave`: the gateway goes instead. */
  add: number | "silent" | "leave" | undefined;
  modify: number | undefined;
  /** Contexts asked for. */
  asked: number;
  readonly held: Set<number>;
}

let scenario: Scenario;
let alice: TestUe;
let gateway: IqGateway;
let told: Told;

const scripted = (script: Told): IqGatewayHandler => {
  let last = 0;
  let port = 30_000;
  return {
    add: async ({ context, name, streams }) => {
      if (context === "new") script.asked += 1;
      if (script.add === "silent") return new Promise(() => undefined);
      if (script.add === "leave") {
        void gateway.close();
        return new Promise(() => undefined);
      }
      if (script.add !== undefined) return refusal(script.add, "as told");
      const id = context === "new" ? ++last : context;
      script.held.add(id);
      const chosen = streams.flatMap(({ stream, local }) => {
        if (local?.kind !== "describe") return [];
        const at = { kind: "given", value: (port += 2) } as const;
        return [
          { stream, local: { ...local.text, address: { kind: "given", value: "192.0.2.5" } as const, port: at } },
        ];
      });
      return { ok: true, value: { context: id, termination: `ip/1/${name.side}/${id}`, chosen } };
    },
    modify: async ({ context }) => {
      if (script.modify !== undefined) return refusal(script.modify, "as told");
      return script.held.has(context) ? { ok: true, value: [] } : refusal(411, String(context));
    },
    subtract: async ({ context }) =>
      script.held.delete(context) ? { ok: true, value: [] } : refusal(411, String(context)),
    contexts: () => [...script.held].map((context) => ({ context, terminations: [] })),
    clear: async () => script.held.clear(),
  };
};

beforeEach(async () => {
  told = { add: undefined, modify: undefined, asked: 0, held: new Set() };
  scenario = await openScenario({
    createIq: createIqController,
    change: (config) => ({ ...config, iq: { ...config.iq, lab: true } }),
  });
  gateway = await createIqGateway({
    config: {
      mid: "<gw-a.example>",
      lab: true,
      controllers: [{ protocol: "tcp", address: "127.0.0.1", port: scenario.edge.iq?.port ?? 0 }],
    },
    clock: scenario.clock,
    log: silentLog,
    random: seededRandom("gateway"),
    handler: scripted(told),
  });
  await until(() => {
    // Its first wait is on the clock that stands still.
    scenario.clock.advance(1);
    return scenario.edge.gateways()[0]?.state === "up" && gateway.state().registered;
  }, "the gateway");
  alice = await scenario.ue("alice");
  await alice.register();
});

afterEach(async () => {
  const closing = gateway.close();
  for (let turn = 0; turn < 200; turn += 1) {
    scenario.clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await closing;
  await scenario.close();
});

const call = (callId: string) =>
  alice.send(alice.request("INVITE", "sip:carol@far.example", { body: ueOffer(), callId })).final();

const codes = refusalTable.flatMap(({ h248, sip, retryAfter }) => h248.map((code) => ({ code, sip, retryAfter })));

describe("H.248 errors as a SIP caller sees them", () => {
  it.each(codes.map((row) => [row.code, row.sip, row.retryAfter] as const))(
    "Add answered %i: the INVITE gets %i, Retry-After %s, and the next one goes through once the gateway can",
    async (code, status, retryAfter) => {
      told.add = code;
      const refused = await call("refused");
      expect(refused.status).toBe(status);
      expect(headerValue(refused, "retry-after")).toBe(retryAfter === undefined ? undefined : String(retryAfter));
      expect(scenario.core.requests.all.some(({ request }) => request.method === "INVITE")).toBe(false);
      told.add = undefined;
      // Longer than a busy gateway is left alone.
      scenario.clock.advance(600);
      await establishOriginating(scenario, alice);
      expect(scenario.edge.counts().contexts).toBe(1);
    },
  );

  /** The final answer, while time goes on. */
  const answerOf = async (sent: ReturnType<TestUe["send"]>) => {
    let status: number | undefined;
    const final = sent.final();
    void final.then((response) => (status = response.status));
    await until(() => {
      scenario.clock.advance(20);
      return status !== undefined;
    }, "an answer");
    return final;
  };
  const invite = (callId: string) =>
    alice.send(alice.request("INVITE", "sip:carol@far.example", { body: ueOffer(), callId }));

  it("H.248.1 D.1.3: a gateway that does not answer: 503, Retry-After 5, and nothing is left when it is heard again", async () => {
    told.add = "silent";
    const refused = await answerOf(invite("unanswered"));
    expect([refused.status, headerValue(refused, "retry-after")]).toEqual([503, "5"]);
    expect(scenario.edge.counts()).toMatchObject({ contexts: 0 });
    told.add = undefined;
    scenario.clock.advance(600);
    await establishOriginating(scenario, alice);
  });

  it("H.248.1 7.2.8: a gateway that leaves instead of an answer: 503; without any: 503, Retry-After 10", async () => {
    told.add = "leave";
    const lost = await answerOf(invite("left"));
    expect(lost.status).toBe(503);
    expect(headerValue(lost, "retry-after")).toMatch(/^(?:5|10)$/);
    await until(() => scenario.edge.gateways()[0]?.state === "down", "the gateway to be gone");
    const none = await answerOf(invite("none"));
    expect([none.status, headerValue(none, "retry-after")]).toEqual([503, "10"]);
    expect(scenario.core.requests.all.some(({ request }) => request.method === "INVITE")).toBe(false);
    expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  });

  it("H.248.11: an overloaded gateway is sent few calls, the others hear 503 at once, emergency calls pass, and then all do", async () => {
    told.add = 510;
    const asked = (): number => told.asked;
    const flood = async (calls: number, everyMs: number): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (let at = 0; at < calls; at += 1) {
        statuses.push((await call(`flood-${asked()}-${scenario.clock.now()}-${at}`)).status);
        scenario.clock.advance(everyMs);
      }
      return statuses;
    };
    await flood(3, 20);
    const before = asked();
    expect(new Set(await flood(100, 20))).toEqual(new Set([503]));
    // Two seconds, a hundred calls: a few have found out that it is so still.
    expect(asked() - before).toBeGreaterThan(0);
    expect(asked() - before).toBeLessThan(12);
    told.add = undefined;
    const sos = alice.send(alice.request("INVITE", "urn:service:sos", { body: ueOffer(), callId: "sos" }));
    scenario.core.respond(await scenario.core.expect("INVITE"), 486);
    expect((await sos.final()).status).toBe(486);
    scenario.clock.advance(12_000);
    await establishOriginating(scenario, alice);
  });

  it("every row of the table has been a caller's answer here, and none is left out", () => {
    const shown = new Set(codes.map(({ code }) => refusalTable.find(({ h248 }) => h248.includes(code))?.code));
    for (const code of ["SALLY_IQ_TIMEOUT", "SALLY_IQ_NO_GATEWAY"] as const) shown.add(code);
    // SALLY_IQ_CLOSED is an edge that stops: it answers nobody any more.
    expect(refusalTable.map(({ code }) => code).filter((code) => !shown.has(code))).toEqual(["SALLY_IQ_CLOSED"]);
  });

  it("an error in no row is ours: 500", async () => {
    told.add = 501;
    expect((await call("refused")).status).toBe(500);
  });

  it.each([411, 430, 449, 510, 511])(
    "Modify answered %i: the call is not continued in the clear, both ends are told, and nothing is left",
    async (code) => {
      told.modify = code;
      const { sent, arrived } = await originate(scenario, alice);
      scenario.core.respond(arrived, 200, {
        headers: [["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`]],
        body: "v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n",
      });
      expect((await sent.final()).status).toBe(503);
      scenario.core.respond(await scenario.core.expect("BYE"), 200);
      await until(() => told.held.size === 0, "nothing left");
    },
  );

  it("invariant 10: no context is left of any refusal", async () => {
    for (const code of [510, 449, 500]) {
      told.add = code;
      await call(`refused-${code}`);
      scenario.clock.advance(10_000);
    }
    expect(told.held.size).toBe(0);
    expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  });
});
