// Owns the IMS Access Gateway as an element: it wires Iq to contexts and contexts to a media plane.
// TS 33.328 6.2.1.1 (terminates SRTP towards the UE, plain RTP towards the core). Knows no SIP.
import { readFile } from "node:fs/promises";
import type { IqControllerAddress, IqGatewayState, IqSide, IqWireEvent } from "@sallyport/iq";
import { createIqGateway } from "@sallyport/iq";
import type { Clock, Log, OpenDatagram, Random } from "@sallyport/kit";
import type { LegCounters, MediaPlane } from "@sallyport/media-plane";
import { createPortablePlane } from "@sallyport/media-plane";
import type { GatewayConfig } from "./config.ts";
import { createContexts } from "./contexts.ts";
import { accessGatewayErrors } from "./errors.ts";
import type { Cryptos } from "./protection.ts";
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
  counters(): readonly StreamView[];
  /** Takes itself out of service, closes every port and connection, zeroises every key. */
  close(): Promise<void>;
}

const readPem = async (path: string): Promise<string> => {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw accessGatewayErrors("SALLY_GW_FILE", undefined, { where: path, cause: error });
  }
};

const controllerAddress = async (controller: GatewayConfig["controllers"][number]): Promise<IqControllerAddress> => {
  const { address, port, protocol, tls, certificateName, protectedBelow } = controller;
  return {
    address,
    port,
    protocol,
    protectedBelow,
    ...(certificateName === undefined ? {} : { certificateName }),
    ...(tls === undefined || protocol !== "tls"
      ? {}
      : { tls: { cert: await readPem(tls.certificate), key: await readPem(tls.key), ca: await readPem(tls.ca) } }),
  };
};

const face = (configured: GatewayConfig["interfaces"]["access"]) => ({
  address: configured.address,
  ...(configured.realm === undefined ? {} : { realm: configured.realm }),
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
  const controllers = await Promise.all(config.controllers.map(controllerAddress));
  const plane = deps.plane ?? createPortablePlane({ clock, log, portRange: config.ports, ...datagrams });
  const contexts = createContexts({
    plane,
    clock,
    interfaces: { access: face(config.interfaces.access), core: face(config.interfaces.core) },
    maxContexts: config.maxContexts,
    maxStreams: config.maxStreams,
  });
  const iq = await createIqGateway({
    config: {
      mid: config.mid ?? `<${config.id}>`,
      controllers,
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
    onState: (state) => {
      log.info(state.registered ? "iq registered" : "iq not registered", {
        controller: state.controller,
        reason: state.reason,
      });
      deps.onState?.(state);
    },
  }).catch(async (error: unknown) => {
    await plane.shutdown();
    throw error;
  });
  const watch = watchPlane({
    clock,
    log,
    plane,
    everyMs: config.pollMs,
    places: () => contexts.places(),
    notify: (event) => iq.notify(event),
  });

  return {
    id: config.id,
    registration: () => iq.state(),
    contexts: () => contexts.size,
    terminations: () => contexts.terminations,
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
    close: async () => {
      watch.close();
      await iq.close();
      await plane.shutdown();
    },
  };
};
