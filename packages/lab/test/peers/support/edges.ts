// Edges, gateways and UEs of ours around a core that is not: the lab's topology without its core.
// Keeps every octet that crossed the core side of an edge.
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { memoryLog, systemClock, systemDatagrams, systemRandom, type LogRecord } from "@sallyport/kit";
import { createEdge, edgeConfigSchema, type EdgeConfigInput } from "@sallyport/pcscf";
import { parseMessage, type SipMessage } from "@sallyport/sip";
import { createUe, ueConfigSchema, type UeConfigInput } from "@sallyport/ue";
import { until } from "../../../src/demo/await.ts";
import { certificate, labCertificates } from "../../../src/topology/certificates.ts";
import type { LabSide, LabUe, Side } from "../../../src/topology/lab.ts";
import { tapDatagrams } from "../../../src/watch/taps.ts";
import { mediaPorts } from "./program.ts";

export const domain = "lab.example";
const loopback = "127.0.0.1";
type SipProtocol = "udp" | "tcp" | "tls";

/** A message on the wire of an edge. */
export interface Crossing {
  readonly edge: string;
  readonly side: "access" | "core";
  readonly direction: "in" | "out";
  readonly octets: Buffer;
  readonly message: SipMessage;
}

export interface EdgesOptions {
  /** SIP port of the core that is not ours. */
  readonly corePort: number;
  readonly coreProtocol?: "udp" | "tcp";
  /** What UEs use; udp and tcp are declared trusted. */
  readonly access?: SipProtocol;
  readonly sides?: readonly Side[];
  readonly edge?: Partial<EdgeConfigInput>;
  /** Keys of one side's edge, before `edge`. */
  readonly edgeOf?: (side: Side) => Partial<EdgeConfigInput>;
}

export interface Edges {
  readonly a: LabSide;
  /** The second side; the first again where there is only one. */
  readonly b: LabSide;
  readonly crossings: readonly Crossing[];
  readonly records: readonly LogRecord[];
  /** `deps`: what the UE is made with besides the usual. */
  addUe(
    name: string,
    side: Side,
    change?: Partial<UeConfigInput>,
    deps?: Partial<Parameters<typeof createUe>[1]>,
  ): Promise<LabUe>;
  close(): Promise<void>;
}

/** A machine that runs many tests at once is slow, and no test here is about overload. */
export const patient: NonNullable<EdgeConfigInput["limits"]> = { overload: { eventLoopMs: 0 } };

export const passwordOf = (name: string): string => `${name}-of-the-lab`;

/** What must never cross into a core: TS 33.328 7.1, 7.2.1 and 7.3.1. */
const mediaSecurityWords = /a=crypto|inline:|3ge2ae|mediasec|sdes-srtp|security-(client|server|verify)|RTP\/SAVP/i;

/** The messages on the core side in which such a word stands. */
export const leaks = (crossings: readonly Crossing[]): readonly string[] =>
  crossings
    .filter(({ side, octets }) => side === "core" && mediaSecurityWords.test(octets.toString("latin1")))
    .map(({ octets }) => octets.toString("latin1"));

/** What one side holds for calls. Transactions are left out: RFC 3261 and RFC 6026 keep some of them for 32 s after their end. */
const heldBy = ({ edge, gateway, tap }: LabSide): number =>
  edge.counts().calls + edge.counts().contexts + gateway.contexts() + gateway.terminations() + tap.ports.length;

/** Settles when no call, context, termination or media port is left (invariant 10). */
export const nothingLeft = ({ a, b }: Pick<Edges, "a" | "b">): Promise<void> =>
  until("calls, contexts and media ports to be given back", () => heldBy(a) + heldBy(b) === 0);

export const startEdges = async (options: EdgesOptions): Promise<Edges> => {
  const { corePort, coreProtocol = "udp", access = "tls" } = options;
  const certificates = labCertificates();
  const { log, records } = memoryLog();
  const crossings: Crossing[] = [];
  const closing: (() => Promise<void>)[] = [];
  const depsOf = (element: string) => ({ clock: systemClock, random: systemRandom, log: log.child({ element }) });
  const tls = (element: string) => ({ ...certificate(certificates, element), ca: certificates.ca });

  const startSide = async (side: Side): Promise<LabSide> => {
    const edgeName = `edge-${side}`;
    const gatewayName = `gw-${side}`;
    const edge = await createEdge(
      edgeConfigSchema.parse({
        name: edgeName,
        homeNetwork: domain,
        access: [
          {
            name: "gm",
            protocol: access,
            address: loopback,
            port: 0,
            trusted: access !== "tls",
            ...(access === "tls" ? { tls: certificate(certificates, edgeName) } : {}),
          },
        ],
        core: {
          listen: [{ name: "mw", protocol: coreProtocol, address: loopback, port: 0 }],
          nextHop: `sip:${loopback}:${corePort};transport=${coreProtocol}`,
        },
        policy: { rules: [{ e2ae: "offered" }] },
        limits: patient,
        iq: {
          mid: `<${edgeName}.${domain}>`,
          listen: {
            protocol: "tls",
            address: loopback,
            port: 0,
            tls: { ...tls(edgeName), requireClientCertificate: true },
          },
          gateways: [
            { id: gatewayName, mid: `<${gatewayName}.${domain}>`, certificateName: `${gatewayName}.${domain}` },
          ],
        },
        ...options.edgeOf?.(side),
        ...options.edge,
      }),
      {
        ...depsOf(edgeName),
        observe: ({ direction, octets, flow }) => {
          const parsed = parseMessage(octets);
          if (!parsed.ok) return;
          const at = flow.listener?.startsWith("core") === true ? "core" : "access";
          crossings.push({
            edge: edgeName,
            side: at,
            direction,
            octets: Buffer.from(octets),
            message: parsed.message,
          });
        },
      },
    );
    closing.push(() => edge.close());
    const tap = tapDatagrams(systemDatagrams, () => systemClock.now());
    const gateway = await createGateway(
      gatewayConfigSchema.parse({
        id: `${gatewayName}.${domain}`,
        controllers: [
          {
            address: loopback,
            port: edge.iq?.port ?? 0,
            protocol: "tls",
            tls: tls(gatewayName),
            certificateName: `${edgeName}.${domain}`,
          },
        ],
        interfaces: { access: { address: loopback }, core: { address: loopback } },
        ports: mediaPorts[side],
        retry: { firstMs: 50, longestMs: 1000 },
      }),
      { ...depsOf(gatewayName), openDatagram: tap.open },
    );
    closing.push(() => gateway.close());
    return { edge, gateway, tap };
  };

  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).reverse()) await end();
  };

  try {
    const sides: Partial<Record<Side, LabSide>> = {};
    for (const side of options.sides ?? (["a", "b"] as const)) sides[side] = await startSide(side);
    const { a } = sides;
    if (a === undefined) throw new TypeError("edges begin with side a");
    const { b = a } = sides;
    await until("the registration of the gateways", () =>
      [a, b].every(({ edge }) => edge.gateways().every(({ state }) => state === "up")),
    );
    return {
      a,
      b,
      crossings,
      records,
      close,
      addUe: async (name, side, change = {}, deps = {}) => {
        const { edge } = side === "a" ? a : b;
        const tap = tapDatagrams(systemDatagrams, () => systemClock.now());
        const ue = await createUe(
          ueConfigSchema.parse({
            impu: `sip:${name}@${domain}`,
            impi: `${name}@${domain}`,
            password: passwordOf(name),
            domain,
            edge: {
              address: loopback,
              port: edge.access[0]?.port ?? 0,
              protocol: access,
              ...(access === "tls" ? { serverName: `edge-${side}.${domain}`, tls: { ca: certificates.ca } } : {}),
            },
            local: { address: loopback },
            ...change,
            security: { trustedAccess: access !== "tls", ...change.security },
          }),
          { ...depsOf(name), openDatagram: tap.open, ...deps },
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
