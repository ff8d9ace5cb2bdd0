// The operating system's DNS as the port `Resolver` wants it. RFC 3263 needs NAPTR and SRV, which only c-ares asks; names
// of the hosts file are found by the system's own lookup.
import { lookup, Resolver as DnsResolver } from "node:dns/promises";
import type { Resolver } from "./locate.ts";

const absent = new Set(["ENODATA", "ENOTFOUND", "EBADNAME"]);

const orNone = async <R>(answer: Promise<readonly R[]>): Promise<readonly R[]> => {
  try {
    return await answer;
  } catch (error) {
    if (absent.has((error as NodeJS.ErrnoException).code ?? "")) return [];
    throw error;
  }
};

/** @param timeoutMs of one try; there are two */
export const systemResolver = (timeoutMs = 2000): Resolver => {
  const dns = new DnsResolver({ timeout: timeoutMs, tries: 2 });
  return {
    naptr: (name) => orNone(dns.resolveNaptr(name)),
    srv: (name) => orNone(dns.resolveSrv(name)),
    addresses: async (name) => (await orNone(lookup(name, { all: true }))).map(({ address }) => address),
  };
};
