// The verbs that tell a running edge to do something with a gateway: `gw drain`, `gw resume`, `gw handoff`.
import { gatewayAnswerSchema, gatewaysSchema } from "@sallyport/api";
import { Argument, InvalidArgumentError, Option, type Command } from "commander";
import { cliErrors } from "../errors.ts";
import { jsonText } from "../screen/text.ts";
import { asking, type AskContext, type AskOptions } from "./asking.ts";
import { askNode } from "./client.ts";
import { gatewayLine } from "./screens.ts";

interface VerbOptions extends AskOptions {
  readonly wait?: number;
  readonly yes?: true;
}

/** How often an edge is asked while a gateway empties, ms. */
const lookEveryMs = 500;

const gatewayName = (): Argument =>
  new Argument("<id>", "the gateway, by its id in the edge's configuration").argParser((text: string) => {
    if (text.trim() === "") throw new InvalidArgumentError("It is empty.");
    return text;
  });

const seconds = (text: string): number => {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > 86_400)
    throw new InvalidArgumentError("It is a number of seconds from 1 to 86400.");
  return value;
};

export const addGatewayVerbs = (gw: Command, { out, paper }: AskContext): void => {
  const tell = async (id: string, verb: string, options: VerbOptions, command: object) => {
    const path = `/v1/gateways/${encodeURIComponent(id)}/${verb}`;
    return askNode(options, path, gatewayAnswerSchema, command);
  };

  /** Resolves when the gateway holds nothing of the edge any more. @throws SALLY_CLI_NOT_EMPTY */
  const emptied = async (id: string, options: VerbOptions, waitS: number): Promise<void> => {
    for (let left = waitS * 1000; ; left -= lookEveryMs) {
      const { answer } = await askNode(options, "/v1/gateways", gatewaysSchema);
      const contexts = answer.gateways.find((each) => each.id === id)?.contexts ?? 0;
      if (contexts === 0) return;
      if (left <= 0) throw cliErrors("SALLY_CLI_NOT_EMPTY", `${contexts} left after ${waitS} s.`, { where: id });
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, lookEveryMs)));
    }
  };

  asking(
    gw
      .command("drain")
      .description("give a gateway no new calls; those it has go on until they end")
      .addArgument(gatewayName())
      .addOption(new Option("--wait <seconds>", "wait until it is empty, at most so long").argParser(seconds)),
  ).action(async (id: string, options: VerbOptions) => {
    const { raw, answer } = await tell(id, "drain", options, {});
    if (options.json === true) out(jsonText(raw));
    else out(`${gatewayLine(answer.gateway, paper).join("\n")}\n`);
    if (options.wait === undefined) return;
    await emptied(id, options, options.wait);
    if (options.json !== true) out(`gateway ${id} is empty: it may be stopped\n`);
  });

  asking(gw.command("resume").description("give a gateway new calls again").addArgument(gatewayName())).action(
    async (id: string, options: VerbOptions) => {
      const { raw, answer } = await tell(id, "resume", options, {});
      out(options.json === true ? jsonText(raw) : `${gatewayLine(answer.gateway, paper).join("\n")}\n`);
    },
  );

  asking(
    gw
      .command("handoff")
      .description("send a gateway to another edge; its calls here are moved to other gateways, or end")
      .addArgument(gatewayName())
      .addArgument(new Argument("<controller>", "message identifier of the other edge, such as <edge-b.example>"))
      .option("--yes", "do it although it holds calls"),
  ).action(async (id: string, controller: string, options: VerbOptions) => {
    const { answer: before } = await askNode(options, "/v1/gateways", gatewaysSchema);
    const contexts = before.gateways.find((each) => each.id === id)?.contexts ?? 0;
    if (contexts > 0 && options.yes !== true)
      throw cliErrors("SALLY_CLI_HOLDS_CALLS", `${contexts} at the moment.`, { where: id });
    const { raw, answer } = await tell(id, "handoff", options, { controller });
    out(options.json === true ? jsonText(raw) : `${gatewayLine(answer.gateway, paper).join("\n")}\n`);
  });
};
