// Owns the mapping of TS 23.334 procedures onto H.248 actions, controller's side: plans in, actions out, nothing sent.
// Must not know sockets, suites or SIP. TS 29.334 5.8 (commands), 5.14 (packages); TS 33.328 6.2.1.3 (two keys a stream).
import type {
  ActionRequest,
  CommandRequest,
  Descriptor,
  Property,
  RequestedEvent,
  Signal,
  StreamDescriptor,
} from "@sallyport/h248";
import { choosePattern, root } from "../profile/names.ts";
import { choose, chooseIpv6, given, none, writeSessionText, type Chosen } from "../profile/session-text.ts";
import type { CallEndPlan, ContextMarks, IqContext, IqSide, StreamMode, StreamPlan } from "../types.ts";
import type { HeldContext, HeldEnd } from "./held.ts";
import { heldEnd, sides } from "./held.ts";

const modes = {
  inactive: "Inactive",
  "send-only": "SendOnly",
  "receive-only": "ReceiveOnly",
  "send-receive": "SendReceive",
} as const satisfies Record<StreamMode, string>;

const property = (name: string, value: string): Property => ({ name, relation: "=", values: [value] });

/** H.248.1 7.1.8: `$` leaves the address to the gateway, but not its family where that is known. */
const chosenAddress = ({ family, remote }: CallEndPlan): Chosen<string> =>
  (remote === undefined ? family === "IP6" : remote.address.includes(":")) ? chooseIpv6 : choose;

/** Local is what we say towards the far end in the gateway's name: its key is the one the gateway encrypts with. */
const localText = (plan: CallEndPlan, held: HeldEnd | undefined): string => {
  const own = held?.reserved;
  const mux = plan.rtcpMux ?? false;
  return writeSessionText({
    address: own === undefined ? chosenAddress(plan) : given(own.address),
    port: own === undefined ? choose : given(own.port),
    media: plan.media,
    protocol: plan.protocol,
    formats: plan.formats,
    rtcpMux: mux,
    rtcp: own === undefined || mux || own.rtcpPort === own.port + 1 ? undefined : { port: given(own.rtcpPort) },
    crypto: plan.localCrypto,
  });
};

/** Remote is what the far end said: its key is the one the gateway decrypts with. */
const remoteText = (plan: CallEndPlan): string | undefined => {
  const { remote, remoteCrypto } = plan;
  if (remote === undefined && remoteCrypto === undefined) return undefined;
  const mux = plan.rtcpMux ?? false;
  const { rtcpAddress, rtcpPort } = remote ?? {};
  const next = (remote?.port ?? 0) + 1;
  return writeSessionText({
    address: remote === undefined ? none : given(remote.address),
    port: remote === undefined ? none : given(remote.port),
    media: plan.media,
    protocol: plan.protocol,
    formats: plan.formats,
    rtcpMux: mux,
    // RFC 3605: said only where it is not port + 1 of the same address.
    rtcp:
      mux || ((rtcpPort ?? next) === next && rtcpAddress === undefined)
        ? undefined
        : { port: given(rtcpPort ?? next), ...(rtcpAddress === undefined ? {} : { address: rtcpAddress }) },
    crypto: remoteCrypto,
  });
};

const streamDescriptor = (stream: number, plan: CallEndPlan, held: HeldEnd | undefined): StreamDescriptor => {
  const remote = remoteText(plan);
  const fresh = held === undefined;
  const properties: Property[] = [];
  // H.248.41: the realm is set when the termination is added. H.248.57: so is the RTCP port.
  if (fresh && plan.realm !== undefined) properties.push(property("ipdc/realm", plan.realm));
  if (fresh) properties.push(property("rtcph/rsb", "ON"));
  if (plan.dscp !== undefined) properties.push(property("ds/dscp", plan.dscp.toString(16).padStart(2, "0")));
  return {
    id: stream,
    localControl: { mode: modes[plan.mode], properties },
    local: localText(plan, held),
    remote,
  };
};

// H.248.37: latching is a signal; RELATCH where the far end has moved and the learnt address is of yesterday.
const latchSignal = (stream: number, plan: CallEndPlan, held: HeldEnd | undefined): Signal | undefined => {
  const wanted = plan.latch ?? false;
  const before = held?.latch ?? false;
  const moved =
    held?.remote !== undefined &&
    plan.remote !== undefined &&
    (held.remote.address !== plan.remote.address || held.remote.port !== plan.remote.port);
  const napt = wanted ? (before ? (moved ? "RELATCH" : undefined) : "LATCH") : before ? "OFF" : undefined;
  if (napt === undefined) return undefined;
  return { kind: "signal", name: "ipnapt/latch", stream, properties: [property("napt", napt)] };
};

// H.248.40: one ipstop event a stream, detection time in seconds, packets that arrive.
const watchEvent = (stream: number, seconds: number): RequestedEvent => ({
  name: "adid/ipstop",
  stream,
  properties: [property("dt", String(seconds)), property("dir", "IN")],
});

const keyEvent = (stream: number): RequestedEvent => ({ name: "xsrtp/kexp", stream, properties: [] });

type Watched = Pick<CallEndPlan, "inactivityMs" | "watchKeys">;

const secondsOf = ({ inactivityMs }: Watched): number | undefined =>
  inactivityMs === undefined ? undefined : Math.max(1, Math.ceil(inactivityMs / 1000));

const watchedEvents = (stream: number, watched: Watched): readonly RequestedEvent[] => {
  const seconds = secondsOf(watched);
  return [
    ...(seconds === undefined ? [] : [watchEvent(stream, seconds)]),
    ...(watched.watchKeys === true ? [keyEvent(stream)] : []),
  ];
};

const watchedAlike = (one: Watched, other: Watched): boolean =>
  secondsOf(one) === secondsOf(other) && (one.watchKeys === true) === (other.watchKeys === true);

const unwatched: Watched = {};

/** The events the termination shall report after this plan; undefined when nothing changes. */
const watchDescriptor = (
  streams: readonly StreamPlan[],
  side: IqSide,
  held: HeldContext | undefined,
): Descriptor | undefined => {
  const changes = streams.some((plan) => {
    const wanted = plan[side];
    return wanted !== undefined && !watchedAlike(heldEnd(held, plan.stream, side) ?? unwatched, wanted);
  });
  if (!changes) return undefined;
  const after = new Map<number, Watched>();
  for (const [stream, ends] of held?.streams ?? []) after.set(stream, ends[side] ?? unwatched);
  for (const plan of streams) {
    const wanted = plan[side];
    if (wanted !== undefined) after.set(plan.stream, wanted);
  }
  const events = [...after].flatMap(([stream, what]) => watchedEvents(stream, what));
  return { kind: "events", ...(events.length === 0 ? {} : { requestId: 1 }), events };
};

const command = (
  name: "Add" | "Modify",
  termination: string,
  streams: readonly StreamPlan[],
  side: IqSide,
  held: HeldContext | undefined,
): CommandRequest | undefined => {
  const media: StreamDescriptor[] = [];
  const signals: Signal[] = [];
  for (const { stream, [side]: plan } of streams) {
    if (plan === undefined) continue;
    const end = heldEnd(held, stream, side);
    media.push(streamDescriptor(stream, plan, end));
    const latch = latchSignal(stream, plan, end);
    if (latch !== undefined) signals.push(latch);
  }
  if (media.length === 0) return undefined;
  const descriptors: Descriptor[] = [{ kind: "media", streams: media }];
  const events = watchDescriptor(streams, side, held);
  if (events !== undefined) descriptors.push(events);
  if (signals.length > 0) descriptors.push({ kind: "signals", signals });
  return { command: name, termination, descriptors };
};

const commands = (
  name: "Add" | "Modify",
  terminations: Readonly<Record<IqSide, string>>,
  streams: readonly StreamPlan[],
  held: HeldContext | undefined,
): readonly CommandRequest[] => {
  const all: CommandRequest[] = [];
  for (const side of sides) {
    const one = command(name, terminations[side], streams, side, held);
    if (one !== undefined) all.push(one);
  }
  return all;
};

const chosen = { access: choosePattern("access"), core: choosePattern("core") };

/** Reserve (and Configure) AGW Connection Point: one new context, one termination for each side the plans name. */
export const addRequest = (streams: readonly StreamPlan[], marks: ContextMarks = {}): readonly ActionRequest[] => [
  {
    context: "$",
    ...(marks.emergency === true ? { emergency: true } : {}),
    ...(marks.priority === undefined ? {} : { priority: marks.priority }),
    commands: commands("Add", chosen, streams, undefined),
  },
];

/** Configure AGW Connection Point, Change Through-Connection, and Reserve for streams not held yet. */
export const modifyRequest = (held: HeldContext, streams: readonly StreamPlan[]): readonly ActionRequest[] => [
  {
    context: held.context.context,
    commands: commands("Modify", held.context, streams, held),
  },
];

/** H.248.1 7.1.6: empty Local and Remote give up what the stream had reserved. */
export const removeStreamsRequest = (held: HeldContext, streams: readonly number[]): readonly ActionRequest[] => [
  {
    context: held.context.context,
    commands: sides.flatMap((side): CommandRequest[] => {
      const known = streams.filter((stream) => heldEnd(held, stream, side) !== undefined);
      if (known.length === 0) return [];
      const left = [...held.streams].filter(([stream]) => !known.includes(stream));
      const watched = known.some((stream) => watchedEvents(stream, heldEnd(held, stream, side) ?? {}).length > 0);
      const events = left.flatMap(([stream, ends]) => watchedEvents(stream, ends[side] ?? {}));
      return [
        {
          command: "Modify",
          termination: held.context[side],
          descriptors: [
            {
              kind: "media",
              streams: known.map((id) => ({
                id,
                localControl: { mode: "Inactive", properties: [] },
                local: "",
                remote: "",
              })),
            },
            ...(watched ? [{ kind: "events", ...(events.length === 0 ? {} : { requestId: 1 }), events } as const] : []),
          ],
        },
      ];
    }),
  },
];

/**
 * Release AGW Termination, all of the context at once. With statistics each termination answers for itself;
 * without, one wildcarded answer and an empty Audit: no statistics (TS 29.334 5.8.3).
 */
export const subtractRequest = (
  context: IqContext | number,
  options: { readonly statistics: boolean },
): readonly ActionRequest[] => [
  {
    context: typeof context === "number" ? context : context.context,
    commands: [
      options.statistics
        ? { command: "Subtract", termination: "*", descriptors: [] }
        : { command: "Subtract", wildcarded: true, termination: "*", descriptors: [{ kind: "audit", items: [] }] },
    ],
  },
];

/** The list of all contexts (H.248.1 7.2.5: ROOT in the ALL context). */
export const auditContextsRequest: readonly ActionRequest[] = [
  {
    context: "*",
    commands: [{ command: "AuditValue", termination: root, descriptors: [{ kind: "audit", items: [] }] }],
  },
];

/** H.248.1 7.2.5: which packages the gateway has. */
export const packagesRequest: readonly ActionRequest[] = [
  {
    context: "-",
    commands: [
      { command: "AuditValue", termination: root, descriptors: [{ kind: "audit", items: [{ name: "Packages" }] }] },
    ],
  },
];

/** H.248.1 7.1.9: the events of ROOT that tell of congestion (H.248.10), overload (H.248.11) and realms (H.248.41 Amd. 1). */
export const watchRootRequest: readonly ActionRequest[] = [
  {
    context: "-",
    commands: [
      {
        command: "Modify",
        optional: true,
        termination: root,
        descriptors: [
          {
            kind: "events",
            requestId: 1,
            events: ["chp/mgcon", "ocp/mg_overload", "ipra/arc"].map((name) => ({ name, properties: [] })),
          },
        ],
      },
    ],
  },
];

/** H.248.1 7.2.8: `mgc` is the message identifier of the controller to register with. */
export const handoffRequest = (mgc: string): readonly ActionRequest[] => [
  {
    context: "-",
    commands: [
      {
        command: "ServiceChange",
        termination: root,
        descriptors: [
          { kind: "services", method: "HandOff", reason: "903 MGC Directed Change", mgcIdToTry: mgc, extensions: [] },
        ],
      },
    ],
  },
];

/** The empty audit of ROOT: the heartbeat. */
export const heartbeatRequest: readonly ActionRequest[] = [
  {
    context: "-",
    commands: [{ command: "AuditValue", termination: root, descriptors: [{ kind: "audit", items: [] }] }],
  },
];
