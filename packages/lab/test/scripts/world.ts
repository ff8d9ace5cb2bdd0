// A whole edge with its real gateway behind real Iq, UEs and a far end, on a network and a clock in memory.
// Owns everything it opens, and knows what has to be gone at the end (invariant 10).
import { createGateway, gatewayConfigSchema, type Gateway } from "@sallyport/access-gateway";
import { memoryLog, seededRandom, type LogRecord } from "@sallyport/kit";
import { createEdge, edgeConfigSchema, type Edge } from "@sallyport/pcscf";
import type { WireEvent } from "@sallyport/sip";
import { memoryStore } from "@sallyport/store";
import { awaitCall, placeCall } from "./call.ts";
import { scriptClock, type ScriptClock } from "./clock.ts";
import { openEnd, reply, type End } from "./end.ts";
import { createNetwork, type Network, type Weather } from "./network.ts";
import { home, registerUe, registrar } from "./registering.ts";
import type { CallScript, UeScript } from "./script.ts";
import { createWatch, type Watch } from "./watch.ts";

const address = {
  access: "192.0.2.1",
  core: "192.0.2.2",
  iq: "192.0.2.3",
  home: "203.0.113.1",
  ue: (index: number) => `198.51.100.${index + 1}`,
  media: ["192.0.2.8", "192.0.2.9"],
  /** Where the gateway speaks Iq from: no address of its own was asked for. */
  any: "0.0.0.0",
} as const;
const start = 1_800_000_000_000;

const edgeConfig = edgeConfigSchema.parse({
  name: "edge-a",
  homeNetwork: home,
  access: [{ name: "udp", protocol: "udp", address: address.access, port: 5060, trusted: true }],
  core: {
    listen: [{ name: "mw", protocol: "udp", address: address.core, port: 5060 }],
    nextHop: `sip:${address.home}:5060;transport=udp`,
  },
  iq: {
    mid: "<edge-a.example>",
    listen: { protocol: "udp", address: address.iq, port: 2944 },
    gateways: [{ id: "gw-a", mid: "<gw-a.example>", protectedBelow: true }],
  },
  policy: { rules: [{ e2ae: "offered" }] },
  limits: { overload: { eventLoopMs: 0 } },
  store: { driver: "memory", sealing: { env: "SALLYPORT_SCRIPTS_SEALING" } },
});
process.env["SALLYPORT_SCRIPTS_SEALING"] = Buffer.alloc(32, "sealing").toString("base64");

const gatewayConfig = gatewayConfigSchema.parse({
  id: "gw-a.example",
  controllers: [{ address: address.iq, port: 2944, protocol: "udp", protectedBelow: true }],
  interfaces: { access: { address: address.media[0] }, core: { address: address.media[1] } },
  ports: { first: 20_000, last: 29_999 },
  pollMs: 1_000,
});

export interface World {
  readonly clock: ScriptClock;
  readonly network: Network;
  readonly edge: Edge;
  readonly watch: Watch;
  readonly records: readonly LogRecord[];
  /** Where UEs send their requests. */
  readonly access: { readonly address: string; readonly port: number };
  /** Adds the next UE; `register` lets it register now, refused by the registrar where `granted` is false. */
  addUe(
    dialect: UeScript["dialect"],
  ): Promise<{ readonly ue: End; register(expiresS: number, granted: boolean): void }>;
  /** Places a call now. */
  call(index: number, ue: End, script: CallScript): void;
  /** The gateway dies without a word, and another start of it takes its place. */
  replaceGateway(): void;
  /** The edge is killed and started again on what its store has. */
  killEdge(): void;
  /** What is not as it should be when everything is over. */
  left(): readonly string[];
  /** The least number of timers seen over a minute: what edge and gateway keep running when they are idle. */
  idleTimers(): Promise<number>;
  /** Closes everything; what outlives that. */
  close(): Promise<readonly string[]>;
}

export const openWorld = async (weather: Weather, observe?: (event: WireEvent) => void): Promise<World> => {
  // The clock asks the network, which needs the clock.
  const held: { network?: Network } = {};
  const clock = scriptClock(start, () => held.network?.sent ?? 0);
  const network = (held.network = createNetwork(clock, weather));
  const { log, records } = memoryLog();
  const watch = createWatch();
  const kept = memoryStore();
  let lives = 0;
  /** Of one life of the edge: what it asks for afterwards never comes to the store. */
  const startEdge = async (): Promise<{ readonly edge: Edge; readonly kill: () => Promise<void> }> => {
    lives += 1;
    const life = { over: false };
    const made = await createEdge(edgeConfig, {
      clock,
      random: seededRandom(`${weather.seed} edge ${lives}`),
      log,
      openDatagram: network.open,
      observe: (event) => {
        if (life.over) return;
        watch.observe(event);
        observe?.(event);
      },
      eventLoopDelay: { read: () => 0, close: () => undefined },
      store: {
        ...kept,
        put: async (...asked) => (life.over ? undefined : kept.put(...asked)),
        delete: async (...asked) => !life.over && kept.delete(...asked),
        batch: async (...asked) => (life.over ? undefined : kept.batch(...asked)),
      },
    });
    const kill = (): Promise<void> => {
      life.over = true;
      network.kill(address.access, address.core, address.iq);
      return made.close({ keepCalls: true });
    };
    return { edge: made, kill };
  };
  let life = await startEdge();
  const dying: Promise<void>[] = [];
  let starts = 0;
  const startGateway = (): Promise<Gateway> => {
    starts += 1;
    return createGateway(gatewayConfig, {
      clock,
      random: seededRandom(`${weather.seed} gateway ${starts}`),
      log: log.child({ element: "gateway" }),
      openDatagram: network.open,
    });
  };
  let gateway = await startGateway();
  const paths = new Map<string, readonly string[]>();
  let granting = true;
  const far = await openEnd({
    clock,
    open: network.open,
    name: "carol",
    side: "core",
    address: address.home,
    edge: { address: address.core, port: 5060 },
    onOther: registrar(`sip:orig@${address.home}:5060`, paths, () => granting),
  });
  const ues: End[] = [];
  return {
    clock,
    network,
    get edge() {
      return life.edge;
    },
    watch,
    records,
    access: { address: address.access, port: 5060 },
    addUe: async (dialect) => {
      const ue = await openEnd({
        clock,
        open: network.open,
        name: `user${ues.length}`,
        side: "ue",
        address: address.ue(ues.length),
        edge: { address: address.access, port: 5060 },
        onOther: (server) => reply(server, 481),
      });
      ues.push(ue);
      const register = registerUe(ue, dialect);
      return {
        ue,
        register: (expiresS, granted) => {
          granting = granted;
          register(expiresS);
        },
      };
    },
    call: (index, ue, script) => {
      const [caller, called] = script.callsOut ? [ue, far] : [far, ue];
      const facts = {
        clock,
        script,
        callId: `call-${index}`,
        caller,
        called,
        uri: script.callsOut ? "sip:carol@far.example" : ue.contact,
        route: script.callsOut ? [] : (paths.get(ue.name) ?? []),
      };
      awaitCall(facts);
      placeCall(facts);
    },
    replaceGateway: () => {
      network.isolate(address.any, ...address.media);
      void gateway.close().then(async () => {
        network.rejoin();
        gateway = await startGateway();
      });
    },
    killEdge: () => {
      dying.push(life.kill());
      void startEdge().then((next) => (life = next));
    },
    left: () => {
      const { edge } = life;
      const { calls, registrations, transactions, contexts } = edge.counts();
      const alive = edge.calls().filter(({ phase }) => phase !== "ended");
      const wrong: string[] = [];
      const none = (count: number, what: string): void => void (count === 0 || wrong.push(`${count} ${what} left`));
      none(
        calls,
        `calls (${alive.map(({ callId, direction, phase }) => `${direction} ${callId} ${phase}`).join(", ")})`,
      );
      none(contexts, "contexts of the edge");
      none(transactions, "transactions");
      none(registrations, "registrations");
      none(gateway.contexts(), "contexts of the gateway");
      none(gateway.terminations(), "terminations");
      const errors = records.filter(({ level }) => level === "error");
      if (errors.length > 0) wrong.push(`an error was logged: ${JSON.stringify(errors[0])}`);
      return wrong;
    },
    idleTimers: async () => {
      let least = Number.POSITIVE_INFINITY;
      for (let second = 0; second < 60; second += 1) {
        await clock.pass(1_000);
        least = Math.min(least, clock.waiting);
      }
      return least;
    },
    close: async () => {
      // Closing takes its time: the edge's last words to its gateway, and the gateway's to the edge.
      const closing = { done: false };
      const closed = Promise.all([life.edge.close(), ...dying, far.close(), ...ues.map((ue) => ue.close())])
        .then(() => gateway.close())
        .finally(() => (closing.done = true));
      for (let second = 0; !closing.done && second < 120; second += 1) await clock.pass(1_000);
      if (!closing.done) return ["closing never came to an end"];
      await closed;
      await clock.pass(60_000);
      return [
        ...(clock.waiting === 0 ? [] : [`${clock.waiting} timers outlive the end`]),
        ...(network.sockets === 0 ? [] : [`${network.sockets} sockets outlive the end`]),
      ];
    },
  };
};
