// What the command line knows of each element: its schema, how it starts, what it says when it is up.
import { dirname, resolve } from "node:path";
import {
  apiConfigSchema,
  certificateWarnings,
  createApi,
  createGatewayApi,
  type CertificateFacts,
} from "@sallyport/api";
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { coreConfigSchema, createCore } from "@sallyport/ims-core";
import { systemClock, systemDatagrams, systemRandom, type Log } from "@sallyport/kit";
import { createEdge, defaultStore, edgeConfigSchema } from "@sallyport/pcscf";
import { createUe, runScript, ueConfigSchema } from "@sallyport/ue";
import type * as z from "zod";
import { certificatesOf } from "./config/certificates.ts";
import { loadConfiguration } from "./config/load.ts";
import { version } from "./version.ts";

/** A started element. */
export interface Running {
  /** One line for the person who started it: where it listens. */
  readonly ready: string;
  /** Settles when the element ends by itself (a script ran to its end), with the process exit code. */
  readonly ended: Promise<number>;
  close(): Promise<void>;
}

export interface ElementKind {
  readonly summary: string;
  readonly schema: z.ZodType;
  /** Loads the file and starts the element. @throws SallyportError */
  start(file: string, log: Log): Promise<Running>;
}

const never = new Promise<number>(() => undefined);

const depsOf = (log: Log) => ({ clock: systemClock, random: systemRandom, openDatagram: systemDatagrams, log });

const listening = (
  points: readonly { readonly protocol: string; readonly address: string; readonly port: number }[],
): string =>
  points
    .map(({ protocol, address, port }) => `${protocol} ${address.includes(":") ? `[${address}]` : address}:${port}`)
    .join(", ");

/** The file of an edge: the P-CSCF's keys, and beside them the interface that answers questions about it. */
export const edgeFileSchema = edgeConfigSchema.safeExtend({ api: apiConfigSchema.optional() });

/** Says at the start which certificates peers refuse, or soon will. They may be renewed meanwhile: asked later, it looks again. */
const certificatesTold = (config: unknown, log: Log): (() => readonly CertificateFacts[]) => {
  const certificates = () => certificatesOf(config);
  for (const warning of certificateWarnings(certificates(), systemClock.now())) log.warn("certificate", { warning });
  return certificates;
};

const startEdge = async (file: string, log: Log): Promise<Running> => {
  const { api: apiConfig, ...config } = loadConfiguration(file, edgeFileSchema);
  const certificates = certificatesTold(config, log);
  const beside = resolve(dirname(file), ".sallyport", "state", encodeURIComponent(config.name));
  const edge = await createEdge({ ...config, store: config.store ?? defaultStore(beside) }, depsOf(log));
  try {
    const api = apiConfig && (await createApi(apiConfig, edge, { clock: systemClock, log, version, certificates }));
    const iq = edge.iq === undefined ? "" : `; iq ${listening([edge.iq])}`;
    return {
      ready: `edge ${config.name}: access ${listening(edge.access)}; core ${listening(edge.core)}${iq}${api === undefined ? "" : `; api ${api.url}`}`,
      ended: never,
      close: async () => {
        await api?.close();
        await edge.close();
      },
    };
  } catch (error) {
    await edge.close();
    throw error;
  }
};

/** The file of a gateway: its keys, and beside them the interface that answers questions about it. */
const gatewayFileSchema = gatewayConfigSchema.safeExtend({ api: apiConfigSchema.optional() });

const startGateway = async (file: string, log: Log): Promise<Running> => {
  const { api: apiConfig, ...config } = loadConfiguration(file, gatewayFileSchema);
  const certificates = certificatesTold(config, log);
  const gateway = await createGateway(config, depsOf(log));
  try {
    const api =
      apiConfig && (await createGatewayApi(apiConfig, gateway, { clock: systemClock, log, version, certificates }));
    return {
      ready: `gateway ${gateway.id}: started${api === undefined ? "" : `; api ${api.url}`}`,
      ended: never,
      close: async () => {
        await api?.close();
        await gateway.close();
      },
    };
  } catch (error) {
    await gateway.close();
    throw error;
  }
};

export const elementKinds = {
  edge: {
    summary: "the P-CSCF (IMS-ALG): SIP edge and controller of the access gateways",
    schema: edgeFileSchema,
    start: startEdge,
  },
  gateway: {
    summary: "the IMS Access Gateway: SRTP outside, RTP inside",
    schema: gatewayFileSchema,
    start: startGateway,
  },
  core: {
    summary: "a small registrar and S-CSCF for the lab",
    schema: coreConfigSchema,
    start: async (file, log) => {
      const config = loadConfiguration(file, coreConfigSchema);
      certificatesTold(config, log);
      const core = await createCore(config, depsOf(log));
      return { ready: `core: ${listening(core.listening)}`, ended: never, close: () => core.close() };
    },
  },
  ue: {
    summary: "a scriptable IMS UE",
    schema: ueConfigSchema,
    start: async (file, log) => {
      const config = loadConfiguration(file, ueConfigSchema);
      const ue = await createUe(config, depsOf(log));
      return {
        ready: `ue ${config.impu}: started`,
        ended: runScript(ue, config.script ?? []).then(() => {
          log.info("script done", { ue: config.impu, steps: config.script?.length ?? 0 });
          return 0;
        }),
        close: () => ue.close(),
      };
    },
  },
} as const satisfies Record<string, ElementKind>;

export type ElementName = keyof typeof elementKinds;
