// A running P-CSCF (IMS-ALG): opens its ports, wires the rooms together, closes all of it again. Decides nothing.
import { createSecretKey } from "node:crypto";
import type { Clock, Log, OpenDatagram, Random } from "@sallyport/kit";
import type { GatewayStatus, IqListening } from "@sallyport/iq";
import {
  createSipTransport,
  createTransactions,
  resolveTarget,
  type SipTarget,
  type SipTransport,
  type Transactions,
  type WireEvent,
} from "@sallyport/sip";
import { memoryStore, type StateStore } from "@sallyport/store";
import type { Side } from "@sallyport/media-security";
import { createCalls } from "./call/calls.ts";
import type { CallView } from "./call/view.ts";
import type { EdgeConfig } from "./config.ts";
import type { EdgeContext } from "./context.ts";
import { createCounters, type CounterView } from "./counters.ts";
import { pcscfErrors } from "./errors.ts";
import { readTls } from "./files.ts";
import { startController, type ControllerDeps } from "./iq/controller.ts";
import { createGatewayPort } from "./iq/gateway-port.ts";
import type { Binding } from "./registration/binding.ts";
import { createBindings } from "./registration/bindings.ts";
import { createRegistrar } from "./registration/registrar.ts";
import { registrationView, type RegistrationView } from "./registration/view.ts";
import { createPoints, type ListeningPoint } from "./routing/points.ts";
import { createRequests, type Requests } from "./routing/requests.ts";
import { createTokens } from "./routing/token.ts";
import { createCoreTrust } from "./routing/trust.ts";

export interface EdgeDeps extends Pick<ControllerDeps, "observeIq" | "createIq"> {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  /** Sees every SIP message as it crosses a socket; it may hold keys. */
  readonly observe?: (event: WireEvent) => void;
  /** Where registrations outlive a restart; in memory when left out. */
  readonly store?: StateStore;
}

export interface Edge {
  readonly name: string;
  readonly access: readonly ListeningPoint[];
  readonly core: readonly ListeningPoint[];
  /** Undefined when the controller listens nowhere. */
  readonly iq: IqListening | undefined;
  registrations(): readonly RegistrationView[];
  calls(): readonly CallView[];
  gateways(): readonly GatewayStatus[];
  counters(): readonly CounterView[];
  counts(): {
    readonly calls: number;
    readonly registrations: number;
    readonly transactions: number;
    readonly contexts: number;
  };
  /** Ends every call, gives every context back, closes every socket. */
  close(): Promise<void>;
}

const tokenBucket = "pcscf/tokens";

/** The sealing key of Path and Record-Route; shared through the store, so that Paths outlive a restart. */
const sealingKey = async (store: StateStore, random: Random): Promise<Buffer> => {
  const kept = await store.get(tokenBucket, "key");
  if (typeof kept === "string") return Buffer.from(kept, "base64url");
  const fresh = random.bytes(32);
  await store.put(tokenBucket, "key", fresh.toString("base64url"));
  return fresh;
};

type Listener = EdgeConfig["access"][number] | EdgeConfig["core"]["listen"][number];

const openPoint = async (
  transport: SipTransport,
  side: Side,
  index: number,
  listener: Listener,
): Promise<ListeningPoint> => {
  const name = `${side}/${listener.name ?? index}`;
  const bound = await transport.listen({
    name,
    protocol: listener.protocol,
    address: listener.address,
    port: listener.port,
    ...(listener.tls === undefined ? {} : { tls: await readTls(listener.tls) }),
    ...(listener.advertised === undefined ? {} : { advertise: listener.advertised }),
  });
  return {
    name,
    side,
    protocol: bound.protocol,
    address: bound.address,
    port: bound.port,
    host: listener.advertised ?? bound.address,
    trusted: "trusted" in listener && listener.trusted,
  };
};

const nextHopOf = (config: EdgeConfig, core: readonly ListeningPoint[]): SipTarget => {
  const target = resolveTarget(config.core.nextHop);
  const point = core.find(({ protocol }) => protocol === target?.protocol);
  if (target === undefined || point === undefined)
    throw pcscfErrors("SALLY_EDGE_NEXT_HOP", "", { where: config.core.nextHop });
  const { nextHopName } = config.core;
  return { ...target, listener: point.name, ...(nextHopName === undefined ? {} : { serverName: nextHopName }) };
};

/**
 * Opens every listening point, loads registrations, starts Iq.
 * @throws SALLY_EDGE_FILE, SALLY_EDGE_NEXT_HOP, SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL, SALLY_IQ_*, SALLY_STORE_*
 */
export const createEdge = async (config: EdgeConfig, deps: EdgeDeps): Promise<Edge> => {
  const { clock, random } = deps;
  const log = deps.log.child({ edge: config.name });
  const store = deps.store ?? memoryStore();
  // Sockets open before the rooms behind them are built; what arrives that early is told to come again.
  let requests: Requests | undefined;
  let onFlowClosed: EdgeClosing = () => undefined;
  const transport = createSipTransport({
    clock,
    log: log.child({ room: "sip" }),
    ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
    onMessage: (message, flow) => transactions.receive(message, flow),
    onFlowClosed: (flow) => onFlowClosed(flow),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock,
    random,
    log: log.child({ room: "sip" }),
    validation: { role: "proxy" },
    onRequest: (transaction) => requests?.onRequest(transaction),
    onAck: (request, flow) => requests?.onAck(request, flow),
  });
  const closing: (() => Promise<void> | void)[] = [() => transactions.close(), () => transport.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closing.toReversed()) await close();
  };
  try {
    const access: ListeningPoint[] = [];
    for (const [index, listener] of config.access.entries())
      access.push(await openPoint(transport, "access", index, listener));
    const core: ListeningPoint[] = [];
    for (const [index, listener] of config.core.listen.entries())
      core.push(await openPoint(transport, "core", index, listener));
    const key = await sealingKey(store, random);
    const bindings = await createBindings({
      store,
      clock,
      log,
      onGone: (binding) => log.info("registration gone", { aor: binding.aor }),
    });
    closing.push(() => bindings.close());
    const iq = await startController(config.iq, { ...deps, log }, (notification) => calls.notify(notification));
    closing.push(() => iq.close());
    const ctx: EdgeContext = {
      config,
      clock,
      random,
      log,
      counters: createCounters(),
      tokens: createTokens(key),
      loopKey: createSecretKey(key),
      points: createPoints([...access, ...core]),
      bindings,
      trust: createCoreTrust(config.core),
      transport,
      transactions,
      nextHop: nextHopOf(config, core),
    };
    const calls = createCalls(ctx, createGatewayPort(iq, config.iq));
    closing.push(() => calls.close());
    const registrar = createRegistrar(ctx, (binding: Binding) => calls.flowBack(binding));
    requests = createRequests(ctx, registrar, calls);
    onFlowClosed = (flow) => calls.flowClosed(flow);
    return {
      name: config.name,
      access,
      core,
      iq: iq.listening[0],
      registrations: () => bindings.all().map((binding) => registrationView(binding, clock.now())),
      calls: () => calls.views(),
      gateways: () => iq.gateways(),
      counters: () => ctx.counters.snapshot(),
      counts: () => ({
        calls: calls.live,
        registrations: bindings.size,
        transactions: transactions.counts.client + transactions.counts.server,
        contexts: calls.contexts,
      }),
      close: closeAll,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
};

type EdgeClosing = NonNullable<Parameters<typeof createSipTransport>[0]["onFlowClosed"]>;
