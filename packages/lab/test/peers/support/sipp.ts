// Runs SIPp with a scenario, once, and says what it thought of it.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, installed, ready, start, temporaryFolder, type Program } from "./program.ts";
import { scenario, type Step } from "./scenario.ts";

export const haveSipp = installed("sipp");

export interface SippRun {
  /** Settles when SIPp has met every step; rejects with what it logged when it has not. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

export interface SippOptions {
  /** SIP port of SIPp. */
  readonly port: number;
  readonly protocol: "udp" | "tcp";
  /** RTP and RTCP that arrive here are sent back. */
  readonly echoPort: number;
  /** Where a scenario that begins with a request sends it; SIPp waits for requests when left out. */
  readonly remotePort?: number;
  /** Values of `[@name]` in the steps. */
  readonly values?: Readonly<Record<string, string>>;
}

const longestS = 12;

export const runSipp = async (steps: readonly Step[], options: SippOptions): Promise<SippRun> => {
  const { port, protocol, echoPort, remotePort } = options;
  const folder = await temporaryFolder("sipp");
  const file = join(folder.path, "scenario.xml");
  const errors = join(folder.path, "errors.log");
  const messages = join(folder.path, "messages.log");
  await writeFile(file, scenario(steps, { ...options.values, echo: String(echoPort) }), "latin1");
  const program: Program = start({
    program: "sipp",
    args: [
      ...(remotePort === undefined ? [] : [`127.0.0.1:${remotePort}`]),
      "-nostdin",
      "-bind_local",
      "-rtp_echo",
      "-timeout_error",
      "-trace_err",
      "-trace_msg",
      ...Object.entries({
        sf: file,
        i: "127.0.0.1",
        p: String(port),
        t: protocol === "udp" ? "u1" : "t1",
        m: "1",
        timeout: String(longestS),
        rtcheck: "full",
        mi: "127.0.0.1",
        mp: String(echoPort),
        error_file: errors,
        message_file: messages,
      }).flatMap(([name, value]) => [`-${name}`, value]),
    ],
    folder: folder.path,
  });
  const finish = async (): Promise<void> => {
    const code = await program.ended;
    const [said, wire] = await Promise.all([errors, messages].map((path) => readFile(path, "latin1").catch(() => "")));
    await folder.remove();
    if (code !== 0) throw new Error(`sipp ended with ${code}\n${said}\n${program.output.slice(-500)}\n${wire}`);
  };
  const done = finish();
  // Whoever stops it early does not wait for its verdict.
  done.catch(() => undefined);
  if (remotePort === undefined) await ready(program, protocol, port);
  return { done, stop: () => program.stop() };
};

/** A port for SIPp and one for its echo. */
export const sippPorts = async (): Promise<{ readonly port: number; readonly echoPort: number }> => ({
  port: await freePort(),
  echoPort: await freePort(),
});
