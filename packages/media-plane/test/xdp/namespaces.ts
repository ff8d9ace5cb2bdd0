// Test fixture: two network namespaces with a link between them, one for the media plane, one for its peers; gone with the test.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ground } from "../ground.ts";

export const ip = (...args: readonly string[]): string => {
  const { status, stdout, stderr, error } = spawnSync("ip", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
};

const allowed = (): string | undefined => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "to run: be root on Linux";
  if (spawnSync("ip", ["-V"]).status !== 0) return "to run: install iproute2";
  const probe = `sallyport-probe-${process.pid}`;
  if (spawnSync("ip", ["netns", "add", probe]).status !== 0) return "to run: let root make network namespaces";
  const within = [
    "netns",
    "exec",
    probe,
    process.execPath,
    fileURLToPath(new URL("holder.mjs", import.meta.url)),
    "lo",
  ];
  const { stdout } = spawnSync("ip", within, { encoding: "utf8" });
  spawnSync("ip", ["netns", "del", probe]);
  // What the machine refuses outright is no fault of ours; all else is.
  const refused =
    /refused: (Address family not supported|Operation not permitted|Function not implemented).*(?=","manner|"\})/;
  const why = refused.exec(stdout)?.[0];
  return why === undefined ? undefined : `to run: ${why}`;
};

/** Why there can be no namespaces here, or undefined. */
export const noNamespaces = allowed();

export interface Link extends Ground {
  readonly far: { readonly namespace: string; readonly interface: string };
  /** The plane's namespace, and the peers' interface. */
  readonly near: string;
  readonly peerInterface: string;
  remove(): void;
}

/** Whoever was killed could not remove its own. */
const removeOrphans = (): void => {
  for (const [name, pid] of ip("netns", "list").matchAll(/^sallyport-(?:near|far|probe)-(\d+)\S*/gm)) {
    if (!existsSync(`/proc/${pid}`)) spawnSync("ip", ["netns", "del", name]);
  }
};

let made = 0;

/** Names carry this process's number: whatever was left behind by a killed test can be told apart. */
export const makeLink = (): Link => {
  removeOrphans();
  const name = `${process.pid}-${++made}`;
  const near = `sallyport-near-${name}`;
  const namespace = `sallyport-far-${name}`;
  const remove = (): void => {
    for (const one of [near, namespace]) spawnSync("ip", ["netns", "del", one]);
  };
  const link: Link = {
    host: "10.214.0.1",
    host6: "fd00:214::1",
    peer: "10.214.0.2",
    peer6: "fd00:214::2",
    stranger: "10.214.0.3",
    nearby: "10.214.0.9",
    far: { namespace, interface: "media0" },
    near,
    peerInterface: "peer0",
    remove,
  };
  try {
    for (const one of [near, namespace]) {
      ip("netns", "add", one);
      ip("-n", one, "link", "set", "lo", "up");
    }
    ip("-n", near, "link", "add", "media0", "type", "veth", "peer", "name", "peer0", "netns", namespace);
    const own = (at: string, device: string, ...addresses: readonly string[]): void => {
      for (const one of addresses) {
        // An IPv6 address is looked for elsewhere for a second before it is used, unless told not to.
        const settings = one.includes(":") ? ["nodad"] : [];
        ip("-n", at, "addr", "add", one, "dev", device, ...settings);
      }
      ip("-n", at, "link", "set", device, "up");
    };
    own(near, "media0", `${link.host}/24`, `${link.host6}/64`);
    own(namespace, "peer0", `${link.peer}/24`, `${link.stranger}/24`, `${link.peer6}/64`);
    return link;
  } catch (error) {
    remove();
    throw error;
  }
};
