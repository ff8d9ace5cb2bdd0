// Owns the way from a sip or sips URI to protocol, address and port (RFC 3263 4.1 and 4.2 for URIs that need no DNS records).
// NAPTR and SRV records are not looked up: what the URI leaves open is filled by RFC 3261's defaults.
import { param, parseSipUri } from "../message/index.ts";
import { defaultPort } from "./flow.ts";
import type { SipProtocol, SipTarget } from "./flow.ts";

export interface TargetOptions {
  /** For sip URIs without a transport parameter; default `udp`. */
  readonly protocol?: SipProtocol;
  readonly listener?: string | undefined;
  readonly tls?: SipTarget["tls"] | undefined;
}

/** Undefined when the text is no sip or sips URI, or asks for a transport other than UDP, TCP and TLS. */
export const resolveTarget = (uri: string, options: TargetOptions = {}): SipTarget | undefined => {
  const parsed = parseSipUri(uri);
  if (parsed === undefined) return undefined;
  const asked = param(parsed.params, "transport");
  const transport = typeof asked === "string" ? asked.toLowerCase() : undefined;
  let protocol: SipProtocol;
  if (parsed.scheme === "sips") {
    // RFC 3261 26.2.2: sips is TLS over TCP, whatever `transport=tcp` seems to say.
    if (transport !== undefined && transport !== "tcp" && transport !== "tls") return undefined;
    protocol = "tls";
  } else if (transport === undefined) {
    protocol = options.protocol ?? "udp";
  } else {
    if (transport !== "udp" && transport !== "tcp" && transport !== "tls") return undefined;
    protocol = transport;
  }
  // RFC 3261 19.1.1: maddr takes the place of the host for routing.
  const maddr = param(parsed.params, "maddr");
  const address = typeof maddr === "string" ? maddr.replace(/^\[|\]$/g, "") : parsed.host;
  const { listener, tls } = options;
  return { protocol, address, port: parsed.port ?? defaultPort(protocol), listener, tls };
};
