// A controller and a gateway over real TLS on loopback, with media sockets of a UE and of the core around them.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  CallEndPlan,
  GatewayStatus,
  IqController,
  IqControllerConfig,
  IqNotification,
  IqTlsMaterial,
} from "@sallyport/iq";
import { createIqController } from "@sallyport/iq";
import type { LogRecord } from "@sallyport/kit";
import { Secret, memoryLog, systemClock, systemRandom } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import { suites } from "@sallyport/srtp";
import type { Gateway, GatewayConfig, GatewayDeps } from "../src/index.ts";
import { createGateway, gatewayConfigSchema } from "../src/index.ts";
import { createAuthority } from "@sallyport/test-authority";

/** What a test counts on being there. */
export const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("missing");
  return value;
};

/** Waits, looking every few milliseconds; at most three seconds unless told. */
export const until = async (what: string, holds: () => boolean, atMostMs = 3000): Promise<void> => {
  const end = Date.now() + atMostMs;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

export const cryptoOf = (fill: number, suite: SuiteName = "AES_CM_128_HMAC_SHA1_80", tag = 1): CryptoAttribute => ({
  tag,
  suite,
  keys: [{ master: Secret.copyOf(Buffer.alloc(suites[suite].masterLength, fill)) }],
  sessionParams: [],
});

export const accessEnd = (more: Partial<CallEndPlan> = {}): CallEndPlan => ({
  protocol: "RTP/SAVP",
  media: "audio",
  formats: ["0"],
  mode: "send-receive",
  ...more,
});

export const coreEnd = (more: Partial<CallEndPlan> = {}): CallEndPlan => ({
  protocol: "RTP/AVP",
  media: "audio",
  formats: ["0"],
  mode: "send-receive",
  ...more,
});

/** An RTP packet of version 2 without extensions. */
export const rtp = (sequence: number, ssrc = 0x1234_5678, payload = `payload ${sequence}`): Buffer => {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header.writeUInt16BE(sequence, 2);
  header.writeUInt32BE(sequence * 160, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, Buffer.from(payload)]);
};

/** An RTCP receiver report without blocks. */
export const rtcp = (ssrc = 0x1234_5678): Buffer => {
  const packet = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 0]);
  packet.writeUInt32BE(ssrc, 4);
  return packet;
};

export interface MediaSocket {
  readonly port: number;
  readonly received: readonly Buffer[];
  send(octets: Buffer, port: number): void;
  close(): void;
}

export const mediaSocket = (): Promise<MediaSocket> =>
  new Promise((resolve, reject) => {
    const socket: Socket = createSocket("udp4");
    const received: Buffer[] = [];
    socket.on("message", (octets) => received.push(octets));
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", () =>
      resolve({
        port: socket.address().port,
        received,
        send: (octets, port) => socket.send(octets, port, "127.0.0.1"),
        close: () => socket.close(),
      }),
    );
  });

export interface Rig {
  readonly controller: IqController;
  readonly gateway: Gateway;
  readonly notifications: readonly IqNotification[];
  readonly reports: readonly GatewayStatus[];
  /** Logs of both. */
  readonly records: readonly LogRecord[];
  status(): GatewayStatus;
  close(): Promise<void>;
}

export interface RigOptions {
  readonly gateway?: Partial<GatewayConfig>;
  readonly controller?: Partial<IqControllerConfig>;
  readonly deps?: Partial<GatewayDeps>;
}

let materials: Promise<{ readonly edge: IqTlsMaterial; readonly gateway: IqTlsMaterial }> | undefined;

const certificates = () => {
  materials ??= (async () => {
    const authority = await createAuthority();
    const issue = (name: string) => authority.issue([{ type: "dns", value: name }]);
    return { edge: await issue("edge-a.example"), gateway: await issue("gw-a.example") };
  })();
  return materials;
};

const portsOfThisProcess = (): { readonly first: number; readonly last: number } => {
  const first = 20_000 + (process.pid % 20) * 1000;
  return { first, last: first + 999 };
};

export const startRig = async (options: RigOptions = {}): Promise<Rig> => {
  const { edge, gateway: own } = await certificates();
  const { log, records } = memoryLog();
  const notifications: IqNotification[] = [];
  const reports: GatewayStatus[] = [];
  const controller = await createIqController({
    config: {
      mid: "<edge-a.example>",
      listen: [{ protocol: "tls", address: "127.0.0.1", port: 0, tls: edge }],
      gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
      ...options.controller,
    },
    clock: systemClock,
    random: systemRandom,
    log,
    onNotify: (notification) => notifications.push(notification),
    onGateway: (status) => reports.push(status),
  });
  const folder = await mkdtemp(join(tmpdir(), "gateway-"));
  const paths = { certificate: join(folder, "cert"), key: join(folder, "key"), ca: join(folder, "ca") };
  await Promise.all([
    writeFile(paths.certificate, own.cert),
    writeFile(paths.key, own.key),
    writeFile(paths.ca, own.ca),
  ]);
  const config = gatewayConfigSchema.parse({
    id: "gw-a.example",
    controllers: [
      {
        address: "127.0.0.1",
        port: must(controller.listening[0]).port,
        tls: paths,
        certificateName: "edge-a.example",
      },
    ],
    interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
    ports: portsOfThisProcess(),
    retry: { firstMs: 20, longestMs: 50 },
    pollMs: 20,
    ...options.gateway,
  });
  const gateway = await createGateway(config, {
    clock: systemClock,
    random: systemRandom,
    log,
    ...options.deps,
  });
  const status = (): GatewayStatus => must(controller.gateways()[0]);
  await until("gateway up", () => status().state === "up" && gateway.registration().registered);
  return {
    controller,
    gateway,
    notifications,
    reports,
    records,
    status,
    close: async () => {
      await gateway.close();
      await controller.close();
      await rm(folder, { recursive: true });
    },
  };
};
