// Two edges, one after the other, on one store: what the second finds, and what it does with it.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VirtualClock } from "@sallyport/kit";
import { appendHeader, headerValue, replaceHeader, tagOf, type SipResponse } from "@sallyport/sip";
import { memoryStore, storeErrors, type StateStore } from "@sallyport/store";
import {
  bodyOf,
  contactUri,
  dialogOf,
  establishOriginating,
  establishTerminating,
  originate,
} from "./support/calls.ts";
import { awaitFirstGateway } from "../src/iq/first-gateway.ts";
import { contactOf, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { coreSdp, keys, sdp, crypto, ueAnswer, ueOffer } from "./support/sdp.ts";

const buckets = ["pcscf/bindings", "pcscf/calls", "pcscf/unsettled", "pcscf/tokens"] as const;

let scenario: Scenario;
let store: StateStore;

const sealing = (env = "RESTART_TEST_KEY") => ({
  store: { driver: "memory" as const, sealing: { env, previous: [] } },
});

beforeEach(() => {
  vi.stubEnv("RESTART_TEST_KEY", Buffer.from("sealing key of the restart tests").toString("base64"));
  vi.stubEnv("OTHER_TEST_KEY", Buffer.from("another sealing key of the tests").toString("base64"));
  store = memoryStore();
});
afterEach(async () => {
  await scenario.close();
  vi.unstubAllEnvs();
});

const open = async (change: Parameters<typeof openScenario>[0] = {}): Promise<void> => {
  scenario = await openScenario({
    store,
    ...change,
    change: (config) => ({ ...(change.change ?? ((same) => same))(config), ...sealing() }),
  });
};
const udp = async (name: string) => {
  const ue = await scenario.ue(name, { protocol: "udp" });
  const { path } = await ue.register();
  return { ue, path };
};
const kept = async (bucket: (typeof buckets)[number]) => (await store.list(bucket)).map(({ value }) => value);
const coreContact = () => ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
const cryptoOf = (body: string): string | undefined => /a=crypto:\d+ \S+ inline:(\S+)/.exec(body)?.[1];

const nothingLeft = async (): Promise<void> => {
  await until(() => scenario.iq.open.size === 0, "the context given back");
  expect(scenario.edge.counts()).toMatchObject({ calls: 0, contexts: 0 });
  expect(await kept("pcscf/calls")).toEqual([]);
  expect(await kept("pcscf/unsettled")).toEqual([]);
};

describe("registrations after a restart", () => {
  it("RFC 3327: a UE on UDP is called along its old Path without registering again", async () => {
    await open();
    const { ue, path } = await udp("bob");
    await scenario.restart();
    expect(scenario.edge.registrations().map(({ aor }) => aor)).toEqual([ue.aor]);
    const call = await establishTerminating(scenario, ue, path);
    expect(call.offered).toContain("a=3ge2ae:applied");
    expect(scenario.iq.open.size).toBe(1);
  });

  it("RFC 3608: a UE on UDP calls without registering again", async () => {
    await open();
    const { ue } = await udp("alice");
    await scenario.restart();
    await establishOriginating(scenario, ue);
    expect(scenario.edge.counts().calls).toBe(1);
  });

  it("RFC 3261 18.1.1: a UE on TCP is called over a new connection to its Contact, which is its flow from then on", async () => {
    await open();
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    await scenario.restart();
    const call = await establishTerminating(scenario, bob, path);
    expect(call.offered).toContain("a=3ge2ae:applied");
    const bye = scenario.core.send(call.byCaller("BYE", 2));
    bob.respond(await bob.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it("RFC 3261 18: a UE on TCP hangs up over a connection of its own once it has registered there, also when this edge has opened one to it", async () => {
    await open();
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    const call = await establishTerminating(scenario, bob, path);
    await scenario.restart();
    // Something else of the network's reaches the UE first: now there is a live connection that we opened.
    const ping = scenario.core.send(
      coreRequest(scenario.core, "OPTIONS", bob.contact, { route: [path], callId: "ping" }),
    );
    bob.respond(await bob.expect("OPTIONS"), 200);
    expect((await ping.final()).status).toBe(200);
    expect((await bob.send(call.byCalled("BYE", 1)).final()).status).toBe(403);
    await bob.register();
    const bye = bob.send(call.byCalled("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it.each([
    ["RFC 5626 5.3: 430 for who keeps flows", ';reg-id=1;+sip.instance="<urn:uuid:1>"', "contact", 430],
    ["480 where policy forbids new connections", "", "never", 480],
  ] as const)("a UE on TCP that has not come back: %s", async (_title, params, reconnect, status) => {
    await open({ change: (config) => ({ ...config, registration: { reconnect } }) });
    const bob = await scenario.ue("bob");
    const contact = contactOf(bob, params);
    const headers = [["Supported", "outbound, path"]] as const;
    const { path } = await registerRaw(scenario, bob, { aor: bob.aor, contacts: [contact], seq: 1, headers });
    await scenario.restart();
    const invite = coreRequest(scenario.core, "INVITE", bob.contact, { route: [path], body: coreSdp() });
    expect((await scenario.core.send(invite).final()).status).toBe(status);
    expect(scenario.iq.commands).toEqual([]);
  });

  it("a registration is in the store before its 200 leaves", async () => {
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const inner = store;
    store = {
      ...inner,
      put: async (bucket, ...rest) => {
        if (bucket === "pcscf/bindings") await gate;
        return inner.put(bucket, ...rest);
      },
    };
    await open();
    const bob = await scenario.ue("bob", { protocol: "udp" });
    const registering = bob.register();
    await until(() => scenario.edge.registrations().length === 1, "the 200 of the core");
    await settled();
    expect(bob.wire.some(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 200"))).toBe(false);
    letGo();
    expect((await registering).ok.status).toBe(200);
  });
});

describe("calls after a restart", () => {
  it.each(["UE", "core"] as const)(
    "invariant 10: a BYE of the %s ends the call on both sides and gives the context back",
    async (who) => {
      await open();
      const { ue } = await udp("alice");
      const dialog = await establishOriginating(scenario, ue);
      const [before] = scenario.edge.calls();
      await scenario.restart();
      expect(scenario.iq.known).toEqual([[], [1]]);
      const [view] = scenario.edge.calls();
      expect(view).toMatchObject({ id: before?.id, phase: "confirmed", security: "e2ae", reason: "secured" });
      expect(view?.evidence).toEqual(before?.evidence);
      expect(view?.gateway).toEqual({ gateway: "gw-a", context: 1 });
      expect(view?.answeredAt).toBe(before?.answeredAt);
      const [from, to] = who === "UE" ? [ue, scenario.core] : [scenario.core, ue];
      const sent = from.send(who === "UE" ? dialog.byCaller("BYE", 2) : dialog.byCalled("BYE", 1));
      to.respond(await to.expect("BYE"), 200);
      expect((await sent.final()).status).toBe(200);
      expect(scenario.edge.calls()[0]?.ended?.reason).toBe("bye");
      await nothingLeft();
    },
  );

  it("RFC 4568 7.1.4: an unchanged re-offer after the restart keeps both keys, and the gateway keeps its context", async () => {
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    await scenario.restart();
    const sent = ue.send(dialog.byCaller("INVITE", 2, ueOffer({ version: 2 })));
    const arrived = await scenario.core.expect("INVITE");
    expect(bodyOf(arrived.request)).not.toMatch(/crypto|3ge2ae|SAVP/);
    scenario.core.respond(arrived, 200, {
      headers: [coreContact()],
      body: coreSdp({ version: 2, port: 6002 }),
      tag: tagOf(dialog.ok, "to") ?? "",
    });
    const ok = await sent.final();
    expect(cryptoOf(bodyOf(ok))).toBe(cryptoOf(bodyOf(dialog.ok)));
    expect([...scenario.iq.open]).toEqual([1]);
    expect(scenario.iq.commands.at(-1)).toMatchObject({ kind: "modify", context: 1 });
    await ue.ack(dialog.byCaller("ACK", 2));
    await scenario.core.acks.next();
  });

  it("TS 33.328 7.3.1: a re-offer of the core after the restart is answered with the key in force", async () => {
    await open();
    const { ue, path } = await udp("bob");
    const call = await establishTerminating(scenario, ue, path);
    await scenario.restart();
    const sent = scenario.core.send(call.byCaller("INVITE", 2, coreSdp({ version: 2 })));
    const arrived = await ue.expect("INVITE");
    // The suite in force keeps its key; the other one is offered with a key of its own.
    expect(cryptoOf(bodyOf(arrived.request))).toBe(cryptoOf(call.offered));
    ue.respond(arrived, 200, { headers: [["Contact", `<${ue.contact}>`]], body: ueAnswer(1, { version: 2 }) });
    expect(bodyOf(await sent.final())).not.toMatch(/crypto|SAVP/);
  });

  it("RFC 5057 4: a transfer that was asked for before the restart is told how it went after the BYE", async () => {
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    const refer = ue.send(appendHeader(dialog.byCaller("REFER", 2), "Refer-To", "<sip:dave@far.example>"));
    scenario.core.respond(await scenario.core.expect("REFER"), 202);
    expect((await refer.final()).status).toBe(202);
    await scenario.restart();
    const bye = ue.send(dialog.byCaller("BYE", 3));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    const notify = appendHeader(dialog.byCalled("NOTIFY", 1), "Event", "refer");
    const told = scenario.core.send(appendHeader(notify, "Subscription-State", "terminated;reason=noresource"));
    ue.respond(await ue.expect("NOTIFY"), 200);
    expect((await told.final()).status).toBe(200);
  });

  it("RFC 3261 12.2.1.1: a BYE of our own after the restart has higher CSeq numbers than both sides ever used", async () => {
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    const info = ue.send(dialog.byCaller("INFO", 40));
    scenario.core.respond(await scenario.core.expect("INFO"), 200);
    await info.final();
    await scenario.restart();
    scenario.iq.failNext("add");
    scenario.iq.notify((context) => ({ kind: "context-lost", gateway: "gw-a", context, reason: "audit" }));
    const [towardsCore, towardsUe] = [await scenario.core.expect("BYE"), await ue.expect("BYE")];
    expect(Number.parseInt(headerValue(towardsCore.request, "cseq") ?? "", 10)).toBeGreaterThan(40);
    for (const [end, bye] of [
      [scenario.core, towardsCore],
      [ue, towardsUe],
    ] as const)
      end.respond(bye, 200);
    expect(scenario.edge.calls()[0]?.ended).toEqual({ reason: "gateway-lost", detail: "gateway-refused" });
    await until(() => scenario.iq.open.size === 0, "nothing left");
    expect(await kept("pcscf/calls")).toEqual([]);
  });

  describe("RFC 3261 13.3.1.4: a 2xx that comes again after the restart, because nobody acknowledged it,", () => {
    const isOk = ({ status }: SipResponse): boolean => status === 200;
    const answered = async () => {
      await open();
      const { ue } = await udp("alice");
      const { sent, arrived } = await originate(scenario, ue);
      const answer = { headers: [coreContact()], body: coreSdp() };
      scenario.core.respond(arrived, 200, answer);
      const ok = await sent.final();
      await scenario.restart();
      const again = (): void => scenario.core.respond(arrived, 200, answer);
      return {
        ue,
        sent,
        ok,
        dialog: dialogOf(ue.request("INVITE", "sip:carol@far.example"), arrived.request, ok),
        again,
      };
    };

    it("is told to the caller again, without its body; the ACK passes, later copies are acknowledged here, and the call stands", async () => {
      const { ue, sent, ok, dialog, again } = await answered();
      again();
      const copy = await sent.responses.next(isOk);
      expect(headerValue(copy, "to")).toEqual(headerValue(ok, "to"));
      expect(copy.body).toHaveLength(0);
      expect(headerValue(copy, "content-type")).toBeUndefined();
      expect(scenario.core.acks.all).toHaveLength(0);
      await ue.ack(dialog.byCaller("ACK", 1));
      expect(headerValue(await scenario.core.acks.next(), "cseq")).toBe("1 ACK");
      again();
      const ack = await scenario.core.acks.next();
      expect(headerValue(ack, "cseq")).toBe("1 ACK");
      expect(ack.uri).toBe(contactUri(ok));
      scenario.clock.advance(40_000);
      expect(scenario.edge.counts().calls).toBe(1);
      expect(sent.responses.all.filter(isOk)).toHaveLength(2);
    });

    it("decides nothing any more once an ACK has passed", async () => {
      const { ue, sent, dialog, again } = await answered();
      await ue.ack(dialog.byCaller("ACK", 1));
      await scenario.core.acks.next();
      again();
      await scenario.core.acks.next();
      scenario.clock.advance(40_000);
      expect(scenario.edge.counts().calls).toBe(1);
      expect(sent.responses.all.filter(isOk)).toHaveLength(1);
    });

    it("invariant 10: ends at both ends when the caller never acknowledges it", async () => {
      const { ue, sent, again } = await answered();
      again();
      await sent.responses.next(isOk);
      again();
      await sent.responses.next(isOk);
      scenario.clock.advance(31_000);
      expect(scenario.edge.counts().calls).toBe(1);
      scenario.clock.advance(1000);
      expect(headerValue(await scenario.core.acks.next(), "cseq")).toBe("1 ACK");
      scenario.core.respond(await scenario.core.expect("BYE"), 200);
      ue.respond(await ue.expect("BYE"), 200);
      expect(scenario.edge.calls()[0]?.ended?.reason).toBe("no-acknowledgement");
      await until(() => scenario.iq.open.size === 0, "nothing left");
    });

    it("invariant 1: reaches a caller who was never told, without anything of media security; it ends what it got no answer in", async () => {
      await open();
      const { ue, path } = await udp("bob");
      const invite = coreRequest(scenario.core, "INVITE", ue.contact, { route: [path], body: coreSdp() });
      const sent = scenario.core.send(invite);
      const arrived = await ue.expect("INVITE");
      const answer = { headers: [["Contact", `<${ue.contact}>`]] as const, body: ueAnswer() };
      ue.respond(arrived, 200, answer);
      const ok = await sent.final();
      await scenario.restart();
      ue.respond(arrived, 200, answer);
      const seen = (): readonly string[] =>
        scenario.core.wire
          .filter(({ direction, text }) => direction === "in" && text.startsWith("SIP/2.0 200"))
          .map(({ text }) => text);
      await until(() => seen().length === 2, "the 200 at the core");
      expect(seen()[1]).toMatch(/^Content-Length: 0\r$/im);
      expect(seen()[1]).not.toMatch(/a=crypto|3ge2ae|^m=|^security-|^p-preferred/im);
      const dialog = dialogOf(invite, arrived.request, ok, `127.0.0.1:${scenario.core.port}`);
      await scenario.core.ack(dialog.byCaller("ACK", 1));
      await ue.acks.next();
      const bye = scenario.core.send(dialog.byCaller("BYE", 2));
      ue.respond(await ue.expect("BYE"), 200);
      expect((await bye.final()).status).toBe(200);
      await nothingLeft();
    });
  });

  it("RFC 4028 10: a session that is never refreshed after the restart ends, not before its time", async () => {
    await open();
    const { ue } = await udp("alice");
    await establishOriginating(scenario, ue, {
      headers: [
        ["Session-Expires", "90;refresher=uac"],
        ["Require", "timer"],
      ],
    });
    await scenario.restart();
    scenario.clock.advance(90_000);
    expect(scenario.edge.counts().calls).toBe(1);
    scenario.clock.advance(40_000);
    expect(scenario.edge.calls()[0]?.ended?.reason).toBe("session-expired");
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await nothingLeft();
  });

  it("TS 24.229 5.2.8.1.2: a UE on TCP that does not come back has its call ended after restartMs", async () => {
    await open({ change: (config) => ({ ...config, registration: { reconnect: "never" } }) });
    const alice = await scenario.ue("alice");
    await alice.register();
    await establishOriginating(scenario, alice);
    await scenario.restart();
    scenario.clock.advance(59_000);
    expect(scenario.edge.counts().calls).toBe(1);
    scenario.clock.advance(2000);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect(scenario.edge.calls()[0]?.ended?.reason).toBe("flow-lost");
    await nothingLeft();
  });

  it("RFC 5626 4.4.1: a UE on TCP that registers on a new connection keeps its call, and ends it itself", async () => {
    await open();
    const alice = await scenario.ue("alice");
    await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    await scenario.restart();
    await alice.register();
    scenario.clock.advance(70_000);
    expect(scenario.edge.counts().calls).toBe(1);
    const bye = alice.send(dialog.byCaller("BYE", 2));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it("a UE on TCP ends its call over a new connection when it has registered again; nobody else can, at whatever address", async () => {
    await open();
    const alice = await scenario.ue("alice");
    await alice.register();
    const dialog = await establishOriginating(scenario, alice);
    await scenario.restart();
    const mallory = await scenario.ue("mallory", { listener: 2 });
    expect((await mallory.send(dialog.byCaller("BYE", 2)).final()).status).toBe(403);
    await mallory.register();
    expect((await mallory.send(dialog.byCaller("BYE", 3)).final()).status).toBe(403);
    expect((await alice.send(dialog.byCaller("BYE", 4)).final()).status).toBe(403);
    await alice.register();
    const bye = alice.send(dialog.byCaller("BYE", 5));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nothingLeft();
  });

  it("RFC 3261 12.2.2: an INVITE without a To tag does not enter a call that was taken up", async () => {
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    await scenario.restart();
    const before = scenario.core.requests.all.length;
    const stray = replaceHeader(dialog.byCaller("INVITE", 2, ueOffer()), "to", ["<sip:carol@far.example>"]);
    expect((await ue.send(stray).final()).status).toBe(481);
    expect(scenario.core.requests.all).toHaveLength(before);
    expect(scenario.edge.counts().calls).toBe(1);
  });

  it("a call between the ringing and the answer is not taken up: its context is left to the audit", async () => {
    await open();
    const { ue } = await udp("alice");
    await originate(scenario, ue);
    expect(await kept("pcscf/calls")).toEqual([]);
    expect(scenario.iq.open.size).toBe(1);
    await scenario.restart();
    expect(scenario.iq.known).toEqual([[], []]);
  });
});

describe("a new call before the first gateway is back", () => {
  const calling = async () => {
    await open();
    const { ue } = await udp("alice");
    await establishOriginating(scenario, ue);
    await scenario.restart();
    scenario.iq.failNext("add", "SALLY_IQ_NO_GATEWAY");
    const before = scenario.core.requests.all.length;
    const sent = ue.send(ue.request("INVITE", "sip:carol@far.example", { body: ueOffer() }));
    await until(() => scenario.iq.timeline.at(-1) === "add refused", "nobody there");
    await settled();
    expect(scenario.core.requests.all).toHaveLength(before);
    expect(sent.responses.all.filter(({ status }) => status > 100)).toEqual([]);
    return sent;
  };

  it("waits for it where an earlier run left calls, and goes on", async () => {
    const sent = await calling();
    scenario.iq.up();
    const invite = await scenario.core.expect("INVITE");
    expect(invite.request.body.toString("latin1")).toContain("RTP/AVP");
    scenario.core.respond(invite, 486);
    expect((await sent.final()).status).toBe(486);
  });

  it("RFC 3261 21.5.4: is answered 503 when none comes within two seconds", async () => {
    const sent = await calling();
    scenario.clock.advance(1999);
    await settled();
    expect(sent.responses.all.filter(({ status }) => status > 100)).toEqual([]);
    scenario.clock.advance(1);
    expect((await sent.final()).status).toBe(503);
  });

  it("invariant 10: does not hold up the end of the edge", async () => {
    await calling();
    await scenario.edge.close();
  });

  it("is answered 503 at once where nothing says that a gateway is on its way", async () => {
    await open();
    const { ue } = await udp("alice");
    scenario.iq.failNext("add", "SALLY_IQ_NO_GATEWAY");
    const sent = ue.send(ue.request("INVITE", "sip:carol@far.example", { body: ueOffer() }));
    expect((await sent.final()).status).toBe(503);
  });

  it("no more than 256 wait", async () => {
    const first = awaitFirstGateway(new VirtualClock(), true);
    const waiting = Array.from({ length: 256 }, () => first.wait());
    expect(await first.wait()).toBe(false);
    first.arrived();
    expect((await Promise.all(waiting)).every(Boolean)).toBe(true);
    expect(await first.wait()).toBe(false);
  });
});

describe("a gateway that is to get no new calls", () => {
  it("TS 23.334 8: gets none after a restart of the edge either, until the operator says so", async () => {
    await open();
    expect(scenario.edge.drainGateway("gw-a", true).draining).toBe(true);
    await settled();
    await scenario.restart();
    expect(scenario.edge.gateways()[0]?.draining).toBe(true);
    scenario.edge.drainGateway("gw-a", false);
    await settled();
    await scenario.restart();
    expect(scenario.edge.gateways()[0]?.draining).toBe(false);
    expect(await store.list("pcscf/drained")).toEqual([]);
  });

  it("that is not configured any more is forgotten", async () => {
    await store.put("pcscf/drained", "gw-of-before", true);
    await open();
    await settled();
    expect(await store.list("pcscf/drained")).toEqual([]);
    expect(scenario.edge.gateways()[0]?.draining).toBe(false);
  });

  it("SALLY_STORE_FULL: is drained all the same, and the log says that a restart would not know it", async () => {
    await open();
    vi.spyOn(store, "put").mockRejectedValue(storeErrors("SALLY_STORE_FULL"));
    expect(scenario.edge.drainGateway("gw-a", true).draining).toBe(true);
    await settled();
    expect(scenario.logs.some(({ level, event }) => level === "error" && event === "drain not kept")).toBe(true);
    expect(scenario.edge.counters().find(({ name }) => name === "store_failures_total")?.value).toBe(1);
    vi.restoreAllMocks();
  });
});

describe("what is in the store", () => {
  it("a 200 to INVITE leaves when the store has the call, and nothing overtakes it", async () => {
    let letGo: () => void = () => undefined;
    const inner = store;
    let gate: Promise<void> = new Promise((resolve) => (letGo = resolve));
    store = { ...inner, batch: async (changes) => (await gate, inner.batch(changes)) };
    await open();
    const { ue } = await udp("alice");
    const { sent, arrived } = await originate(scenario, ue);
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp() });
    await until(() => scenario.edge.calls()[0]?.phase === "confirmed", "the answer");
    await settled();
    expect(sent.responses.all.some(({ status }) => status >= 200)).toBe(false);
    letGo();
    expect((await sent.final()).status).toBe(200);
    gate = Promise.resolve();
    expect(await kept("pcscf/calls")).toHaveLength(1);
  });

  it("invariant 7: no media key and no token key lies there in plain; without a sealing key no call lies there", async () => {
    await open();
    const { ue, path } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    const towardsUe = cryptoOf(bodyOf(dialog.ok)) ?? "none";
    const all = JSON.stringify(await Promise.all(buckets.map(kept)));
    expect(await kept("pcscf/calls")).toHaveLength(1);
    for (const key of [towardsUe, keys.k11, keys.k11b]) {
      for (const form of ["base64", "hex", "base64url"] as const) {
        expect(all).not.toContain(Buffer.from(key, "base64").toString(form).slice(0, 24));
      }
    }
    expect(await kept("pcscf/tokens")).toEqual([expect.stringMatching(/^s1\./)]);
    expect(path).toMatch(/^<sip:p\./);

    await scenario.close();
    store = memoryStore();
    scenario = await openScenario({ store });
    const bob = await scenario.ue("bob", { protocol: "udp" });
    await bob.register();
    await establishOriginating(scenario, bob);
    expect(await kept("pcscf/calls")).toEqual([]);
    expect(await kept("pcscf/bindings")).toHaveLength(1);
  });

  it("a token key that an earlier release left in plain is sealed, and old Paths still lead here", async () => {
    scenario = await openScenario({ store });
    const { ue, path } = await udp("bob");
    expect(await kept("pcscf/tokens")).toEqual([expect.stringMatching(/^[\w-]{43}$/)]);
    await scenario.restart((config) => ({ ...config, ...sealing() }));
    expect(await kept("pcscf/tokens")).toEqual([expect.stringMatching(/^s1\./)]);
    await establishTerminating(scenario, ue, path);
  });

  it("a call costs two writes: one when it is answered, one when it is over", async () => {
    const inner = store;
    let batches = 0;
    store = { ...inner, batch: (changes) => ((batches += 1), inner.batch(changes)) };
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    const info = ue.send(dialog.byCaller("INFO", 2));
    scenario.core.respond(await scenario.core.expect("INFO"), 200);
    await info.final();
    const bye = ue.send(dialog.byCaller("BYE", 3));
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await bye.final();
    expect(batches).toBe(2);
  });

  it("SALLY_STORE_FULL: the call goes on, is counted, and is kept as soon as there is room", async () => {
    const inner = store;
    let full = true;
    store = {
      ...inner,
      batch: async (changes) => {
        if (full) throw storeErrors("SALLY_STORE_FULL");
        return inner.batch(changes);
      },
    };
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    expect(scenario.edge.counters().find(({ name }) => name === "store_failures_total")?.value).toBeGreaterThan(0);
    expect(scenario.logs.some(({ fields }) => String(fields["error"]).includes("SALLY_STORE_FULL"))).toBe(true);
    expect(await kept("pcscf/calls")).toEqual([]);
    full = false;
    const info = ue.send(dialog.byCaller("INFO", 2));
    scenario.core.respond(await scenario.core.expect("INFO"), 200);
    await info.final();
    expect(await kept("pcscf/calls")).toHaveLength(1);
  });

  it("SALLY_STORE_SEALED: an edge that is not given the key says so and does not start; given as previous key, it does", async () => {
    await open();
    const { ue } = await udp("alice");
    await establishOriginating(scenario, ue);
    const other = (previous: readonly { env: string }[]) => ({
      store: { driver: "memory" as const, sealing: { env: "OTHER_TEST_KEY", previous: [...previous] } },
    });
    await expect(scenario.restart((config) => ({ ...config, ...other([]) }))).rejects.toMatchObject({
      code: "SALLY_STORE_SEALED",
    });
    await scenario.restart((config) => ({ ...config, ...other([{ env: "RESTART_TEST_KEY" }]) }));
    expect(scenario.edge.counts().calls).toBe(1);
  });

  it("a record that cannot be read is told in the log and forgotten; the others come back", async () => {
    await open();
    const { ue } = await udp("alice");
    await establishOriginating(scenario, ue);
    const [entry] = await store.list("pcscf/calls");
    if (entry === undefined) throw new Error("no call in the store");
    // Sealed values of one place do not open in another.
    const copied = JSON.parse(JSON.stringify(entry.value).replaceAll(entry.key, "f".repeat(24))) as typeof entry.value;
    await store.put("pcscf/calls", "f".repeat(24), copied);
    await store.put("pcscf/calls", "e".repeat(24), { version: 7 });
    await scenario.restart();
    expect(scenario.edge.counts().calls).toBe(1);
    const told = scenario.logs.filter(({ event }) => event === "call not restored");
    expect(told.map(({ fields }) => fields["call"])).toEqual(["e".repeat(24), "f".repeat(24)]);
    expect((await store.list("pcscf/calls")).map(({ key }) => key)).toEqual([entry.key]);
  });

  it("invariant 5: after a restart in the middle of a new key, the gateway is told again what is in force", async () => {
    await open();
    const { ue } = await udp("alice");
    const dialog = await establishOriginating(scenario, ue);
    const before = scenario.iq.commands.findLast(({ kind }) => kind === "add" || kind === "modify");
    const body = sdp({ protocol: "RTP/SAVP", version: 2, lines: [crypto(keys.k22, 3), "a=3ge2ae:requested"] });
    ue.send(dialog.byCaller("INVITE", 2, body));
    const arrived = await scenario.core.expect("INVITE");
    scenario.iq.hold();
    const count = scenario.iq.commands.length;
    scenario.core.respond(arrived, 200, { headers: [coreContact()], body: coreSdp({ version: 2 }) });
    await until(() => scenario.iq.commands.length > count, "the new key at the gateway");
    expect(await kept("pcscf/unsettled")).toEqual([true]);
    // The order may have been carried out or not: nobody will say.
    scenario.iq.release();
    await settled();
    await store.put("pcscf/unsettled", scenario.edge.calls()[0]?.id ?? "", true);
    await scenario.restart();
    const told = scenario.iq.commands.length;
    scenario.iq.up();
    await until(() => scenario.iq.commands.length > told, "the gateway told again");
    const again = scenario.iq.commands.at(-1);
    expect(again).toMatchObject({ kind: "modify", context: 1 });
    expect(again?.streams[0]?.access?.remoteCrypto).toBeDefined();
    expect(before?.streams[0]?.stream).toBe(again?.streams[0]?.stream);
    scenario.iq.up();
    await settled();
    expect(scenario.iq.commands).toHaveLength(told + 1);
  });
});
