// Starts and ends programs of other makers, each in a folder of its own on loopback; gives them ports nobody else uses.
// Ends a program by its own process only. `timeout` stands above each, so that none outlives a test that was killed.
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { until } from "../../../src/demo/await.ts";

/** Seconds after which a program is ended whatever its test does. */
const longestS = 120;
const keptOutput = 20_000;

export interface Program {
  /** What it wrote to both outputs, the last of it. */
  readonly output: string;
  /** Undefined while it runs. */
  readonly code: number | undefined;
  /** Settles with its exit code once it has ended. */
  readonly ended: Promise<number>;
  /** Writes to its standard input, where there is one (`onLine`); the end of it comes with `stop`. */
  write(text: string): void;
  /** Asks it to end, then makes it. */
  stop(): Promise<void>;
}

export interface Start {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  /** Each whole line of its standard output. */
  readonly onLine?: (line: string) => void;
}

/** Whether a program is installed. */
export const installed = (program: string): boolean =>
  spawnSync("sh", ["-c", `command -v "$1"`, "sh", program], { stdio: "ignore" }).status === 0;

/** A folder that is removed by `remove`. */
export const temporaryFolder = async (name: string): Promise<{ readonly path: string; remove(): Promise<void> }> => {
  const path = await mkdtemp(join(tmpdir(), `sallyport-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
};

export const start = ({ program, args, folder, onLine }: Start): Program => {
  const child = spawn("timeout", ["--kill-after=3", String(longestS), program, ...args], {
    cwd: folder,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, TERM: "xterm", HOME: folder },
  });
  let output = "";
  let code: number | undefined;
  const keep = (octets: Buffer): void => {
    output = `${output}${octets.toString("latin1")}`.slice(-keptOutput);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  // A peer that has ended does not read any more.
  child.stdin.on("error", () => undefined);
  if (onLine === undefined) child.stdin.end();
  else createInterface({ input: child.stdout }).on("line", onLine);
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      code = status ?? 255;
      resolve(code);
    });
  });
  return {
    get output() {
      return output;
    },
    get code() {
      return code;
    },
    ended,
    write: (text) => void child.stdin.write(text),
    stop: async () => {
      if (code === undefined) child.kill("SIGTERM");
      await ended;
    },
  };
};

/** Ports of this worker: test files run side by side, each worker has a thousand of its own, below the ephemeral range. */
const base = 10_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * 1000;
export const mediaPorts = { a: { first: base, last: base + 299 }, b: { first: base + 300, last: base + 599 } } as const;
const firstOwn = base + 600;
const ownPorts = 400;
let handedOut = 0;

const bindable = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const stream = createServer();
    const datagram = createSocket("udp4");
    const answer = (free: boolean): void => {
      datagram.close();
      stream.close(() => resolve(free));
    };
    datagram.once("error", () => answer(false));
    stream.once("error", () => {
      datagram.close();
      resolve(false);
    });
    stream.listen(port, "127.0.0.1", () => datagram.bind(port, "127.0.0.1", () => answer(true)));
  });

/** An even port with the three after it, free for UDP and TCP a moment ago. */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < ownPorts / 4; tries += 1) {
    const port = firstOwn + ((handedOut * 4) % ownPorts);
    handedOut += 1;
    if (await bindable(port)) return port;
  }
  throw new RangeError(`no free port from ${firstOwn} to ${firstOwn + ownPorts - 1}`);
};

/** Whether somebody is bound to a local port, by the kernel's own table. */
const bound = async (protocol: "udp" | "tcp", port: number): Promise<boolean> => {
  const table = await readFile(`/proc/net/${protocol}`, "latin1");
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")} `;
  // State 0A is LISTEN; a bound UDP socket has 07.
  return table.split("\n").some((line) => line.slice(0, 21).includes(local) && / (0A|07) /.test(line.slice(20, 40)));
};

/** Settles once a program answers for its port. Throws with its output when it ends before. */
export const ready = async (program: Program, protocol: "udp" | "tcp", port: number): Promise<void> => {
  let open = false;
  const look = async (): Promise<void> => {
    while (!open && program.code === undefined) {
      open = await bound(protocol, port);
      if (!open) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  void look();
  await until(`port ${port} of a peer`, () => open || program.code !== undefined);
  if (!open) throw new Error(`a peer ended with ${program.code}: ${program.output}`);
};
