// The lab's command: `sallyport lab [--once]`. Runs the demonstration and stays up until Ctrl-C.
import {
  askedToEnd,
  elementLog,
  logFormatOption,
  logLevels,
  openLoopbackApi,
  type LogWay,
  type Streams,
} from "@sallyport/cli";
import type { Log } from "@sallyport/kit";
import { Option, type Command } from "commander";
import { allPassed, storyText } from "./demo/screen.ts";
import { tellStory } from "./demo/scenario.ts";
import { labCertificates } from "./topology/certificates.ts";
import { startLab, type Lab } from "./topology/lab.ts";

interface LabCommandOptions {
  readonly once: boolean;
  readonly open: boolean;
  readonly logLevel: LogWay["level"];
  readonly logFormat?: LogWay["format"];
}

/** Keeps the lab up until this process is asked to end, and lets it be asked why each call was, or was not, protected. */
const stayUp = async (lab: Lab, say: (line: string) => void, log: Log): Promise<void> => {
  const interfaces: { close(): Promise<void> }[] = [];
  try {
    say("The lab stays up until Ctrl-C. In another terminal, of alice's edge and of the one of bob and carol:");
    for (const side of Object.values(lab.sides)) {
      const api = await openLoopbackApi(side.edge, log);
      interfaces.push(api);
      say(`  npx sallyport call explain --api ${api.url}`);
    }
    await askedToEnd();
  } finally {
    for (const each of interfaces) await each.close();
  }
};

const runLab = async (options: LabCommandOptions, streams: Streams): Promise<number> => {
  const say = (line: string): void => streams.out(`${line}\n`);
  const started = performance.now();
  // Timers of ours do not keep a process alive; this one does while the story runs.
  const stay = setInterval(() => undefined, 60_000);
  say("Starting core, edges A and B, gateways A and B, alice, bob, carol on 127.0.0.1");
  const certificates = labCertificates();
  const lab = await startLab({
    certificates,
    logOf: (element) => elementLog(element, { level: options.logLevel, format: options.logFormat }),
    transport: options.open ? "open" : "protected",
  });
  try {
    const story = await tellStory(lab, certificates, { say });
    for (const line of storyText(story)) say(line);
    const passed = allPassed(story);
    say(
      `\n${passed ? "every row passed" : "NOT every row passed"}, ${((performance.now() - started) / 1000).toFixed(1)} s after the start`,
    );
    if (!options.once) {
      await stayUp(lab, say, elementLog("lab", { level: options.logLevel, format: options.logFormat }));
    }
    return passed ? 0 : 1;
  } finally {
    clearInterval(stay);
    await lab.close();
  }
};

/** Adds `lab` to the program. */
export const addLabCommand = (program: Command, streams: Streams, setCode: (code: number) => void): void => {
  program
    .command("lab")
    .description("run two edges, two gateways, a core and three UEs on loopback: calls, attacks, ladder, verdict")
    .option("--once", "end after the verdict, with exit code 0 only if every row passed", false)
    .option("--open", "SIP and Iq over UDP in clear, so that a capture can be read", false)
    .addOption(
      new Option("-l, --log-level <level>", "what to log on standard error").choices([...logLevels]).default("error"),
    )
    .addOption(logFormatOption())
    .action(async (options: LabCommandOptions) => setCode(await runLab(options, streams)));
};
