// Runs the sallyport command as people do: a process of its own, watched by what it prints and how it ends.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { until } from "../../src/demo/await.ts";

export const root = fileURLToPath(new URL("../../../../", import.meta.url));
const command = fileURLToPath(new URL("../../../sallyport/bin/sallyport.mjs", import.meta.url));
const built = fileURLToPath(new URL("../../../sallyport/dist/main.js", import.meta.url));

export interface Run {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  /** Settles when standard output or standard error shows this. */
  says(what: RegExp): Promise<void>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

const running = new Set<ChildProcess>();

/**
 * Starts `sallyport` with these arguments, where given after `shell` (`ulimit`...) in the same process.
 * @throws Error when the checkout is not built
 */
export const sallyport = (args: readonly string[], cwd: string, shell?: string): Run => {
  if (!existsSync(built)) throw new Error(`${built} is not there: run \`npm run build\` first (\`npm test\` does).`);
  const whole = [process.execPath, command, ...args];
  const [program = "", ...rest] =
    shell === undefined ? whole : ["/bin/sh", "-c", `${shell}; exec "$@"`, "sh", ...whole];
  const child = spawn(program, rest, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let [stdout, stderr] = ["", ""];
  let over = false;
  child.stdout.on("data", (octets: Buffer) => (stdout += octets.toString()));
  child.stderr.on("data", (octets: Buffer) => (stderr += octets.toString()));
  const ended = new Promise<number | string | null>((resolve) => {
    child.once("close", (code, signal) => {
      over = true;
      running.delete(child);
      resolve(code ?? signal);
    });
  });
  return {
    get stdout() {
      return stdout;
    },
    get stderr() {
      return stderr;
    },
    ended,
    says: async (what) => {
      await until(
        `${args.join(" ")} to say ${what.source}`,
        () => over || what.test(stdout) || what.test(stderr),
        20_000,
      );
      if (!what.test(stdout) && !what.test(stderr)) throw new Error(`${args.join(" ")} ended: ${stdout}${stderr}`);
    },
    kill: (signal) => void child.kill(signal),
  };
};

/** Ends what a failed test left running. */
export const endAll = (): void => {
  for (const child of running) child.kill("SIGKILL");
};

/** TCP ports that nobody uses now. */
export const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === "object") ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
};
