// The command line: `sallyport <element> --config FILE` and `sallyport config <verb>`. Exit codes: 0 ok, 1 failed, 2 usage.
import { SallyportError } from "@sallyport/kit";
import { Command, CommanderError, Option } from "commander";
import { loadConfiguration } from "./config/load.ts";
import { keysOf } from "./config/reference.ts";
import { elementKinds, type ElementName } from "./elements.ts";
import { elementLog, logLevels } from "./log.ts";
import { version } from "./version.ts";

export interface Streams {
  out(text: string): void;
  err(text: string): void;
}

const elementNames = Object.keys(elementKinds) as ElementName[];

/** What a person should read of an error: a defect shows its stack, everything else its message. */
export const explain = (error: unknown): string =>
  error instanceof SallyportError
    ? error.message
    : error instanceof Error
      ? (error.stack ?? error.message)
      : String(error);

/** Settles with the signal that asks this process to end. */
const askedToEnd = (): Promise<number> =>
  new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(0));
  });

const addElement = (program: Command, name: ElementName, streams: Streams, setCode: (code: number) => void): void => {
  const kind = elementKinds[name];
  program
    .command(name)
    .description(`run ${kind.summary}`)
    .requiredOption("-c, --config <file>", `the YAML file of this ${name}; sample: config/${name}.yaml`)
    .addOption(
      new Option("-l, --log-level <level>", "what to log on standard error").choices([...logLevels]).default("info"),
    )
    .action(async (options: { readonly config: string; readonly logLevel: (typeof logLevels)[number] }) => {
      const running = await kind.start(options.config, elementLog(name, options.logLevel));
      // Timers of ours do not keep a process alive; this one says that it is meant to stay.
      const stay = setInterval(() => undefined, 60_000);
      try {
        streams.out(`${running.ready}\n`);
        setCode(await Promise.race([running.ended, askedToEnd()]));
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
  const config = program.command("config").description("check configuration files and explain their keys");
  const element = (text: string): ElementName => {
    const found = elementNames.find((name) => name === text);
    if (found === undefined)
      throw new CommanderError(
        2,
        "sallyport.element",
        `error: unknown element '${text}'. Known: ${elementNames.join(", ")}`,
      );
    return found;
  };
  config
    .command("check <element> <file>")
    .description(`check a file against the keys of an element: ${elementNames.join(", ")}`)
    .action((name: string, file: string) => {
      loadConfiguration(file, elementKinds[element(name)].schema);
      streams.out(`${file}: ok\n`);
    });
  config
    .command("keys <element>")
    .description("list every key of an element's file")
    .action((name: string) => {
      for (const { key, type, required, fallback, says } of keysOf(elementKinds[element(name)].schema)) {
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
    if (error instanceof CommanderError) {
      if (error.code === "sallyport.element") streams.err(`${error.message}\n`);
      return error.exitCode === 0 ? 0 : 2;
    }
    streams.err(`${explain(error)}\n`);
    return 1;
  }
};
