// Owns the UDP listening points and their flows (RFC 3261 18.1.1, 18.2). A UDP flow is only a pair of addresses:
// nothing is kept per peer. Must not know what a message says.
import { lookup } from "node:dns/promises";
import { isIP, isIPv4, isIPv6 } from "node:net";
import type { Datagram, Endpoint, OpenDatagram } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import { hostPort, plainAddress } from "./flow.ts";
import type { Flow, ListenSpec, SipTarget } from "./flow.ts";
import { answerStun, isStun } from "./stun.ts";

/** The largest UDP payload over IPv4 without options. */
const maxDatagram = 65_507;

/** What comes during a pause of the event loop waits in the kernel; it gives what its own limit allows. */
const receiveBuffer = 4_194_304;

export interface DatagramPoint {
  readonly name: string;
  readonly local: Endpoint;
  flowTo(remote: Endpoint): Flow;
  send(octets: Buffer, to: Endpoint): void;
  close(): Promise<void>;
}

/** All addresses of a name; rejects when there is none. */
export type Lookup = (name: string) => Promise<readonly string[]>;

export const systemLookup: Lookup = async (name) => (await lookup(name, { all: true })).map((found) => found.address);

const onlySpace = (octets: Buffer): boolean => octets.every((octet) => octet === 13 || octet === 10 || octet === 0);

export const openDatagramPoint = async (
  spec: ListenSpec,
  open: OpenDatagram,
  handlers: { onOctets(octets: Buffer, flow: Flow): void; onError(error: Error): void },
): Promise<DatagramPoint> => {
  let local: Endpoint = { address: spec.address, port: spec.port };
  const flowTo = (remote: Endpoint): Flow => ({
    id: `udp/${spec.name}/${hostPort(remote.address, remote.port)}`,
    protocol: "udp",
    local,
    remote,
    listener: spec.name,
    peerNames: [],
  });
  const socket: Datagram = await open(
    { address: spec.address, port: spec.port, receiveBuffer },
    {
      onMessage: (octets, from) => {
        // RFC 5626 4.4: a keep-alive datagram says nothing; only its source would ever be of interest.
        if (octets.length < 5 && onlySpace(octets)) return;
        // RFC 5626 4.4.2: no more than the answer; nothing about its sender is learned or kept.
        if (isStun(octets)) {
          const answer = answerStun(octets, { address: plainAddress(from.address), port: from.port });
          if (answer !== undefined) socket.send(answer, from);
          return;
        }
        handlers.onOctets(Buffer.from(octets), flowTo({ address: plainAddress(from.address), port: from.port }));
      },
      onError: (error) => handlers.onError(error),
    },
  );
  local = socket.local;
  const six = isIPv6(local.address);
  return {
    name: spec.name,
    local,
    flowTo,
    send: (octets, to) => {
      if (octets.length > maxDatagram) {
        throw sipErrors("SALLY_SIP_TOO_LARGE", `${octets.length} octets over UDP to ${hostPort(to.address, to.port)}.`);
      }
      // RFC 4291 2.5.5.2: from an IPv6 socket IPv4 is reached in this form alone.
      socket.send(octets, six && isIPv4(to.address) ? { address: `::ffff:${to.address}`, port: to.port } : to);
    },
    close: () => socket.close(),
  };
};

/** The address to send to, from this socket. Rejects SALLY_SIP_RESOLVE. */
export const resolveDatagram = async (
  address: string,
  port: number,
  from: Endpoint,
  find: Lookup,
): Promise<Endpoint> => {
  if (isIP(address) !== 0) return { address, port };
  const found = await find(address).catch((cause: unknown) => {
    throw sipErrors("SALLY_SIP_RESOLVE", address, { cause });
  });
  const own = found.find((candidate) => isIPv6(candidate) === isIPv6(from.address));
  const fitting = own ?? (from.address === "::" ? found[0] : undefined);
  if (fitting === undefined) throw sipErrors("SALLY_SIP_RESOLVE", `${address} has no address of the right family.`);
  return { address: fitting, port };
};

/** The listening point a datagram leaves from: the one named, else the first of the address's family. */
export const pointFor = (points: ReadonlyMap<string, DatagramPoint>, target: SipTarget): DatagramPoint => {
  const named = target.listener === undefined ? undefined : points.get(target.listener);
  if (named !== undefined) return named;
  const family = isIP(target.address);
  for (const point of points.values()) {
    if (
      target.listener === undefined &&
      (family === 0 || isIP(point.local.address) === family || point.local.address === "::")
    )
      return point;
  }
  throw sipErrors("SALLY_SIP_NO_LISTENER", `UDP to ${hostPort(target.address, target.port)}.`);
};
