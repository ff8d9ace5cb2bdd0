// An edge that exists only as its views, for asking questions about it.
import type { AskedEdge } from "../../src/index.ts";

export type CallView = ReturnType<AskedEdge["calls"]>[number];
export type RegistrationView = ReturnType<AskedEdge["registrations"]>[number];
export type GatewayView = ReturnType<AskedEdge["gateways"]>[number];

export const start = 1_790_000_000_000;

export const securedCall = (change: Partial<CallView> = {}): CallView => ({
  id: "bX3kQ9aaaaaaaaaaaaaaaaaa",
  callId: "f81d4fae@ue.lab.example",
  direction: "originating",
  aor: "sip:alice@lab.example",
  phase: "confirmed",
  startedAt: start + 1000,
  answeredAt: start + 2000,
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
  evidence: [
    {
      clause: "7.2.1",
      step: "3",
      found: "2 of 2 usable",
      changed: ["RTP/SAVP to RTP/AVP", "removed every crypto attribute and the indication"],
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
  ],
  removed: ["removed every crypto attribute and the indication", "removed a=3ge2ae"],
  gateway: { gateway: "gw-a", context: 17 },
  media: [
    {
      gateway: "gw-a",
      context: 17,
      side: "access",
      stream: 1,
      packetsIn: 604,
      packetsOut: 603,
      authenticationFailures: 3,
    },
  ],
  ...change,
});

export const plainCall = (change: Partial<CallView> = {}): CallView => ({
  id: "carol1bbbbbbbbbbbbbbbbbb",
  callId: "0c44@ue.lab.example",
  direction: "terminating",
  aor: "sip:carol@lab.example",
  phase: "confirmed",
  startedAt: start + 3000,
  security: "none",
  reason: "ue-not-capable",
  streams: [{ stream: 1, media: "audio", security: "none", reason: "ue-not-capable" }],
  evidence: [
    {
      clause: "7.3.1",
      step: "3",
      found: "audio RTP/AVP, not both indicated support",
      changed: [],
      origin: "core",
      stream: 1,
      reason: "ue-not-capable",
    },
  ],
  removed: [],
  media: [],
  ...change,
});

export const registration = (change: Partial<RegistrationView> = {}): RegistrationView => ({
  aor: "sip:alice@lab.example",
  contact: "sip:alice@127.0.0.1:40000;transport=tls",
  identities: ["sip:alice@lab.example", "tel:+49301234"],
  transport: "tls",
  remote: "127.0.0.1:40000",
  indications: { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true },
  dialect: "draft",
  policy: "offered",
  registeredAt: start,
  expiresInMs: 590_000,
  ...change,
});

export const gateway = (change: Partial<GatewayView> = {}): GatewayView => ({
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
  ...change,
});

export interface FakeParts {
  readonly calls?: readonly CallView[];
  readonly registrations?: readonly RegistrationView[];
  readonly gateways?: readonly GatewayView[];
  readonly counters?: ReturnType<AskedEdge["counters"]>;
  readonly counts?: Partial<ReturnType<AskedEdge["counts"]>>;
}

export const fakeEdge = (parts: FakeParts = {}): AskedEdge => {
  const { calls = [], registrations = [], gateways = [gateway()], counters = [] } = parts;
  const point = { address: "127.0.0.1", host: "127.0.0.1", trusted: false } as const;
  return {
    name: "edge-a",
    access: [{ ...point, name: "access/gm", side: "access", protocol: "tls", port: 15_061 }],
    core: [{ ...point, name: "core/mw", side: "core", protocol: "tls", port: 15_062 }],
    iq: { protocol: "tls", address: "127.0.0.1", port: 12_944 },
    calls: () => calls,
    registrations: () => registrations,
    gateways: () => gateways,
    drainGateway: () => gateways[0] ?? gateway(),
    handOffGateway: async () => undefined,
    counters: () => counters,
    counts: () => ({
      calls: calls.filter(({ phase }) => phase !== "ended").length,
      registrations: registrations.length,
      transactions: 0,
      contexts: 1,
      ...parts.counts,
    }),
  };
};
