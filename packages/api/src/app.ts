// The questions and their answers as a hono application: paths, pages, errors as JSON. Opens no socket.
import type { Edge } from "@sallyport/pcscf";
import type { Context, Hono } from "hono";
import * as z from "zod";
import { certificateMetric } from "./certificates.ts";
import { explain } from "./explain.ts";
import { findCalls, findRegistrations, minPrefix, type Found } from "./find.ts";
import { addGatewayCommands, isCommand } from "./gateway-commands.ts";
import { answerTheRest, createGuarded, quoted, refuse, type Asked } from "./http.ts";
import { metricsOf, prometheusText } from "./metrics.ts";
import {
  apiSchemas,
  apiVersion,
  described,
  gatewaySchemas,
  type CallDetail,
  type Calls,
  type Counters,
  type Explanations,
  type Gateways,
  type Registrations,
  type Status,
} from "./schema.ts";
import { statusOf } from "./status.ts";
import { callAnswer, callRow, gatewayAnswer, registrationAnswer, type CallView } from "./views.ts";

/** What the interface needs of an edge: its views. */
export type AskedEdge = Pick<
  Edge,
  | "name"
  | "access"
  | "core"
  | "iq"
  | "registrations"
  | "calls"
  | "gateways"
  | "drainGateway"
  | "handOffGateway"
  | "counters"
  | "counts"
>;

const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(200),
  offset: z.coerce.number().int().min(0).default(0),
});

export const createApp = (edge: AskedEdge, asked: Asked): Hono => {
  const { facts, log } = asked;
  const app = createGuarded(asked, isCommand);
  const now = (): number => facts().now;

  const paged = <T>(
    c: Context,
    items: readonly T[],
    answer: (page: readonly T[], at: z.output<typeof pageQuery>) => object,
  ) => {
    const query = pageQuery.safeParse(c.req.query());
    if (!query.success) return refuse(c, "QUERY");
    const { limit, offset } = query.data;
    return c.json(answer(items.slice(offset, offset + limit), query.data));
  };

  const found = <T>(
    c: Context,
    what: string,
    wanted: string,
    result: Found<T>,
    answer: (items: readonly T[]) => object,
  ): Response => {
    if (result.kind === "found") return c.json(answer(result.items));
    if (result.kind === "too-short")
      return refuse(
        c,
        "NOT_FOUND",
        `no ${what} ${quoted(wanted)}: the beginning of an id is ${minPrefix} characters or more.`,
      );
    if (result.kind === "ambiguous") return refuse(c, "AMBIGUOUS", `${result.names.map(quoted).join(", ")}.`);
    return refuse(c, "NOT_FOUND", wanted === "latest" ? `no ${what} at the moment.` : `no ${what} ${quoted(wanted)}.`);
  };

  const calls = (): readonly CallView[] => edge.calls();

  app.get("/v1", (c) => c.json({ apiVersion, paths: ["/metrics", "/v1/schemas", ...Object.keys(apiSchemas)] }));
  const schemas = described(apiSchemas);
  app.get("/v1/schemas", (c) => c.json(schemas()));
  app.get("/v1/status", (c) => c.json(statusOf(edge, facts()) satisfies Status));
  app.get("/v1/registrations", (c) =>
    paged(c, edge.registrations(), (page, { offset }): Registrations => ({
      apiVersion,
      now: now(),
      total: edge.counts().registrations,
      offset,
      registrations: page.map(registrationAnswer),
    })),
  );
  app.get("/v1/registrations/:aor", (c) => {
    const wanted = c.req.param("aor");
    return found(
      c,
      "registration",
      wanted,
      findRegistrations(edge.registrations(), wanted),
      (items): Registrations => ({
        apiVersion,
        now: now(),
        total: items.length,
        offset: 0,
        registrations: items.slice(0, 1000).map(registrationAnswer),
      }),
    );
  });
  app.get("/v1/calls", (c) => {
    const all = calls().toSorted((a, b) => b.startedAt - a.startedAt);
    return paged(c, all, (page, { offset }): Calls => ({
      apiVersion,
      now: now(),
      total: all.length,
      offset,
      calls: page.map(callRow),
    }));
  });
  app.get("/v1/calls/:id", (c) => {
    const wanted = c.req.param("id");
    return found(c, "call", wanted, findCalls(calls(), wanted), (items): CallDetail => ({
      apiVersion,
      now: now(),
      calls: items.map(callAnswer),
    }));
  });
  app.get("/v1/calls/:id/explain", (c) => {
    const wanted = c.req.param("id");
    return found(c, "call", wanted, findCalls(calls(), wanted), (items): Explanations => ({
      apiVersion,
      now: now(),
      calls: items.map(explain),
    }));
  });
  app.get("/v1/gateways", (c) =>
    c.json({ apiVersion, now: now(), gateways: edge.gateways().map(gatewayAnswer) } satisfies Gateways),
  );
  addGatewayCommands(app, { edge, now, refuse });
  app.get("/v1/counters", (c) =>
    c.json({
      apiVersion,
      now: now(),
      counts: { ...edge.counts() },
      counters: edge.counters().map(({ name, labels, value }) => ({ name, labels: { ...labels }, value })),
    } satisfies Counters),
  );
  app.get("/metrics", (c) => {
    const { version, startedAt, certificates, cpuSeconds, memory } = facts();
    c.header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    const process = { version, startedAt, cpuSeconds, residentOctets: memory };
    return c.body(prometheusText([...metricsOf(edge, process), certificateMetric(certificates)]));
  });

  const atGateways = Object.keys(gatewaySchemas);
  answerTheRest(app, log, (path) =>
    atGateways.includes(path) ? "This is an edge; a gateway's own interface answers that." : undefined,
  );
  return app;
};
