// Child processes of a benchmark: start, readiness, processor time and memory from /proc, an end that is certain.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ticksPerSecond = 100; // USER_HZ: fixed at 100 towards user space on Linux
const watchFile = new URL("watch.mjs", import.meta.url).href;
const running = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const read = (path) => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // gone between listing and reading
  }
};

const childrenOf = (pid) =>
  read(`/proc/${pid}/task/${pid}/children`)
    .split(" ")
    .filter((word) => word !== "")
    .map(Number);

/** User and system time of a process, all its threads and its children, in milliseconds. */
const cpuOf = (pid) => {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  const own = fields.length < 13 ? 0 : ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
  return childrenOf(pid).reduce((sum, child) => sum + cpuOf(child), own);
};

/** Starts a program. `ready` tells from its output so far when it is up: a match is kept as `child.ready`. */
export const start = async (name, command, args, { ready, env = {}, ipc = false, cwd } = {}) => {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe", ...(ipc ? ["ipc"] : [])],
  });
  running.add(child);
  let output = "";
  const listeners = new Set();
  const onText = (chunk) => {
    output = (output + chunk).slice(-65_536);
    for (const listener of listeners) listener();
  };
  child.stdout.on("data", onText);
  child.stderr.on("data", onText);
  const exited = new Promise((resolve) => {
    child.once("error", (error) => {
      onText(`${error.message}\n`);
      resolve();
    });
    child.once("exit", () => {
      running.delete(child);
      resolve();
    });
  });

  /** The first match of `pattern` in what is written from now on (or, with `past`, was written before). */
  const output$ = (pattern, { past = false, timeoutMs = 20_000 } = {}) =>
    new Promise((resolve, reject) => {
      if (!past) output = "";
      const settle = (act) => {
        clearTimeout(timer);
        listeners.delete(look);
        act();
      };
      const fail = (why) => settle(() => reject(new Error(`${name}: ${why}\n${output.slice(-2_000)}`)));
      const look = () => {
        const found = pattern.exec(output);
        if (found !== null) settle(() => resolve(found));
      };
      const timer = setTimeout(() => fail(`nothing that matches ${pattern} within ${timeoutMs} ms`), timeoutMs);
      listeners.add(look);
      void exited.then(() => fail("ended too early"));
      look();
    });

  const started = {
    name,
    child,
    cpu: () => cpuOf(child.pid),
    /** From now on the event-loop delay is looked at, until the next report. */
    watchDelay: () => child.kill("SIGURG"),
    /** The report of watch.mjs: event-loop delay, where it was looked at, and memory after a collection. */
    watch: async () => {
      const line = output$(/^\{"watch":.*\}$/m);
      child.kill("SIGUSR2");
      return JSON.parse((await line)[0]).watch;
    },
    stop: async () => {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await exited;
      clearTimeout(timer);
    },
    tail: () => output.slice(-2_000),
  };
  if (ready !== undefined) started.ready = await output$(ready, { past: true });
  return started;
};

/** Starts an element of this checkout by its command, with the watch of watch.mjs in it. */
export const startElement = (root, name, file, ready, nodeOptions = []) =>
  start(
    name,
    process.execPath,
    [
      "--import",
      watchFile,
      ...nodeOptions,
      `${root}/packages/sallyport/bin/sallyport.mjs`,
      name,
      "--config",
      file,
      "--log-level",
      "warn",
    ],
    { ready },
  );

/** Starts the load generator; `ask` gives it one thing to do and resolves with its result. */
export const startLoad = async (settings) => {
  const file = fileURLToPath(new URL("load.mjs", import.meta.url));
  const load = await start("load", process.execPath, [file, JSON.stringify(settings)], { ipc: true });
  const answer = () =>
    new Promise((resolve, reject) => {
      load.child.once("message", (message) => (message.error === undefined ? resolve(message) : reject(message.error)));
      load.child.once("exit", () => reject(new Error(`the load generator ended\n${load.tail()}`)));
    });
  const { port } = await answer();
  return {
    ...load,
    port,
    ask: (order) => {
      const result = answer();
      load.child.send(order);
      return result;
    },
  };
};
