// Peers of another make: a gateway that keeps half a transaction, speaks too early or leaves out what we would say,
// and a controller that does. Raw associations over UDP on loopback.
import type { ActionReply, ActionRequest, Association, H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport, parseH248 } from "@sallyport/h248";
import { SallyportError, seededRandom, silentLog, systemClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import type { IqController, IqControllerConfig, IqGateway, IqNotification } from "../src/index.ts";
import { createIqController, createIqGateway } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { actionsOf, must, reservation } from "./plans.ts";

const open: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const until = async (what: string, holds: () => boolean): Promise<void> => {
  const end = Date.now() + 3000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** The actions of a reply written as text. */
const repliesOf = (text: string): readonly ActionReply[] => {
  const parsed = parseH248(Buffer.from(`MEGACO/2 <x> Reply = 1 { ${text} }`, "latin1"));
  if (!parsed.ok || parsed.message.body.kind !== "transactions") throw new Error("not a reply");
  const [reply] = parsed.message.body.transactions;
  if (reply?.kind !== "reply" || reply.body.kind !== "actions") throw new Error("not a reply");
  return reply.body.actions;
};

const request = (text: string): readonly ActionRequest[] => actionsOf(`MEGACO/2 <x> Transaction = 1 { ${text} }`);

type Answer = (
  actions: readonly ActionRequest[],
  peer: H248Peer,
) => readonly ActionReply[] | Promise<readonly ActionReply[]>;

const foreigner = (
  mid: string,
  answer: Answer,
): { readonly association: Association; readonly transport: H248Transport } => {
  const transport: H248Transport = createH248Transport({
    clock: systemClock,
    log: silentLog,
    onMessage: (octets, peer) => association.receive(octets, peer),
    onPeerClosed: (peer) => association.peerClosed(peer),
  });
  const association = createAssociation({
    mid,
    transport,
    clock: systemClock,
    log: silentLog,
    random: seededRandom(`foreign ${mid}`),
    onRequest: async ({ actions, peer }) => answer(actions, peer),
  });
  open.push({
    close: async () => {
      association.close();
      await transport.close();
    },
  });
  return { association, transport };
};

const code = async (promise: Promise<readonly ActionReply[]>): Promise<number | undefined> => {
  try {
    const replies = await promise;
    return replies.at(-1)?.commands.at(-1)?.error?.code ?? replies.at(-1)?.error?.code;
  } catch (error) {
    if (error instanceof SallyportError && error.h248Error !== undefined) return error.h248Error;
    throw error;
  }
};

const restart = request(
  "Context = - { ServiceChange = ROOT { Services { Method = Restart, Reason = 901, Version = 2, Profile = ETSI_BGF/2 } } }",
);

const controllerFor = async (
  notifications: IqNotification[] = [],
  more: Partial<IqControllerConfig> = {},
): Promise<IqController> => {
  const controller = await createIqController({
    config: {
      mid: "<edge-a.example>",
      listen: [{ protocol: "udp", address: "127.0.0.1", port: 0 }],
      gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
      lab: true,
      commandTimeoutMs: 1000,
      ...more,
    },
    clock: systemClock,
    log: silentLog,
    random: seededRandom("controller of foreigners"),
    onGateway: () => undefined,
    onNotify: (notification) => notifications.push(notification),
  });
  open.push(controller);
  return controller;
};

const connectTo = (transport: H248Transport, controller: IqController): Promise<H248Peer> =>
  transport.connect({ protocol: "udp", address: "127.0.0.1", port: must(controller.listening[0]).port });

const added = `Context = 7 { Add = ip/1/access/1 { Media { Stream = 1 { Local {
v=0
c=IN IP4 192.0.2.20
m=audio 41000 RTP/SAVP 0
} } } }, Add = ip/1/core/2 { Media { Stream = 1 { Local {
v=0
c=IN IP4 10.0.0.20
m=audio 42000 RTP/AVP 0
} } } } }`;

describe("a gateway of another make", () => {
  it("H.248.1 error 505: what it asks before its registration is not carried out", async () => {
    const notifications: IqNotification[] = [];
    const controller = await controllerFor(notifications);
    const { association, transport } = foreigner("<gw-a.example>", () => []);
    const peer = await connectTo(transport, controller);
    const notify = request(
      "Context = 7 { Notify = ip/1/access/1 { ObservedEvents = 1 { adid/ipstop { Stream = 1 } } } }",
    );
    expect(await code(association.request(notify, { peer }))).toBe(505);
    expect(notifications).toEqual([]);
    await association.request(restart, { peer }, { version: 1 });
    expect(await code(association.request(notify, { peer }))).toBe(411);
  });

  it("H.248.1 errors: Notify without events, commands of a controller, an unknown method, another profile", async () => {
    const controller = await controllerFor();
    const { association, transport } = foreigner("<gw-a.example>", () => []);
    const peer = await connectTo(transport, controller);
    const asked = (text: string): Promise<number | undefined> => code(association.request(request(text), { peer }));
    expect(
      await asked(
        "Context = - { ServiceChange = ROOT { Services { Method = Restart, Reason = 901, Profile = MSF_BGF/1 } } }",
      ),
    ).toBe(406);
    expect(await asked("Context = - { ServiceChange = ROOT { Services { Method = Graceful, Reason = 905 } } }")).toBe(
      505,
    );
    await association.request(restart, { peer }, { version: 1 });
    expect(await asked("Context = 7 { Add = ip/1/access/$ }")).toBe(501);
    expect(await asked("Context = 7 { O-AuditValue = ROOT, Subtract = * }")).toBe(501);
    expect(await asked("Context = - { Notify = ROOT { ObservedEvents = 1 { it/ito } } }")).toBeUndefined();
    expect(controller.gateways()[0]?.state).toBe("up");
  });

  it("invariant 10: it keeps the Add before the failed one: the controller subtracts that context", async () => {
    const controller = await controllerFor();
    const subtracted: unknown[] = [];
    const { association, transport } = foreigner("<gw-a.example>", ([action]) => {
      const command = action?.commands[0]?.command;
      if (command === "Add") {
        return repliesOf('Context = 7 { Add = ip/1/access/1, Add = ip/1/core/$ { Error = 510 { "no ports" } } }');
      }
      if (command === "Subtract") subtracted.push(action?.context);
      return repliesOf("Context = 7 { Subtract = * }");
    });
    await association.request(restart, { peer: await connectTo(transport, controller) }, { version: 1 });
    await expect(controller.add("gw-a", reservation)).rejects.toMatchObject({ code: "SALLY_IQ_NO_RESOURCES" });
    expect(subtracted).toEqual([7]);
    expect(controller.contexts()).toEqual([]);
  });

  it("invariant 10: a reply that can not be used is subtracted again", async () => {
    const controller = await controllerFor();
    const subtracted: unknown[] = [];
    const { association, transport } = foreigner("<gw-a.example>", ([action]) => {
      if (action?.commands[0]?.command === "Add")
        return repliesOf("Context = 9 { Add = ip/1/access/1, Add = ip/1/core/2 }");
      subtracted.push(action?.context);
      return [];
    });
    await association.request(restart, { peer: await connectTo(transport, controller) }, { version: 1 });
    await expect(controller.add("gw-a", reservation)).rejects.toMatchObject({ code: "SALLY_IQ_REPLY_INVALID" });
    expect(subtracted).toEqual([9]);
  });

  it("H.248.1 7.2.8: a termination forced out of service is a lost call; a graceful leave takes no new ones", async () => {
    const notifications: IqNotification[] = [];
    const controller = await controllerFor(notifications);
    const { association, transport } = foreigner("<gw-a.example>", () => repliesOf(added));
    const peer = await connectTo(transport, controller);
    await association.request(restart, { peer }, { version: 1 });
    const { context } = await controller.add("gw-a", reservation);
    const services = (method: string, reason: number): string =>
      `{ Services { Method = ${method}, Reason = ${reason} } }`;
    await association.request(request(`Context = 7 { ServiceChange = ip/1/access/1 ${services("Forced", 905)} }`), {
      peer,
    });
    expect(notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "forced" }]);
    await association.request(request(`Context = - { ServiceChange = ROOT ${services("Graceful", 905)} }`), { peer });
    expect(controller.gateways()[0]?.state).toBe("leaving");
    await expect(controller.add(undefined, reservation)).rejects.toMatchObject({ code: "SALLY_IQ_NO_GATEWAY" });
    await expect(controller.add("gw-a", reservation)).rejects.toMatchObject({ code: "SALLY_IQ_NO_GATEWAY" });
  });

  it.each([
    ["a port", (port: number) => String(port)],
    ["an address and port", (port: number) => `[127.0.0.1]:${port}`],
  ])(
    "H.248.1 7.2.8 ServiceChangeAddress: over UDP commands go to %s, and both places are the gateway's",
    async (_, said) => {
      const controller = await controllerFor();
      const heard: string[] = [];
      const { association, transport } = foreigner("<gw-a.example>", (actions) => {
        heard.push(...actions.flatMap(({ commands }) => commands.map(({ command }) => command)));
        return repliesOf(added);
      });
      const { port } = await transport.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
      const peer = await connectTo(transport, controller);
      const services = `Method = Restart, Reason = 901, Version = 2, ServiceChangeAddress = ${said(port)}`;
      await association.request(
        request(`Context = - { ServiceChange = ROOT { Services { ${services} } } }`),
        { peer },
        { version: 1 },
      );
      await controller.add("gw-a", reservation);
      expect(heard).toEqual(["Add", "Add"]);
      const notify = request("Context = 7 { Notify = ip/1/access/1 { ObservedEvents = 1 { g/cause } } }");
      expect(await code(association.request(notify, { peer }))).toBeUndefined();
      const from = { protocol: "udp", address: "127.0.0.1", port } as const;
      const other = await transport.connect({ ...from, port: must(controller.listening[0]).port, from });
      expect(await code(association.request(notify, { peer: other }))).toBeUndefined();
      // What it says later from where it registered changes nothing of that.
      const leaving = request("Context = - { ServiceChange = ROOT { Services { Method = Graceful, Reason = 905 } } }");
      expect(await code(association.request(leaving, { peer }))).toBeUndefined();
      await controller.subtract(must(controller.contexts()[0]));
      expect(heard.at(-1)).toBe("Subtract");
    },
  );

  it("H.248.1 7.2.8, error 449: over UDP commands do not go to another host because somebody says so", async () => {
    const controller = await controllerFor();
    const { association, transport } = foreigner("<gw-a.example>", () => []);
    const peer = await connectTo(transport, controller);
    const services = "Method = Restart, Reason = 901, Version = 2, ServiceChangeAddress = [198.51.100.7]:2944";
    const asked = association.request(
      request(`Context = - { ServiceChange = ROOT { Services { ${services} } } }`),
      { peer },
      { version: 1 },
    );
    expect(await code(asked)).toBe(449);
    expect(controller.gateways()[0]?.state).toBe("down");
  });

  it("H.248.1 7.2.8: an interface forced out of service is every call on it, in whatever form it is said, and what is left of them is subtracted", async () => {
    const notifications: IqNotification[] = [];
    const controller = await controllerFor(notifications);
    const subtracted: unknown[] = [];
    let last = 6;
    const { association, transport } = foreigner("<gw-a.example>", (actions) => {
      const [command] = must(actions[0]).commands;
      if (command?.command === "Subtract") subtracted.push(must(actions[0]).context);
      if (command?.command !== "Add") return [];
      last += 1;
      return repliesOf(added.replace("Context = 7", `Context = ${last}`).replaceAll(/core\/2/g, `core/${last}`));
    });
    const peer = await connectTo(transport, controller);
    await association.request(restart, { peer }, { version: 1 });
    for (let calls = 0; calls < 4; calls++) await controller.add("gw-a", reservation);
    const forced = (context: string, termination: string): Promise<number | undefined> =>
      code(
        association.request(
          request(
            `Context = ${context} { ServiceChange = ${termination} { Services { Method = Forced, Reason = 905 } } }`,
          ),
          { peer },
        ),
      );
    const lost = (): readonly number[] =>
      notifications.splice(0).flatMap((one) => (one.kind === "context-lost" ? [one.context.context] : []));
    expect(await forced("*", "ip/2/*/*")).toBeUndefined();
    expect(lost()).toEqual([]);
    expect(await forced("*", "ip/1/core/8")).toBeUndefined();
    expect(lost()).toEqual([8]);
    expect(await forced("9", "ip/1/access/1")).toBeUndefined();
    expect(lost()).toEqual([9]);
    expect(await forced("-", "ip/1/access/*")).toBeUndefined();
    expect(lost()).toEqual([7, 10]);
    await controller.add("gw-a", reservation);
    expect(await forced("*", "*")).toBeUndefined();
    expect(lost()).toEqual([11]);
    expect(await forced("-", "ip/1/access/1")).toBe(411);
    // Whoever controls it subtracts what is left: invariant 10.
    await until("nothing is left there", () => subtracted.length === 5);
    expect(subtracted).toEqual([8, 9, 7, 10, 11]);
    expect(controller.contexts()).toEqual([]);
  });

  it.each([
    ["answers error 501", 'Context = * { AuditValue = ROOT { Error = 501 { "Not implemented" } } }'],
    ["answers with its ROOT", "Context = * { AuditValue = ROOT }"],
  ])(
    "invariant 10, H.248.1 7.2.5: one that lists no contexts (it %s) is asked for those we know, and loses none it has",
    async (_, listed) => {
      const notifications: IqNotification[] = [];
      const controller = await controllerFor(notifications);
      let last = 6;
      const { association, transport } = foreigner("<gw-a.example>", (actions) => {
        const [command] = must(actions[0]).commands;
        if (command?.command === "Add") {
          last += 1;
          return repliesOf(added.replace("Context = 7", `Context = ${last}`));
        }
        if (command?.termination === "ROOT" && actions[0]?.context === "*") return repliesOf(listed);
        // It has lost context 8.
        if (command?.command === "AuditValue" && actions.length > 0)
          return actions.flatMap(({ context }) =>
            repliesOf(
              context === 8
                ? 'Context = 8 { AuditValue = * { Error = 411 { "" } } }'
                : `Context = ${context} { AuditValue = ip/1/access/1 }`,
            ),
          );
        return [];
      });
      const peer = await connectTo(transport, controller);
      await association.request(restart, { peer }, { version: 1 });
      for (let calls = 0; calls < 2; calls++) await controller.add("gw-a", reservation);
      const back = request(
        "Context = - { ServiceChange = ROOT { Services { Method = Disconnected, Reason = 900, Version = 2, Profile = ETSI_BGF/2 } } }",
      );
      await association.request(back, { peer }, { version: 1 });
      await until("one is lost", () => notifications.length > 0);
      expect(notifications).toMatchObject([{ kind: "context-lost", context: { context: 8 } }]);
      expect(controller.contexts().map(({ context }) => context)).toEqual([7]);
    },
  );

  it("H.248.36, TS 23.334 8 termination heartbeat: what hangs in a context nobody knows is found and subtracted", async () => {
    const controller = await controllerFor([], { heartbeat: { intervalMs: 30, misses: 2 } });
    const left = new Set([9]);
    const { association, transport } = foreigner("<gw-a.example>", (actions) => {
      const [action] = actions;
      const [command] = must(action).commands;
      if (command?.command === "Subtract" && typeof action?.context === "number") left.delete(action.context);
      if (command?.command === "Subtract") return repliesOf(`Context = ${action?.context} { Subtract = * }`);
      if (action?.context !== "*") return repliesOf("Context = - { AuditValue = ROOT }");
      const there = [...left].map((context) => `Context = ${context} { AuditValue = ROOT }`);
      return repliesOf(there.length === 0 ? "Context = - { AuditValue = ROOT }" : there.join(", "));
    });
    const peer = await connectTo(transport, controller);
    // Registered anew, it says that it has nothing: so nobody asks.
    await association.request(restart, { peer }, { version: 1 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(left.size).toBe(1);
    const hangs = "Context = 9 { Notify = ip/1/access/5 { ObservedEvents = 1 { hangterm/thb } } }";
    expect(await code(association.request(request(hangs), { peer }))).toBe(411);
    await until("it is subtracted", () => left.size === 0);
  });

  it("H.248.1 8.2.2: the answers to the Adds of one context may come in an action each", async () => {
    const controller = await controllerFor();
    const { association, transport } = foreigner("<gw-a.example>", () => {
      const [reply] = repliesOf(added);
      return must(reply).commands.map((command) => ({ context: 7, commands: [command] }));
    });
    await association.request(restart, { peer: await connectTo(transport, controller) }, { version: 1 });
    expect(await controller.add("gw-a", reservation)).toMatchObject({ context: { context: 7 } });
  });

  it("invariant 10: an answer to Add that names no context leaves none: what it made is found and subtracted", async () => {
    const controller = await controllerFor([], { heartbeat: { intervalMs: 30, misses: 2 } });
    const left = new Set<number>();
    const { association, transport } = foreigner("<gw-a.example>", (actions) => {
      const [action] = actions;
      const [command] = must(action).commands;
      if (command?.command === "Add") {
        left.add(7);
        return repliesOf(added.replace("Context = 7", "Context = $"));
      }
      if (command?.command === "Subtract" && typeof action?.context === "number") left.delete(action.context);
      if (command?.command === "Subtract") return repliesOf(`Context = ${action?.context} { Subtract = * }`);
      const there = action?.context === "*" ? [...left] : [];
      const listed = there.map((context) => `Context = ${context} { AuditValue = ROOT }`);
      return repliesOf(there.length === 0 ? "Context = - { AuditValue = ROOT }" : listed.join(", "));
    });
    await association.request(restart, { peer: await connectTo(transport, controller) }, { version: 1 });
    await expect(controller.add("gw-a", reservation)).rejects.toMatchObject({ code: "SALLY_IQ_REPLY_INVALID" });
    await until("it is subtracted", () => left.size === 0);
  });

  it("TS 33.328 6.2.1.3: a plan for one side only is refused before anything is sent", async () => {
    const controller = await controllerFor();
    let adds = 0;
    const { association, transport } = foreigner("<gw-a.example>", () => {
      adds += 1;
      return [];
    });
    await association.request(restart, { peer: await connectTo(transport, controller) }, { version: 1 });
    const half = reservation.map(({ stream, access }) => ({ stream, access: must(access) }));
    await expect(controller.add("gw-a", half)).rejects.toMatchObject({ code: "SALLY_IQ_REFUSED" });
    expect(adds).toBe(0);
  });
});

describe("a controller of another make", () => {
  interface Foreign {
    readonly association: Association;
    readonly peer: () => H248Peer;
    readonly seen: string[];
    readonly iq: IqGateway;
    readonly handler: ReturnType<typeof recordingHandler>;
  }

  const start = async (
    onServiceChange?: (association: Association, peer: H248Peer) => Promise<unknown>,
  ): Promise<Foreign> => {
    let gatewayPeer: H248Peer | undefined;
    const seen: string[] = [];
    const made = foreigner("<mgc.example>", async (actions, peer) => {
      gatewayPeer = peer;
      const services = actions[0]?.commands[0]?.descriptors.find((descriptor) => descriptor.kind === "services");
      seen.push(`${services?.method} ${services?.reason}`);
      await onServiceChange?.(made.association, peer);
      return repliesOf("Context = - { ServiceChange = ROOT { Services { Version = 2 } } }");
    });
    const listening = await made.transport.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
    const handler = recordingHandler();
    const iq = await createIqGateway({
      config: {
        mid: "<gw-a.example>",
        lab: true,
        firstRetryMs: 10,
        controllers: [{ protocol: "udp", address: "127.0.0.1", port: listening.port }],
      },
      clock: systemClock,
      log: silentLog,
      random: seededRandom("gateway of foreigners"),
      handler,
    });
    open.push(iq);
    await until("registration attempt", () => gatewayPeer !== undefined);
    return { association: made.association, peer: () => must(gatewayPeer), seen, iq, handler };
  };

  const audit = request("Context = - { AuditValue = ROOT { Audit { } } }");

  it("H.248.1 error 505: a command before the reply to ServiceChange; after it all is well", async () => {
    let early: Promise<number | undefined> | undefined;
    const { association, peer, iq } = await start((own, to) => {
      early ??= code(own.request(audit, { peer: to }));
      return early;
    });
    expect(await must(early)).toBe(505);
    await until("registered", () => iq.state().registered);
    expect(await code(association.request(audit, { peer: peer() }))).toBeUndefined();
  });

  it("H.248.1 error 504: another one that writes to the gateway's socket is not its controller", async () => {
    const { peer } = await start();
    const other = foreigner("<mgc.example>", () => []);
    const to = await other.transport.connect({ protocol: "udp", ...peer().remote });
    expect(await code(other.association.request(audit, { peer: to }))).toBe(504);
  });

  it("TS 23.334 8: it orders a new registration: the gateway answers, then registers again", async () => {
    const { association, peer, seen, iq, handler } = await start();
    const registered = (times: number): Promise<void> =>
      until(`registration ${times}`, () => seen.length === times && iq.state().registered);
    await registered(1);
    const order = (method: string): readonly ActionRequest[] =>
      request(`Context = - { ServiceChange = ROOT { Services { Method = ${method}, Reason = 900 } } }`);
    handler.plant(5);
    expect(await code(association.request(order("Disconnected"), { peer: peer() }))).toBeUndefined();
    await registered(2);
    expect(handler.held.has(5)).toBe(true);
    expect(await code(association.request(order("Restart"), { peer: peer() }))).toBeUndefined();
    await registered(3);
    expect(seen).toEqual(["Restart 901 Cold Boot", "Disconnected 900 Service Restored", "Restart 902 Warm Boot"]);
    expect(handler.held.size).toBe(0);
    const elsewhere = request(
      "Context = - { ServiceChange = ROOT { Services { Method = HandOff, Reason = 903, MgcIdToTry = <mgc-b.example> } } }",
    );
    expect(await code(association.request(elsewhere, { peer: peer() }))).toBe(449);
  });
});
