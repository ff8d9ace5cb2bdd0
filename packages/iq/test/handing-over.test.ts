// A gateway that is sent from one controller to another: by its controller, by the reply to its registration, by silence.
// The registration as a table, then over UDP on loopback with raw associations as controllers.
import type { ActionRequest, Association, H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport } from "@sallyport/h248";
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { Registration, RegistrationInput, RegistrationRules } from "../src/gateway/registration.ts";
import { stepRegistration, unstarted } from "../src/gateway/registration.ts";
import type { IqGateway, IqGatewayConfig } from "../src/index.ts";
import { createIqGateway } from "../src/index.ts";
import type { RecordingHandler } from "./handler.ts";
import { recordingHandler } from "./handler.ts";
import { actionsOf, must } from "./plans.ts";

const rules: RegistrationRules = {
  controllers: 3,
  avalancheMs: 0,
  firstRetryMs: 100,
  longestRetryMs: 1000,
  version: 2,
  profile: { name: "ETSI_BGF", version: 2 },
};

const go = (from: Registration, ...inputs: readonly RegistrationInput[]) => {
  let registration = from;
  let effects: readonly { readonly kind: string }[] = [];
  for (const input of inputs) {
    const step = stepRegistration(registration, rules, input);
    registration = step.registration;
    effects = step.effects;
  }
  return { registration, effects };
};

const accept: RegistrationInput = { kind: "accepted", version: 2, jitter: 0 };
const registered = go(unstarted, { kind: "start", jitter: 0 }, { kind: "waited" }, { kind: "connected" }, accept);
const hand = (controller: number, method: "HandOff" | "Failover" = "HandOff"): RegistrationInput => ({
  kind: "handed-over",
  controller,
  method,
});

describe("H.248.1 7.2.8: handing over", () => {
  it("H.248.1 7.2.8 HandOff 903, Failover 909: contexts go along, and belong to the other controller once it accepts", () => {
    const gone = go(registered.registration, hand(2));
    expect(gone.effects.map(({ kind }) => kind)).toEqual(["disconnect", "keep-contexts", "connect", "report"]);
    const there = go(gone.registration, { kind: "connected" });
    expect(there.effects).toEqual([{ kind: "register", method: "HandOff", reason: "903 MGC Directed Change" }]);
    const owned = go(there.registration, accept);
    expect(owned.registration).toMatchObject({ state: "registered", owner: 2, controller: 2, method: "Disconnected" });
    const over = go(registered.registration, hand(1, "Failover"), { kind: "connected" });
    expect(over.effects).toEqual([{ kind: "register", method: "Failover", reason: "909 MGC Impending Failure" }]);
  });

  it("H.248.1 11.5: handed over in vain, it goes back to the controller that knows its contexts", () => {
    const failed = go(registered.registration, hand(2), { kind: "failed", why: "refused", jitter: 0 });
    expect(failed.registration).toMatchObject({ state: "waiting", controller: 0, owner: 0 });
    expect(go(failed.registration, { kind: "waited" }, { kind: "connected" }).effects).toEqual([
      { kind: "register", method: "Disconnected", reason: "900 Service Restored" },
    ]);
  });

  it("H.248.1 7.2.8 MgcIdToTry in a reply: it goes there at once; controllers that send it round are left to the back-off", () => {
    const registering = go(unstarted, { kind: "start", jitter: 0 }, { kind: "waited" }, { kind: "connected" });
    const sent = (controller: number): RegistrationInput => ({ kind: "sent-on", controller, jitter: 0 });
    const on = go(registering.registration, sent(1));
    expect(on.effects).toEqual([{ kind: "disconnect" }, { kind: "connect", controller: 1 }]);
    const ring = go(on.registration, { kind: "connected" }, sent(2), { kind: "connected" }, sent(0), {
      kind: "connected",
    });
    expect(ring.registration.state).toBe("registering");
    expect(go(ring.registration, sent(1)).effects.map(({ kind }) => kind)).toEqual(["disconnect", "wait", "report"]);
    expect(go(on.registration, { kind: "connected" }, accept).registration).toMatchObject({ owner: 1, sentOn: 0 });
  });

  it("invariant 10: on every walk, contexts are dropped before a controller that was not told of them is registered with", () => {
    const controller = fc.integer({ min: 0, max: 2 });
    const input: fc.Arbitrary<RegistrationInput> = fc.oneof(
      fc.constant<RegistrationInput>({ kind: "waited" }),
      fc.constant<RegistrationInput>({ kind: "connected" }),
      fc.constant<RegistrationInput>({ kind: "failed", why: "x", jitter: 0.5 }),
      fc.constant<RegistrationInput>(accept),
      fc.constant<RegistrationInput>({ kind: "lost", why: "x", jitter: 0 }),
      fc.constant<RegistrationInput>({ kind: "expired" }),
      fc.constant<RegistrationInput>({ kind: "ordered", fresh: true }),
      controller.map<RegistrationInput>((index) => hand(index)),
      controller.map<RegistrationInput>((index) => ({ kind: "sent-on", controller: index, jitter: 0 })),
    );
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        let at: Registration = registered.registration;
        let holder: number | undefined = 0;
        let counting = false;
        for (const one of inputs) {
          const step = stepRegistration(at, rules, one);
          for (const effect of step.effects) {
            if (effect.kind === "drop-contexts") holder = undefined;
            if (effect.kind === "keep-contexts") counting = true;
            if (effect.kind !== "register") continue;
            // Only with Restart, HandOff or Failover may another one be met, and with Restart nothing is left.
            if (effect.method === "Restart") expect(holder).toBeUndefined();
            if (effect.method === "Disconnected" && holder !== undefined)
              expect(step.registration.controller).toBe(holder);
          }
          at = step.registration;
          if (at.state === "registered") {
            if (one.kind === "accepted") [holder, counting] = [at.controller, false];
          } else if (holder !== undefined)
            expect(counting || one.kind === "ordered" || at.state === "registering").toBe(true);
        }
      }),
      { seed: 903, numRuns: 500 },
    );
  });
});

const open: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const until = async (what: string, holds: () => boolean): Promise<void> => {
  const end = Date.now() + 4000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

const actions = (text: string): readonly ActionRequest[] => actionsOf(`MEGACO/2 <x> Transaction = 1 { ${text} }`);

interface Mgc {
  readonly association: Association;
  readonly port: number;
  /** ServiceChanges and Notifies heard, as `method reason delay` or `event of termination`. */
  readonly seen: string[];
  peer: H248Peer | undefined;
  /** What the reply to a registration names as the controller to try. */
  elsewhere: string | undefined;
  /** Answers nothing any more. */
  deaf: boolean;
  /** The highest version it takes; more is refused with 406. */
  highest: number;
}

const mgc = async (name: string): Promise<Mgc> => {
  const transport: H248Transport = createH248Transport({
    clock: systemClock,
    log: silentLog,
    onMessage: (octets, peer) => association.receive(octets, peer),
    onPeerClosed: () => undefined,
  });
  const association = createAssociation({
    mid: `<${name}>`,
    transport,
    clock: systemClock,
    log: silentLog,
    random: seededRandom(name),
    onRequest: async ({ actions: asked, peer }) => {
      const command = must(asked[0]?.commands[0]);
      const [descriptor] = command.descriptors;
      if (descriptor?.kind === "services") {
        self.seen.push(
          [descriptor.method, descriptor.reason, descriptor.delay].filter((part) => part !== undefined).join(" "),
        );
      }
      if (descriptor?.kind === "observedEvents") {
        const [event] = descriptor.events;
        const parameters = event?.properties.map((each) => `${each.name}=${each.values.join(" ")}`).join(" ");
        self.seen.push(`${event?.name} of ${command.termination} ${parameters}`.trim());
      }
      if (descriptor?.kind === "services" && (descriptor.version ?? 1) > self.highest) {
        self.seen.push(`refused ${descriptor.version}`);
        const error = { code: 406, text: "Version not supported" };
        return [{ context: "-", commands: [{ ...command, descriptors: [], error }] }];
      }
      if (self.deaf) await new Promise<never>(() => undefined);
      self.peer = peer;
      const services = {
        kind: "services" as const,
        version: Math.min(2, self.highest),
        extensions: [],
        ...(self.elsewhere === undefined ? {} : { mgcIdToTry: self.elsewhere }),
      };
      const { command: kind, termination } = command;
      return [
        {
          context: asked[0]?.context ?? "-",
          commands: [{ command: kind, termination, descriptors: kind === "ServiceChange" ? [services] : [] }],
        },
      ];
    },
  });
  const { port } = await transport.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
  const self: Mgc = { association, port, seen: [], peer: undefined, elsewhere: undefined, deaf: false, highest: 3 };
  open.push({
    close: async () => {
      association.close();
      await transport.close();
    },
  });
  return self;
};

const gatewayOf = async (
  mgcs: readonly Mgc[],
  more: Partial<IqGatewayConfig> = {},
  onRootWatch: () => void = () => undefined,
): Promise<{ readonly iq: IqGateway; readonly handler: RecordingHandler }> => {
  const handler = recordingHandler();
  const iq = await createIqGateway({
    config: {
      mid: "<gw-a.example>",
      controllers: mgcs.map(({ port }) => ({ protocol: "udp", address: "127.0.0.1", port })),
      lab: true,
      firstRetryMs: 20,
      longestRetryMs: 50,
      ...more,
    },
    clock: systemClock,
    log: silentLog,
    random: seededRandom("handed over"),
    handler,
    onRootWatch,
  });
  open.push(iq);
  await until("registered", () => iq.state().registered);
  return { iq, handler };
};

const tell = (to: Mgc, text: string) => to.association.request(actions(text), { peer: must(to.peer) });

describe("on the wire", () => {
  it("H.248.1 7.2.8 HandOff with MgcIdToTry: answered, then the gateway is with the other one, its contexts with it", async () => {
    const [one, other] = [await mgc("mgc-a.example"), await mgc("mgc-b.example")];
    const { handler, iq } = await gatewayOf([one, other]);
    handler.plant(5);
    const services = `Method = HandOff, Reason = 903, MgcIdToTry = [127.0.0.1]:${other.port}`;
    const [reply] = await tell(one, `Context = - { ServiceChange = ROOT { Services { ${services} } } }`);
    expect(reply?.commands[0]?.error).toBeUndefined();
    await until("there", () => other.seen.length === 1 && iq.state().registered);
    expect(other.seen).toEqual(["HandOff 903 MGC Directed Change"]);
    expect(iq.state().controller).toBe(1);
    expect(handler.held.has(5)).toBe(true);
    const [listed] = await tell(other, "Context = * { AuditValue = ROOT { Audit { } } }");
    expect(listed?.context).toBe(5);
  });

  it("H.248.1 7.2.8: a controller that is not configured is no place to go, and none at all is missing something", async () => {
    const one = await mgc("mgc-a.example");
    const { iq } = await gatewayOf([one]);
    for (const [services, code] of [
      ["Method = HandOff, Reason = 903, MgcIdToTry = [192.0.2.66]:2944", 449],
      ["Method = Failover, Reason = 909", 472],
      ["Method = Restart, Reason = 902, MgcIdToTry = [127.0.0.1]:2944", 501],
    ] as const) {
      const [reply] = await tell(one, `Context = - { ServiceChange = ROOT { Services { ${services} } } }`);
      expect(reply?.commands[0]?.error?.code).toBe(code);
    }
    expect(iq.state().registered).toBe(true);
  });

  it("H.248.1 7.2.8: a reply that names another controller sends the gateway there, and nothing else is accepted before", async () => {
    const [one, other] = [await mgc("mgc-a.example"), await mgc("mgc-b.example")];
    one.elsewhere = `[127.0.0.1]:${other.port}`;
    const { iq } = await gatewayOf([one, other]);
    expect([one.seen, other.seen]).toEqual([["Restart 901 Cold Boot"], ["Restart 901 Cold Boot"]]);
    expect(iq.state().controller).toBe(1);
  });

  it("H.248.14 it/ito: a silent controller is asked; one that answers is kept, one that does not is lost", async () => {
    const one = await mgc("mgc-a.example");
    const { iq } = await gatewayOf([one], { silenceMs: 0 });
    await tell(one, "Context = - { Modify = ROOT { Events = 4 { it/ito { mit = 5 } } } }");
    await until("asked twice", () => one.seen.filter((line) => line === "it/ito of ROOT").length >= 2);
    expect(iq.state().registered).toBe(true);
    one.deaf = true;
    await until("lost", () => !iq.state().registered);
  }, 15_000);

  it("TS 23.334 8: congestion and realms are told when asked for, and only then", async () => {
    const one = await mgc("mgc-a.example");
    let asked = 0;
    const { iq } = await gatewayOf([one], {}, () => asked++);
    expect(await iq.notifyRoot({ kind: "congestion", reduction: 10 })).toBe(false);
    await tell(one, "Context = - { Modify = ROOT { Events = 4 { chp/mgcon, ocp/mg_overload, ipra/arc } } }");
    expect(asked).toBe(1);
    expect(await iq.notifyRoot({ kind: "congestion", reduction: 130 })).toBe(true);
    expect(await iq.notifyRoot({ kind: "realms", available: ["a"], unavailable: ["b", "c"] })).toBe(true);
    expect(one.seen.slice(1)).toEqual(["chp/mgcon of ROOT reduction=100", "ipra/arc of ROOT nar=a nur=b c"]);
  });

  it("H.248.11 8.1: each Add that comes while there is too little is told, when asked for, and only then", async () => {
    const one = await mgc("mgc-a.example");
    const { handler } = await gatewayOf([one]);
    const add =
      "Context = $ { Add = ip/1/access/$ { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n} } } } }";
    const refused = async () => {
      handler.failNext("access");
      return (await tell(one, add))[0]?.commands[0]?.error?.code;
    };
    expect(await refused()).toBe(510);
    await tell(one, "Context = - { Modify = ROOT { Events = 4 { ocp/mg_overload } } }");
    const before = one.seen.length;
    expect([await refused(), await refused()]).toEqual([510, 510]);
    expect((await tell(one, add))[0]?.commands[0]?.error).toBeUndefined();
    await until("told twice", () => one.seen.length >= before + 2);
    expect(one.seen.slice(before)).toEqual(["ocp/mg_overload of ROOT", "ocp/mg_overload of ROOT"]);
  });

  it("H.248.11 8.1: a controller that does not answer its reports is not buried under them", async () => {
    const one = await mgc("mgc-a.example");
    const { handler } = await gatewayOf([one]);
    await tell(one, "Context = - { Modify = ROOT { Events = 4 { ocp/mg_overload } } }");
    one.deaf = true;
    const before = one.seen.length;
    const add =
      "Context = $ { Add = ip/1/access/$ { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n} } } } }";
    for (let at = 0; at < 40; at += 1) {
      handler.failNext("access");
      await tell(one, add);
    }
    await until("told", () => one.seen.length >= before + 16);
    expect(one.seen.length).toBe(before + 16);
  });

  it("TS 23.334 8: leaving gracefully it says 905 and when, refuses new contexts with 503, serves the old, and may stay", async () => {
    const one = await mgc("mgc-a.example");
    const { handler, iq } = await gatewayOf([one]);
    handler.plant(5);
    expect(await iq.leave(2500)).toBe(true);
    const add =
      "Context = $ { Add = ip/1/core/$ { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n} } } } }";
    const code = async (text: string) => (await tell(one, text))[0]?.commands[0]?.error?.code;
    expect(await code(add)).toBe(503);
    expect(await code("Context = 5 { Subtract = * }")).toBeUndefined();
    expect(await iq.stay()).toBe(true);
    expect(await code(add)).toBeUndefined();
    expect(one.seen).toEqual([
      "Restart 901 Cold Boot",
      "Graceful 905 Termination taken out of service 3",
      "Restart 918 Cancel Graceful",
    ]);
  });

  it("H.248.1 7.2.8: a leave outlives the association: it is said again to whoever takes the gateway on, until it stays", async () => {
    const [one, other] = [await mgc("mgc-a.example"), await mgc("mgc-b.example")];
    const { iq } = await gatewayOf([one, other]);
    expect(await iq.leave(0)).toBe(true);
    const services = `Method = HandOff, Reason = 903, MgcIdToTry = [127.0.0.1]:${other.port}`;
    await tell(one, `Context = - { ServiceChange = ROOT { Services { ${services} } } }`);
    await until("told", () => other.seen.length === 2);
    expect(other.seen).toEqual(["HandOff 903 MGC Directed Change", "Graceful 905 Termination taken out of service 0"]);
    expect(await iq.stay()).toBe(true);
    expect(other.seen.at(-1)).toBe("Restart 918 Cancel Graceful");
  });

  it("H.248.1 11.3: a controller that refuses the version offered is offered the next lower one, and what it takes is spoken", async () => {
    const one = await mgc("mgc-a.example");
    one.highest = 1;
    const { handler, iq } = await gatewayOf([one], { version: 3 });
    expect(one.seen.filter((line) => line.startsWith("refused"))).toEqual(["refused 3", "refused 2"]);
    handler.plant(5);
    // Version 1: single properties are not known.
    const [reply] = await tell(
      one,
      "Context = 5 { AuditValue = * { Audit { Media { Stream = 1 { LocalControl { Mode } } } } } }",
    );
    expect(reply?.error?.code ?? reply?.commands[0]?.error?.code).toBe(501);
    expect(iq.state().registered).toBe(true);
  });
});
