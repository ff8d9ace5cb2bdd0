// The verbs that ask a running edge: `status`, `reg`, `call`, `gw`. Each is one question and one screen; what changes
// something is in gateway-verbs.ts.
import {
  callDetailSchema,
  callsSchema,
  explanationsSchema,
  gatewaysSchema,
  mediaLoadSchema,
  registrationsSchema,
  statusSchema,
} from "@sallyport/api";
import { Argument, InvalidArgumentError, Option, type Command } from "commander";
import type * as z from "zod";
import type { Paper } from "../screen/paper.ts";
import { jsonText } from "../screen/text.ts";
import { asking, type AskContext, type AskOptions } from "./asking.ts";
import { callDetail, explanation } from "./call-screens.ts";
import { askNode } from "./client.ts";
import { addGatewayVerbs } from "./gateway-verbs.ts";
import { mediaScreen } from "./media-screen.ts";
import { callList, gatewayList, registrationDetail, registrationList, statusScreen, type Lines } from "./screens.ts";

const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^[0-9]+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It is a number from ${least} to ${most}.`);
    return value;
  };

const naming = (name: string, says: string): Argument =>
  new Argument(`[${name}]`, says).argParser((text: string) => {
    if (text.trim() === "") throw new InvalidArgumentError("It is empty; leave it out for the latest.");
    return text;
  });

const listing = (command: Command): Command =>
  asking(command)
    .addOption(new Option("--limit <n>", "show at most so many").default(50).argParser(whole(1, 1000)))
    .addOption(new Option("--offset <n>", "pass over the first so many").default(0).argParser(whole(0, 100_000_000)));

const callName = "id or its beginning, or a Call-ID; the latest when left out";

const paging = ({ limit = 50, offset = 0 }: AskOptions): string => `?limit=${limit}&offset=${offset}`;

export const addAskCommands = (program: Command, { out, paper }: AskContext): void => {
  const show = async <S extends z.ZodType>(
    options: AskOptions,
    path: string,
    schema: S,
    screen: (answer: z.output<S>, on: Paper) => Lines,
  ): Promise<void> => {
    const { raw, answer } = await askNode(options, path, schema);
    out(options.json === true ? jsonText(raw) : `${screen(answer, paper).join("\n")}\n`);
  };
  const named = (path: string, name: string | undefined): string => `${path}/${encodeURIComponent(name ?? "latest")}`;

  asking(
    program.command("status").description("one screen about a running edge: what it holds, and what is wrong"),
  ).action((options: AskOptions) => show(options, "/v1/status", statusSchema, statusScreen));

  const reg = program.command("reg").description("registrations of a running edge");
  listing(reg.command("list").description("who is registered, and whether e2ae is available")).action(
    (options: AskOptions) =>
      show(options, `/v1/registrations${paging(options)}`, registrationsSchema, registrationList),
  );
  asking(
    reg
      .command("show")
      .description("every contact of an address of record")
      .addArgument(naming("aor", "address of record, another identity, or its user part; the latest when left out")),
  ).action((aor: string | undefined, options: AskOptions) =>
    show(options, named("/v1/registrations", aor), registrationsSchema, registrationDetail),
  );

  const call = program.command("call").description("calls of a running edge");
  listing(call.command("list").description("calls, newest first, each with its protection and the reason")).action(
    (options: AskOptions) => show(options, `/v1/calls${paging(options)}`, callsSchema, callList),
  );
  asking(
    call
      .command("show")
      .description("one call: its media, its protection, what was removed")
      .addArgument(naming("id", callName)),
  ).action((id: string | undefined, options: AskOptions) =>
    show(options, named("/v1/calls", id), callDetailSchema, callDetail),
  );
  asking(
    call
      .command("explain")
      .description("why a call is, or is not, protected: every decision, and who caused it")
      .addArgument(naming("id", callName)),
  ).action((id: string | undefined, options: AskOptions) =>
    show(options, `${named("/v1/calls", id)}/explain`, explanationsSchema, explanation),
  );

  const gw = program.command("gw").description("access gateways of a running edge");
  asking(gw.command("list").description("gateways, their state and contexts")).action((options: AskOptions) =>
    show(options, "/v1/gateways", gatewaysSchema, gatewayList),
  );
  asking(
    gw
      .command("media")
      .description("what moves a gateway's media and how it bears the load; asks the gateway's own interface"),
  ).action((options: AskOptions) => show(options, "/v1/media", mediaLoadSchema, mediaScreen));
  addGatewayVerbs(gw, { out, paper });
};
