// Asks a management interface over real HTTP, header by header: node:http, because fetch does not let a test write Host.
import { request, type IncomingHttpHeaders } from "node:http";
import { silentLog, VirtualClock } from "@sallyport/kit";
import { apiConfigSchema, createApi, type Api, type AskedEdge } from "../../src/index.ts";
import type { ApiConfigInput } from "../../src/index.ts";
import { start } from "./edge.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: () => unknown;
}

export const ask = (
  api: Api,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: api.address,
        port: api.port,
        path,
        method: options.method ?? "GET",
        headers: { ...options.headers },
        agent: false,
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => void parts.push(part));
        response.on("end", () => {
          const text = Buffer.concat(parts).toString("utf8");
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => JSON.parse(text) as unknown,
          });
        });
      },
    );
    sent.on("error", reject);
    sent.end(options.body);
  });

export const openApi = (edge: AskedEdge, config: Partial<ApiConfigInput> = {}): Promise<Api> =>
  createApi(apiConfigSchema.parse({ listen: { port: 0 }, ...config }), edge, {
    clock: new VirtualClock(start + 60_000),
    log: silentLog,
    version: "0.1.0",
  });
