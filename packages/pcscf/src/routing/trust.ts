// Who may speak to the core side. Pure. A stranger is never believed, whatever its message says.
import { resolveTarget, type Flow } from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";

/** Whether the peer at the other end of a core-side flow is an element of the core. */
export type CoreTrust = (flow: Flow) => boolean;

// An IPv4 peer on a dual-stack socket shows as ::ffff:a.b.c.d.
const plain = (address: string): string => address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");

/** Addresses and certificate names of the configuration, and the next hop itself by its name or literal address. */
export const createCoreTrust = (core: EdgeConfig["core"]): CoreTrust => {
  const target = resolveTarget(core.nextHop);
  const host = target?.address.toLowerCase();
  const addresses = new Set(core.trusted.addresses.map(plain));
  const names = new Set(core.trusted.names.map((name) => name.toLowerCase()));
  // Where the next hop shows a certificate its name decides, never its address alone.
  if (target?.protocol === "tls") names.add((core.nextHopName ?? target.address).toLowerCase());
  else if (host !== undefined) addresses.add(plain(host));
  return (flow) =>
    addresses.has(plain(flow.remote.address)) || flow.peerNames.some((name) => names.has(name.toLowerCase()));
};
