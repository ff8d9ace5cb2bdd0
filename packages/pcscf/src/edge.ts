// A running P-CSCF (IMS-ALG): opens its ports, wires the rooms together, closes all of it again. Decides nothing.
import { createHmac } from "node:crypto";
import { isIP } from "node:net";
import type { Clock, Log, OpenDatagram, Random } from "@sallyport/kit";
import type { GatewayStatus, IqListening } from "@sallyport/iq";
import {
  createLocator,
  createSipTransport,
  createTransactions,
  resolveTarget,
  systemResolver,
  type Flow,
  type Locator,
  type Resolver,
  type SipResponse,
  type SipTarget,
  type SipTransport,
  type Transactions,
  type WireEvent,
} from "@sallyport/sip";
import type { StateStore } from "@sallyport/store";
import type { Side } from "@sallyport/media-security";
import { createGate, type Gate } from "./admission/gate.ts";
import { createStanding, type Standing } from "./admission/standing.ts";
import { createOverload, systemEventLoopDelay, type EventLoopDelay, type Overload } from "./admission/overload.ts";
import { createCalls } from "./call/calls.ts";
import { legOfStray } from "./call/stray.ts";
import type { CallView } from "./call/view.ts";
import type { EdgeConfig } from "./config.ts";
import type { EdgeContext } from "./context.ts";
import { createCounters, type CounterView } from "./counters.ts";
import { present } from "./present.ts";
import { pcscfErrors } from "./errors.ts";
import { createFaults } from "./faults.ts";
import { readTls } from "./files.ts";
import { startController, type ControllerDeps } from "./iq/controller.ts";
import { awaitFirstGateway } from "./iq/first-gateway.ts";
import { createGatewayPort } from "./iq/gateway-port.ts";
import type { Binding } from "./registration/binding.ts";
import { createBindings } from "./registration/bindings.ts";
import { createRegEvents, type RegEvents } from "./registration/reg-event.ts";
import { createRegistrar } from "./registration/registrar.ts";
import { registrationView, type RegistrationView } from "./registration/view.ts";
import { createPoints, type ListeningPoint } from "./routing/points.ts";
import { createRequests, type Requests } from "./routing/requests.ts";
import { createTokens } from "./routing/token.ts";
import { createCoreTrust } from "./routing/trust.ts";
import { createDrained } from "./state/drained.ts";
import { createKeptCalls, loadCalls } from "./state/kept-calls.ts";
import { openState } from "./state/open.ts";
import { tokenKey } from "./state/token-key.ts";

export interface EdgeDeps extends Pick<ControllerDeps, "observeIq" | "createIq"> {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  /** Sees every SIP message as it crosses a socket; it may hold keys. */
  readonly observe?: (event: WireEvent) => void;
  /** Takes the place of the system's DNS. */
  readonly resolver?: Resolver;
  /** Takes the place of the configured store; the caller closes it. */
  readonly store?: StateStore;
  /** Takes the place of the process's own event-loop delay. */
  readonly eventLoopDelay?: EventLoopDelay;
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
  /**
   * No new calls at this gateway from now on, or again, over a restart of the edge too; its calls stay until they end.
   * @throws SALLY_IQ_UNKNOWN_GATEWAY
   */
  drainGateway(id: string, on: boolean): GatewayStatus;
  /**
   * Sends a gateway to another edge, named by its message identifier; calls it still has are moved to others. Rejects
   * SALLY_IQ_* where it can not be told or does not want to.
   */
  handOffGateway(id: string, mgc: string): Promise<void>;
  counters(): readonly CounterView[];
  counts(): {
    readonly calls: number;
    readonly registrations: number;
    readonly transactions: number;
    readonly contexts: number;
  };
  /**
   * Closes every socket. `keepCalls` leaves the calls that are in the store running, for the next start to take up; it is
   * what happens where the store outlives the process. All other calls end, and give their contexts back.
   */
  close(how?: { readonly keepCalls?: boolean }): Promise<void>;
}

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
    reserved: side === "core",
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
    ...("accessNetworkInfo" in listener && listener.accessNetworkInfo !== undefined
      ? { accessNetworkInfo: listener.accessNetworkInfo }
      : {}),
  };
};

/** Whether the DNS has to say where the next hop is (RFC 3263). */
const needsLocating = (config: EdgeConfig): boolean => isIP(resolveTarget(config.core.nextHop)?.address ?? "") === 0;

/** The longest a start waits for the DNS, ms; requests go to the name itself until it has answered. */
const locateMs = 5000;

const openLocator = async (
  config: EdgeConfig,
  core: readonly ListeningPoint[],
  { clock, random, resolver = systemResolver() }: EdgeDeps,
): Promise<Locator> => {
  const protocols = [...new Set(core.map(({ protocol }) => protocol))];
  const locator = createLocator({ clock, random, resolver, protocols });
  await new Promise<void>((resolve) => {
    const timer = clock.after(locateMs, resolve);
    locator.find(config.core.nextHop).then(
      () => {
        timer.cancel();
        resolve();
      },
      () => resolve(),
    );
  });
  return locator;
};

const nextHopOf = (config: EdgeConfig, core: readonly ListeningPoint[]): SipTarget => {
  const { nextHop } = config.core;
  // A name without transport may be served by any: the DNS decides among those we listen on.
  const open = needsLocating(config) && !/;transport=/i.test(nextHop) && !/^sips:/i.test(nextHop);
  const bare = resolveTarget(nextHop);
  const has = core.some(({ protocol }) => protocol === bare?.protocol);
  const fallback = open && !has ? core[0]?.protocol : undefined;
  const target = fallback === undefined ? bare : resolveTarget(nextHop, { protocol: fallback });
  const point = core.find(({ protocol }) => protocol === target?.protocol);
  if (target === undefined || point === undefined)
    throw pcscfErrors("SALLY_EDGE_NEXT_HOP", "", { where: config.core.nextHop });
  const { nextHopName } = config.core;
  return { ...target, listener: point.name, ...(nextHopName === undefined ? {} : { serverName: nextHopName }) };
};

/** What arrives before the rooms are ready; more is lost, and sent again. */
const maxEarly = 1024;

/**
 * Loads registrations and calls, opens every listening point, starts Iq.
 * @throws SALLY_EDGE_FILE, SALLY_EDGE_NEXT_HOP, SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL, SALLY_IQ_*, SALLY_STORE_*
 */
export const createEdge = async (config: EdgeConfig, deps: EdgeDeps): Promise<Edge> => {
  const { random } = deps;
  const log = deps.log.child({ edge: config.name });
  const counters = createCounters();
  const faults = createFaults(log, counters);
  const clock = faults.clock(deps.clock);
  const state = await openState(config.store, { clock, random, log, given: deps.store });
  const { store, sealer } = state;
  // Sockets open before the rooms behind them are built: what arrives that early waits for them.
  let requests: Requests | undefined;
  const early: ((ready: Requests) => void)[] = [];
  const soon = (run: (ready: Requests) => void): void => {
    if (requests !== undefined) run(requests);
    else if (early.length < maxEarly) early.push(run);
  };
  let regEvents: RegEvents | undefined;
  let gate: Gate | undefined;
  let standing: Standing | undefined;
  let overload: Overload | undefined;
  let onStray: (response: SipResponse, flow: Flow) => void = () => undefined;
  let onFlowClosed: EdgeClosing = () => undefined;
  let answersAnew: (flow: Flow) => boolean = () => false;
  let isProven: (flow: Flow) => boolean = () => false;
  const transport = createSipTransport({
    clock,
    log: log.child({ room: "sip" }),
    ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
    limits: present(config.limits.transport),
    onMessage: (message, flow) => {
      if (gate?.admits(message, flow) !== false) transactions.receive(message, flow);
    },
    onFault: (error) => faults.tell("request", error),
    onMalformed: ({ code }) => counters.count("malformed_total", { code }),
    onFlowClosed: (flow) => {
      transactions.flowClosed(flow);
      faults.guard("connection", () => onFlowClosed(flow));
    },
    answersAnew: (flow) => answersAnew(flow),
    isProven: (flow) => isProven(flow),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock,
    random,
    log: log.child({ room: "sip" }),
    validation: { role: "proxy" },
    limits: { maxServer: config.limits.maxTransactions, maxClient: config.limits.maxTransactions },
    onRequest: (transaction) => soon((ready) => ready.onRequest(transaction)),
    onAck: (request, flow) => soon((ready) => ready.onAck(request, flow)),
    onStrayResponse: (response, flow) => onStray(response, flow),
    onDiscarded: (why) => {
      if (why === "sender") counters.count("admission_refused_total", { reason: "answer-from-elsewhere" });
      else counters.count("malformed_total", { code: "response" });
    },
    mayAnswer: (flow, sent) => standing?.mayAnswer(flow, sent) === true,
    isStranger: (flow) => standing?.isStranger(flow) === true,
    onFault: (error) => faults.tell("request", error),
  });
  type Closing = (how: { readonly keepCalls: boolean }) => Promise<void> | void;
  const closing: Closing[] = [() => state.close(), () => transactions.close(), () => transport.close()];
  const closeAll = async ({ keepCalls = state.durable }: { readonly keepCalls?: boolean } = {}): Promise<void> => {
    for (const close of closing.splice(0).toReversed()) await close({ keepCalls });
  };
  try {
    const key = await tokenKey(store, sealer, random);
    const bindings = await createBindings({
      store,
      clock,
      log,
      onGone: (binding) => {
        log.info("registration gone", { aor: binding.aor });
        regEvents?.gone(binding);
      },
    });
    closing.push(() => bindings.close());
    const trust = createCoreTrust(config.core);
    const isRegistered = (flow: string): boolean => bindings.isOnFlow(flow);
    gate = createGate({ clock, config, counters, transport, isRegistered, trust });
    const loaded = sealer === undefined ? [] : await loadCalls({ store, sealer, log });
    const access: ListeningPoint[] = [];
    for (const [index, listener] of config.access.entries())
      access.push(await openPoint(transport, "access", index, listener));
    const core: ListeningPoint[] = [];
    for (const [index, listener] of config.core.listen.entries())
      core.push(await openPoint(transport, "core", index, listener));
    const known = loaded.flatMap(({ context }) => context ?? []);
    const first = awaitFirstGateway(clock, known.length > 0);
    closing.push(() => first.close());
    const drained = createDrained({ store, log, counters });
    const wereDrained = await drained.load();
    const iq = await startController(
      config.iq,
      { ...deps, clock, log },
      {
        known,
        onNotify: (notification) => faults.guard("gateway", () => calls.notify(notification)),
        onUp: (gateway) =>
          faults.guard("gateway", () => {
            calls.gatewayBack(gateway);
            first.arrived();
          }),
      },
    );
    closing.push(({ keepCalls }) => iq.close({ keepContexts: keepCalls }));
    for (const gateway of wereDrained) {
      if (config.iq.gateways.some(({ id }) => id === gateway)) iq.drain(gateway, true);
      else drained.note(gateway, false);
    }
    const nextHop = nextHopOf(config, core);
    const points = createPoints([...access, ...core]);
    standing = createStanding({
      points,
      trust,
      isRegistered,
      isOpen: (flow) => transport.flow(flow) !== undefined,
    });
    const ctx: EdgeContext = {
      config,
      clock,
      random,
      log,
      counters,
      faults,
      tokens: createTokens(key),
      loopKey: createHmac("sha256", key).update("loop mark").digest("base64url"),
      points,
      bindings,
      trust,
      transport,
      transactions,
      nextHop,
      locator: needsLocating(config) ? await openLocator(config, core, { ...deps, clock }) : undefined,
      overloaded: () => overload?.active === true,
    };
    const keep = sealer === undefined ? undefined : createKeptCalls({ store, sealer, log, counters });
    const calls = createCalls(
      ctx,
      createGatewayPort(iq, config.iq, first),
      keep === undefined ? undefined : { keep, loaded },
    );
    if (loaded.length > 0) log.info("calls taken up", { calls: loaded.length });
    closing.push((how) => {
      first.close();
      return calls.close(how);
    });
    const watch = createOverload({
      clock,
      log,
      limits: config.limits.overload,
      delay: deps.eventLoopDelay ?? systemEventLoopDelay(),
      calls: () => calls.live,
    });
    overload = watch;
    closing.push(() => watch.close());
    const watching = config.registration.regEvent ? createRegEvents(ctx) : undefined;
    regEvents = watching;
    closing.push(() => watching?.close());
    const registrar = createRegistrar(ctx, (binding: Binding) => {
      calls.flowBack(binding);
      regEvents?.registered(binding);
    });
    requests = createRequests(ctx, registrar, calls, watching);
    // Registered, of the core, or in an emergency call without registration (TS 24.229 5.2.10).
    isProven = (flow) => standing?.isStranger(flow) === false || calls.isOnFlow(flow);
    onFlowClosed = (flow) => calls.flowClosed(flow);
    // RFC 3261 18.2.2 for the core; a UE is answered on its own connection or not at all (RFC 5626 5.3).
    answersAnew = (flow) => ctx.points.ofFlow(flow)?.side === "core" && ctx.trust(flow);
    onStray = (response, flow) => {
      const found = legOfStray(ctx, response, flow);
      if (found !== undefined) calls.stray(found.call, found.from, response, flow);
    };
    const ready = requests;
    for (const run of early.splice(0)) faults.guard("request", () => run(ready));
    return {
      name: config.name,
      access,
      core,
      iq: iq.listening[0],
      registrations: () => bindings.all().map((binding) => registrationView(binding, clock.now())),
      calls: () => calls.views(),
      gateways: () => iq.gateways(),
      drainGateway: (id, on) => {
        const status = iq.drain(id, on);
        drained.note(id, on);
        return status;
      },
      handOffGateway: (id, mgc) => iq.handOff(id, mgc),
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
