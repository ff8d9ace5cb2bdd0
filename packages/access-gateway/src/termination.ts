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
import { changedRules } from "./rules.ts";
import { statisticsOf } from "./statistics.ts";
import type { HeldStream, OwnPorts, Side, StreamDraft, StreamExtras, StreamState } from "./stream.ts";
import { describeOwn, draftStream, sameProtection, showControls } from "./stream.ts";

export interface LiveStream extends HeldStream {
  readonly leg: number;
  plan: LegPlan;
  readonly openedAt: number;
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
  watch?: WatchOrder;
  /** When a command last named it (H.248.36). */
  touchedAt: number;
  /** It was subtracted, or its context was: nothing may be opened for it any more. */
  gone: boolean;
}

export const newTermination = (name: string, now: number): Termination => ({
  name,
  streams: new Map(),
  touchedAt: now,
  gone: false,
});

/** A plane's error as a command's error: the code says what, never a value. */
const planeError = (error: unknown): H248Error =>
  error instanceof SallyportError
    ? h248Error(error.h248Error ?? 500, error.code)
    : h248Error(500, "media plane failure");

const latchOf = (orders: readonly LatchOrder[], stream: number): LatchOrder["napt"] | undefined =>
  orders.findLast((order) => order.stream === undefined || order.stream === stream)?.napt;

/** H.248.1 7.1.9: a new Events descriptor replaces the old one whole. */
const inactivityOf = (watch: WatchOrder | undefined, stream: number): StreamExtras["inactivity"] =>
  watch === undefined
    ? undefined
    : (watch.inactivity.findLast((order) => order.stream === undefined || order.stream === stream) ?? "none");

const extrasFor = (order: TerminationOrder, stream: number): StreamExtras => {
  const latch = latchOf(order.latch, stream);
  const inactivity = inactivityOf(order.watch, stream);
  return { ...(latch === undefined ? {} : { latch }), ...(inactivity === undefined ? {} : { inactivity }) };
};

interface Change {
  readonly drafts: readonly { readonly draft: StreamDraft; readonly before?: LiveStream; readonly reply: boolean }[];
  readonly removed: readonly LiveStream[];
}

const draftAll = (ground: Ground, termination: Termination, order: TerminationOrder): Result<Change, H248Error> => {
  const touched = new Map<number, StreamOrder>(order.streams.map((stream) => [stream.stream, stream]));
  // Signals and events are the termination's: they may concern streams the Media descriptor does not name.
  if (order.watch !== undefined || order.latch.length > 0) {
    for (const stream of termination.streams.keys()) if (!touched.has(stream)) touched.set(stream, { stream });
  }
  const drafts: Change["drafts"][number][] = [];
  const removed: LiveStream[] = [];
  for (const [stream, streamOrder] of touched) {
    const before = termination.streams.get(stream);
    if (streamOrder.local?.kind === "release") {
      if (before !== undefined) removed.push(before);
      continue;
    }
    const draft = draftStream(before, streamOrder, extrasFor(order, stream), ground.side);
    if (!draft.ok) return draft;
    drafts.push({
      draft: draft.value,
      reply: draft.value.chose || before === undefined,
      ...(before === undefined ? {} : { before }),
    });
  }
  const fresh = drafts.filter((entry) => entry.before === undefined).length;
  const streams = termination.streams.size + fresh - removed.length;
  if (streams > ground.maxStreams) return refusal(510, `${streams} streams, ${ground.maxStreams} allowed`);
  return ok({ drafts, removed });
};

/** Only what differs: a repeated key, mode or address must leave the running leg alone. */
const changeOf = (before: LiveStream, draft: StreamDraft, latchOrdered: boolean): LegChange => ({
  ...(before.plan.rtcp === draft.plan.rtcp ? {} : { rtcp: draft.plan.rtcp }),
  ...(sameProtection(before.state, draft.state) ? {} : { protection: draft.plan.protection }),
  ...(before.plan.mode === draft.plan.mode ? {} : { mode: draft.plan.mode }),
  remote: draft.plan.remote,
  ...(latchOrdered ? { latch: draft.plan.latch } : {}),
  ...(before.plan.inactivityMs === draft.plan.inactivityMs ? {} : { inactivityMs: draft.plan.inactivityMs }),
  ...changedRules(before.plan, draft.plan),
});

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

const closeAll = async (ground: Ground, streams: Iterable<LiveStream>): Promise<void> => {
  await Promise.allSettled([...streams].map((stream) => ground.plane.close(stream.leg)));
};

const openAll = async (ground: Ground, change: Change): Promise<Result<Map<number, LiveStream>, H248Error>> => {
  const opened = new Map<number, LiveStream>();
  for (const { draft, before } of change.drafts) {
    if (before !== undefined) continue;
    try {
      const { leg, local } = await ground.plane.open(draft.plan);
      const { face, plan, state } = draft;
      opened.set(state.stream, { state, plan, face, leg, own: ownOf(local), openedAt: ground.clock.now() });
    } catch (error) {
      await closeAll(ground, opened.values());
      return fail(planeError(error));
    }
  }
  return ok(opened);
};

/** Carries an order out on the plane: everything or nothing. The order's keys are the termination's from then on. */
export const changeTermination = async (
  ground: Ground,
  termination: Termination,
  order: TerminationOrder,
): Promise<Result<readonly ChosenStream[], H248Error>> => {
  const change = draftAll(ground, termination, order);
  if (!change.ok) return change;
  const opened = await openAll(ground, change.value);
  if (!opened.ok) return opened;
  // The context may have been cleared while ports were bound: then nothing may stay. No await from here to the commit.
  if (termination.gone) {
    await closeAll(ground, opened.value.values());
    return refusal(411, termination.name);
  }
  const updated: LiveStream[] = [];
  try {
    for (const { draft, before } of change.value.drafts) {
      if (before === undefined) continue;
      ground.plane.update(before.leg, changeOf(before, draft, latchOf(order.latch, draft.state.stream) !== undefined));
      updated.push(before);
    }
  } catch (error) {
    const closing = closeAll(ground, opened.value.values());
    for (const before of updated) undo(ground, before);
    await closing;
    return fail(planeError(error));
  }
  const chosen: ChosenStream[] = [];
  for (const { draft, before, reply } of change.value.drafts) {
    const stream =
      before === undefined
        ? opened.value.get(draft.state.stream)
        : { ...before, ...draft, plan: planAfter(before, draft) };
    if (stream === undefined) continue;
    if (before !== undefined) releaseKeys(before.state, draft.state);
    termination.streams.set(draft.state.stream, stream);
    if (reply) chosen.push({ stream: draft.state.stream, local: describeOwn(draft.state, stream.own) });
  }
  for (const stream of change.value.removed) {
    termination.streams.delete(stream.state.stream);
    releaseKeys(stream.state);
  }
  await closeAll(ground, change.value.removed);
  if (order.watch !== undefined) termination.watch = order.watch;
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
  const closed = await Promise.allSettled(streams.map((stream) => ground.plane.close(stream.leg)));
  const now = ground.clock.now();
  return streams.flatMap((stream, index) => {
    releaseKeys(stream.state);
    const result = closed[index];
    if (result?.status !== "fulfilled") return [];
    return [{ stream: stream.state.stream, values: countsOf(stream, result.value, now) }];
  });
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
