// Asks a running node over its management interface. Owns addresses, tokens, time and size limits of a question.
import { readFileSync } from "node:fs";
import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { errorSchema } from "@sallyport/api";
import { faultOf, SallyportError } from "@sallyport/kit";
import { InvalidArgumentError } from "commander";
import type * as z from "zod";
import { cliErrors } from "../errors.ts";
import { clean } from "../screen/text.ts";

export const defaultApi = "http://127.0.0.1:15080";

const timeoutMs = 5000;
const maxAnswer = 16 * 1024 * 1024;

/** `127.0.0.1:15080` and `http://127.0.0.1:15080/` alike. */
export const apiAddress = (text: string): string => {
  const whole = text.includes("://") ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== "" ||
    url.search !== "" ||
    url.hash !== ""
  )
    throw new InvalidArgumentError(`It looks like ${defaultApi}.`);
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
};

const unreachable = (api: string, cause: unknown): SallyportError =>
  cliErrors("SALLY_CLI_UNREACHABLE", `${faultOf(cause)}.`, { where: api, cause });

const tokenFrom = (file: string): string => {
  let token: string;
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw cliErrors("SALLY_CLI_FILE", `${faultOf(cause)}.`, { where: file, cause });
  }
  // RFC 9110 5.5: nothing else fits into a header; it is another file then.
  if (!/^[\x21-\x7e]+$/.test(token))
    throw cliErrors("SALLY_CLI_FILE", token === "" ? "It is empty." : "It holds more than one word: no token.", {
      where: file,
    });
  return token;
};

interface Reply {
  readonly status: number;
  readonly text: string;
}

// node:http and not fetch, which refuses to ask at ports such as 5061 or 10080.
const exchange = (
  api: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string | undefined,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const request = api.startsWith("https:") ? requestTls : requestPlain;
    const asked = request(
      `${api}${path}`,
      { method: body === undefined ? "GET" : "POST", headers, agent: false },
      (response) => {
        const parts: Buffer[] = [];
        let octets = 0;
        response.on("data", (part: Buffer) => {
          octets += part.length;
          parts.push(part);
          if (octets > maxAnswer)
            asked.destroy(cliErrors("SALLY_CLI_ANSWER", "It is larger than 16 MiB.", { where: api }));
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }),
        );
        response.on("error", reject);
      },
    );
    const limit = setTimeout(
      () => asked.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })),
      timeoutMs,
    );
    asked.on("close", () => clearTimeout(limit));
    asked.on("error", reject);
    asked.end(body);
  });

export interface Node {
  /** The `--api` option. */
  readonly api: string;
  readonly tokenFile?: string;
}

/**
 * The answer to one question, or to one command where `command` says what, as sent and as understood.
 * @throws SALLY_CLI_UNREACHABLE, SALLY_CLI_ANSWER, SALLY_CLI_FILE, and the SALLY_API_* that the node answered
 */
export const askNode = async <S extends z.ZodType>(
  { api, tokenFile }: Node,
  path: string,
  schema: S,
  command?: object,
): Promise<{ readonly raw: unknown; readonly answer: z.output<S> }> => {
  const body = command === undefined ? undefined : JSON.stringify(command);
  const headers = {
    ...(tokenFile === undefined ? {} : { authorization: `Bearer ${tokenFrom(tokenFile)}` }),
    ...(body === undefined
      ? {}
      : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
  };
  let reply: Reply;
  try {
    reply = await exchange(api, path, headers, body);
  } catch (error) {
    throw error instanceof SallyportError ? error : unreachable(api, error);
  }
  const { status, text } = reply;
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw cliErrors("SALLY_CLI_ANSWER", `HTTP ${status}, not JSON.`, { where: api, cause });
  }
  if (status !== 200) {
    const refusal = errorSchema.safeParse(raw);
    if (!refusal.success) throw cliErrors("SALLY_CLI_ANSWER", `HTTP ${status}.`, { where: api });
    const { code, message, action } = refusal.data;
    throw new SallyportError(clean(code), { summary: clean(message), action: clean(action) });
  }
  const understood = schema.safeParse(raw);
  if (!understood.success) {
    const [issue] = understood.error.issues;
    throw cliErrors("SALLY_CLI_ANSWER", `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}.`, { where: api });
  }
  return { raw, answer: understood.data };
};
