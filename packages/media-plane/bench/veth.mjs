// Two network namespaces, and between them a pair of virtual Ethernet interfaces for each relay: relays stand in one, the load in the
// other. Everything is gone when the benchmark ends, however it ends.
import { spawnSync } from "node:child_process";
import { generator } from "./generator.mjs";

const run = (...args) => {
  const done = spawnSync("ip", args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`ip ${args.join(" ")}: ${done.stderr ?? "not found"}`);
};

/** Removes them when this process ends. */
const addNamespaces = (names) => {
  process.on("exit", () => {
    for (const name of names) spawnSync("ip", ["netns", "del", name]);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
  for (const name of names) {
    run("netns", "add", name);
    run("-n", name, "link", "set", "lo", "up");
  }
};

/** A loopback of our own, with nobody else's packets and ports on it; undefined where this process may not make one. */
export const makeLoopback = () => {
  const relays = `sallyport-loopback-${process.pid}`;
  try {
    addNamespaces([relays]);
    return { relays };
  } catch {
    return undefined;
  }
};

/** @throws when this process may not make namespaces, or there is no iproute2. */
export const makeLinks = (names, polled) => {
  const relays = `sallyport-relay-${process.pid}`;
  const load = `sallyport-load-${process.pid}`;
  addNamespaces([relays, load]);
  const places = names.map((_, at) => {
    const near = `relay${at}`;
    const far = `load${at}`;
    const address = `10.213.${at}.1`;
    const peer = `10.213.${at}.2`;
    run("-n", relays, "link", "add", near, "type", "veth", "peer", "name", far, "netns", load);
    for (const [namespace, name, own] of [
      [relays, near, address],
      [load, far, peer],
    ]) {
      run("-n", namespace, "addr", "add", `${own}/24`, "dev", name);
      run("-n", namespace, "link", "set", name, "up");
    }
    // The kernel gives packets that might be joined, or came from such, to the queue only where the other end does not segment.
    if (polled) run("netns", "exec", relays, generator, "tso-off", near);
    return { address, peer, interface: near, polled: polled ? far : "-" };
  });
  return { relays, load, places };
};
