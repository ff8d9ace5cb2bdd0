// What every verb that speaks to a running node has in common: where the node is, its token, and plain JSON on request.
import { Option, type Command } from "commander";
import type { Paper } from "../screen/paper.ts";
import { apiAddress, defaultApi } from "./client.ts";

export interface AskOptions {
  readonly api: string;
  readonly tokenFile?: string;
  readonly json?: true;
  readonly limit?: number;
  readonly offset?: number;
}

export interface AskContext {
  readonly out: (text: string) => void;
  readonly paper: Paper;
}

export const asking = (command: Command): Command =>
  command
    .addOption(
      new Option("--api <url>", "management interface of the node")
        .env("SALLYPORT_API")
        .default(defaultApi)
        .argParser(apiAddress),
    )
    .addOption(new Option("--token-file <file>", "file with the node's token").env("SALLYPORT_TOKEN_FILE"))
    .option("--json", "the answer of the node as it is");
