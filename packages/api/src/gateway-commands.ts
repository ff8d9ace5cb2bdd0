// The commands about gateways: drain, resume, hand off. Owns what a command must look like; decides nothing about gateways.
// RFC 9110 9.3.3 (POST), 15.5.16 (415). A page of another site can not send JSON without being asked first, which it is not.
import { SallyportError } from "@sallyport/kit";
import type { Edge } from "@sallyport/pcscf";
import type { Context, Hono } from "hono";
import * as z from "zod";
import { apiVersion, type OneGateway } from "./schema.ts";
import { gatewayAnswer } from "./views.ts";

export type CommandedEdge = Pick<Edge, "gateways" | "drainGateway" | "handOffGateway">;

const paths = /^\/v1\/gateways\/[^/]{1,192}\/(?:drain|resume|handoff)$/;

/** Whether a path is one of a command: POST, and nothing else. */
export const isCommand = (path: string): boolean => paths.test(path);

type Refuse = (c: Context, why: "BODY" | "NOT_FOUND" | "GATEWAY" | "QUERY", detail?: string) => Response;

const nothing = z.object({});
const handoff = z.object({ controller: z.string().min(1).max(128) });

const longestBody = 4096;

/** The text of a body of at most `longestBody` octets, however it is framed (RFC 9112 6.3); undefined for a longer one. */
const textOf = async (c: Context): Promise<string | undefined> => {
  const parts: Uint8Array[] = [];
  let octets = 0;
  for await (const part of c.req.raw.body ?? []) {
    octets += part.length;
    if (octets > longestBody) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const jsonOf = async <S extends z.ZodType>(c: Context, schema: S): Promise<z.output<S> | undefined> => {
  if (!/^application\/json\b/i.test(c.req.header("content-type") ?? "")) return undefined;
  const text = await textOf(c);
  const read = schema.safeParse(text === undefined ? undefined : parsed(text));
  return read.success ? read.data : undefined;
};

export const addGatewayCommands = (
  app: Hono,
  { edge, now, refuse }: { readonly edge: CommandedEdge; readonly now: () => number; readonly refuse: Refuse },
): void => {
  const known = (id: string): boolean => edge.gateways().some((gateway) => gateway.id === id);
  const answer = (c: Context, id: string): Response => {
    const gateway = edge.gateways().find((each) => each.id === id);
    if (gateway === undefined) return refuse(c, "NOT_FOUND", `no gateway "${id}".`);
    return c.json({ apiVersion, now: now(), gateway: gatewayAnswer(gateway) } satisfies OneGateway);
  };
  for (const [verb, on] of [
    ["drain", true],
    ["resume", false],
  ] as const) {
    app.post(`/v1/gateways/:id/${verb}`, async (c) => {
      const id = c.req.param("id");
      if ((await jsonOf(c, nothing)) === undefined) return refuse(c, "BODY");
      if (!known(id)) return refuse(c, "NOT_FOUND", `no gateway "${id.replaceAll(/[^\x20-\x7e]/g, "?")}".`);
      edge.drainGateway(id, on);
      return answer(c, id);
    });
  }
  app.post("/v1/gateways/:id/handoff", async (c) => {
    const id = c.req.param("id");
    const body = await jsonOf(c, handoff);
    if (body === undefined) return refuse(c, "BODY", 'It names the other edge: {"controller": "<edge-b.example>"}.');
    if (!known(id)) return refuse(c, "NOT_FOUND", `no gateway "${id.replaceAll(/[^\x20-\x7e]/g, "?")}".`);
    try {
      await edge.handOffGateway(id, body.controller);
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error;
      return refuse(c, "GATEWAY", error.message);
    }
    return answer(c, id);
  });
};
