// Owns the question which URIs name this core, and what it writes of itself into Service-Route and Record-Route.
import { formatHost, param, parseNameAddr, parseSipUri } from "@sallyport/sip";
import type { Listening, SipProtocol } from "@sallyport/sip";

export interface OwnPoint extends Listening {
  /** What others are told. */
  readonly host: string;
}

export interface OwnAddress {
  /** The point of that name, else the first of the protocol. */
  point(protocol: SipProtocol, name?: string): OwnPoint | undefined;
  /** Whether a Route element is ours, and if so whether it is the Service-Route (RFC 3608). */
  recognise(element: string): "no" | "route" | "originating";
  serviceRoute(): string;
  recordRoute(point: OwnPoint): string;
}

const uriOf = (user: string, { host, port, protocol }: OwnPoint): string =>
  `sip:${user === "" ? "" : `${user}@`}${formatHost(host)}:${port};transport=${protocol};lr`;

/** The user part of the Service-Route: requests that carry it are originating (TS 24.229 5.4.3.1). */
const originating = "orig";

/** `points` is asked late: ports are known once bound. */
export const createOwnAddress = (points: () => readonly OwnPoint[]): OwnAddress => ({
  point: (protocol, name) => {
    const fitting = points().filter((point) => point.protocol === protocol);
    return fitting.find((point) => point.name === name) ?? fitting[0];
  },
  recognise: (element) => {
    const uri = parseSipUri(parseNameAddr(element)?.uri ?? "");
    if (uri === undefined) return "no";
    const transport = param(uri.params, "transport");
    const fallback = uri.scheme === "sips" || transport === "tls" ? 5061 : 5060;
    const port = uri.port ?? fallback;
    const host = uri.host.toLowerCase();
    const ours = points().some((own) => own.port === port && (own.host.toLowerCase() === host || own.address === host));
    if (!ours) return "no";
    return uri.user === originating ? "originating" : "route";
  },
  serviceRoute: () => {
    const [first] = points();
    return first === undefined ? "" : uriOf(originating, first);
  },
  recordRoute: (point) => `<${uriOf("", point)}>`,
});
