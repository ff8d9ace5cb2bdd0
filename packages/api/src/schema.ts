// The documented shapes of every answer, version 1. Times are ms since 1970 by the node's clock. Fields may be added in
// version 1, never changed or removed. No shape has a place for a key: fingerprints are two octets.
import * as z from "zod";

export const apiVersion = 1;

const time = (what: string) => z.number().describe(`${what}, ms since 1970.`);
const count = (what: string) => z.int().min(0).describe(what);

const envelope = {
  apiVersion: z.literal(apiVersion).describe("Version of this shape."),
  now: time("The node's time"),
};
const page = {
  ...envelope,
  total: count("How many there are; the list below may be shorter."),
  offset: count("How many were passed over."),
};

const listening = z.object({
  name: z.string(),
  protocol: z.string(),
  address: z.string(),
  port: z.int(),
  trusted: z.boolean().optional().describe("The access network itself is declared confidential."),
});

const gatewaySchema = z.object({
  id: z.string(),
  mid: z.string().describe("Its H.248 message identifier."),
  state: z.string().describe("up, down or leaving."),
  protected: z.boolean().describe("Keys may be sent to it."),
  contexts: count("Contexts this edge holds there."),
  draining: z.boolean().default(false).describe("No new calls go there; it may be stopped once contexts is 0."),
  health: z.string().default("").describe("good, silent, congested, refusing or down."),
  weight: z.number().default(1).describe("Its share of new calls against other gateways."),
  capacity: count("Calls it may hold for this edge, where that is configured.").optional(),
  load: z.number().min(0).optional().describe("contexts against capacity."),
  realms: z.array(z.string()).optional().describe("IP realms it serves; all when absent."),
  remote: z.string().optional().describe("Where it connects from."),
  protocol: z.string().optional(),
  reason: z.string().optional().describe("Why it is in this state."),
});

export const statusSchema = z.object({
  ...envelope,
  name: z.string().describe("Name of the edge."),
  version: z.string().describe("Version of Sallyport."),
  node: z.string().describe("Version of Node."),
  pid: z.int(),
  startedAt: time("Start of the interface"),
  memory: count("Resident memory, octets."),
  access: z.array(listening),
  core: z.array(listening),
  iq: listening.omit({ name: true, trusted: true }).optional(),
  counts: z.object({
    calls: count("Live call legs."),
    registrations: count("Registered contacts."),
    transactions: count("SIP transactions."),
    contexts: count("Gateway contexts."),
  }),
  gateways: z.array(gatewaySchema),
  warnings: z.array(z.string()).describe("What an operator should look at; empty when all is well."),
});

const registrationSchema = z.object({
  aor: z.string(),
  contact: z.string(),
  identities: z.array(z.string()),
  transport: z.string(),
  remote: z.string(),
  indications: z
    .object({ ueE2ae: z.boolean(), ueE2eSdes: z.boolean(), ueE2eKms: z.boolean(), networkE2ae: z.boolean() })
    .describe("The four indications of TS 33.328 7.1."),
  dialect: z.string().describe("How the UE announced: 3gpp, draft or none."),
  policy: z.string().describe("What the policy says of e2ae for this registration."),
  mode: z.string().optional().describe("What may protect its calls up to the gateway: e2ae, sdes-phone or none."),
  offersSdes: z
    .boolean()
    .optional()
    .describe("A phone in the SDES phone mode that has shown SRTP: it is offered that."),
  reason: z.string().optional().describe("Why e2ae is not available; absent when it is."),
  accessNetwork: z.string().optional(),
  registeredAt: time("Registered"),
  expiresInMs: z.number(),
});

export const registrationsSchema = z.object({ ...page, registrations: z.array(registrationSchema) });

const streamSchema = z.object({
  stream: z.int().describe("m-line, counted from 1."),
  media: z.string(),
  security: z.string().describe("e2ae, e2e or none."),
  reason: z.string().describe("Reason code."),
  mode: z.string().optional().describe("e2ae, or sdes-phone for a phone that knows SRTP but no e2ae."),
  suite: z.string().optional(),
  fromUe: z.string().optional().describe("Fingerprint of the key from the UE."),
  towardsUe: z.string().optional().describe("Fingerprint of the key towards the UE."),
});

const mediaCounts = {
  packetsIn: count("RTP packets taken in.").optional(),
  packetsOut: count("RTP packets sent.").optional(),
  octetsIn: count("Octets of RTP and RTCP taken in.").optional(),
  octetsOut: count("Octets of RTP and RTCP sent.").optional(),
  lost: count("Packets that did not arrive (RFC 3550 6.4.1).").optional(),
  jitter: count("RTP timestamp units (RFC 3550 6.4.1).").optional(),
  roundTripMs: count("Of RTCP reports.").optional(),
  authenticationFailures: count("Tags of SRTP and SRTCP that did not verify.").optional(),
  replays: count("Packets seen before.").optional(),
  clearDropped: count("Clear packets that came on a protected leg.").optional(),
  keyChanges: count("New keys while the leg ran.").optional(),
  indexReuse: count("Packets refused because their index had been used under the key.").optional(),
};

const mediaSchema = z.object({
  gateway: z.string(),
  context: count("Context at the gateway."),
  side: z.string().describe("access (towards the UE) or core."),
  stream: z.int().optional().describe("m-line; absent where the gateway counts all together."),
  ...mediaCounts,
});

export const mediaCountNames = Object.keys(mediaCounts) as readonly (keyof typeof mediaCounts)[];

const callRow = {
  id: z.string().describe("Names one crossing of the edge."),
  callId: z.string().describe("The Call-ID; a call between two UEs of this edge crosses twice."),
  direction: z.string().describe("originating or terminating, seen from the UE."),
  aor: z.string().describe("The registration of the UE on the access side."),
  otherParty: z.string().optional().describe("The party at the other end, as the dialog names it."),
  phase: z.string().describe("setup, confirmed or ended."),
  startedAt: time("INVITE"),
  answeredAt: time("Answer").optional(),
  endedAt: time("End").optional(),
  durationMs: z.number().optional().describe("From the answer to the end; absent before the end, 0 without an answer."),
  ended: z.object({ reason: z.string(), detail: z.string() }).optional(),
  security: z.string().describe("e2ae, e2e, none or mixed."),
  reason: z.string().describe("The one reason code."),
  gateway: z.object({ gateway: z.string(), context: z.number() }).optional(),
};

const callRowSchema = z.object(callRow);

export const callsSchema = z.object({ ...page, calls: z.array(callRowSchema) });

const removalSchema = z.object({
  from: z.string().describe("Who had put it there: access (the UE), core, edge or gateway."),
  what: z.string(),
  clause: z.string(),
  step: z.string(),
  stream: z.int().optional(),
});

const evidenceSchema = z.object({
  clause: z.string().describe("Of TS 33.328, or an RFC."),
  step: z.string().describe("Step of the clause; `remove` for its closing sentence; may be empty."),
  origin: z.string().describe("Who sent what was looked at."),
  found: z.string(),
  changed: z.array(z.string()),
  at: time("Found").optional(),
  stream: z.int().optional(),
  reason: z.string().optional(),
  mode: z.string().optional(),
  quirk: z.string().optional().describe("The named deviation of a peer that was met."),
  quirkMode: z.string().optional().describe("strict, tolerant or observe."),
});

const counted = z
  .array(mediaSchema)
  .default([])
  .describe("What gateways counted, leg by leg; said when they give a context back.");

const callSchema = z.object({
  ...callRow,
  streams: z.array(streamSchema),
  media: counted,
  removed: z.array(removalSchema),
});

export const callDetailSchema = z.object({
  ...envelope,
  calls: z.array(callSchema).describe("One for an id; every crossing of the call for a Call-ID or `latest`."),
});

const explanationSchema = z.object({
  ...callRow,
  protected: z.boolean().describe("Every live stream runs with e2ae."),
  verdict: z.string().describe("One sentence: why this call is, or is not, protected."),
  advice: z.string().optional().describe("What would change it, where something would."),
  streams: z.array(streamSchema),
  media: counted,
  decisions: z.array(evidenceSchema).describe("In the order in which they were taken."),
  removed: z.array(removalSchema),
});

export const explanationsSchema = z.object({ ...envelope, calls: z.array(explanationSchema) });

/** What a command about one gateway answers: the gateway as it is now. */
export const gatewayAnswerSchema = z.object({ ...envelope, gateway: gatewaySchema });

export const gatewaysSchema = z.object({ ...envelope, gateways: z.array(gatewaySchema) });

const countersSchema = z.object({
  ...envelope,
  counts: statusSchema.shape.counts,
  counters: z.array(z.object({ name: z.string(), labels: z.record(z.string(), z.string()), value: z.number() })),
});

/** Of a gateway's own interface: what moves its media, and how that bears the load. */
export const mediaLoadSchema = z.object({
  ...envelope,
  id: z.string().describe("The gateway's id."),
  registered: z.boolean().describe("A controller has taken it."),
  registration: z.string().describe("Why it is, or is not, registered."),
  contexts: count("Calls it holds."),
  terminations: count("Terminations it holds."),
  refused: count("New calls it has turned away."),
  engine: z.string().describe("portable, socket or xdp."),
  reason: z.string().describe("Why this engine."),
  warning: z.string().optional().describe("What the engine goes without, and what would help."),
  shortage: z.string().optional().describe("Why new calls are turned away now; absent when they are not."),
  threads: z
    .array(
      z.object({
        packetsIn: count("Datagrams received."),
        packetsOut: count("Datagrams sent."),
        lost: count("Datagrams the kernel dropped because a receive buffer was full."),
        load: z.number().min(0).describe("Share of the last tenths of a second it was at work."),
        queueDepth: z.number().min(0).describe("Datagrams found waiting at once, a peak that decays within seconds."),
        legs: count("Legs it has."),
        sendErrors: count("Datagrams that could not be sent."),
        buffersExhausted: count("Times receive buffers ran out."),
        oversized: count("Datagrams longer than a receive buffer."),
        wakes: count("Times it woke to work off packets."),
        batchUs: z.number().min(0).describe("How long packets are gathered now, microseconds."),
        cpuSeconds: z.number().min(0).describe("Its processor time."),
      }),
    )
    .describe("Packet threads; none in an engine without threads of its own."),
});

export const errorSchema = z.object({
  code: z.string().describe("SALLY_*"),
  message: z.string().describe("What happened, and where."),
  action: z.string().describe("What to do."),
});

/** Every shape by the path that answers with it. */
export const apiSchemas = {
  "/v1/status": statusSchema,
  "/v1/registrations": registrationsSchema,
  "/v1/registrations/:aor": registrationsSchema,
  "/v1/calls": callsSchema,
  "/v1/calls/:id": callDetailSchema,
  "/v1/calls/:id/explain": explanationsSchema,
  "/v1/gateways": gatewaysSchema,
  "/v1/gateways/:id/drain": gatewayAnswerSchema,
  "/v1/gateways/:id/resume": gatewayAnswerSchema,
  "/v1/gateways/:id/handoff": gatewayAnswerSchema,
  "/v1/counters": countersSchema,
} as const;

/** The same of a gateway's own interface. */
export const gatewaySchemas = { "/v1/media": mediaLoadSchema } as const;

/** What `/v1/schemas` answers; written out when it is first asked for. */
export const described = (schemas: Readonly<Record<string, z.ZodType>>): (() => object) => {
  let answer: object | undefined;
  return () =>
    (answer ??= {
      apiVersion,
      schemas: Object.fromEntries(Object.entries(schemas).map(([path, schema]) => [path, z.toJSONSchema(schema)])),
    });
};

export type MediaLoad = z.output<typeof mediaLoadSchema>;
export type Status = z.output<typeof statusSchema>;
export type RegistrationAnswer = z.output<typeof registrationSchema>;
export type Registrations = z.output<typeof registrationsSchema>;
export type CallRow = z.output<typeof callRowSchema>;
export type Calls = z.output<typeof callsSchema>;
export type CallAnswer = z.output<typeof callSchema>;
export type CallDetail = z.output<typeof callDetailSchema>;
export type EvidenceAnswer = z.output<typeof evidenceSchema>;
export type Explanation = z.output<typeof explanationSchema>;
export type Explanations = z.output<typeof explanationsSchema>;
export type GatewayAnswer = z.output<typeof gatewaySchema>;
export type OneGateway = z.output<typeof gatewayAnswerSchema>;
export type Gateways = z.output<typeof gatewaysSchema>;
export type Counters = z.output<typeof countersSchema>;
export type ErrorAnswer = z.output<typeof errorSchema>;
export type Removal = z.output<typeof removalSchema>;
export type MediaAnswer = z.output<typeof mediaSchema>;
export type StreamAnswer = z.output<typeof streamSchema>;
