// Builds the lab: one core, two edges with a gateway each, and UEs, all on loopback, joined only by their sockets.
// Owns names, ports and certificates of the lab, and the order in which elements start and stop.
import { createGateway, gatewayConfigSchema, type Gateway, type GatewayConfig } from "@sallyport/access-gateway";
import { coreConfigSchema, createCore, type Core, type CoreConfig } from "@sallyport/ims-core";
import { systemClock, systemDatagrams, systemRandom, type Clock, type Log, type Random } from "@sallyport/kit";
import { createEdge, edgeConfigSchema, type Edge, type EdgeConfigInput } from "@sallyport/pcscf";
import { createUe, ueConfigSchema, type Ue, type UeConfigInput } from "@sallyport/ue";
import { createRecorder, type Recorder } from "../watch/recorder.ts";
import { tapDatagrams, type Tap } from "../watch/taps.ts";
import { certificate, type LabCertificates } from "./certificates.ts";

export type Side = "a" | "b";
type Openness = "protected" | "open";

export interface LabOptions {
  readonly certificates: LabCertificates;
  readonly logOf: (element: string) => Log;
  /** `open`: SIP and Iq over UDP, so that a capture can be read; loopback only. */
  readonly transport?: Openness;
  /** Where the elements' keys come from; the system's generator when left out. */
  readonly randomOf?: (element: string) => Random;
  readonly sides?: readonly Side[];
  /** The elements' time; the machine's when left out. */
  readonly clock?: Clock;
  readonly mediaPorts?: Readonly<Record<Side, { readonly first: number; readonly last: number }>>;
  /** Keys to set besides the lab's own, for every element of a kind. */
  readonly change?: LabChange;
  /** Puts something into the way of the connections of `from` (a UE, a gateway): gives the port to connect to instead. */
  readonly via?: (from: string, port: number) => Promise<number>;
}

interface LabChange {
  readonly core?: Partial<CoreConfig>;
  readonly edge?: Partial<Omit<EdgeConfigInput, "iq">> & { readonly iq?: Partial<EdgeConfigInput["iq"]> };
  readonly gateway?: Partial<GatewayConfig>;
}

/** A UE of the lab and the tap on its UDP sockets. */
export interface LabUe {
  readonly ue: Ue;
  readonly tap: Tap;
}

export interface LabSide {
  readonly edge: Edge;
  readonly gateway: Gateway;
  /** The tap on every media socket of the gateway. */
  readonly tap: Tap;
}

export interface Lab {
  readonly core: Core;
  readonly sides: Readonly<Partial<Record<Side, LabSide>>>;
  readonly recorder: Recorder;
  readonly domain: string;
  /** Starts a UE behind an edge. `name` must be one of the core's users. */
  addUe(name: LabUser, side: Side, change?: Partial<UeConfigInput>): Promise<LabUe>;
  close(): Promise<void>;
}

const labUsers = ["alice", "bob", "carol", "dave"] as const;
export type LabUser = (typeof labUsers)[number];

const domain = "lab.example";
const loopback = "127.0.0.1";
/** Media port ranges, one for each gateway, below the system's own ephemeral range. */
const usualMediaPorts = { a: { first: 21_000, last: 21_999 }, b: { first: 22_000, last: 22_999 } } as const;

const passwordOf = (name: LabUser): string => `${name}-of-the-lab`;

const only = <T>(items: readonly T[], what: string): T => {
  const [first] = items;
  if (first === undefined) throw new TypeError(`the lab has no ${what}`);
  return first;
};

export const startLab = async (options: LabOptions): Promise<Lab> => {
  const { certificates, logOf, clock = systemClock, mediaPorts = usualMediaPorts, change: changed = {} } = options;
  const via = options.via ?? (async (_from: string, port: number) => port);
  const open = options.transport === "open";
  const randomOf = options.randomOf ?? (() => systemRandom);
  const recorder = createRecorder();
  const closing: (() => Promise<void>)[] = [];
  const depsOf = (element: string) => ({ clock, random: randomOf(element), log: logOf(element) });
  const tls = (element: string) => ({ ...certificate(certificates, element), ca: certificates.ca });
  const sipProtocol = open ? "udp" : "tls";

  const startCore = async (): Promise<Core> => {
    const core = await createCore(
      coreConfigSchema.parse({
        domain,
        listen: [
          {
            name: "mw",
            protocol: sipProtocol,
            address: loopback,
            port: 0,
            ...(open ? {} : { tls: { ...tls("core"), requireClientCertificate: true } }),
          },
        ],
        users: labUsers.map((name) => ({
          impu: `sip:${name}@${domain}`,
          impi: `${name}@${domain}`,
          password: passwordOf(name),
        })),
        ...changed.core,
      }),
      { ...depsOf("core"), observe: recorder.sip("core") },
    );
    closing.push(() => core.close());
    return core;
  };

  const startSide = async (core: Core, side: Side): Promise<LabSide> => {
    const edgeName = `edge-${side}`;
    const gatewayName = `gw-${side}`;
    const nextHop = only(core.listening, "core listener");
    const edge = await createEdge(
      edgeConfigSchema.parse({
        name: edgeName,
        homeNetwork: domain,
        access: [
          {
            name: "gm",
            protocol: sipProtocol,
            address: loopback,
            port: 0,
            trusted: open,
            ...(open ? {} : { tls: certificate(certificates, edgeName) }),
          },
        ],
        core: {
          listen: [
            { name: "mw", protocol: sipProtocol, address: loopback, port: 0, ...(open ? {} : { tls: tls(edgeName) }) },
          ],
          nextHop: `sip:${loopback}:${nextHop.port};transport=${sipProtocol}`,
          ...(open ? {} : { nextHopName: `core.${domain}` }),
        },
        policy: { rules: [{ e2ae: "offered" }] },
        ...changed.edge,
        // One process plays every element and the UEs: a late turn says nothing about the edge.
        limits: { overload: { eventLoopMs: 0 }, ...changed.edge?.limits },
        iq: {
          mid: `<${edgeName}.${domain}>`,
          listen: {
            protocol: open ? "udp" : "tls",
            address: loopback,
            port: 0,
            ...(open ? {} : { tls: { ...tls(edgeName), requireClientCertificate: true } }),
          },
          gateways: [
            { id: gatewayName, mid: `<${gatewayName}.${domain}>`, certificateName: `${gatewayName}.${domain}` },
          ],
          lab: open,
          ...changed.edge?.iq,
        },
      }),
      { ...depsOf(edgeName), observe: recorder.sip(edgeName), observeIq: recorder.iq(edgeName) },
    );
    closing.push(() => edge.close());
    const tap = tapDatagrams(systemDatagrams, () => clock.now());
    const gateway = await createGateway(
      gatewayConfigSchema.parse({
        id: `${gatewayName}.${domain}`,
        controllers: [
          {
            address: loopback,
            port: await via(gatewayName, only(edge.iq === undefined ? [] : [edge.iq], "Iq listener").port),
            protocol: open ? "udp" : "tls",
            ...(open ? {} : { tls: tls(gatewayName), certificateName: `${edgeName}.${domain}` }),
          },
        ],
        interfaces: { access: { address: loopback }, core: { address: loopback } },
        ports: mediaPorts[side],
        lab: open,
        retry: { firstMs: 50, longestMs: 1000 },
        ...changed.gateway,
      }),
      { ...depsOf(gatewayName), openDatagram: tap.open, observe: recorder.iq(gatewayName) },
    );
    closing.push(() => gateway.close());
    return { edge, gateway, tap };
  };

  const close = async (): Promise<void> => {
    // The last to come is the first to go: UEs, gateways, edges, core.
    for (const end of closing.splice(0).reverse()) await end();
  };

  try {
    const core = await startCore();
    const sides: Partial<Record<Side, LabSide>> = {};
    for (const side of options.sides ?? (["a", "b"] as const)) sides[side] = await startSide(core, side);
    return {
      core,
      sides,
      recorder,
      domain,
      close,
      addUe: async (name, side, change = {}) => {
        const edge = sides[side]?.edge;
        if (edge === undefined) throw new TypeError(`the lab has no edge ${side}`);
        const tap = tapDatagrams(systemDatagrams, () => clock.now());
        const ue = await createUe(
          ueConfigSchema.parse({
            impu: `sip:${name}@${domain}`,
            impi: `${name}@${domain}`,
            password: passwordOf(name),
            domain,
            edge: {
              address: loopback,
              port: await via(name, only(edge.access, "access listener").port),
              protocol: sipProtocol,
              ...(open ? {} : { serverName: `edge-${side}.${domain}`, tls: { ca: certificates.ca } }),
            },
            local: { address: loopback },
            ...change,
            security: { trustedAccess: open, ...change.security },
          }),
          { ...depsOf(name), openDatagram: tap.open, observe: recorder.sip(name) },
        );
        closing.push(() => ue.close());
        return { ue, tap };
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
};
