// Who may speak to the core side. Pure. A stranger is never believed, whatever its message says.
import { resolveTarget, type Flow } from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";

/** Whether the peer at the other end of a core-side flow is an element of the core. */
export type CoreTrust = (flow: Flow) => boolean;

// An IPv4 peer on a dual-stack socket shows as ::ffff:a.b.c.d.
const plain = (address: string): string => address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");

/** Addresses and certificate names of the configuration, and the entry points themselves by name or literal address. */
export const createCoreTrust = (core: EdgeConfig["core"]): CoreTrust => {
  const addresses = new Set(core.trusted.addresses.map(plain));
  const names = new Set(core.trusted.names.map((name) => name.toLowerCase()));
  for (const uri of [core.nextHop, ...core.alternatives]) {
    const target = resolveTarget(uri);
    // Where an entry point shows a certificate its name decides, never its address alone.
    const name = uri === core.nextHop ? core.nextHopName : undefined;
    if (target?.protocol === "tls") names.add((name ?? target.address).toLowerCase());
    else if (target !== undefined) addresses.add(plain(target.address));
  }
  return (flow) =>
    addresses.has(plain(flow.remote.address)) || flow.peerNames.some((name) => names.has(name.toLowerCase()));
};
