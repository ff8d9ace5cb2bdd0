// A process of the benchmark: pinned to a core, asked by lines, its processor time read from the scheduler.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { createInterface } from "node:readline";

/** Seconds of processor time of every thread, from the scheduler's own account. */
export const cpuSeconds = (pid) => {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1e9;
};

/** Octets resident. */
export const residentOctets = (pid) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;

/** A machine that does other things too shall not decide what is measured; without the right to it nothing is lost. */
export const favour = (pid) => {
  try {
    setPriority(pid, -15);
    writeFileSync(`/proc/${pid}/autogroup`, "-15");
  } catch {
    // Measured all the same.
  }
};

export const startChild = (command, args, { core, show = false } = {}) => {
  const pinned = core === undefined ? [command, ...args] : ["taskset", "-c", String(core), command, ...args];
  const child = spawn(pinned[0], pinned.slice(1), { stdio: ["pipe", "pipe", show ? "inherit" : "ignore"] });
  favour(child.pid);
  const lines = [];
  let wake;
  createInterface({ input: child.stdout, crlfDelay: Infinity }).on("line", (line) => {
    lines.push(line);
    wake?.();
  });
  const gone = once(child, "exit").then(() => {
    wake?.();
  });
  const next = async () => {
    while (lines.length === 0) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${command} ended (${child.exitCode ?? child.signalCode})`);
      await new Promise((resolve) => {
        wake = resolve;
      });
    }
    return lines.shift();
  };
  return {
    pid: child.pid,
    next,
    write: (text) => child.stdin.write(text),
    endInput: () => child.stdin.end(),
    ask: async (ask, values = {}) => {
      child.stdin.write(`${JSON.stringify({ ask, ...values })}\n`);
      return JSON.parse(await next());
    },
    stop: async () => {
      child.kill("SIGTERM");
      await gone;
    },
    gone,
  };
};
