// What every management interface shares: who may ask and how, what a refusal looks like, and a defect. Knows no question.
import type { Log } from "@sallyport/kit";
import { SallyportError } from "@sallyport/kit";
import { Hono, type Context } from "hono";
import { apiErrors } from "./errors.ts";
import { knownHost } from "./guard.ts";
import type { ErrorAnswer } from "./schema.ts";
import type { StatusFacts } from "./status.ts";

/** What an interface is given by the process it is in. */
export interface Asked {
  readonly log: Log;
  readonly hosts: readonly string[];
  /** Undefined: nobody needs a token. */
  readonly mayAsk: ((authorization: string | undefined) => boolean) | undefined;
  readonly facts: () => StatusFacts & { readonly cpuSeconds: number };
}

type Refusal =
  | "BODY"
  | "GATEWAY"
  | "HOST"
  | "METHOD"
  | "UNAUTHORIZED"
  | "PATH"
  | "QUERY"
  | "NOT_FOUND"
  | "AMBIGUOUS"
  | "DEFECT";
const statuses = {
  BODY: 415,
  GATEWAY: 502,
  HOST: 403,
  METHOD: 405,
  UNAUTHORIZED: 401,
  PATH: 404,
  QUERY: 400,
  NOT_FOUND: 404,
  AMBIGUOUS: 409,
  DEFECT: 500,
} as const satisfies Record<Refusal, number>;

export const refuse = (c: Context, why: Refusal, detail = ""): Response => {
  const code = `SALLY_API_${why}` as const;
  const { summary, action } = apiErrors.catalogue[code];
  const message = detail === "" ? summary : `${summary} ${detail}`;
  return c.json({ code, message, action } satisfies ErrorAnswer, statuses[why]);
};

/** What stood in a path, for a message: short, printable. */
export const quoted = (text: string): string => `"${text.slice(0, 80).replaceAll(/[^\x20-\x7e]/g, "?")}"`;

/** Lets through what may ask: POST where `isCommand` says so of the path, GET and HEAD elsewhere. */
export const createGuarded = ({ hosts, mayAsk }: Asked, isCommand: (path: string) => boolean): Hono => {
  const app = new Hono();

  app.use(async (c, next) => {
    c.header("Cache-Control", "no-store");
    c.header("X-Content-Type-Options", "nosniff");
    if (!knownHost(c.req.header("host"), hosts)) return refuse(c, "HOST");
    const command = isCommand(c.req.path);
    if (command ? c.req.method !== "POST" : c.req.method !== "GET" && c.req.method !== "HEAD") {
      c.header("Allow", command ? "POST" : "GET, HEAD");
      return refuse(c, "METHOD");
    }
    if (mayAsk !== undefined && !mayAsk(c.req.header("authorization"))) {
      c.header("WWW-Authenticate", "Bearer");
      return refuse(c, "UNAUTHORIZED");
    }
    await next();
    return undefined;
  });
  return app;
};

/** Who answers at a path that this node does not know, as a sentence. */
type Elsewhere = (path: string) => string | undefined;

/** What is not there, and what should not happen. */
export const answerTheRest = (app: Hono, log: Log, elsewhere: Elsewhere): void => {
  app.notFound((c) => refuse(c, "PATH", [`${quoted(c.req.path)}.`, elsewhere(c.req.path) ?? ""].join(" ").trim()));
  app.onError((error, c) => {
    log.error("question not answered", {
      path: c.req.routePath,
      error: error instanceof SallyportError ? error.code : (error.stack ?? error.message),
    });
    return refuse(c, "DEFECT");
  });
};
