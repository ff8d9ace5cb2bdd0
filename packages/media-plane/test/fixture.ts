// Test fixtures: media peers on loopback sockets, and a plane between a UE (SRTP) and a core (RTP).
import { Secret, seededRandom } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, suites, type SrtpResult, type SuiteName } from "@sallyport/srtp";
import type { LegPlan, LegRemote, MediaPlane, OpenedLeg, PlaneKey, Protection } from "../src/index.ts";
import { ground, openUdp, peerOf, type Udp } from "./ground.ts";

export type Kind = "rtp" | "rtcp";
export const { host } = ground;
export { hasIpv6 } from "./ground.ts";

interface Port {
  readonly socket: Udp;
  readonly queue: Buffer[];
  wake: (() => void) | undefined;
}

/** Two sockets that remember what they hear. */
export interface Peer {
  readonly remote: LegRemote;
  /** Sends from the socket of that kind to a port of the plane. */
  send(kind: Kind, octets: Uint8Array, port: number): void;
  /** The next datagram heard; fails after two seconds. */
  next(kind: Kind): Promise<Buffer>;
  /** What was heard and not yet taken. */
  heard(kind: Kind): readonly Buffer[];
  /** Takes `count` datagrams. */
  take(kind: Kind, count: number): Promise<readonly Buffer[]>;
  close(): Promise<void>;
}

const openPort = async (address: string): Promise<Port> => {
  const queue: Buffer[] = [];
  const port: Omit<Port, "socket"> = { queue, wake: undefined };
  const socket = await openUdp(address, (octets) => {
    queue.push(octets);
    port.wake?.();
  });
  return Object.assign(port, { socket });
};

/** `address` may be the plane's: then it is where the peers of that family are. */
export const openPeer = async (address = host): Promise<Peer> => {
  const own = peerOf(address);
  const ports = { rtp: await openPort(own), rtcp: await openPort(own) };
  const peer: Peer = {
    remote: { address: own, rtpPort: ports.rtp.socket.port, rtcpPort: ports.rtcp.socket.port },
    send: (kind, octets, port) => ports[kind].socket.send(octets, port, own.includes(":") ? ground.host6 : host),
    next: async (kind) => {
      const port = ports[kind];
      const first = port.queue.shift();
      if (first !== undefined) return first;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no ${kind} datagram came`)), 2000);
        port.wake = () => {
          clearTimeout(timer);
          port.wake = undefined;
          resolve();
        };
      });
      const octets = port.queue.shift();
      if (octets === undefined) throw new Error("woken without a datagram");
      return octets;
    },
    heard: (kind) => ports[kind].queue,
    take: async (kind, count) => {
      const taken: Buffer[] = [];
      while (taken.length < count) taken.push(await peer.next(kind));
      return taken;
    },
    close: async () => {
      for (const { socket } of [ports.rtp, ports.rtcp]) await socket.close();
    },
  };
  return peer;
};

export const rtp = (sequence: number, payload: Uint8Array | string = "speech", ssrc = 0x1111_1111): Buffer => {
  const header = Buffer.alloc(12);
  header[0] = 0x80;
  header[1] = 8;
  header.writeUInt16BE(sequence % 65536, 2);
  header.writeUInt32BE((sequence * 160) >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, Buffer.from(payload)]);
};

export const rtcp = (ssrc = 0x1111_1111, mark = 0): Buffer => {
  const report = Buffer.alloc(28);
  report.set([0x80, 200, 0, 6]);
  report.writeUInt32BE(ssrc, 4);
  report.writeUInt32BE(mark, 24);
  return report;
};

export const packet = (kind: Kind, sequence: number, ssrc?: number): Buffer =>
  kind === "rtp" ? rtp(sequence, "speech", ssrc) : rtcp(ssrc, sequence);

let made = 0;
/** A key no other test has. */
export const freshKey = (suite: SuiteName = "AES_CM_128_HMAC_SHA1_80"): PlaneKey => ({
  master: Secret.take(seededRandom(`plane key ${++made}`).bytes(suites[suite].masterLength)),
});

export interface Keys {
  readonly suite: SuiteName;
  readonly fromUe: PlaneKey;
  readonly towardsUe: PlaneKey;
}

export const freshKeys = (suite: SuiteName = "AES_CM_128_HMAC_SHA1_80"): Keys => ({
  suite,
  fromUe: freshKey(suite),
  towardsUe: freshKey(suite),
});

export const protectionOf = (keys: Keys): Protection => ({
  kind: "srtp",
  suite: keys.suite,
  receive: [keys.fromUe],
  send: keys.towardsUe,
});

/** Looks like SRTP, and no key of any leg verifies it. */
export const forged = (sequence: number): Buffer =>
  Buffer.concat([rtp(sequence), seededRandom(`forged ${sequence}`).bytes(26)]);

/** The UE's end of the keys. */
export const ueContexts = (keys: Keys) => {
  const sender = createSrtpSender({ suite: suites[keys.suite], key: keys.fromUe });
  const receiver = createSrtpReceiver({ suite: suites[keys.suite], keys: [keys.towardsUe] });
  const take = (result: SrtpResult): Buffer => {
    if (!result.ok) throw new Error(`refused: ${result.code}`);
    return result.packet;
  };
  return {
    seal: (kind: Kind, octets: Buffer) => take(kind === "rtp" ? sender.protectRtp(octets) : sender.protectRtcp(octets)),
    open: (kind: Kind, octets: Buffer) =>
      take(kind === "rtp" ? receiver.unprotectRtp(octets) : receiver.unprotectRtcp(octets)),
  };
};

export interface World {
  readonly plane: MediaPlane;
  readonly keys: Keys;
  readonly ue: Peer & ReturnType<typeof ueContexts>;
  readonly core: Peer;
  readonly access: OpenedLeg;
  readonly inner: OpenedLeg;
  /** The plane's port for a kind on one side. */
  port(side: "access" | "core", kind: Kind): number;
  /** Sends from the UE, sealed; gives what the core hears. */
  fromUe(kind: Kind, octets: Buffer): Promise<Buffer>;
  /** Sends from the core; gives what the UE hears, still sealed. */
  fromCore(kind: Kind, octets: Buffer): Promise<Buffer>;
  end(): Promise<void>;
}

export interface WorldOptions {
  readonly suite?: SuiteName;
  readonly access?: Partial<LegPlan>;
  readonly core?: Partial<LegPlan>;
}

export const openWorld = async (plane: MediaPlane, options: WorldOptions = {}): Promise<World> => {
  const keys = freshKeys(options.suite);
  const peer = await openPeer(options.access?.address);
  const ue = { ...peer, ...ueContexts(keys) };
  const core = await openPeer(options.core?.address);
  const common = { address: host, rtcp: "separate", mode: "send-receive", latch: "off" } as const;
  const access = await plane.open({ ...common, protection: protectionOf(keys), remote: ue.remote, ...options.access });
  const inner = await plane.open({ ...common, protection: { kind: "clear" }, remote: core.remote, ...options.core });
  plane.join(access.leg, inner.leg);
  const port = (side: "access" | "core", kind: Kind): number => {
    const { local } = side === "access" ? access : inner;
    return kind === "rtp" ? local.rtpPort : local.rtcpPort;
  };
  // With rtcp-mux both kinds leave from and come to the RTP sockets.
  const socketOf = (side: Partial<LegPlan> | undefined, kind: Kind): Kind => (side?.rtcp === "mux" ? "rtp" : kind);
  return {
    plane,
    keys,
    ue,
    core,
    access,
    inner,
    port,
    fromUe: (kind, octets) => {
      ue.send(socketOf(options.access, kind), ue.seal(kind, octets), port("access", kind));
      return core.next(socketOf(options.core, kind));
    },
    fromCore: (kind, octets) => {
      core.send(socketOf(options.core, kind), octets, port("core", kind));
      return ue.next(socketOf(options.access, kind));
    },
    end: async () => {
      await plane.shutdown();
      await Promise.all([ue.close(), core.close()]);
    },
  };
};
