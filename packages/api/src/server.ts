// A running management interface: one HTTP listener with narrow limits, closed with everything that hangs on it.
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { faultOf, isLoopback, type Clock, type Log } from "@sallyport/kit";
import type { Hono } from "hono";
import { createApp, type AskedEdge } from "./app.ts";
import type { CertificateFacts } from "./certificates.ts";
import type { ApiConfig } from "./config.ts";
import { apiErrors } from "./errors.ts";
import { createGatewayApp, type AskedGateway } from "./gateway-app.ts";
import { tokenCheck } from "./guard.ts";
import type { Asked } from "./http.ts";
import { readToken } from "./token.ts";

export interface Api {
  readonly address: string;
  /** The bound port. */
  readonly port: number;
  /** `http://127.0.0.1:15080` */
  readonly url: string;
  /** Closes the listener and every connection. */
  close(): Promise<void>;
}

export interface ApiDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Version of the program, for `status`. */
  readonly version: string;
  /** Those in use now, for warnings and their metric. */
  readonly certificates?: () => readonly CertificateFacts[];
}

const limits = {
  connections: 64,
  headerOctets: 8192,
  headersMs: 5000,
  requestMs: 10_000,
  keepAliveMs: 5000,
  /** On one connection: who sends them without waiting for answers must not hold up SIP. */
  requests: 100,
} as const;

const listen = (server: Server, { address, port }: ApiConfig["listen"]): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", (cause: Error) =>
      reject(apiErrors("SALLY_API_LISTEN", `${faultOf(cause)}.`, { where: `${address}:${port}`, cause })),
    );
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });

const serve = async (config: ApiConfig, deps: ApiDeps, appOf: (asked: Asked) => Hono): Promise<Api> => {
  const { address } = config.listen;
  const log = deps.log.child({ room: "api" });
  if (config.token === undefined && !isLoopback(address))
    throw apiErrors("SALLY_API_TOKEN", "It is needed off loopback, and none is named.", { where: "api.token" });
  const token = config.token === undefined ? undefined : await readToken(config.token);
  const startedAt = deps.clock.now();
  const app = appOf({
    log,
    hosts: config.hosts,
    mayAsk: token === undefined ? undefined : tokenCheck(token),
    facts: () => {
      const { user, system } = process.cpuUsage();
      return {
        now: deps.clock.now(),
        startedAt,
        version: deps.version,
        certificates: deps.certificates?.() ?? [],
        node: process.versions.node,
        pid: process.pid,
        memory: process.memoryUsage.rss(),
        cpuSeconds: (user + system) / 1_000_000,
      };
    },
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    serverOptions: {
      maxHeaderSize: limits.headerOctets,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: 1000,
    },
  }) as Server;
  server.maxConnections = limits.connections;
  server.maxRequestsPerSocket = limits.requests;
  server.on("dropRequest", (_request, socket) => socket.destroy());
  const port = await listen(server, config.listen);
  server.on("error", (error) => log.error("listener failed", { error: error.message }));
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${port}`;
  log.info("answering questions", { url, token: token !== undefined });
  return {
    address,
    port,
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

/**
 * Starts to answer questions about an edge. It reads views only, and never a key.
 * @throws SALLY_API_TOKEN, SALLY_API_LISTEN
 */
export const createApi = (config: ApiConfig, edge: AskedEdge, deps: ApiDeps): Promise<Api> =>
  serve(config, deps, (asked) => createApp(edge, asked));

/** The same of a gateway: what it holds, and how its media engine bears it. @throws SALLY_API_TOKEN, SALLY_API_LISTEN */
export const createGatewayApi = (config: ApiConfig, gateway: AskedGateway, deps: ApiDeps): Promise<Api> =>
  serve(config, deps, (asked) => createGatewayApp(gateway, asked));
