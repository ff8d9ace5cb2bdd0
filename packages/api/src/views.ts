// From the edge's views to the documented shapes: field by field, so that nothing leaves because somebody added it behind.
import type { Edge } from "@sallyport/pcscf";
import { mediaCountNames } from "./schema.ts";
import type {
  CallAnswer,
  CallRow,
  EvidenceAnswer,
  GatewayAnswer,
  MediaAnswer,
  RegistrationAnswer,
  Removal,
  StreamAnswer,
} from "./schema.ts";
import { name, prose } from "./text.ts";

export type CallView = ReturnType<Edge["calls"]>[number];
export type RegistrationView = ReturnType<Edge["registrations"]>[number];
export type GatewayView = ReturnType<Edge["gateways"]>[number];

/** Bounds on one call's lists, far above what an edge keeps. */
const maxEvidence = 4096;
const maxPerRecord = 32;
const maxStreams = 64;
const maxMedia = 256;
const maxIdentities = 64;

const optional = <K extends string, V, W>(key: K, value: V | undefined, map: (value: V) => W): { [P in K]?: W } =>
  value === undefined ? {} : ({ [key]: map(value) } as { [P in K]: W });
const same = <T>(value: T): T => value;

export const gatewayAnswer = (view: GatewayView): GatewayAnswer => ({
  id: name(view.id),
  mid: name(view.mid),
  state: view.state,
  protected: view.protected,
  contexts: view.contexts,
  draining: view.draining,
  health: view.health,
  weight: view.weight,
  ...optional("capacity", view.capacity, same),
  ...optional("load", view.load, same),
  ...optional("realms", view.realms, (realms) => realms.slice(0, maxIdentities).map(name)),
  ...optional("remote", view.remote, ({ address, port }) =>
    address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
  ),
  ...optional("protocol", view.protocol, same),
  ...optional("reason", view.reason, prose),
});

export const registrationAnswer = (view: RegistrationView): RegistrationAnswer => ({
  aor: name(view.aor),
  contact: name(view.contact),
  identities: view.identities.slice(0, maxIdentities).map(name),
  transport: view.transport,
  remote: name(view.remote),
  indications: {
    ueE2ae: view.indications.ueE2ae,
    ueE2eSdes: view.indications.ueE2eSdes,
    ueE2eKms: view.indications.ueE2eKms,
    networkE2ae: view.indications.networkE2ae,
  },
  dialect: view.dialect,
  policy: view.policy,
  ...optional("mode", view.mode, same),
  ...optional("offersSdes", view.offersSdes, same),
  ...optional("reason", view.reason, prose),
  ...optional("accessNetwork", view.accessNetwork, name),
  registeredAt: view.registeredAt,
  expiresInMs: view.expiresInMs,
});

export const callRow = (view: CallView): CallRow => ({
  id: name(view.id),
  callId: name(view.callId),
  direction: view.direction,
  aor: name(view.aor),
  ...optional("otherParty", view.otherParty, name),
  phase: view.phase,
  startedAt: view.startedAt,
  ...optional("answeredAt", view.answeredAt, same),
  ...optional("endedAt", view.endedAt, same),
  ...optional("durationMs", view.durationMs, same),
  ...optional("ended", view.ended, ({ reason, detail }) => ({ reason, detail: prose(detail) })),
  security: view.security,
  reason: view.reason,
  ...optional("gateway", view.gateway, ({ gateway, context }) => ({ gateway: name(gateway), context })),
});

/** Two octets in hex: the only form in which a key may be named. */
const fingerprint = (text: string): string => (/^[0-9a-f]{2}:[0-9a-f]{2}$/.test(text) ? text : "<redacted>");

const streamAnswer = (view: CallView["streams"][number]): StreamAnswer => ({
  stream: view.stream,
  media: name(view.media),
  security: view.security,
  reason: view.reason,
  ...optional("mode", view.mode, same),
  ...optional("suite", view.suite, same),
  ...optional("fromUe", view.fromUe, fingerprint),
  ...optional("towardsUe", view.towardsUe, fingerprint),
});

export const streamsOf = (view: CallView): readonly StreamAnswer[] =>
  view.streams.slice(0, maxStreams).map(streamAnswer);

const mediaAnswer = (view: CallView["media"][number]): MediaAnswer => ({
  gateway: name(view.gateway),
  context: view.context,
  side: view.side,
  ...optional("stream", view.stream, same),
  ...Object.fromEntries(mediaCountNames.flatMap((each) => (view[each] === undefined ? [] : [[each, view[each]]]))),
});

export const mediaOf = (view: CallView): readonly MediaAnswer[] => view.media.slice(0, maxMedia).map(mediaAnswer);

type Evidence = CallView["evidence"][number];

const evidenceAnswer = (record: Evidence): EvidenceAnswer => ({
  clause: record.clause,
  step: record.step,
  origin: record.origin,
  found: prose(record.found),
  changed: record.changed.slice(0, maxPerRecord).map(prose),
  ...optional("at", record.at, same),
  ...optional("stream", record.stream, same),
  ...optional("reason", record.reason, same),
  ...optional("mode", record.mode, same),
  ...optional("quirk", record.quirk, same),
  ...optional("quirkMode", record.quirkMode, same),
});

export const decisionsOf = (view: CallView): readonly EvidenceAnswer[] =>
  view.evidence.slice(0, maxEvidence).map(evidenceAnswer);

/** Who had put there what this record says was removed. A record of the edge itself is about the answer it passes on. */
const ownerOf = ({ origin, clause }: Evidence): string =>
  origin !== "edge" ? origin : clause === "7.3.1" ? "access" : "core";

const removalsIn = (record: Evidence): readonly Removal[] => {
  const place = { clause: record.clause, step: record.step, ...optional("stream", record.stream, same) };
  const from = ownerOf(record);
  const gone = record.changed.slice(0, maxPerRecord).filter((change) => /^removed\b/.test(change));
  return gone.map((change) => Object.assign({ from, what: prose(change.replace(/^removed\s+/, "")) }, place));
};

export const removalsOf = (view: CallView): readonly Removal[] =>
  view.evidence.slice(0, maxEvidence).flatMap(removalsIn);

export const callAnswer = (view: CallView): CallAnswer => ({
  ...callRow(view),
  streams: [...streamsOf(view)],
  media: [...mediaOf(view)],
  removed: [...removalsOf(view)],
});
