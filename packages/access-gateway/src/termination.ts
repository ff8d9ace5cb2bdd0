// Owns one termination: its streams on the plane, changed all or not at all. Knows the plane, not H.248 messages.
// H.248.1 6.2 and 7.1; invariant 10: what it opened it closes, whatever goes wrong on the way.
import type { H248Error } from "@sallyport/h248";
import type {
  ChosenStream,
  LatchOrder,
  StreamOrder,
  TerminationOrder,
  TerminationView,
  WatchOrder,
} from "@sallyport/iq";
import { h248Error, refusal } from "@sallyport/iq";
import type { Clock, Result } from "@sallyport/kit";
import { SallyportError, fail, ok } from "@sallyport/kit";
import type { LegChange, LegCounters, LegPlan, MediaPlane } from "@sallyport/media-plane";
import { releaseCrypto } from "@sallyport/sdp";
import type { Draft } from "./rules.ts";
import { changeRules } from "./rules.ts";
import { statisticsOf } from "./statistics.ts";
import type { HeldStream, OwnPorts, Side, StreamDraft, StreamExtras, StreamState } from "./stream.ts";
import { describeOwn, draftStream, sameProtection, showControls } from "./stream.ts";

export interface LiveStream extends HeldStream {
  state: StreamState;
  readonly leg: number;
  plan: LegPlan;
  readonly openedAt: number;
  /** The leg it is joined to. */
  joined: number | undefined;
}

/** Where everything of a termination happens. */
export interface Ground {
  readonly plane: MediaPlane;
  readonly clock: Clock;
  readonly side: Side;
  readonly maxStreams: number;
}

export interface Termination {
  readonly name: string;
  readonly streams: Map<number, LiveStream>;
  watch: WatchOrder | undefined;
  /** When a command last named it (H.248.36). */
  touchedAt: number;
  /** It was subtracted, or its context was: nothing may be opened for it any more. */
  gone: boolean;
}

export const newTermination = (name: string, now: number): Termination => ({
  name,
  streams: new Map(),
  watch: undefined,
  touchedAt: now,
  gone: false,
});

/** A plane's error as a command's error: its catalogue says what, never a value. */
const planeError = (error: unknown): H248Error =>
  error instanceof SallyportError
    ? h248Error(error.h248Error ?? 500, `${error.summary} (${error.code})`)
    : h248Error(500, "media plane failure");

const latchOf = (orders: readonly LatchOrder[], stream: number): LatchOrder["napt"] | undefined =>
  orders.findLast((order) => order.stream === undefined || order.stream === stream)?.napt;

/** H.248.1 7.1.9: a new Events descriptor replaces the old one whole. */
const inactivityOf = (watch: WatchOrder | undefined, stream: number): StreamExtras["inactivity"] =>
  watch === undefined
    ? undefined
    : (watch.inactivity.findLast((order) => order.stream === undefined || order.stream === stream) ?? "none");

const extrasFor = (order: TerminationOrder, stream: number): StreamExtras => ({
  latch: order.latch.length === 0 ? undefined : latchOf(order.latch, stream),
  inactivity: inactivityOf(order.watch, stream),
});

interface Change {
  readonly drafts: readonly {
    readonly draft: StreamDraft;
    readonly before: LiveStream | undefined;
    readonly reply: boolean;
  }[];
  /** How many of them are new. */
  readonly fresh: number;
  readonly removed: readonly LiveStream[];
}

/** Signals and events are the termination's: they may concern streams the Media descriptor does not name. */
const touchedBy = (termination: Termination, order: TerminationOrder): readonly StreamOrder[] => {
  if (order.watch === undefined && order.latch.length === 0) return order.streams;
  const named = new Set(order.streams.map(({ stream }) => stream));
  const others = Array.from(termination.streams.keys()).filter((stream) => !named.has(stream));
  return others.length === 0 ? order.streams : [...order.streams, ...others.map((stream) => ({ stream }))];
};

const draftAll = (ground: Ground, termination: Termination, order: TerminationOrder): Result<Change, H248Error> => {
  const drafts: Change["drafts"][number][] = [];
  const removed: LiveStream[] = [];
  let fresh = 0;
  for (const streamOrder of touchedBy(termination, order)) {
    const { stream } = streamOrder;
    const before = termination.streams.get(stream);
    if (streamOrder.local?.kind === "release") {
      if (before !== undefined) removed.push(before);
      continue;
    }
    const draft = draftStream(before, streamOrder, extrasFor(order, stream), ground.side);
    if (!draft.ok) return draft;
    if (before === undefined) fresh += 1;
    drafts.push({ draft: draft.value, before, reply: draft.value.chose || before === undefined });
  }
  const streams = termination.streams.size + fresh - removed.length;
  if (streams > ground.maxStreams) return refusal(510, `${streams} streams, ${ground.maxStreams} allowed`);
  return ok({ drafts, fresh, removed });
};

/** Only what differs: a repeated key, mode or address must leave the running leg alone. */
const changeOf = (before: LiveStream, draft: StreamDraft, latchOrdered: boolean): LegChange => {
  const { plan } = draft;
  const change: Draft<LegChange> = { remote: plan.remote };
  if (before.plan.rtcp !== plan.rtcp) change.rtcp = plan.rtcp;
  if (!sameProtection(before.state, draft.state)) change.protection = plan.protection;
  if (before.plan.mode !== plan.mode) change.mode = plan.mode;
  if (latchOrdered) change.latch = plan.latch;
  if (before.plan.inactivityMs !== plan.inactivityMs) change.inactivityMs = plan.inactivityMs;
  changeRules(change, before.plan, plan);
  return change;
};

/** What the leg does now: where the protection was not touched, what it did before (it may be passing through). */
const planAfter = (before: LiveStream, draft: StreamDraft): LegPlan =>
  sameProtection(before.state, draft.state) ? { ...draft.plan, protection: before.plan.protection } : draft.plan;

const undoOf = (before: LiveStream): LegChange => {
  const { address: _address, ports: _ports, ...plan } = before.plan;
  const { dscp, inactivityMs, policing, remote, sourceFilter } = plan;
  return { ...plan, dscp, inactivityMs, policing, remote, sourceFilter };
};

/** Puts back what was. A leg that can not go back must not go on with half an order: it is closed to media. */
const undo = (ground: Ground, before: LiveStream): void => {
  try {
    ground.plane.update(before.leg, undoOf(before));
  } catch {
    ground.plane.update(before.leg, { mode: "inactive" });
  }
};

const releaseKeys = (state: StreamState, kept?: StreamState): void => {
  const { local, remote } = state.cryptos;
  if (local !== undefined && local !== kept?.cryptos.local) releaseCrypto(local);
  if (remote !== undefined && remote !== kept?.cryptos.remote) releaseCrypto(remote);
};

const ownOf = (local: { readonly address: string; readonly rtpPort: number; readonly rtcpPort: number }): OwnPorts => ({
  ...local,
  rtcpPort: local.rtcpPort === local.rtpPort ? local.rtpPort + 1 : local.rtcpPort,
});

const closeAll = async (ground: Ground, streams: readonly LiveStream[]): Promise<void> => {
  await Promise.allSettled(streams.map((stream) => ground.plane.close(stream.leg)));
};

/** New streams in the order of their drafts. */
const openAll = async (ground: Ground, change: Change): Promise<Result<readonly LiveStream[], H248Error>> => {
  const opened: LiveStream[] = [];
  for (const { draft, before } of change.drafts) {
    if (before !== undefined) continue;
    const { face, plan, state } = draft;
    try {
      const { leg, local } = await ground.plane.open(plan);
      opened.push({ state, own: ownOf(local), face, leg, plan, openedAt: ground.clock.now(), joined: undefined });
    } catch (error) {
      await closeAll(ground, opened);
      return fail(planeError(error));
    }
  }
  return ok(opened);
};

/** `updated` tells how far it came when it throws. */
const updateAll = (ground: Ground, change: Change, order: TerminationOrder, updated: LiveStream[]): void => {
  for (const { draft, before } of change.drafts) {
    if (before === undefined) continue;
    const latchOrdered = order.latch.length > 0 && latchOf(order.latch, draft.state.stream) !== undefined;
    ground.plane.update(before.leg, changeOf(before, draft, latchOrdered));
    updated.push(before);
  }
};

const commit = (
  termination: Termination,
  change: Change,
  opened: readonly LiveStream[],
  order: TerminationOrder,
): readonly ChosenStream[] => {
  const chosen: ChosenStream[] = [];
  let fresh = 0;
  for (const { draft, before, reply } of change.drafts) {
    const { state } = draft;
    const stream = before ?? opened[fresh++];
    if (stream === undefined) continue;
    if (before === undefined) termination.streams.set(state.stream, stream);
    else {
      const plan = planAfter(before, draft);
      releaseKeys(before.state, state);
      before.state = state;
      before.plan = plan;
    }
    if (reply) chosen.push({ stream: state.stream, local: describeOwn(state, stream.own) });
  }
  for (const stream of change.removed) {
    termination.streams.delete(stream.state.stream);
    releaseKeys(stream.state);
  }
  if (order.watch !== undefined) termination.watch = order.watch;
  return chosen;
};

const nothing: Result<readonly LiveStream[], H248Error> = ok([]);

/** Carries an order out on the plane: everything or nothing. The order's keys are the termination's from then on. */
export const changeTermination = async (
  ground: Ground,
  termination: Termination,
  order: TerminationOrder,
): Promise<Result<readonly ChosenStream[], H248Error>> => {
  const change = draftAll(ground, termination, order);
  if (!change.ok) return change;
  const { fresh, removed } = change.value;
  const opened = fresh === 0 ? nothing : await openAll(ground, change.value);
  if (!opened.ok) return opened;
  // The context may have been cleared while ports were bound: then nothing may stay. No await from here to the commit.
  if (termination.gone) {
    await closeAll(ground, opened.value);
    return refusal(411, termination.name);
  }
  const updated: LiveStream[] = [];
  try {
    updateAll(ground, change.value, order, updated);
  } catch (error) {
    const closing = closeAll(ground, opened.value);
    for (const before of updated) undo(ground, before);
    await closing;
    return fail(planeError(error));
  }
  const chosen = commit(termination, change.value, opened.value, order);
  if (removed.length > 0) await closeAll(ground, removed);
  return ok(chosen);
};

export interface FinalCounts {
  readonly stream: number;
  readonly values: Readonly<Record<string, string>>;
}

const countsOf = (stream: LiveStream, counters: LegCounters, now: number): Readonly<Record<string, string>> =>
  statisticsOf(counters, now - stream.openedAt, stream.state.local.formats);

/** Closes every leg and zeroises every key; gives the final statistics. */
export const endTermination = async (ground: Ground, termination: Termination): Promise<readonly FinalCounts[]> => {
  termination.gone = true;
  const streams = [...termination.streams.values()];
  termination.streams.clear();
  // One that is closed already, because the plane was shut down, has no figures.
  const closing = streams.map(({ leg }) => ground.plane.close(leg).catch(() => undefined));
  const counts: FinalCounts[] = [];
  for (const [at, stream] of streams.entries()) {
    const counters = await closing[at];
    releaseKeys(stream.state);
    if (counters === undefined) continue;
    counts.push({ stream: stream.state.stream, values: countsOf(stream, counters, ground.clock.now()) });
  }
  return counts;
};

const viewStream = (ground: Ground, stream: LiveStream): TerminationView["streams"][number] => {
  const { face, leg, own, state } = stream;
  const values = countsOf(stream, ground.plane.counters(leg), ground.clock.now());
  const view = {
    stream: state.stream,
    mode: state.mode,
    reservedGroup: state.reservedGroup,
    reservedValue: state.reservedValue,
    local: describeOwn(state, own),
    counts: { stream: state.stream, values },
    controls: showControls(state, face),
  };
  return state.remote === undefined ? view : { ...view, remote: state.remote };
};

/** What an audit shows: never a key. */
export const viewTermination = (ground: Ground, termination: Termination): TerminationView => ({
  termination: termination.name,
  ...(termination.watch === undefined ? {} : { watch: termination.watch }),
  streams: [...termination.streams.values()].map((stream) => viewStream(ground, stream)),
});
