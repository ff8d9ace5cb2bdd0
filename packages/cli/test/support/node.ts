// A node that can be asked: the real management interface over an edge that exists only as its views.
import { apiConfigSchema, createApi, type Api, type AskedEdge } from "@sallyport/api";
import { silentLog, VirtualClock } from "@sallyport/kit";

type CallView = ReturnType<AskedEdge["calls"]>[number];

const start = 1_790_000_000_000;
const now = start + 3_725_000;
/** ESC [ 2 J clears a screen, BEL rings: a stranger's Contact must do neither. */
const steering = "\u001b[2J\u0007\u009b2J";

const secured: CallView = {
  id: "bX3kQ9aaaaaaaaaaaaaaaaaa",
  callId: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@ue.lab.example",
  direction: "originating",
  aor: "sip:alice@lab.example",
  phase: "confirmed",
  startedAt: now - 75_000,
  answeredAt: now - 72_000,
  security: "e2ae",
  reason: "secured",
  streams: [
    {
      stream: 1,
      media: "audio",
      security: "e2ae",
      reason: "secured",
      suite: "AES_CM_128_HMAC_SHA1_80",
      fromUe: "4f:a2",
      towardsUe: "9c:01",
    },
  ],
  otherParty: "sip:carol@far.example",
  evidence: [
    {
      at: now - 74_880,
      clause: "7.2.1",
      step: "1",
      found: "audio RTP/SAVP, 2 crypto attributes, e2ae-security requested by UE",
      changed: [],
      origin: "access",
      stream: 1,
    },
    {
      clause: "7.2.1",
      step: "3",
      found: "2 of 2 usable",
      changed: [
        "RTP/SAVP to RTP/AVP",
        "selected tag 1 AES_CM_128_HMAC_SHA1_80, key 4f:a2",
        "removed every crypto attribute and the indication",
      ],
      origin: "access",
      stream: 1,
      reason: "secured",
    },
    {
      clause: "7.2.1",
      step: "remove",
      found: "3ge2ae from the core",
      changed: ["removed a=3ge2ae"],
      origin: "core",
      stream: 1,
    },
    {
      clause: "7.2.1",
      step: "9",
      found: "audio with AES_CM_128_HMAC_SHA1_80",
      changed: ["protected media between UE and IMS Access Gateway"],
      origin: "gateway",
      stream: 1,
      reason: "secured",
      quirk: "answer-tag-renumbered",
      quirkMode: "tolerant",
    },
  ],
  removed: [],
  gateway: { gateway: "gw-a", context: 17 },
  media: [
    {
      gateway: "gw-a",
      context: 17,
      side: "access",
      stream: 1,
      packetsIn: 604,
      packetsOut: 603,
      lost: 2,
      authenticationFailures: 3,
      replays: 0,
      clearDropped: 1,
      indexReuse: 0,
    },
    { gateway: "gw-a", context: 17, side: "core", stream: 1, packetsIn: 603, packetsOut: 604 },
  ],
};

const plain: CallView = {
  id: "carol1bbbbbbbbbbbbbbbbbb",
  callId: "0c44@ue.lab.example",
  direction: "terminating",
  aor: `sip:carol${steering}@a-rather-long-domain.of-the-lab.example`,
  phase: "ended",
  startedAt: now - 600_000,
  answeredAt: now - 590_000,
  endedAt: now - 480_000,
  ended: { reason: "bye", detail: "" },
  security: "none",
  reason: "signalling-not-confidential",
  streams: [{ stream: 1, media: "audio", security: "none", reason: "signalling-not-confidential" }],
  evidence: [
    {
      clause: "7.3.1",
      step: "3",
      found: "audio RTP/AVP, not both indicated support",
      changed: [],
      origin: "core",
      stream: 1,
      reason: "signalling-not-confidential",
    },
  ],
  removed: [],
  media: [],
};

export const sampleEdge: AskedEdge = {
  name: "edge-a",
  access: [
    {
      name: "access/gm",
      side: "access",
      protocol: "tls",
      address: "127.0.0.1",
      host: "127.0.0.1",
      port: 15_061,
      trusted: false,
    },
    { name: "access/lab", side: "access", protocol: "udp", address: "::1", host: "::1", port: 15_070, trusted: true },
  ],
  core: [
    {
      name: "core/mw",
      side: "core",
      protocol: "tls",
      address: "127.0.0.1",
      host: "127.0.0.1",
      port: 15_062,
      trusted: false,
    },
  ],
  iq: { protocol: "tls", address: "127.0.0.1", port: 12_944 },
  calls: () => [secured, plain],
  registrations: () => [
    {
      aor: "sip:alice@lab.example",
      contact: "sip:alice@127.0.0.1:40000;transport=tls",
      identities: ["sip:alice@lab.example", "tel:+49301234"],
      transport: "tls",
      remote: "127.0.0.1:40000",
      indications: { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true },
      dialect: "draft",
      policy: "offered",
      accessNetwork: "3GPP-E-UTRAN-FDD",
      registeredAt: now - 12_000,
      expiresInMs: 588_000,
    },
    {
      aor: "sip:carol@a-rather-long-domain.of-the-lab.example",
      contact: `sip:carol@127.0.0.1:40010;x=${steering}`,
      identities: ["sip:carol@a-rather-long-domain.of-the-lab.example"],
      transport: "udp",
      remote: "127.0.0.1:40010",
      indications: { ueE2ae: false, ueE2eSdes: false, ueE2eKms: false, networkE2ae: false },
      dialect: "none",
      policy: "offered",
      reason: "ue-not-capable",
      registeredAt: now - 3_600_000,
      expiresInMs: 90_061_000,
    },
  ],
  gateways: () => [
    {
      id: "gw-a",
      mid: "<gw-a.lab.example>",
      state: "up",
      protected: true,
      contexts: 1,
      draining: false,
      health: "good",
      weight: 1,
      remote: { address: "127.0.0.1", port: 43_210 },
      protocol: "tls",
    },
    {
      id: "gw-b",
      mid: "<gw-b.lab.example>",
      state: "down",
      protected: false,
      contexts: 0,
      draining: false,
      health: "down",
      weight: 1,
      reason: "certificate of another gateway: <gw-x.lab.example>",
    },
  ],
  drainGateway: () => {
    throw new Error("not asked for");
  },
  handOffGateway: async () => undefined,
  counters: () => [],
  counts: () => ({ calls: 1, registrations: 2, transactions: 3, contexts: 1 }),
};

/** Nobody registered, nobody called, no gateway. */
export const emptyEdge: AskedEdge = {
  ...sampleEdge,
  calls: () => [],
  registrations: () => [],
  drainGateway: () => {
    throw new Error("not asked for");
  },
  handOffGateway: async () => undefined,
  gateways: () => [],
  counts: () => ({ calls: 0, registrations: 0, transactions: 0, contexts: 0 }),
};

export const startNode = (edge: AskedEdge, token?: string): Promise<Api> =>
  createApi(apiConfigSchema.parse({ listen: { port: 0 }, ...(token === undefined ? {} : { token }) }), edge, {
    clock: new VirtualClock(now),
    log: silentLog,
    version: "0.1.0",
  });
