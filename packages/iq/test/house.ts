// Edges and gateways over real sockets on loopback, with what they said and saw; closed together.
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { LogRecord, OpenDatagram } from "@sallyport/kit";
import { SallyportError, memoryLog, seededRandom, systemClock } from "@sallyport/kit";
import { createAuthority } from "@sallyport/test-authority";
import type {
  GatewayStatus,
  IqController,
  IqControllerConfig,
  IqGateway,
  IqGatewayConfig,
  IqGatewayHandler,
  IqNotification,
  IqTlsMaterial,
} from "../src/index.ts";
import { createIqController, createIqGateway } from "../src/index.ts";
import type { RecordingHandler } from "./handler.ts";
import { recordingHandler } from "./handler.ts";
import { must } from "./plans.ts";

interface HouseEdge {
  readonly controller: IqController;
  readonly reports: GatewayStatus[];
  readonly notifications: IqNotification[];
  readonly sent: string[];
  status(id: string): GatewayStatus;
}

/** The path between a gateway and its edge, to be cut as by a killed process, or stopped as by one that hangs. */
interface Cable {
  readonly port: number;
  /** Both ends see their connection gone; nobody gets through until mended. */
  cut(): void;
  mend(): void;
  /** Nothing passes any more, and nobody is told. */
  stall(): void;
  close(): Promise<void>;
}

const layCable = async (to: number): Promise<Cable> => {
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return void near.destroy();
    const far = connect(to, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      whole = false;
      drop();
    },
    mend: () => {
      whole = true;
    },
    stall: () => {
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    close: async () => {
      drop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};

interface HouseGateway {
  readonly cable: Cable;
  readonly iq: IqGateway;
  readonly handler: RecordingHandler;
  readonly records: readonly LogRecord[];
}

type GatewayMore = Partial<IqGatewayConfig> & {
  readonly openDatagram?: OpenDatagram;
  readonly handler?: IqGatewayHandler;
  /** Further controllers after the first. */
  readonly others?: readonly HouseEdge[];
};

export interface House {
  edge(more?: Partial<IqControllerConfig>, name?: string): Promise<HouseEdge>;
  gateway(name: string, to: HouseEdge, more?: GatewayMore): Promise<HouseGateway>;
  close(): Promise<void>;
}

/** Waits, looking every few milliseconds. */
export const until = async (what: string, holds: () => boolean, ms = 3000): Promise<void> => {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** Time from now on as this process could use it: what a busy machine kept it waiting for is not counted. */
export const fairTime = (): (() => number) => {
  const from = performance.now();
  let late = 0;
  let last = from;
  const tick = setInterval(() => {
    const now = performance.now();
    late += Math.max(0, now - last - 10);
    last = now;
  }, 10);
  return () => {
    clearInterval(tick);
    return performance.now() - from - late;
  };
};

export const failure = async (promise: Promise<unknown>): Promise<SallyportError> => {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SallyportError) return error;
  throw new Error("did not fail as it should");
};

const names = ["edge-a", "edge-b", "gw-a", "gw-b", "gw-c"] as const;

/** `wire`: what everybody speaks. */
export const openHouse = async (wire: "tls" | "udp"): Promise<House> => {
  const authority = wire === "tls" ? await createAuthority() : undefined;
  const certificates = new Map<string, IqTlsMaterial>();
  for (const name of authority === undefined ? [] : names) {
    certificates.set(
      name,
      await (authority as NonNullable<typeof authority>).issue([{ type: "dns", value: `${name}.example` }]),
    );
  }
  const lab = wire === "udp" ? { lab: true } : {};
  const tlsOf = (name: string) => (wire === "tls" ? { tls: must(certificates.get(name)) } : {});
  const open: { close(): Promise<void> }[] = [];
  const edgeNames = new Map<HouseEdge, string>();

  return {
    edge: async (more = {}, name = "edge-a") => {
      const reports: GatewayStatus[] = [];
      const notifications: IqNotification[] = [];
      const sent: string[] = [];
      const controller = await createIqController({
        config: {
          mid: `<${name}.example>`,
          listen: [{ protocol: wire, address: "127.0.0.1", port: 0, ...tlsOf(name) }],
          gateways: ["gw-a", "gw-b", "gw-c"].map((id) => ({ id, mid: `<${id}.example>` })),
          ...lab,
          ...more,
        },
        clock: systemClock,
        log: memoryLog().log,
        random: seededRandom(`controller ${open.length}`),
        observe: ({ direction, octets }) => {
          if (direction === "out") sent.push(octets.toString("latin1"));
        },
        onGateway: (status) => reports.push(status),
        onNotify: (notification) => notifications.push(notification),
      });
      open.push(controller);
      const status = (id: string): GatewayStatus => must(controller.gateways().find((one) => one.id === id));
      const edge = { controller, reports, notifications, sent, status };
      edgeNames.set(edge, name);
      return edge;
    },

    gateway: async (name, to, more = {}) => {
      const { openDatagram, handler: given, others = [], ...config } = more;
      const handler = recordingHandler();
      const { log, records } = memoryLog();
      const cable = await layCable(must(to.controller.listening[0]).port);
      if (wire === "tls") open.push(cable);
      else await cable.close();
      const iq = await createIqGateway({
        config: {
          mid: `<${name}.example>`,
          firstRetryMs: 20,
          longestRetryMs: 50,
          controllers: [to, ...others].map((edge) => {
            const port = wire === "tls" && edge === to ? cable.port : must(edge.controller.listening[0]).port;
            const address = "127.0.0.1";
            const certificateName = `${must(edgeNames.get(edge))}.example`;
            return wire === "tls"
              ? { protocol: wire, address, port, tls: must(certificates.get(name)), certificateName }
              : { protocol: wire, address, port };
          }),
          ...lab,
          ...config,
        },
        clock: systemClock,
        log,
        random: seededRandom(`gateway ${open.length}`),
        handler: given ?? handler,
        ...(openDatagram === undefined ? {} : { openDatagram }),
      });
      open.push(iq);
      await until(`${name} up`, () => to.status(name).state === "up" && iq.state().registered);
      return { iq, handler, records, cable };
    },

    close: async () => {
      for (const one of open.splice(0).toReversed()) await one.close();
    },
  };
};
