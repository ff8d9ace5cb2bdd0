// Runs the command line in this process: what it prints, what it complains about, how it exits.
import { createProgram, runProgram, type Streams } from "../../src/index.ts";

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export const sallyport = async (
  args: readonly string[],
  paper: Streams["paper"] = { columns: 80, colour: false },
): Promise<Outcome> => {
  let [out, err, code] = ["", "", 0];
  const streams: Streams = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    ...(paper === undefined ? {} : { paper }),
  };
  const program = createProgram(streams, (value) => void (code = value));
  const result = await runProgram(program, ["node", "sallyport", ...args], streams, () => code);
  return { code: result, out, err };
};
