// One edge between raw UEs and a raw core on loopback, with a fake gateway controller and a clock that stands still.
import { setTimeout as pause } from "node:timers/promises";
import { memoryLog, seededRandom, VirtualClock, type LogRecord, type Random } from "@sallyport/kit";
import {
  createRequest,
  formatHost,
  headerList,
  headerValue,
  type Resolver,
  type SipRequest,
  type SipResponse,
  type TlsMaterial,
} from "@sallyport/sip";
import type { StateStore } from "@sallyport/store";
import {
  createEdge,
  edgeConfigSchema,
  type Edge,
  type EdgeConfig,
  type EdgeConfigInput,
  type IqFactory,
} from "../../src/index.ts";
import { expect } from "vitest";
import { createFakeIq, type FakeIq } from "./fake-iq.ts";
import { createPeer, type Peer } from "./peer.ts";
import { keys } from "./sdp.ts";

export interface Scenario {
  readonly edge: Edge;
  readonly iq: FakeIq;
  readonly core: Peer;
  readonly clock: VirtualClock;
  readonly logs: readonly LogRecord[];
  ue(name: string, options?: UeOptions): Promise<TestUe>;
  /** Closes the edge without a word to anybody, and starts another with the same configuration, ports and store. */
  restart(change?: (config: EdgeConfig) => EdgeConfig): Promise<void>;
  close(): Promise<void>;
}

interface UeOptions {
  readonly protocol?: "tcp" | "udp" | "tls";
  readonly tls?: TlsMaterial;
  /** Index of the edge's access listener; the first of the protocol when left out. */
  readonly listener?: number;
  /** The address of both, 127.0.0.1 when left out. */
  readonly address?: string;
}

export interface RegisterOptions {
  readonly dialect?: "draft" | "3gpp" | "none";
  readonly expires?: number;
  readonly headers?: readonly (readonly [string, string])[];
  /** Headers of the core's 200. */
  readonly grant?: readonly (readonly [string, string])[];
  readonly grantedExpires?: number;
  /** The Security-Client stands in the first REGISTER only. */
  readonly clientOnce?: boolean;
}

export interface TestUe extends Peer {
  readonly aor: string;
  readonly contact: string;
  request(method: string, uri: string, options?: RequestOptions): SipRequest;
  /** The whole registration, challenge included; what each side saw. */
  register(options?: RegisterOptions): Promise<Registration>;
}

export interface RequestOptions {
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly type?: string;
  readonly callId?: string;
  readonly seq?: number;
  readonly fromTag?: string;
  readonly to?: string;
}

interface Registration {
  readonly first: SipRequest;
  readonly second: SipRequest;
  readonly challenge: SipResponse;
  readonly ok: SipResponse;
  /** The Path the core got. */
  readonly path: string;
}

const draftHeaders: readonly (readonly [string, string])[] = [
  ["Security-Client", "sdes-srtp;mediasec"],
  ["Require", "mediasec"],
  ["Proxy-Require", "mediasec"],
];

export const baseConfig = (corePort: number): EdgeConfigInput => ({
  name: "edge-a",
  homeNetwork: "home.example",
  access: [
    { name: "tcp", protocol: "tcp", address: "127.0.0.1", port: 0, trusted: true },
    { name: "udp", protocol: "udp", address: "127.0.0.1", port: 0, trusted: true },
    { name: "clear", protocol: "tcp", address: "127.0.0.1", port: 0 },
  ],
  core: {
    listen: [{ protocol: "tcp", address: "127.0.0.1", port: 0 }],
    nextHop: `sip:127.0.0.1:${corePort};transport=tcp`,
  },
  iq: {
    mid: "<edge-a.example>",
    listen: { protocol: "tcp", address: "127.0.0.1", port: 0 },
    gateways: [{ id: "gw-a", mid: "<gw-a.example>", protectedBelow: true }],
  },
  policy: { rules: [{ e2ae: "offered", suites: ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"] }] },
});

export const openScenario = async (
  options: {
    readonly change?: (config: EdgeConfigInput) => EdgeConfigInput;
    readonly store?: StateStore;
    readonly core?: { readonly protocol: "tls"; readonly tls: TlsMaterial } | { readonly protocol: "udp" };
    /** Takes the place of the system's DNS. */
    readonly resolver?: Resolver;
    readonly seed?: string;
    /** Takes the place of the edge's seeded randomness. */
    readonly random?: (seeded: Random) => Random;
    /** The event-loop delay the edge reads, ms. */
    readonly delayMs?: () => number;
    /** A real controller in the place of the fake one. */
    readonly createIq?: IqFactory;
  } = {},
): Promise<Scenario> => {
  const clock = new VirtualClock(Date.now());
  const iq = createFakeIq();
  const { log, records } = memoryLog();
  const peers: Peer[] = [];
  const edges: Edge[] = [];
  const corePoint = (): Edge["core"][number] => {
    const [point] = edges.at(-1)?.core ?? [];
    if (point === undefined) throw new Error("the edge is not open");
    return point;
  };
  const core = await createPeer({
    name: "core",
    clock,
    ...options.core,
    target: () => ({ protocol: corePoint().protocol, address: "127.0.0.1", port: corePoint().port }),
  });
  peers.push(core);
  const config = edgeConfigSchema.parse((options.change ?? ((same) => same))(baseConfig(core.port)));
  const start = async (ports: typeof config): Promise<Edge> => {
    const edge = await createEdge(ports, {
      clock,
      random: (options.random ?? ((same) => same))(
        seededRandom(`${options.seed ?? "edge"}${edges.length === 0 ? "" : edges.length}`),
      ),
      log,
      createIq: options.createIq ?? iq.create,
      ...(options.delayMs === undefined ? {} : { eventLoopDelay: { read: options.delayMs, close: () => undefined } }),
      ...(options.resolver === undefined ? {} : { resolver: options.resolver }),
      ...(options.store === undefined ? {} : { store: options.store }),
    });
    edges.push(edge);
    return edge;
  };
  /** Its ports were the system's to give: while it was down they may have been given to somebody else for a moment. */
  const startAgain = async (ports: typeof config): Promise<Edge> => {
    for (let left = 100; ; left -= 1) {
      try {
        return await start(ports);
      } catch (error) {
        if (left === 0 || !String(error).includes("EADDRINUSE")) throw error;
        await pause(100);
      }
    }
  };
  let opened = await start(config);
  return {
    get edge() {
      return opened;
    },
    iq,
    core,
    clock,
    logs: records,
    ue: async (name, ueOptions = {}) => {
      const protocol = ueOptions.protocol ?? "tcp";
      const point =
        ueOptions.listener === undefined
          ? opened.access.find((each) => each.protocol === protocol)
          : opened.access[ueOptions.listener];
      if (point === undefined) throw new Error(`no access listener for ${protocol}`);
      const peer = await createPeer({
        name,
        clock,
        protocol,
        ...(ueOptions.tls === undefined ? {} : { tls: ueOptions.tls }),
        ...(ueOptions.address === undefined ? {} : { address: ueOptions.address }),
        target: () => ({ protocol, address: ueOptions.address ?? "127.0.0.1", port: point.port }),
      });
      peers.push(peer);
      return testUe(peer, core, protocol);
    },
    restart: async (change = (same) => same) => {
      const { access, core: coreSide } = opened;
      await opened.close({ keepCalls: true });
      // Peers see their connections end before they use them again.
      await settled();
      const samePorts = {
        ...config,
        access: config.access.map((point, at) => Object.assign({}, point, { port: access[at]?.port ?? 0 })),
        core: {
          ...config.core,
          listen: config.core.listen.map((point, at) => Object.assign({}, point, { port: coreSide[at]?.port ?? 0 })),
        },
      };
      opened = await startAgain(change(samePorts));
    },
    close: async () => {
      await opened.close({ keepCalls: false });
      await Promise.all(peers.map((peer) => peer.close()));
      checkInvariants(core, peers.slice(1), records);
    },
  };
};

const received = (peer: Peer): readonly string[] =>
  peer.wire.flatMap(({ direction, text }) => (direction === "in" ? [text] : []));

/** Invariants 1, 2 and 7 over everything a scenario sent, whatever it was about. */
const checkInvariants = (core: Peer, ues: readonly Peer[], logs: readonly LogRecord[]): void => {
  for (const text of received(core)) {
    // Keys of calls that are end to end may pass; indications and agreements never do.
    const judged = text.replaceAll(/a=crypto:\d+ \S+ inline:7u7u[^\r\n]*/g, "").replaceAll(keys.k22, "");
    expect(judged, "invariant 1: towards the core").not.toMatch(/3ge2ae|security-(?:client|server|verify)|mediasec/i);
    expect(text, "invariant 1: towards the core").not.toContain(keys.k11);
  }
  for (const ue of ues) {
    for (const text of received(ue)) {
      expect(text, "invariant 2: towards the UE").not.toContain(keys.forged);
      const lines = text.match(/^m=/gm)?.length ?? 0;
      expect(text.match(/^a=3ge2ae:/gim)?.length ?? 0, "invariant 2: towards the UE").toBeLessThanOrEqual(lines);
    }
  }
  const logged = JSON.stringify(logs);
  const secrets = [
    ...Object.values(keys),
    ...ues.flatMap((ue) => received(ue).flatMap((text) => text.match(/(?<=inline:)[A-Za-z0-9+/]{38,}/g) ?? [])),
  ];
  for (const key of secrets) expect(logged, "invariant 7: in the logs").not.toContain(key);
};

const testUe = (peer: Peer, core: Peer, protocol: string): TestUe => {
  const aor = `sip:${peer.name}@home.example`;
  const contact = `sip:${peer.name}@${formatHost(peer.address)}:${peer.port};transport=${protocol};line=${peer.name}1`;
  let registers = 0;
  const request: TestUe["request"] = (method, uri, options = {}) =>
    createRequest({
      method,
      uri,
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<${aor}>;tag=${options.fromTag ?? `${peer.name}-tag`}`],
        ["To", options.to ?? `<${uri}>`],
        ["Call-ID", options.callId ?? `call-of-${peer.name}`],
        ["CSeq", `${options.seq ?? 1} ${method}`],
        ["Contact", `<${contact}>`],
        ...(options.headers ?? []),
        ...(options.body === undefined ? [] : ([["Content-Type", options.type ?? "application/sdp"]] as const)),
      ],
      ...(options.body === undefined ? {} : { body: Buffer.from(options.body, "latin1") }),
    });
  const registerRequest = (options: RegisterOptions, more: readonly (readonly [string, string])[]): SipRequest => {
    registers += 1;
    const dialect = options.dialect ?? "draft";
    return createRequest({
      method: "REGISTER",
      uri: "sip:home.example",
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<${aor}>;tag=reg-${peer.name}`],
        ["To", `<${aor}>`],
        ["Call-ID", `registration-of-${peer.name}`],
        ["CSeq", `${registers} REGISTER`],
        ["Contact", `<${contact}>`],
        ["Expires", String(options.expires ?? 600)],
        ...(dialect === "draft" ? draftHeaders : []),
        ...(dialect === "3gpp" ? [["Security-Client", "sdes-srtp;mediasec"] as const] : []),
        ...(options.headers ?? []),
        ...more,
      ],
    });
  };
  return {
    ...peer,
    aor,
    contact,
    request,
    register: async (options = {}) => {
      const attempt = peer.send(
        registerRequest(options, options.clientOnce === true ? [["Security-Client", "sdes-srtp;mediasec"]] : []),
      );
      const one = await core.expect("REGISTER");
      core.respond(one, 401, {
        headers: [["WWW-Authenticate", 'Digest realm="home.example", nonce="n1", algorithm=MD5, qop="auth"']],
      });
      const challenge = await attempt.final();
      const verify = headerList(challenge, "security-server").map((value) => ["Security-Verify", value] as const);
      const again = peer.send(
        registerRequest(options, [
          ...verify,
          [
            "Authorization",
            `Digest username="${peer.name}", realm="home.example", nonce="n1", uri="sip:home.example", response="0123456789abcdef0123456789abcdef"`,
          ],
        ]),
      );
      const two = await core.expect("REGISTER");
      core.respond(two, 200, {
        headers: [
          ["Contact", `<${contact}>;expires=${options.grantedExpires ?? options.expires ?? 600}`],
          ["Service-Route", `<sip:orig@127.0.0.1:${core.port};transport=tcp;lr>`],
          ["P-Associated-URI", `<${aor}>, <tel:+4930${peer.port}>`],
          ...(options.grant ?? []),
        ],
      });
      const ok = await again.final();
      return { first: one.request, second: two.request, challenge, ok, path: headerValue(two.request, "path") ?? "" };
    },
  };
};

/** A request of the core inside or outside a dialog. */
export const coreRequest = (
  core: Peer,
  method: string,
  uri: string,
  options: RequestOptions & { readonly from?: string; readonly route?: readonly string[] } = {},
): SipRequest =>
  createRequest({
    method,
    uri,
    headers: [
      ...(options.route ?? []).map((route) => ["Route", route] as const),
      ["Max-Forwards", "60"],
      ["From", options.from ?? "<sip:carol@far.example>;tag=carol-tag"],
      ["To", options.to ?? "<sip:bob@home.example>"],
      ["Call-ID", options.callId ?? "call-of-carol"],
      ["CSeq", `${options.seq ?? 1} ${method}`],
      ["Contact", `<sip:carol@127.0.0.1:${core.port};transport=tcp>`],
      ...(options.headers ?? []),
      ...(options.body === undefined ? [] : ([["Content-Type", options.type ?? "application/sdp"]] as const)),
    ],
    ...(options.body === undefined ? {} : { body: Buffer.from(options.body, "latin1") }),
  });

/** Lets sockets and promises run until `done`; real time, bounded. */
export const until = async (done: () => boolean, what: string): Promise<void> => {
  const limit = Date.now() + 20_000;
  while (!done()) {
    if (Date.now() > limit) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
};

/** Time enough for what was sent on loopback to arrive: before a test says that nothing came. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));
