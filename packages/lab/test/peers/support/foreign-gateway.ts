// The stage for a gateway that is not ours: a core and one edge of ours, UEs behind it, and Iq open for somebody to register.
// Both parties of a call are behind the one edge: it crosses twice, on two contexts (invariant 8).
import { coreConfigSchema, createCore } from "@sallyport/ims-core";
import { memoryLog, systemClock, systemRandom, type LogRecord } from "@sallyport/kit";
import { createEdge, edgeConfigSchema, type Edge } from "@sallyport/pcscf";
import type { IqWireEvent } from "@sallyport/iq";
import { createUe, ueConfigSchema, type Ue, type UeConfigInput } from "@sallyport/ue";
import { certificate, labCertificates } from "../../../src/topology/certificates.ts";
import { domain, passwordOf, patient } from "./edges.ts";

const loopback = "127.0.0.1";

export interface ForeignGatewayStage {
  readonly edge: Edge;
  /** Port of the edge's Iq. */
  readonly iqPort: number;
  /** Everything on Iq, in order. */
  readonly wire: readonly IqWireEvent[];
  readonly records: readonly LogRecord[];
  addUe(name: string, change?: Partial<UeConfigInput>): Promise<Ue>;
  close(): Promise<void>;
}

/** `gateway` is the name the gateway will have; over UDP its path is declared protected. */
export const startForeignGatewayStage = async (options: {
  readonly gateway: string;
  readonly transport: "udp" | "tls";
  readonly users: readonly string[];
}): Promise<ForeignGatewayStage> => {
  const { gateway, transport, users } = options;
  const certificates = labCertificates();
  const { log, records } = memoryLog();
  const wire: IqWireEvent[] = [];
  const closing: (() => Promise<void>)[] = [];
  const depsOf = (element: string) => ({ clock: systemClock, random: systemRandom, log: log.child({ element }) });
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0).toReversed()) await end();
  };
  try {
    const core = await createCore(
      coreConfigSchema.parse({
        domain,
        listen: [{ name: "mw", protocol: "udp", address: loopback, port: 0 }],
        users: users.map((name) => ({
          impu: `sip:${name}@${domain}`,
          impi: `${name}@${domain}`,
          password: passwordOf(name),
        })),
      }),
      depsOf("core"),
    );
    closing.push(() => core.close());
    const tls = { ...certificate(certificates, "edge-a"), ca: certificates.ca, requireClientCertificate: true };
    const edge = await createEdge(
      edgeConfigSchema.parse({
        name: "edge-a",
        homeNetwork: domain,
        access: [{ name: "gm", protocol: "tls", address: loopback, port: 0, tls: certificate(certificates, "edge-a") }],
        core: {
          listen: [{ name: "mw", protocol: "udp", address: loopback, port: 0 }],
          nextHop: `sip:${loopback}:${core.listening[0]?.port ?? 0};transport=udp`,
        },
        policy: { rules: [{ e2ae: "offered" }] },
        limits: patient,
        iq: {
          mid: `<edge-a.${domain}>`,
          listen: { protocol: transport, address: loopback, port: 0, ...(transport === "tls" ? { tls } : {}) },
          gateways: [
            {
              id: "foreign",
              mid: `<${gateway}>`,
              ...(transport === "tls" ? { certificateName: gateway } : { protectedBelow: true }),
            },
          ],
        },
      }),
      { ...depsOf("edge-a"), observeIq: (event) => void wire.push({ ...event, octets: Buffer.from(event.octets) }) },
    );
    closing.push(() => edge.close());
    return {
      edge,
      iqPort: edge.iq?.port ?? 0,
      wire,
      records,
      close,
      addUe: async (name, change = {}) => {
        const ue = await createUe(
          ueConfigSchema.parse({
            impu: `sip:${name}@${domain}`,
            impi: `${name}@${domain}`,
            password: passwordOf(name),
            domain,
            edge: {
              address: loopback,
              port: edge.access[0]?.port ?? 0,
              protocol: "tls",
              serverName: `edge-a.${domain}`,
              tls: { ca: certificates.ca },
            },
            local: { address: loopback },
            ...change,
          }),
          depsOf(name),
        );
        closing.push(() => ue.close());
        return ue;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
};
