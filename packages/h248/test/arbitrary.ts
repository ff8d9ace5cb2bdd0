// Random H.248 messages over the whole grammar, for the round trips.
/* oxlint-disable oxc/no-map-spread -- an arbitrary's map runs once a value, it is no array's */
import * as fc from "fast-check";
import type { AuditItem, Descriptor, EventsDescriptor, H248Message, Property, Signal } from "../src/index.ts";

const letters = Array.from("abcdefghijklmnopqrstuvwxyzABCXYZ");
const wordCharacters = Array.from("abcXYZ0189+-&!_/'?@^`~*$\\()%|.");
const quotable = [...wordCharacters, ...Array.from(";[]{}:,#<>= \t")];

const text = (characters: readonly string[], min: number, max: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...characters), { minLength: min, maxLength: max }).map((list) => list.join(""));

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
/** Leaves out what is undefined. */
const record = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K] | undefined> }): fc.Arbitrary<T> =>
  fc
    .record(fields as { [K in keyof T]: fc.Arbitrary<T[K]> })
    .map((value) => Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T);

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const id = fc.integer({ min: 1, max: 0xffff_ffff });
/** Never a keyword: those have no underscore. */
const name = text([...letters, "0", "7"], 1, 6).map((tail) => `n_${tail}`);
const packaged = fc.tuple(name, name).map(([a, b]) => `${a}/${b}`);
const termination = fc.oneof(
  fc.constantFrom("ROOT", "$", "*", "ip/1/access/$", "ip/1/*"),
  name,
  fc.tuple(name, name).map(([a, b]) => `[${a},${b}]`),
);
const value = fc.oneof(text(wordCharacters, 1, 8), text(quotable, 0, 12));
const flag = fc.constant(true as const);
const requestId = fc.oneof(u32, fc.constant("*" as const));
const timeStamp = fc.constantFrom("20260101T10305099", "19991231T23595999");

const property = (of: fc.Arbitrary<string> = packaged): fc.Arbitrary<Property> =>
  fc
    .tuple(
      of,
      fc.constantFrom("=", "#", "<", ">", "all", "any", "range"),
      fc.array(value, { minLength: 2, maxLength: 4 }),
      fc.boolean(),
    )
    .map(([propertyName, relation, values, force]): Property => {
      const kept = relation === "all" || relation === "any" ? values : values.slice(0, relation === "range" ? 2 : 1);
      const bare = kept.every((one) => /^[\w+\-&!/'?@^`~*$\\()%|.]+$/.test(one));
      return { name: propertyName, relation, values: kept, ...(force || !bare ? { quoted: true } : {}) };
    });
const properties = fc.array(property(), { maxLength: 3 });
const parameters = fc.array(property(name), { maxLength: 3 });
const statistic = fc.oneof(
  property(),
  packaged.map((of): Property => ({ name: of, relation: "=", values: [] })),
);
const some = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(of, { minLength: 1, maxLength: 3 });

/** Lines of any octets but NUL, white space at both ends as the parser leaves it. */
const sdp = fc
  .array(
    fc.array(fc.oneof(fc.integer({ min: 33, max: 255 }), fc.constantFrom(0x7d, 0x5c, 0x7b, 0x3b)), {
      minLength: 1,
      maxLength: 12,
    }),
    { maxLength: 4 },
  )
  .map((lines) => lines.map((octets) => `${Buffer.from(octets).toString("latin1")}\r\n`).join(""));

const stream = record({
  localControl: optional(
    record({
      mode: fc.constantFrom("SendOnly", "ReceiveOnly", "SendReceive", "Inactive", "LoopBack"),
      reservedValue: optional(fc.boolean()),
      reservedGroup: optional(fc.boolean()),
      properties,
    }),
  ),
  local: sdp,
  remote: optional(sdp),
  statistics: optional(some(statistic)),
});

const media = fc
  .tuple(
    fc.oneof(
      stream.map((one) => [one]),
      fc
        .uniqueArray(u16, { minLength: 1, maxLength: 3 })
        .chain((ids) => fc.tuple(...ids.map((streamId) => stream.map((one) => ({ id: streamId, ...one }))))),
    ),
    optional(
      record({
        serviceState: fc.constantFrom("InService", "OutOfService", "Test"),
        eventBufferControl: optional(fc.constantFrom("Off", "LockStep")),
        properties,
      }),
    ),
  )
  .map(([streams, terminationState]) => ({
    kind: "media" as const,
    streams,
    ...(terminationState === undefined ? {} : { terminationState }),
  }));

const signal: fc.Arbitrary<Signal> = record({
  kind: fc.constant("signal" as const),
  name: packaged,
  stream: optional(u16),
  type: optional(fc.constantFrom("OnOff", "TimeOut", "Brief")),
  duration: optional(u16),
  notifyCompletion: optional(some(fc.constantFrom("TimeOut", "IntByEvent", "IntBySigDescr", "OtherReason"))),
  keepActive: optional(flag),
  direction: optional(fc.constantFrom("External", "Internal", "Both")),
  requestId: optional(requestId),
  properties: parameters,
});
const signals = fc.record({
  kind: fc.constant("signals" as const),
  signals: fc.array(
    fc.oneof(signal, fc.record({ kind: fc.constant("list" as const), id: u16, signals: some(signal) })),
    { maxLength: 3 },
  ),
});
const digitMap = fc.oneof(
  name.map((of) => ({ name: of })),
  fc.constant({ value: "T:10, S:5, (0[1-9]x|*7)" }),
  name.map((of) => ({ name: of, value: "(1|2x.)\r\n|3" })),
);
const event = record({
  name: packaged,
  stream: optional(u16),
  keepActive: optional(flag),
  neverNotify: optional(flag),
  resetEvents: optional(flag),
  digitMap: optional(digitMap),
  properties: parameters,
});
const plainEvents: fc.Arbitrary<EventsDescriptor> = fc.record({
  kind: fc.constant("events" as const),
  requestId,
  events: fc.array(event, { maxLength: 2 }),
});
const embed = fc.oneof(
  fc.record({ signals }),
  fc.record({ events: plainEvents }),
  fc.record({ signals, events: plainEvents }),
);
const events: fc.Arbitrary<EventsDescriptor> = fc.oneof(
  fc.constant({ kind: "events" as const, events: [] }),
  fc.record({
    kind: fc.constant("events" as const),
    requestId,
    events: some(
      fc.tuple(event, optional(embed)).map(([one, inner]) => (inner === undefined ? one : { ...one, embed: inner })),
    ),
  }),
);
const occurrence = record({ name: packaged, stream: optional(u16), properties: parameters });
const observed = record({ name: packaged, time: optional(timeStamp), stream: optional(u16), properties: parameters });

const mid = fc.oneof(
  fc.constantFrom("[127.0.0.1]:2944", "[2001:db8::1]", "<gw-a.example>:2944", "<edge>", "mtp{1a2b}", "gw/slot1"),
);
const auditItem: fc.Arbitrary<AuditItem> = fc.oneof(
  fc
    .constantFrom("Media", "Signals", "Events", "EventBuffer", "ObservedEvents", "Packages", "Statistics", "DigitMap")
    .map((item) => ({ name: item })),
  fc.record({ name: fc.constant("Events"), value: u32.map(String), items: some(packaged.map((of) => ({ name: of }))) }),
  fc.constant({
    name: "Media",
    items: [
      { name: "Stream", value: "1", items: [{ name: "LocalControl", items: [{ name: "Mode" }, { name: "a_/b" }] }] },
    ],
  }),
  fc.record({ name: fc.constant("Statistics"), items: some(packaged.map((of) => ({ name: of }))) }),
);
const error = fc.record({ code: fc.integer({ min: 0, max: 9999 }), text: text(quotable, 0, 20) });
const services = record({
  kind: fc.constant("services" as const),
  method: fc.constantFrom("Restart", "Forced", "Graceful", "Disconnected", "HandOff", "Failover", "X-abc"),
  reason: optional(fc.constantFrom("901", "901 Cold boot")),
  delay: optional(u32),
  address: optional(fc.oneof(u16.map(String), mid)),
  mgcIdToTry: optional(mid),
  profile: optional(fc.constantFrom("ETSI_BGF/2", "NoProfile/1")),
  version: optional(fc.integer({ min: 0, max: 99 })),
  timeStamp: optional(timeStamp),
  incomplete: optional(flag),
  extensions: fc.array(property(fc.constantFrom("X-a", "X+b1")), { maxLength: 2 }),
  audit: optional(some(fc.constantFrom({ name: "Media" }, { name: "Signals" }))),
});

const amm: readonly fc.Arbitrary<Descriptor>[] = [
  media,
  signals,
  events,
  fc.record({ kind: fc.constant("digitmap" as const), digitMap }),
  fc.record({ kind: fc.constant("eventBuffer" as const), events: fc.array(occurrence, { maxLength: 2 }) }),
  fc.record({
    kind: fc.constant("modem" as const),
    types: some(name),
    properties: fc.array(property(name), { maxLength: 2 }),
  }),
  fc.record({ kind: fc.constant("mux" as const), type: name, terminations: some(name) }),
  fc.record({ kind: fc.constant("audit" as const), items: fc.array(auditItem, { maxLength: 3 }) }),
];
const returned: readonly fc.Arbitrary<Descriptor>[] = [
  media,
  signals,
  events,
  fc.record({ kind: fc.constant("statistics" as const), statistics: some(statistic) }),
  fc.record({
    kind: fc.constant("packages" as const),
    packages: some(fc.record({ name, version: u16 })),
  }),
  fc.record({ kind: fc.constant("observedEvents" as const), requestId, events: some(observed) }),
  fc.constant({ kind: "bare" as const, name: "Mux" as const }),
  services,
];
const subset = (of: readonly fc.Arbitrary<Descriptor>[]): fc.Arbitrary<Descriptor[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: of.length - 1 }), { maxLength: 4 })
    .chain((chosen) => fc.tuple(...chosen.map((at) => of[at] ?? media)));

const prefix = record({ optional: optional(flag), wildcarded: optional(flag) });
const commandRequest = fc.oneof(
  fc.tuple(fc.constantFrom("Add" as const, "Move" as const, "Modify" as const), subset(amm)),
  fc.tuple(
    fc.constantFrom("Subtract" as const, "AuditValue" as const, "AuditCapability" as const),
    subset([fc.record({ kind: fc.constant("audit" as const), items: fc.array(auditItem, { maxLength: 3 }) })]),
  ),
  fc.tuple(
    fc.constant("Notify" as const),
    fc
      .tuple(
        fc.record({ kind: fc.constant("observedEvents" as const), requestId, events: some(observed) }),
        optional(error),
      )
      .map(([seen, failure]): Descriptor[] =>
        failure === undefined ? [seen] : [seen, { kind: "error", error: failure }],
      ),
  ),
  fc.tuple(
    fc.constant("ServiceChange" as const),
    services.map((one): Descriptor[] => [one]),
  ),
);
const contextProperties = record({
  priority: optional(u16),
  emergency: optional(fc.boolean()),
  ieps: optional(fc.boolean()),
  topology: optional(
    some(
      record({
        from: name,
        to: name,
        direction: fc.constantFrom("Isolate", "Oneway", "Bothway", "OnewayExternal", "OnewayBoth"),
        stream: optional(u16),
      }),
    ),
  ),
});
const context = fc.oneof(
  fc.integer({ min: 1, max: 0xffff_fffd }),
  fc.constantFrom("-" as const, "$" as const, "*" as const),
);
const actionRequest = fc
  .tuple(
    context,
    contextProperties,
    optional(fc.constant(["Topology", "Emergency", "Priority", "IEPSCall"] as const)),
    some(fc.tuple(prefix, termination, commandRequest)),
  )
  .map(([contextId, of, contextAudit, commands]) => ({
    context: contextId,
    ...of,
    ...(contextAudit === undefined ? {} : { contextAudit }),
    commands: commands.map(([before, at, [command, descriptors]]) => ({
      command,
      ...before,
      termination: at,
      descriptors,
    })),
  }));
const commandReply = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("Add", "Move", "Modify", "Subtract", "AuditValue", "AuditCapability", "Notify", "ServiceChange"),
      termination,
      subset(returned),
      optional(error),
    )
    .map(([command, at, descriptors, failure]) => ({
      command,
      termination: at,
      descriptors,
      ...(failure === undefined ? {} : { error: failure }),
    })),
  some(name).map((names) => ({
    command: "AuditValue" as const,
    termination: "*",
    contextTerminations: names,
    descriptors: [],
  })),
  error.map((failure) => ({
    command: "AuditValue" as const,
    termination: "*",
    contextTerminations: [],
    descriptors: [],
    error: failure,
  })),
);
const actionReply = fc
  .tuple(context, contextProperties, some(commandReply), optional(error))
  .map(([contextId, of, commands, failure]) => ({
    context: contextId,
    ...of,
    commands,
    ...(failure === undefined ? {} : { error: failure }),
  }));
const segment = fc.record({ number: u16, last: fc.boolean() });

const transaction = fc.oneof(
  fc.record({ kind: fc.constant("request" as const), id, actions: some(actionRequest) }),
  record({
    kind: fc.constant("reply" as const),
    id,
    immAckRequired: optional(flag),
    segment: optional(segment),
    body: fc.oneof(
      fc.record({ kind: fc.constant("error" as const), error }),
      fc.record({ kind: fc.constant("actions" as const), actions: some(actionReply) }),
    ),
  }),
  fc.record({ kind: fc.constant("pending" as const), id }),
  fc.record({
    kind: fc.constant("ack" as const),
    ranges: some(fc.tuple(u32, u32).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)),
  }),
  fc.record({ kind: fc.constant("segment" as const), id, segment }),
);

export const anyMessage: fc.Arbitrary<H248Message> = fc.record({
  version: fc.constantFrom(1 as const, 2 as const, 3 as const),
  mid,
  body: fc.oneof(
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("error" as const), error }) },
    {
      weight: 9,
      arbitrary: fc.record({ kind: fc.constant("transactions" as const), transactions: some(transaction) }),
    },
  ),
});

/** One Modify with properties, signals and events in all their forms, without what only version 3 or only we read. */
export const commonMessage: fc.Arbitrary<H248Message> = fc
  .tuple(
    mid,
    id,
    context,
    name,
    fc.array(property(), { minLength: 1, maxLength: 4 }),
    some(signal.map(({ direction: _v3, requestId: _v3too, ...rest }) => rest)),
    some(record({ name: packaged, stream: optional(u16), keepActive: optional(flag), properties: parameters })),
  )
  .map(([from, transactionId, contextId, at, someProperties, someSignals, someEvents]): H248Message => {
    const descriptors: readonly Descriptor[] = [
      { kind: "media", streams: [{ id: 1, localControl: { mode: "Inactive", properties: someProperties } }] },
      { kind: "events", requestId: 7, events: someEvents },
      { kind: "signals", signals: someSignals },
    ];
    const command = { command: "Modify" as const, termination: at, descriptors };
    const request = {
      kind: "request" as const,
      id: transactionId,
      actions: [{ context: contextId, commands: [command] }],
    };
    return { version: 2, mid: from, body: { kind: "transactions", transactions: [request] } };
  });
