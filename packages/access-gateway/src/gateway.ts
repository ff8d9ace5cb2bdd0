// Owns the IMS Access Gateway as an element: it wires Iq to contexts and contexts to a media plane.
// TS 33.328 6.2.1.1 (terminates SRTP towards the UE, plain RTP towards the core). Knows no SIP.
import { networkInterfaces } from "node:os";
import type { IqControllerAddress, IqGatewayState, IqSide, IqWireEvent } from "@sallyport/iq";
import { isLoopback, type Clock, type Log, type OpenDatagram, type Random } from "@sallyport/kit";
import type { LegCounters, MediaPlane } from "@sallyport/media-plane";
import { certificatesOf } from "./certificates.ts";
import { asWritten, type GatewayConfig } from "./config.ts";
import { createContexts } from "./contexts.ts";
import type { Cryptos } from "./protection.ts";
import { lookAt, nothingTold } from "./load.ts";
import { openMedia, type MediaView } from "./media.ts";
import { createSharedIq, type Face } from "./sharing.ts";
import type { Interface } from "./stream.ts";
import { watchPlane } from "./watch.ts";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  /** Every message on Iq; may hold keys: `redactKeys` before anybody sees it. */
  readonly observe?: (event: IqWireEvent) => void;
  /** Instead of the engine the configuration names; shut down by `close` all the same. */
  readonly plane?: MediaPlane;
  /** Each change of the registration. */
  readonly onState?: (state: IqGatewayState) => void;
  /** Resident octets of this process, for `memoryBudgetMb`; the system's answer when left out. */
  readonly memory?: () => number;
  /** Local addresses, for realms that come and go; the system's answer when left out. */
  readonly addresses?: () => ReadonlySet<string>;
}

/** One stream of one termination and what went through it. */
export interface StreamView {
  readonly context: number;
  readonly termination: string;
  readonly side: IqSide;
  readonly stream: number;
  readonly protocol: string;
  readonly protection: "clear" | "srtp" | "awaiting-keys" | "transparent";
  /** Fingerprints only. */
  readonly keys: { readonly towardsUe?: string; readonly fromUe?: string };
  readonly local: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number };
  readonly counters: LegCounters;
}

export interface Gateway {
  readonly id: string;
  registration(): IqGatewayState;
  contexts(): number;
  terminations(): number;
  /** New contexts turned away so far: 412 and 510. */
  refused(): number;
  counters(): readonly StreamView[];
  /** The engine, why it is this one, and its threads' load. */
  media(): MediaView;
  /**
   * Leaves gracefully: tells the controller, takes no new contexts, resolves when the last one is gone or after `delayMs`
   * (0: only then). The gateway still runs: `close` or `stay`.
   */
  drain(delayMs: number): Promise<void>;
  /** Takes `drain` back. */
  stay(): Promise<void>;
  /** Takes itself out of service, closes every port and connection, zeroises every key. */
  close(): Promise<void>;
}

const controllerAddress = async (
  controller: GatewayConfig["controllers"][number],
  log: Log,
): Promise<IqControllerAddress> => {
  const { address, port, protocol, tls, certificateName, protectedBelow } = controller;
  return {
    address,
    port,
    protocol,
    protectedBelow,
    ...(certificateName === undefined ? {} : { certificateName }),
    ...(tls === undefined || protocol !== "tls" ? {} : { tls: await certificatesOf(tls, log) }),
  };
};

const systemAddresses = (): ReadonlySet<string> =>
  new Set(Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []));

const lookEveryMs = 1000;

/** Asked at most once a second: reading it is not free. */
const memoryGauge = (clock: Clock, budgetMb: number | undefined, read: () => number): (() => boolean) => {
  if (budgetMb === undefined) return () => true;
  let at = -Infinity;
  let used = 0;
  return () => {
    const now = clock.now();
    if (now - at >= lookEveryMs) {
      at = now;
      used = read();
    }
    return used < budgetMb * 1_048_576;
  };
};

const face = ({ address, ports, realm }: GatewayConfig["interfaces"]["access"]): Interface => ({
  address: asWritten(address),
  ...(realm === undefined ? {} : { realm }),
  ...(ports === undefined ? {} : { ports }),
});

const fingerprints = ({ local, remote }: Cryptos): StreamView["keys"] => {
  const towardsUe = local?.keys[0]?.master.fingerprint;
  const fromUe = remote?.keys[0]?.master.fingerprint;
  return { ...(towardsUe === undefined ? {} : { towardsUe }), ...(fromUe === undefined ? {} : { fromUe }) };
};

/** Starts a gateway; it registers by itself and goes on trying. @throws SALLY_GW_FILE, SALLY_IQ_CONFIG, SALLY_PLANE_RANGE */
export const createGateway = async (config: GatewayConfig, deps: GatewayDeps): Promise<Gateway> => {
  const { clock, random, log } = deps;
  const datagrams = deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram };
  const first: Face = {
    mid: config.mid ?? `<${config.id}>`,
    controllers: await Promise.all(config.controllers.map((one) => controllerAddress(one, log))),
  };
  const more: Face[] = [];
  for (const { mid, controllers } of config.virtual)
    more.push({ mid, controllers: await Promise.all(controllers.map((one) => controllerAddress(one, log))) });
  const media = openMedia(config, deps);
  const { plane } = media;
  const facesOf = (side: IqSide): readonly Interface[] => [
    face(config.interfaces[side]),
    ...config.interfaces.more.filter((more) => more.side === side).map(face),
  ];
  const interfaces = { access: facesOf("access"), core: facesOf("core") };
  const roomInMemory = memoryGauge(clock, config.memoryBudgetMb, deps.memory ?? (() => process.memoryUsage.rss()));
  let told = nothingTold;
  const contexts = createContexts({
    plane,
    clock,
    interfaces,
    maxContexts: config.maxContexts,
    maxStreams: config.maxStreams,
    emergencyReserve: config.emergencyReserve,
    shortage: () => (roomInMemory() ? media.shortage() : "memory budget"),
    realmsLost: () => told.down,
  });
  /** A controller that has just come knows nothing of what was told before. */
  const tellAnew = (): void => {
    told = nothingTold;
  };
  let wasRegistered = false;
  const shared = {
    config: {
      profile: config.profile,
      version: config.version,
      style: config.style,
      lab: config.lab,
      avalancheMs: config.restartAvalancheMs,
      firstRetryMs: config.retry.firstMs,
      longestRetryMs: config.retry.longestMs,
      keepContextsMs: config.keepContextsMs,
      silenceMs: config.controllerSilenceMs,
    },
    clock,
    log,
    random,
    handler: contexts.handler,
    ...datagrams,
    ...(deps.observe === undefined ? {} : { observe: deps.observe }),
    onState: (state: IqGatewayState) => {
      const { controller, reason, registered } = state;
      if (registered) {
        log.info("iq registered", { controller, reason });
        tellAnew();
      } else if (wasRegistered) log.warn("iq not registered", { controller, reason });
      // Why it is not taken again is told by each attempt.
      wasRegistered = registered;
      deps.onState?.(state);
    },
    onRootWatch: tellAnew,
  };
  const iq = await createSharedIq(shared, first, more).catch(async (error: unknown) => {
    await plane.shutdown();
    throw error;
  });
  const addresses = deps.addresses ?? systemAddresses;
  // It may come later (VRRP), so it is no error; until then every call there fails.
  const here = addresses();
  for (const address of new Set([...interfaces.access, ...interfaces.core].map((each) => asWritten(each.address))))
    if (!isLoopback(address) && !here.has(address)) log.warn("media address is not of this machine", { address });
  let lookedAt = -Infinity;
  let emptied: (() => void) | undefined;
  const look = (): void => {
    const now = clock.now();
    if (now - lookedAt < lookEveryMs) return;
    lookedAt = now;
    const seen = { contexts: contexts.size, maxContexts: config.maxContexts, addresses: addresses() };
    const step = lookAt(told, seen, [...interfaces.access, ...interfaces.core]);
    told = step.told;
    for (const event of step.events) {
      log.info("gateway event", { what: event.kind });
      iq.notifyRoot(event).catch((error: unknown) =>
        log.info("gateway event not reported", {
          what: event.kind,
          error: error instanceof Error ? error.message : "",
        }),
      );
    }
  };
  const watch = watchPlane({
    clock,
    log,
    plane,
    everyMs: config.pollMs,
    place: (leg) => contexts.place(leg),
    watched: () => contexts.watched(),
    notify: (event) => iq.notify(event),
    each: () => {
      // Asked now and then, so that a loss is known of when it happens and not when the next call comes.
      media.shortage();
      look();
      if (contexts.size === 0) emptied?.();
    },
  });

  return {
    id: config.id,
    registration: () => iq.state(),
    contexts: () => contexts.size,
    terminations: () => contexts.terminations,
    refused: () => contexts.refused,
    counters: () =>
      contexts.places().map(({ context, side, termination, stream }) => ({
        context,
        termination: termination.name,
        side,
        stream: stream.state.stream,
        protocol: stream.state.local.protocol,
        protection: stream.plan.protection.kind,
        keys: fingerprints(stream.state.cryptos),
        local: stream.own,
        counters: plane.counters(stream.leg),
      })),
    media: () => media.view(),
    drain: async (delayMs) => {
      await iq.leave(delayMs);
      if (contexts.size === 0) return;
      await new Promise<void>((resolve) => {
        const timer = delayMs === 0 ? undefined : clock.after(delayMs, resolve);
        emptied = () => {
          timer?.cancel();
          resolve();
        };
      });
      emptied = undefined;
    },
    stay: async () => {
      await iq.stay();
    },
    close: async () => {
      emptied?.();
      watch.close();
      await iq.close();
      await plane.shutdown();
    },
  };
};
