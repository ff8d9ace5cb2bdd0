// Controller and gateway over real sockets on loopback: registration, who may speak, keys, loss and what is left behind.
import type { Clock, LogRecord, OpenDatagram } from "@sallyport/kit";
import { SallyportError, memoryLog, seededRandom, systemClock, systemDatagrams } from "@sallyport/kit";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type {
  GatewayStatus,
  IqContextState,
  IqController,
  IqControllerConfig,
  IqGateway,
  IqGatewayConfig,
  IqNotification,
  IqTlsMaterial,
} from "../src/index.ts";
import { createIqController, createIqGateway } from "../src/index.ts";
import { createAuthority } from "@sallyport/test-authority";
import type { RecordingHandler } from "./handler.ts";
import { recordingHandler } from "./handler.ts";
import { configuration, must, reservation } from "./plans.ts";

let certificates: Record<"edge" | "gateway" | "rogue" | "stranger", IqTlsMaterial>;

beforeAll(async () => {
  const [authority, other] = [await createAuthority(), await createAuthority()];
  const issue = (name: string) => authority.issue([{ type: "dns", value: name }]);
  certificates = {
    edge: await issue("edge-a.example"),
    gateway: await issue("gw-a.example"),
    rogue: await issue("gw-b.example"),
    stranger: { ...(await other.issue([{ type: "dns", value: "gw-a.example" }])), ca: authority.ca },
  };
});

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
  // Whoever creates, closes: no timer of either end outlives it.
  expect(clock.waiting()).toBe(0);
});

/** Waits, looking every few milliseconds; at most three seconds. */
const until = async (what: string, holds: () => boolean): Promise<void> => {
  const end = Date.now() + 3000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

type Wire = "tls" | "tcp" | "udp";

/** Datagram sockets that can be told to send nothing. */
const mutable = (): { readonly openDatagram: OpenDatagram; mute(): void; speak(): void } => {
  let muted = false;
  return {
    openDatagram: async (binding, handlers) => {
      const socket = await systemDatagrams(binding, handlers);
      return { ...socket, send: (octets, to) => (muted ? undefined : socket.send(octets, to)) };
    },
    mute: () => {
      muted = true;
    },
    speak: () => {
      muted = false;
    },
  };
};

interface Edge {
  readonly controller: IqController;
  readonly reports: GatewayStatus[];
  readonly notifications: IqNotification[];
  readonly records: readonly LogRecord[];
  readonly sent: string[];
}

/** The system's clock, which knows how many of its timers are waiting. */
const countingClock = (): Clock & { waiting(): number } => {
  const waiting = new Set<object>();
  return {
    now: () => systemClock.now(),
    after: (ms, run) => {
      const token = {};
      waiting.add(token);
      const timer = systemClock.after(ms, () => {
        waiting.delete(token);
        run();
      });
      return {
        cancel: () => {
          waiting.delete(token);
          timer.cancel();
        },
      };
    },
    waiting: () => waiting.size,
  };
};

const clock = countingClock();

const edge = async (
  wire: Wire,
  more: Partial<IqControllerConfig> = {},
  port = 0,
  known: readonly IqContextState[] = [],
): Promise<Edge> => {
  const reports: GatewayStatus[] = [];
  const notifications: IqNotification[] = [];
  const sent: string[] = [];
  const { log, records } = memoryLog();
  const controller = await createIqController({
    config: {
      mid: "<edge-a.example>",
      listen: [{ protocol: wire, address: "127.0.0.1", port, ...(wire === "tls" ? { tls: certificates.edge } : {}) }],
      gateways: [
        { id: "gw-a", mid: "<gw-a.example>" },
        { id: "gw-b", mid: "<gw-b.example>" },
      ],
      ...more,
    },
    known,
    clock,
    log,
    random: seededRandom(`controller ${open.length}`),
    observe: ({ direction, octets }) => {
      if (direction === "out") sent.push(octets.toString("latin1"));
    },
    onGateway: (status) => reports.push(status),
    onNotify: (notification) => notifications.push(notification),
  });
  open.push(controller);
  return { controller, reports, notifications, records, sent };
};

const gateway = async (
  to: Edge,
  wire: Wire,
  more: Partial<IqGatewayConfig> & { readonly tls?: IqTlsMaterial; readonly openDatagram?: OpenDatagram } = {},
): Promise<{ readonly iq: IqGateway; readonly handler: RecordingHandler; readonly records: readonly LogRecord[] }> => {
  const handler = recordingHandler();
  const { log, records } = memoryLog();
  const { tls = certificates.gateway, openDatagram, ...config } = more;
  const iq = await createIqGateway({
    config: {
      mid: "<gw-a.example>",
      firstRetryMs: 20,
      longestRetryMs: 50,
      controllers: [
        {
          protocol: wire,
          address: "127.0.0.1",
          port: must(to.controller.listening[0]).port,
          ...(wire === "tls" ? { tls, certificateName: "edge-a.example" } : {}),
        },
      ],
      ...config,
    },
    clock,
    log,
    random: seededRandom(`gateway ${open.length}`),
    handler,
    ...(openDatagram === undefined ? {} : { openDatagram }),
  });
  open.push(iq);
  return { iq, handler, records };
};

const status = (at: Edge, id = "gw-a"): GatewayStatus => must(at.controller.gateways().find((one) => one.id === id));

const up = (at: Edge): Promise<void> => until("gateway up", () => status(at).state === "up");

const failure = async (promise: Promise<unknown>): Promise<SallyportError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SallyportError) return error;
  throw new Error("did not fail as it should");
};

describe.each<Wire>(["tls", "tcp", "udp"])("over %s", (wire) => {
  const lab = wire === "tls" ? {} : { lab: true };

  it("TS 23.334 8: registers, reserves, configures, releases; nothing is left at either end", async () => {
    const at = await edge(wire, lab);
    const { iq, handler } = await gateway(at, wire, lab);
    await up(at);
    await until("the reply has come", () => iq.state().registered);
    expect(status(at)).toMatchObject({ protected: true, contexts: 0, protocol: wire, reason: "Restart 901" });
    const added = await at.controller.add(undefined, reservation);
    expect(added.context).toEqual({ gateway: "gw-a", context: 1, access: "ip/1/access/1", core: "ip/1/core/2" });
    expect(added.access).toEqual([{ stream: 1, address: "192.0.2.20", port: 40_002, rtcpPort: 40_003 }]);
    expect(added.core).toEqual([{ stream: 1, address: "192.0.2.20", port: 40_004, rtcpPort: 40_005 }]);
    const changed = await at.controller.modify(added.context, configuration);
    expect(changed).toEqual({ access: added.access, core: added.core });
    expect(handler.modifies).toHaveLength(2);
    expect(await at.controller.audit("gw-a")).toEqual({ contexts: [1] });
    const statistics = await at.controller.subtract(added.context);
    expect(statistics.terminations.map(({ side, stream, values }) => [side, stream, values.get("rtp/ps")])).toEqual([
      ["access", 1, "12"],
      ["core", 1, "12"],
    ]);
    expect(handler.held.size).toBe(0);
    expect(at.controller.contexts()).toEqual([]);
    expect(await at.controller.audit("gw-a")).toEqual({ contexts: [] });
  });

  it("TS 23.334 8 media inactivity: a Notify reaches its call", async () => {
    const at = await edge(wire, lab);
    const { iq } = await gateway(at, wire, lab);
    await up(at);
    const { context } = await at.controller.add("gw-a", reservation);
    const event = { context: context.context, request: 1, name: "adid/ipstop", stream: 1, parameters: { dir: "IN" } };
    await iq.notify({ ...event, termination: context.access });
    expect(at.notifications).toEqual([
      { kind: "media-inactivity", gateway: "gw-a", context, side: "access", stream: 1, direction: "in" },
    ]);
    await iq.notify({ ...event, name: "g/cause", termination: context.core });
    expect(at.notifications[1]).toMatchObject({ kind: "event", name: "g/cause", termination: context.core, stream: 1 });
  });

  it("H.248.1 7.2.8 Forced: a gateway that leaves is down, and its calls are lost", async () => {
    const at = await edge(wire, lab);
    const { iq, handler } = await gateway(at, wire, lab);
    await up(at);
    const { context } = await at.controller.add(undefined, reservation);
    await iq.close();
    expect(status(at)).toMatchObject({ state: "down", contexts: 0, reason: "Forced 905" });
    expect(at.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "forced" }]);
    expect(handler.held.size).toBe(0);
    expect((await failure(at.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_NO_GATEWAY");
  });

  it("H.248.1 errors: the gateway's error comes back as a SIP status, and nothing stays held", async () => {
    const at = await edge(wire, lab);
    const { handler } = await gateway(at, wire, lab);
    await up(at);
    handler.failNext("core");
    const error = await failure(at.controller.add(undefined, reservation));
    expect(error).toMatchObject({ code: "SALLY_IQ_NO_RESOURCES", sipStatus: 503, where: "gw-a" });
    expect(error.message).toContain("510");
    expect(handler.held.size).toBe(0);
    expect(at.controller.contexts()).toEqual([]);
  });
});

describe("who may speak", () => {
  it("TS 33.328 6.2.1.3: a gateway whose certificate has another name is answered 504 and never registered", async () => {
    const at = await edge("tls");
    const { iq, records } = await gateway(at, "tls", { tls: certificates.rogue });
    await until("refusal", () => records.some((record) => record.fields["code"] === 504));
    expect(status(at).state).toBe("down");
    expect(status(at, "gw-b").state).toBe("down");
    expect(iq.state().registered).toBe(false);
    // It tries as long as it runs: both logs say so once, and why, not with each attempt.
    const lines = (of: readonly LogRecord[], event: string) => of.filter((record) => record.event === event);
    await until("attempts", () => lines(records, "h248 connection open").length >= 4);
    expect(lines(at.records, "iq peer refused")).toHaveLength(1);
    expect(lines(at.records, "h248 request failed")).toHaveLength(1);
    expect(lines(records, "iq registration refused").map(({ fields }) => fields["why"])).toEqual([
      expect.stringMatching(/504.*\(SALLY_H248_ERROR\)$/),
    ]);
  });

  it("TS 33.328 6.2.1.3: a mid nobody listed is answered 504", async () => {
    const at = await edge("tls");
    const { records } = await gateway(at, "tls", { mid: "<gw-z.example>" });
    await until("refusal", () => records.some((record) => record.fields["code"] === 504));
  });

  it("TS 33.328 6.2.1.3: a certificate of another authority does not come in at all", async () => {
    const at = await edge("tls");
    const { iq, records } = await gateway(at, "tls", { tls: certificates.stranger });
    await until("failed attempts", () => /SALLY_H248|lost/.test(iq.state().reason));
    expect(at.reports).toEqual([]);
    // The gateway can not know why; the edge says it, and both say so once.
    await until("attempts", () => records.filter(({ event }) => event === "h248 connection open").length >= 4);
    const told = (of: readonly LogRecord[], wanted: string, field: string) =>
      of.filter(({ event }) => event === wanted).map(({ fields }) => fields[field]);
    expect(told(records, "iq registration refused", "why")).toEqual(["connection lost before an answer"]);
    expect(told(at.records, "h248 tls handshake failed", "reason")).toEqual([
      expect.stringContaining("not of a CA that is trusted here"),
    ]);
  });

  it("TS 33.328 6.2.1.3: a rogue that speaks with the mid of a registered gateway does not take its place", async () => {
    const at = await edge("tls");
    const good = await gateway(at, "tls");
    await up(at);
    const bad = await gateway(at, "tls", { tls: certificates.rogue });
    await until("refusal", () => bad.records.some((record) => record.fields["code"] === 504));
    expect(status(at).state).toBe("up");
    const { context } = await at.controller.add(undefined, reservation);
    expect([...good.handler.held.keys()]).toEqual([context.context]);
    expect(bad.handler.held.size).toBe(0);
  });

  it("TS 33.328 6.2.1.3: a gateway that does not find its controller's name in the certificate does not register", async () => {
    const at = await edge("tls");
    const { iq } = await gateway(at, "tls", {
      controllers: [
        {
          protocol: "tls",
          address: "127.0.0.1",
          port: must(at.controller.listening[0]).port,
          tls: certificates.gateway,
          certificateName: "edge-b.example",
        },
      ],
    });
    await until("failed attempts", () => iq.state().reason.includes("SALLY_H248"));
    expect(at.reports).toEqual([]);
  });

  it.each<Wire>(["tcp", "udp"])(
    "TS 33.328 6.2.1.3: nobody registers over plain %s unless somebody vouches for it",
    async (wire) => {
      const at = await edge(wire);
      const { records } = await gateway(at, wire);
      await until("refusal", () => records.some((record) => record.fields["code"] === 504));
      expect(status(at).state).toBe("down");
    },
  );

  it("H.248.1 7.2.8: another profile is refused with 406, a lower version is agreed on", async () => {
    const at = await edge("tls", { version: 3, profile: { name: "etsi_bgf", version: 2 } });
    const other = await gateway(at, "tls", { profile: { name: "MSF_BGF", version: 2 } });
    await until("refusal", () => other.records.some((record) => record.fields["code"] === 406));
    await other.iq.close();
    const { handler } = await gateway(at, "tls", { version: 2, profile: { name: "ETSI_BGF", version: 3 } });
    await up(at);
    await at.controller.add(undefined, reservation);
    expect(handler.adds).toHaveLength(2);
    expect(at.sent.filter((text) => text.includes("access/$")).every((text) => text.startsWith("MEGACO/2"))).toBe(true);
  });
});

describe("keys", () => {
  it.each<Wire>(["tcp", "udp"])(
    "invariant 6: over unprotected %s a plan with keys is refused before anything is sent",
    async (wire) => {
      const at = await edge(wire, { gateways: [{ id: "gw-a", mid: "<gw-a.example>", allowUnprotected: true }] });
      const { handler } = await gateway(at, wire);
      await up(at);
      expect(status(at).protected).toBe(false);
      const before = at.sent.length;
      expect((await failure(at.controller.add("gw-a", configuration))).code).toBe("SALLY_IQ_UNPROTECTED");
      expect((await failure(at.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_UNPROTECTED");
      const clear = reservation.map(({ stream, core }) => ({ stream, access: must(core), core: must(core) }));
      const { context } = await at.controller.add(undefined, clear);
      const sent = at.sent.length;
      expect((await failure(at.controller.modify(context, configuration))).code).toBe("SALLY_IQ_UNPROTECTED");
      expect(at.sent.length).toBe(sent);
      expect(before).toBeLessThan(sent);
      expect(handler.modifies).toHaveLength(0);
      expect(at.sent.join("")).not.toContain("inline");
    },
  );

  it("invariant 6: declared protected below, keys go out; a gateway that was not told so refuses them", async () => {
    const at = await edge("udp", { gateways: [{ id: "gw-a", mid: "<gw-a.example>", protectedBelow: true }] });
    const { handler } = await gateway(at, "udp");
    await up(at);
    expect(status(at).protected).toBe(true);
    const error = await failure(at.controller.add("gw-a", configuration));
    expect(error).toMatchObject({ code: "SALLY_IQ_MEDIA_REFUSED", sipStatus: 488 });
    expect(error.message).toContain("449");
    expect(handler.adds).toHaveLength(0);
    expect(handler.held.size).toBe(0);
  });

  it("TS 33.328 6.2.1.3 (c): declared protected below and its address said, it is nobody else's name", async () => {
    const entry = { id: "gw-a", mid: "<gw-a.example>", protectedBelow: true };
    const at = await edge("udp", { gateways: [{ ...entry, address: "127.0.0.9" }] });
    await gateway(at, "udp");
    await vi.waitFor(() => expect(JSON.stringify(at.records)).toContain("iq peer refused"));
    expect(status(at).state).toBe("down");
    const open = await edge("udp", { gateways: [{ ...entry, address: "127.0.0.1" }] });
    await gateway(open, "udp");
    await up(open);
  });

  it("invariant 7: no key stands in a log or in an error, at any level", async () => {
    const at = await edge("tls");
    const { handler, records } = await gateway(at, "tls");
    await up(at);
    handler.failNext("access");
    const error = await failure(at.controller.add("gw-a", configuration));
    const seen = JSON.stringify([at.records, records, error.message, error.stack, at.reports]);
    expect(seen).not.toMatch(/EhISEhIS|ERERERER/);
  });
});

describe("loss", () => {
  it("invariant 10: a connection that breaks marks the gateway down at once; it comes back with its contexts", async () => {
    const at = await edge("tls");
    const { iq, handler } = await gateway(at, "tls");
    await up(at);
    const kept = await at.controller.add(undefined, reservation);
    const gone = await at.controller.add(undefined, reservation);
    handler.plant(77);
    const port = must(at.controller.listening[0]).port;
    await at.controller.close({ keepContexts: true });
    await until("loss noticed", () => !iq.state().registered);
    expect(handler.held.size).toBe(3);
    // A new controller at the same place knows none of them: all are subtracted.
    const next = await edge("tls", {}, port);
    await up(next);
    expect(status(next).reason).toBe("Disconnected 900");
    await until("contexts subtracted", () => handler.held.size === 0);
    expect([kept, gone].map(({ context }) => context.context)).toEqual([1, 2]);
  });

  it("H.248.1 11.5: a successor that is told of contexts keeps them, modifies them, and subtracts all others", async () => {
    const at = await edge("tls");
    const { handler } = await gateway(at, "tls");
    await up(at);
    const kept = await at.controller.add(undefined, reservation);
    await at.controller.add(undefined, reservation);
    const state = must(at.controller.describe(kept.context));
    const vanished = { ...state, context: { ...state.context, context: 99 } };
    const elsewhere = { ...state, context: { ...state.context, gateway: "gw-z" } };
    const port = must(at.controller.listening[0]).port;
    await at.controller.close({ keepContexts: true });
    const known = JSON.parse(JSON.stringify([state, vanished, elsewhere])) as (typeof state)[];
    const next = await edge("tls", {}, port, known);
    expect(next.controller.contexts().map(({ context }) => context)).toEqual([kept.context.context, 99]);
    await until("compared", () => handler.held.size === 1 && next.notifications.length === 1);
    // The reply to ServiceChange goes first: a gateway carries nothing out before it.
    const [first, second] = next.sent.filter((text) => !text.includes("TransactionResponseAck"));
    expect(first).toMatch(/Reply|P=/);
    expect(second).toMatch(/AuditValue|AV=/);
    expect([...handler.held.keys()]).toEqual([kept.context.context]);
    expect(next.notifications).toMatchObject([{ kind: "context-lost", reason: "audit", context: vanished.context }]);
    expect(await next.controller.modify(kept.context, configuration)).toEqual({ access: kept.access, core: kept.core });
    expect((await next.controller.subtract(kept.context)).terminations).not.toEqual([]);
    expect(handler.held.size).toBe(0);
  });

  it("invariant 10: a successor loses the contexts of a gateway that never comes back", async () => {
    const context = { gateway: "gw-a", context: 7, access: "ip/1/access/7", core: "ip/1/core/7" };
    const at = await edge("tls", { keepContextsMs: 30 }, 0, [{ context, streams: [] }]);
    await until("call lost", () => at.notifications.length > 0);
    expect(at.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "silence" }]);
    expect(at.controller.contexts()).toEqual([]);
  });

  it("invariant 10: a gateway that starts anew has lost its calls, and its controller says so", async () => {
    const at = await edge("tls");
    const first = await gateway(at, "tls");
    await up(at);
    const { context } = await at.controller.add(undefined, reservation);
    // A second process under the same name, before the first connection was seen to break.
    const second = await gateway(at, "tls");
    await until("restart seen", () => at.notifications.length > 0);
    expect(at.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "restart" }]);
    expect((await failure(at.controller.modify(context, reservation))).code).toBe("SALLY_IQ_CONTEXT_GONE");
    expect(await at.controller.subtract(context)).toEqual({ terminations: [] });
    await first.iq.close();
    await second.iq.close();
  });

  it("invariant 10: after Disconnected, contexts only the gateway knows are subtracted, those only we know are lost", async () => {
    const at = await edge("udp", { lab: true });
    const { handler } = await gateway(at, "udp", { lab: true, silenceMs: 60 });
    await up(at);
    const stays = await at.controller.add(undefined, reservation);
    const vanishes = await at.controller.add(undefined, reservation);
    (handler.held as Map<number, readonly string[]>).delete(vanishes.context.context);
    handler.plant(77);
    await until("compared", () => !handler.held.has(77));
    expect(handler.held.has(stays.context.context)).toBe(true);
    expect(at.notifications).toEqual([
      { kind: "context-lost", gateway: "gw-a", context: vanishes.context, reason: "audit" },
    ]);
    expect(at.controller.contexts()).toEqual([stays.context]);
  });

  it("TS 23.334 8: a gateway that does not answer its heartbeat is down; in time its calls are lost", async () => {
    const at = await edge("udp", {
      lab: true,
      heartbeat: { intervalMs: 30, misses: 2 },
      commandTimeoutMs: 60,
      keepContextsMs: 50,
    });
    const wire = mutable();
    await gateway(at, "udp", { lab: true, silenceMs: 0, openDatagram: wire.openDatagram });
    await up(at);
    const { context } = await at.controller.add(undefined, reservation);
    wire.mute();
    await until("down", () => status(at).state === "down");
    expect(status(at).reason).toBe("heartbeat unanswered");
    expect((await failure(at.controller.modify(context, reservation))).code).toBe("SALLY_IQ_GATEWAY_LOST");
    await until("call lost", () => at.notifications.length > 0);
    expect(at.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "silence" }]);
    expect(at.controller.contexts()).toEqual([]);
  });

  it("invariant 10: the context of an Add whose answer was lost is subtracted when the gateway is heard again", async () => {
    const at = await edge("udp", { lab: true, heartbeat: { intervalMs: 30, misses: 20 }, commandTimeoutMs: 60 });
    const wire = mutable();
    const { handler } = await gateway(at, "udp", { lab: true, openDatagram: wire.openDatagram });
    await up(at);
    const stays = await at.controller.add(undefined, reservation);
    wire.mute();
    const error = await failure(at.controller.add("gw-a", reservation));
    expect(error).toMatchObject({ code: "SALLY_IQ_TIMEOUT", sipStatus: 504 });
    expect([...handler.held.keys()]).toEqual([1, 2]);
    wire.speak();
    await until("compared", () => !handler.held.has(2));
    expect(at.controller.contexts()).toEqual([stays.context]);
    expect(handler.held.has(1)).toBe(true);
  });

  it("invariant 10: the contexts of a Subtract whose answer was lost are gone at both ends", async () => {
    const at = await edge("udp", { lab: true, heartbeat: { intervalMs: 30, misses: 20 }, commandTimeoutMs: 60 });
    const { handler } = await gateway(at, "udp", { lab: true });
    await up(at);
    const { context } = await at.controller.add(undefined, reservation);
    const { subtract } = handler;
    handler.subtract = async () => ({ ok: false, error: { code: 500, text: "not now" } });
    expect(await at.controller.subtract(context)).toEqual({ terminations: [] });
    expect(handler.held.size).toBe(1);
    handler.subtract = subtract;
    await until("compared", () => handler.held.size === 0);
  });

  it("H.248.1 11.5: a controller that falls silent is lost; the gateway comes back with Disconnected and keeps its calls", async () => {
    const at = await edge("udp", { lab: true });
    const { handler } = await gateway(at, "udp", { lab: true, silenceMs: 60 });
    await up(at);
    const { context } = await at.controller.add(undefined, reservation);
    await until("registered again", () => status(at).reason === "Disconnected 900");
    expect(handler.held.has(context.context)).toBe(true);
    expect(at.controller.contexts()).toEqual([context]);
    expect(at.notifications).toEqual([]);
  });

  it("H.248.1 11.5: contexts without a controller are kept for the configured time and then removed", async () => {
    const at = await edge("tls");
    const { iq, handler } = await gateway(at, "tls", { keepContextsMs: 60, firstRetryMs: 5000 });
    await up(at);
    await at.controller.add(undefined, reservation);
    await at.controller.close({ keepContexts: true });
    await until("loss noticed", () => !iq.state().registered);
    expect(handler.held.size).toBe(1);
    await until("contexts removed", () => handler.held.size === 0);
  });

  it("invariant 10: a controller that closes subtracts what it holds", async () => {
    const at = await edge("tls");
    const { handler } = await gateway(at, "tls");
    await up(at);
    await at.controller.add(undefined, reservation);
    await at.controller.add(undefined, reservation);
    await at.controller.close();
    expect(handler.held.size).toBe(0);
  });
});
