// A running P-CSCF (IMS-ALG): opens its ports, wires the rooms together, closes all of it again. Decides nothing.
import { createHmac } from "node:crypto";
import type { Clock, Log, OpenDatagram, Random } from "@sallyport/kit";
import type { GatewayStatus, IqListening } from "@sallyport/iq";
import {
  createSipTransport,
  createTransactions,
  type Resolver,
  type SipTransport,
  type Transactions,
  type WireEvent,
} from "@sallyport/sip";
import type { StateStore } from "@sallyport/store";
import { createGate } from "./admission/gate.ts";
import { createStanding, type Standing } from "./admission/standing.ts";
import { createOverload, systemEventLoopDelay, type EventLoopDelay, type Overload } from "./admission/overload.ts";
import { createCalls, type Calls } from "./call/calls.ts";
import { legOfStray } from "./call/stray.ts";
import type { CallView } from "./call/view.ts";
import type { EdgeConfig } from "./config.ts";
import type { EdgeContext } from "./context.ts";
import { createCounters, type CounterView } from "./counters.ts";
import { present } from "./present.ts";
import { createFaults } from "./faults.ts";
import { startController, type ControllerDeps } from "./iq/controller.ts";
import { awaitFirstGateway } from "./iq/first-gateway.ts";
import { createGatewayPort } from "./iq/gateway-port.ts";
import type { Binding } from "./registration/binding.ts";
import { createBindings } from "./registration/bindings.ts";
import { createRegEvents, type RegEvents } from "./registration/reg-event.ts";
import { createRegistrar } from "./registration/registrar.ts";
import { registrationView, type RegistrationView } from "./registration/view.ts";
import { watchCertificates } from "./listening/certificates.ts";
import { openEntryPoints } from "./routing/next-hop.ts";
import { openPoints } from "./listening/open-points.ts";
import { createPoints, type ListeningPoint } from "./listening/points.ts";
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

/** What stands behind the sockets. They open first: who listens where is part of what the rooms are built with. */
interface Rooms {
  readonly ctx: EdgeContext;
  readonly standing: Standing;
  readonly calls: Calls;
  readonly requests: Requests;
  readonly overload: Overload;
  readonly regEvents: RegEvents | undefined;
}

/** Messages that may wait until the rooms are ready; more are lost, and sent again. */
const maxEarly = 1024;

/**
 * Loads registrations and calls, opens every listening point, starts Iq.
 * @throws SALLY_EDGE_FILE, SALLY_EDGE_NEXT_HOP, SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL, SALLY_IQ_*, SALLY_STORE_*
 */
export const createEdge = async (config: EdgeConfig, deps: EdgeDeps): Promise<Edge> => {
  const { random } = deps;
  const log = deps.log.child({ edge: config.name });
  const sipLog = log.child({ room: "sip" });
  const counters = createCounters();
  const faults = createFaults(log, counters);
  const clock = faults.clock(deps.clock);
  const state = await openState(config.store, { clock, random, log, given: deps.store });
  const { store, sealer } = state;
  type Closing = (how: { readonly keepCalls: boolean }) => Promise<void> | void;
  const closing: Closing[] = [() => state.close()];
  const closeAll = async ({ keepCalls = state.durable }: { readonly keepCalls?: boolean } = {}): Promise<void> => {
    for (const close of closing.splice(0).toReversed()) await close({ keepCalls });
  };
  let rooms: Rooms | undefined;
  const early: ((ready: Rooms) => void)[] = [];
  const whenReady = (run: (ready: Rooms) => void): void => {
    if (rooms === undefined) early.push(run);
    else run(rooms);
  };
  const soon = (run: (ready: Rooms) => void): void => {
    if (rooms !== undefined || early.length < maxEarly) whenReady(run);
  };
  try {
    const key = await tokenKey(store, sealer, random);
    const bindings = await createBindings({
      store,
      clock,
      log,
      onGone: (binding) => {
        log.info("registration gone", { aor: binding.aor });
        rooms?.regEvents?.gone(binding);
      },
    });
    const isRegistered = (flow: string): boolean => bindings.isOnFlow(flow);
    const trust = createCoreTrust(config.core);
    const gate = createGate({
      clock,
      config,
      counters,
      transport: { send: (message, to) => transport.send(message, to) },
      isRegistered,
      trust,
    });
    const transport: SipTransport = createSipTransport({
      clock,
      log: sipLog,
      ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
      ...(deps.observe === undefined ? {} : { observe: deps.observe }),
      limits: present(config.limits.transport),
      onMessage: (message, flow) => {
        if (gate.admits(message, flow)) transactions.receive(message, flow);
      },
      onFault: (error) => faults.tell("request", error),
      onMalformed: ({ code }) => counters.count("malformed_total", { code }),
      onFlowClosed: (flow) => {
        transactions.flowClosed(flow);
        faults.guard("connection", () => rooms?.calls.flowClosed(flow));
      },
      // RFC 3261 18.2.2 for the core; a UE is answered on its own connection or not at all (RFC 5626 5.3).
      answersAnew: (flow) => rooms?.ctx.points.ofFlow(flow)?.side === "core" && trust(flow),
      // Registered, of the core, or in an emergency call without registration (TS 24.229 5.2.10).
      isProven: (flow) => rooms?.standing.isStranger(flow) === false || rooms?.calls.isOnFlow(flow) === true,
    });
    const transactions: Transactions = createTransactions({
      transport,
      clock,
      random,
      log: sipLog,
      validation: { role: "proxy" },
      limits: { maxServer: config.limits.maxTransactions, maxClient: config.limits.maxTransactions },
      onRequest: (transaction) => soon(({ requests }) => requests.onRequest(transaction)),
      onAck: (request, flow) => soon(({ requests }) => requests.onAck(request, flow)),
      onStrayResponse: (response, flow) => {
        const found = rooms === undefined ? undefined : legOfStray(rooms.ctx, response, flow);
        if (found !== undefined) rooms?.calls.stray(found.call, found.from, response, flow);
      },
      onDiscarded: (why) => {
        if (why === "sender") counters.count("admission_refused_total", { reason: "answer-from-elsewhere" });
        else counters.count("malformed_total", { code: "response" });
      },
      mayAnswer: (flow, sent) => rooms?.standing.mayAnswer(flow, sent) === true,
      isStranger: (flow) => rooms?.standing.isStranger(flow) === true,
      mayRepeat: (flow) => gate.mayRepeat(flow),
      onFault: (error) => faults.tell("request", error),
    });
    closing.push(
      () => transactions.close(),
      () => transport.close(),
      () => bindings.close(),
    );
    const loaded = sealer === undefined ? [] : await loadCalls({ store, sealer, log });
    const access = await openPoints(transport, "access", config.access);
    const core = await openPoints(transport, "core", config.core.listen);
    const certificates = watchCertificates([...access, ...core], [...config.access, ...config.core.listen], {
      clock,
      log,
      transport,
    });
    closing.push(() => certificates.close());
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
        onNotify: (notification) => whenReady(({ calls }) => faults.guard("gateway", () => calls.notify(notification))),
        onUp: (gateway) =>
          whenReady(({ calls }) =>
            faults.guard("gateway", () => {
              calls.gatewayBack(gateway);
              first.arrived();
            }),
          ),
      },
    );
    closing.push(({ keepCalls }) => iq.close({ keepContexts: keepCalls }));
    for (const gateway of wereDrained) {
      if (config.iq.gateways.some(({ id }) => id === gateway)) iq.drain(gateway, true);
      else drained.note(gateway, false);
    }
    const { nextHop, entries } = await openEntryPoints(config, core, { ...deps, clock });
    const points = createPoints([...access, ...core]);
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
      entries,
      overloaded: () => rooms?.overload.active === true,
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
    const overload = createOverload({
      clock,
      log,
      limits: config.limits.overload,
      delay: deps.eventLoopDelay ?? systemEventLoopDelay(),
      calls: () => calls.live,
    });
    closing.push(() => overload.close());
    const regEvents = config.registration.regEvent ? createRegEvents(ctx) : undefined;
    closing.push(() => regEvents?.close());
    const registrar = createRegistrar(ctx, (binding: Binding) => {
      calls.flowBack(binding);
      regEvents?.registered(binding);
    });
    const isOpen = (flow: string): boolean => transport.flow(flow) !== undefined;
    const ready: Rooms = {
      ctx,
      standing: createStanding({ points, trust, isRegistered, isOpen }),
      calls,
      requests: createRequests(ctx, registrar, calls, regEvents),
      overload,
      regEvents,
    };
    rooms = ready;
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
