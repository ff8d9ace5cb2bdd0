// Turns the iq section of the configuration into a running controller. Knows no call.
import type { Clock, Log, OpenDatagram, Random } from "@sallyport/kit";
import {
  createIqController,
  type IqContextState,
  type IqController,
  type IqControllerConfig,
  type IqControllerOptions,
  type IqNotification,
  type IqWireEvent,
} from "@sallyport/iq";
import type { EdgeConfig } from "../config.ts";
import { readTls } from "../files.ts";
import { present } from "../present.ts";

/** Makes a controller; tests put another in its place. */
export type IqFactory = (options: IqControllerOptions) => Promise<IqController>;

export interface ControllerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  readonly observeIq?: (event: IqWireEvent) => void;
  readonly createIq?: IqFactory;
}

/** What a controller is started with beside its configuration. */
export interface ControllerStart {
  /** Contexts of an earlier run. */
  readonly known: readonly IqContextState[];
  readonly onNotify: (notification: IqNotification) => void;
  /** A gateway has registered (again). */
  readonly onUp: (gateway: string) => void;
}

const controllerConfig = async (iq: EdgeConfig["iq"]): Promise<IqControllerConfig> => {
  const { protocol, address, port, tls } = iq.listen;
  const material = tls === undefined ? undefined : await readTls(tls);
  return {
    mid: iq.mid,
    listen: [
      {
        protocol,
        address,
        port,
        ...(material?.ca === undefined ? {} : { tls: { key: material.key, cert: material.cert, ca: material.ca } }),
      },
    ],
    gateways: iq.gateways.map(present),
    style: iq.style,
    lab: iq.lab,
    commandTimeoutMs: iq.commandTimeoutMs,
    tryMs: iq.tryMs,
    addBudgetMs: iq.addBudgetMs,
    heartbeat: present(iq.heartbeat),
    failoverMs: iq.failoverMs,
    keepContextsMs: iq.keepContextsMs,
    watchRoot: true,
  };
};

/** @throws SALLY_EDGE_FILE, SALLY_IQ_*, SALLY_H248_* */
export const startController = async (
  iq: EdgeConfig["iq"],
  deps: ControllerDeps,
  { known, onNotify, onUp }: ControllerStart,
): Promise<IqController> => {
  const create = deps.createIq ?? createIqController;
  return create({
    config: await controllerConfig(iq),
    clock: deps.clock,
    log: deps.log.child({ room: "iq" }),
    random: deps.random,
    ...(deps.openDatagram === undefined ? {} : { openDatagram: deps.openDatagram }),
    ...(deps.observeIq === undefined ? {} : { observe: deps.observeIq }),
    known,
    onNotify,
    onGateway: ({ id, state, reason }) => {
      deps.log.info("gateway", { id, state, reason });
      if (state === "up") onUp(id);
    },
  });
};
