// `sallyport policy test`: what would happen to this registration and this offer. Offline: reads an edge's file, opens nothing.
import { systemRandom, type Random } from "@sallyport/kit";
import { explainPolicy } from "@sallyport/media-security";
import { Option, type Command } from "commander";
import { loadConfiguration } from "../config/load.ts";
import { edgeFileSchema } from "../elements.ts";
import { cliErrors } from "../errors.ts";
import type { Paper } from "../screen/paper.ts";
import { jsonText } from "../screen/text.ts";
import { factsOf, nameOf, type PolicyQuestion } from "./facts.ts";
import { policyScreen } from "./screen.ts";

export interface PolicyContext {
  readonly out: (text: string) => void;
  readonly paper: Paper;
  readonly random?: Random;
}

interface PolicyOptions extends PolicyQuestion {
  readonly config: string;
  readonly json?: true;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export const addPolicyCommands = (program: Command, { out, paper, random = systemRandom }: PolicyContext): void => {
  program
    .command("policy")
    .description("the media security policy of an edge's file")
    .command("test")
    .description("what would happen to a registration, and to an offer within it, without a call")
    .requiredOption("-c, --config <file>", "the YAML file of the edge")
    .addOption(
      new Option("--transport <protocol>", "how the UE connects; the first listening point when left out").choices([
        "udp",
        "tcp",
        "tls",
      ]),
    )
    .option(
      "--listener <name>",
      "the listening point it connects to, by its name; the first of the transport when left out",
    )
    .option(
      "--access-network <type>",
      "P-Access-Network-Info of the UE, such as 3GPP-E-UTRAN-FDD; not heeded where the listening point has accessNetworkInfo",
    )
    .option("--user-agent <text>", "User-Agent of the UE")
    .option("--realm <domain>", "domain of the registration; the edge's homeNetwork when left out")
    .option(
      "--security-client <value>",
      "Security-Client of the UE, such as sdes-srtp;mediasec; repeatable",
      collect,
      [],
    )
    .option("--option-tag", "the UE demands the option tag mediasec (the draft's dialect)")
    .option("--offer <file>", "an SDP offer, or a SIP message that carries one; - for standard input")
    .addOption(
      new Option("--direction <direction>", "whose offer it is: the UE's or one that reaches it")
        .choices(["originating", "terminating"])
        .default("originating"),
    )
    .option("--emergency", "the offer is of an emergency call")
    .option("--json", "everything that was found, as JSON")
    .action((options: PolicyOptions) => {
      const { api: _, ...config } = loadConfiguration(options.config, edgeFileSchema);
      const facts = factsOf(config, options);
      const found = explainPolicy(facts, random);
      if (found.offer?.outcome === "unreadable")
        throw cliErrors("SALLY_CLI_FILE", `${found.offer.inWords.join("; ")}.`, { where: options.offer ?? "" });
      out(
        options.json === true
          ? jsonText({ registering: { listener: nameOf(facts.listener), ...facts.registration }, ...found })
          : `${policyScreen(facts, found, paper).join("\n")}\n`,
      );
    });
};
