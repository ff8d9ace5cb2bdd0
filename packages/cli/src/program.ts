// The command line: `sallyport <element> --config FILE` and `sallyport config <verb>`. The verbs that ask a running
// node are in ask/, `policy test` in policy/. Exit codes: 0 ok, 1 failed, 2 usage, 3 the node can not be reached.
import { SallyportError } from "@sallyport/kit";
import { Argument, Command, CommanderError, Option } from "commander";
import { addAskCommands } from "./ask/commands.ts";
import { loadConfiguration } from "./config/load.ts";
import { keysOf } from "./config/reference.ts";
import { elementKinds, type ElementName } from "./elements.ts";
import { exitCodeOf } from "./errors.ts";
import { elementLog, logFormats, logLevels } from "./log.ts";
import { addPolicyCommands } from "./policy/command.ts";
import { paperOf, type Paper } from "./screen/paper.ts";
import { version } from "./version.ts";

export interface Streams {
  out(text: string): void;
  err(text: string): void;
  /** What screens are written on; the terminal of this process when left out. */
  readonly paper?: Paper;
}

const elementNames = Object.keys(elementKinds) as ElementName[];

/** What a person should read of an error: a defect shows its stack, everything else its message. */
export const explain = (error: unknown): string =>
  error instanceof SallyportError
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

/** Settles when this process is asked to end, a closed terminal included. */
export const askedToEnd = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
  });

export const logFormatOption = (): Option =>
  new Option("--log-format <format>", "how to log: text on a terminal and json elsewhere when left out").choices([
    ...logFormats,
  ]);

interface ElementOptions {
  readonly config: string;
  readonly logLevel: (typeof logLevels)[number];
  readonly logFormat?: (typeof logFormats)[number];
}

const addElement = (program: Command, name: ElementName, streams: Streams, setCode: (code: number) => void): void => {
  const kind = elementKinds[name];
  program
    .command(name)
    .description(`run ${kind.summary}`)
    .requiredOption("-c, --config <file>", `the YAML file of this ${name}; sample: config/${name}.yaml`)
    .addOption(
      new Option("-l, --log-level <level>", "what to log on standard error").choices([...logLevels]).default("info"),
    )
    .addOption(logFormatOption())
    .action(async ({ config, logFormat, logLevel }: ElementOptions) => {
      const asked = askedToEnd();
      const running = await kind.start(config, elementLog(name, { level: logLevel, format: logFormat }));
      // Timers of ours do not keep a process alive; this one says that it is meant to stay.
      const stay = setInterval(() => undefined, 60_000);
      try {
        streams.out(`${running.ready}\n`);
        setCode(await Promise.race([running.ended, asked.then(() => 0)]));
      } finally {
        clearInterval(stay);
        await running.close();
      }
    });
};

/** The program without the lab, which brings its own command. */
export const createProgram = (streams: Streams, setCode: (code: number) => void): Command => {
  const program = new Command("sallyport")
    .description("End-to-access-edge media security (3GPP TS 33.328) for the edge of an IMS network.")
    .version(version)
    .showHelpAfterError("(add --help for usage)")
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({ writeOut: (text) => streams.out(text), writeErr: (text) => streams.err(text) });
  for (const name of elementNames) addElement(program, name, streams, setCode);
  const paper = streams.paper ?? paperOf(process.stdout, process.env);
  const context = { out: (text: string) => streams.out(text), paper };
  addAskCommands(program, context);
  addPolicyCommands(program, context);
  const config = program.command("config").description("check configuration files and explain their keys");
  const element = (): Argument => new Argument("<element>", "what the file is for").choices(elementNames);
  config
    .command("check")
    .description("check a file against the keys of an element")
    .addArgument(element())
    .argument("<file>", "the YAML file")
    .action((name: ElementName, file: string) => {
      loadConfiguration(file, elementKinds[name].schema);
      streams.out(`${file}: ok\n`);
    });
  config
    .command("keys")
    .description("list every key of an element's file")
    .addArgument(element())
    .action((name: ElementName) => {
      for (const { key, type, required, fallback, says } of keysOf(elementKinds[name].schema)) {
        const state = fallback === undefined ? (required ? "required" : "optional") : `default ${fallback}`;
        streams.out(`${key}\n    ${type.replaceAll("\\|", "|")}, ${state}. ${says}\n`);
      }
    });
  return program;
};

/** Runs a program to its exit code. */
export const runProgram = async (
  program: Command,
  argv: readonly string[],
  streams: Streams,
  code: () => number,
): Promise<number> => {
  try {
    await program.parseAsync([...argv]);
    return code();
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    streams.err(`${explain(error)}\n`);
    return exitCodeOf(error instanceof SallyportError ? error.code : undefined);
  }
};
