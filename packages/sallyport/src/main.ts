// The sallyport command: the elements' commands and the lab's, in one program.
import { createProgram, runProgram, type Streams } from "@sallyport/cli";
import { addLabCommand } from "@sallyport/lab";

const streams: Streams = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** A reader that has seen enough (`| head`) is no error of ours; a full disk is none of the program's. */
const onOutput = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(0);
  streams.err(`The answer could not be written to standard output: ${error.code ?? error.message}.\n`);
  process.exit(1);
};

/** Runs the command in `argv` (as process.argv) and settles with the exit code: 0 ok, 1 failed, 2 usage. */
export const main = (argv: readonly string[]): Promise<number> => {
  process.stdout.on("error", onOutput);
  process.stderr.on("error", () => undefined);
  let code = 0;
  const setCode = (value: number): void => {
    code = value;
  };
  const program = createProgram(streams, setCode);
  addLabCommand(program, streams, setCode);
  return runProgram(program, argv, streams, () => code);
};
