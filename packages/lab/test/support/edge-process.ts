// An edge in a process of its own, between a core, a gateway and UEs in this one: an edge that can be killed.
// Owns its configuration file, its state and its ports; they are the same for every start.
import { createGateway, gatewayConfigSchema, type Gateway } from "@sallyport/access-gateway";
import { coreConfigSchema, createCore, type Core } from "@sallyport/ims-core";
import { memoryLog, systemClock, systemDatagrams, systemRandom, type LogRecord } from "@sallyport/kit";
import { createUe, ueConfigSchema, type Ue } from "@sallyport/ue";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificate, labCertificates } from "../../src/topology/certificates.ts";
import { tapDatagrams, type Tap } from "../../src/watch/taps.ts";
import { until } from "../../src/demo/await.ts";
import { mediaPorts } from "./lab.ts";
import { sallyport, type Run } from "./processes.ts";

const domain = "lab.example";
const loopback = "127.0.0.1";
const names = ["alice", "bob"] as const;

export interface KillableLab {
  readonly core: Core;
  readonly gateway: Gateway;
  readonly records: readonly LogRecord[];
  readonly edge: Run;
  addUe(name: (typeof names)[number]): Promise<{ readonly ue: Ue; readonly tap: Tap }>;
  /** The edge's directory: its configuration `edge.yaml`, its `sealing.key`, its store `state`. */
  readonly folder: string;
  /** Starts the edge (again), after `shell`; settles when it listens and its gateway has registered. */
  start(shell?: string): Promise<void>;
  /** Ends the edge's process at once; nobody is told. */
  kill(signal?: "SIGKILL" | "SIGTERM"): Promise<number | string | null>;
  close(): Promise<void>;
}

/** `sip`: the transport on both sides of the edge; Iq is TLS in any case. */
export const openKillableLab = async (sip: "udp" | "tls"): Promise<KillableLab> => {
  const certificates = labCertificates();
  const folder = mkdtempSync(join(tmpdir(), "sallyport-restart-"));
  const { log, records } = memoryLog();
  const depsOf = (element: string) => ({ clock: systemClock, random: systemRandom, log: log.child({ element }) });
  const tls = (element: string) => ({ ...certificate(certificates, element), ca: certificates.ca });
  const closing: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
  // Outside the system's ephemeral range: nobody may take them while the edge is down.
  const { a: forMedia, b: forSignalling } = mediaPorts();
  const [access, mw, iq] = [forSignalling.last - 2, forSignalling.last - 1, forSignalling.last];
  const protectedSip = sip === "tls";

  const core = await createCore(
    coreConfigSchema.parse({
      domain,
      listen: [
        {
          name: "mw",
          protocol: sip,
          address: loopback,
          port: 0,
          ...(protectedSip ? { tls: { ...tls("core"), requireClientCertificate: true } } : {}),
        },
      ],
      users: names.map((name) => ({
        impu: `sip:${name}@${domain}`,
        impi: `${name}@${domain}`,
        password: `${name}-key`,
      })),
    }),
    depsOf("core"),
  );
  closing.push(() => core.close());
  const file = join(folder, "edge.yaml");
  const key = join(folder, "sealing.key");
  writeFileSync(key, randomBytes(32), { mode: 0o600 });
  // JSON is YAML.
  writeFileSync(
    file,
    JSON.stringify({
      name: "edge-a",
      homeNetwork: domain,
      access: [
        {
          name: "gm",
          protocol: sip,
          address: loopback,
          port: access,
          trusted: !protectedSip,
          ...(protectedSip ? { tls: certificate(certificates, "edge-a") } : {}),
        },
      ],
      core: {
        listen: [
          { name: "mw", protocol: sip, address: loopback, port: mw, ...(protectedSip ? { tls: tls("edge-a") } : {}) },
        ],
        nextHop: `sip:${loopback}:${core.listening[0]?.port ?? 0};transport=${sip}`,
        ...(protectedSip ? { nextHopName: `core.${domain}` } : {}),
      },
      iq: {
        mid: `<edge-a.${domain}>`,
        listen: {
          protocol: "tls",
          address: loopback,
          port: iq,
          tls: { ...tls("edge-a"), requireClientCertificate: true },
        },
        gateways: [{ id: "gw-a", mid: `<gw-a.${domain}>`, certificateName: `gw-a.${domain}` }],
      },
      policy: { rules: [{ e2ae: "offered" }] },
      store: { path: "state", sealing: { file: "sealing.key" } },
    }),
  );

  let edge: Run | undefined;
  const running = (): Run => {
    if (edge === undefined) throw new TypeError("the edge was not started");
    return edge;
  };
  const kill: KillableLab["kill"] = async (signal = "SIGKILL") => {
    running().kill(signal);
    return running().ended;
  };
  const start: KillableLab["start"] = async (shell) => {
    edge = sallyport(["edge", "--config", file], folder, shell);
    await edge.says(/^edge edge-a: access/m);
    await edge.says(/"event":"gateway".*"state":"up"/);
  };

  const gateway = await createGateway(
    gatewayConfigSchema.parse({
      id: `gw-a.${domain}`,
      controllers: [
        { address: loopback, port: iq, protocol: "tls", tls: tls("gw-a"), certificateName: `edge-a.${domain}` },
      ],
      interfaces: { access: { address: loopback }, core: { address: loopback } },
      ports: forMedia,
      retry: { firstMs: 50, longestMs: 200 },
    }),
    { ...depsOf("gw-a"), openDatagram: systemDatagrams },
  );
  closing.push(() => gateway.close());
  closing.push(async () => void (edge === undefined ? undefined : await kill()));
  await start();

  return {
    core,
    gateway,
    records,
    folder,
    get edge() {
      return running();
    },
    start,
    kill,
    addUe: async (name) => {
      const tap = tapDatagrams(systemDatagrams, () => systemClock.now());
      const ue = await createUe(
        ueConfigSchema.parse({
          impu: `sip:${name}@${domain}`,
          impi: `${name}@${domain}`,
          password: `${name}-key`,
          domain,
          edge: {
            address: loopback,
            port: access,
            protocol: sip,
            ...(protectedSip ? { serverName: `edge-a.${domain}`, tls: { ca: certificates.ca } } : {}),
          },
          local: { address: loopback },
          security: { trustedAccess: !protectedSip },
        }),
        { ...depsOf(name), openDatagram: tap.open },
      );
      closing.push(() => ue.close());
      return { ue, tap };
    },
    close: async () => {
      for (const end of closing.splice(0).toReversed()) await end();
    },
  };
};

/** Settles when the gateway holds that many contexts. */
export const contexts = (lab: KillableLab, count: number): Promise<void> =>
  until(`${count} contexts at the gateway`, () => lab.gateway.contexts() === count);
