// Owns the way from a SIP URI to the servers that may take a request, in the order to try them. RFC 3263 4.1 and 4.2.
// The DNS is asked through a port; what it answers is bounded. Must not know sockets.
import { isIP } from "node:net";
import type { Random } from "@sallyport/kit";
import { param, type SipUri } from "../message/index.ts";
import { defaultPort, type SipProtocol, type SipTarget } from "../transport/flow.ts";
import { orderNaptr, orderSrv, type NaptrRecord, type SrvRecord } from "./records.ts";

/** `[]` where there is no such record; a rejection is a server that failed. */
export interface Resolver {
  naptr(name: string): Promise<readonly NaptrRecord[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
  /** A and AAAA, as literals. */
  addresses(name: string): Promise<readonly string[]>;
}

export interface LocateFacts {
  readonly resolver: Resolver;
  readonly random: Random;
  /** What the sender can speak, preferred first: it decides where the DNS leaves the choice. */
  readonly protocols: readonly SipProtocol[];
}

const maxAddresses = 8;
const maxTargets = 32;
const srvName: Readonly<Record<SipProtocol, string>> = { udp: "_sip._udp", tcp: "_sip._tcp", tls: "_sips._tcp" };

interface Place {
  readonly protocol: SipProtocol;
  readonly host: string;
  readonly port: number;
}

/** The transport a URI names itself; undefined leaves it open, `false` is one that nobody here speaks. */
const named = (uri: SipUri): SipProtocol | false | undefined => {
  const asked = param(uri.params, "transport");
  const transport = typeof asked === "string" ? asked.toLowerCase() : undefined;
  // RFC 3261 26.2.2: sips is TLS over TCP, whatever `transport=tcp` seems to say.
  if (uri.scheme === "sips")
    return transport === undefined || transport === "tcp" || transport === "tls" ? "tls" : false;
  if (transport === undefined) return undefined;
  return transport === "udp" || transport === "tcp" || transport === "tls" ? transport : false;
};

/** Collects answers of the DNS: one that fails leaves the others, and counts only where nothing was found. */
const leaving = () => {
  let failure: { readonly error: unknown } | undefined;
  return {
    of: <R>(answer: Promise<readonly R[]>): Promise<readonly R[]> =>
      answer.catch((error: unknown) => {
        failure ??= { error };
        return [];
      }),
    check: (found: number): void => {
      if (found === 0 && failure !== undefined) throw failure.error;
    },
  };
};

const bySrv = async (
  names: readonly { readonly protocol: SipProtocol; readonly name: string }[],
  { resolver, random }: LocateFacts,
): Promise<readonly Place[]> => {
  const places: Place[] = [];
  const gather = leaving();
  for (const { protocol, name } of names) {
    const records = await gather.of(resolver.srv(name));
    for (const { name: host, port } of orderSrv(records, random)) places.push({ protocol, host, port });
    if (places.length >= maxTargets) break;
  }
  gather.check(places.length);
  return places;
};

/** RFC 3263 4.1 and 4.2 up to host names. */
const placesOf = async (uri: SipUri, host: string, facts: LocateFacts): Promise<readonly Place[]> => {
  const { resolver, protocols } = facts;
  const transport = named(uri);
  if (transport === false || (transport !== undefined && !protocols.includes(transport))) return [];
  // 4.1: a literal, or a port, leaves UDP for sip and TLS for sips.
  const plain: SipProtocol = transport ?? (protocols.includes("udp") ? "udp" : (protocols[0] ?? "udp"));
  if (isIP(host) !== 0 || uri.port !== undefined)
    return [{ protocol: plain, host, port: uri.port ?? defaultPort(plain) }];
  const can = (protocol: SipProtocol): boolean =>
    protocols.includes(protocol) && (transport === undefined || transport === protocol);
  // Servers that know no NAPTR records refuse to be asked for them.
  const naptr =
    transport === undefined || uri.scheme === "sips" ? orderNaptr(await resolver.naptr(host).catch(() => []), can) : [];
  const found =
    naptr.length > 0
      ? await bySrv(naptr, facts)
      : await bySrv(
          protocols.filter(can).map((protocol) => ({ protocol, name: `${srvName[protocol]}.${host}` })),
          facts,
        );
  return found.length > 0 ? found : [{ protocol: plain, host, port: defaultPort(plain) }];
};

/**
 * The targets for a URI, best first; [] when there is none. Each names the URI's own host for the certificate: what the
 * DNS says is not vouched for (RFC 5922 4).
 */
export const locate = async (uri: SipUri, facts: LocateFacts): Promise<readonly SipTarget[]> => {
  const maddr = param(uri.params, "maddr");
  const host = (typeof maddr === "string" ? maddr : uri.host).replace(/^\[|\]$/g, "");
  const targets = new Map<string, SipTarget>();
  const gather = leaving();
  for (const { protocol, host: name, port } of await placesOf(uri, host, facts)) {
    const literal = name.replace(/^\[|\]$/g, "");
    const addresses =
      isIP(literal) === 0 ? (await gather.of(facts.resolver.addresses(literal))).slice(0, maxAddresses) : [literal];
    for (const address of addresses) {
      const target = { protocol, address, port, ...(protocol === "tls" ? { serverName: uri.host } : {}) };
      if (targets.size < maxTargets) targets.set(`${protocol} ${address} ${port}`, target);
    }
  }
  gather.check(targets.size);
  return [...targets.values()];
};
