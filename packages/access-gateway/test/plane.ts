// A plane without sockets: it remembers legs, counts ports up, and fails where a test tells it to.
import type { LegCounters, LegPlan, MediaPlane, PlaneEvent } from "@sallyport/media-plane";
import { mediaPlaneErrors } from "@sallyport/media-plane";

export const zero: LegCounters = {
  rtpIn: 0,
  rtcpIn: 0,
  octetsIn: 0,
  rtpOut: 0,
  rtcpOut: 0,
  octetsOut: 0,
  otherIn: 0,
  otherOut: 0,
  authenticationFailures: 0,
  replays: 0,
  clearDropped: 0,
  malformed: 0,
  sourceDropped: 0,
  stunDropped: 0,
  dtlsDropped: 0,
  awaitingKeysDropped: 0,
  modeDropped: 0,
  filtered: 0,
  policed: 0,
  indexReuse: 0,
  carriedForward: 0,
  rocTrials: 0,
  lifetimeDropped: 0,
  sourcesRefused: 0,
  otherDropped: 0,
  sendErrors: 0,
  keyChanges: 0,
  sources: 0,
  lost: 0,
  jitter: 0,
  roundTripMs: 0,
  lastPacketAt: 0,
};

export interface PaperPlane extends MediaPlane {
  readonly plans: ReadonlyMap<number, LegPlan>;
  readonly joined: readonly (readonly [number, number])[];
  readonly updates: readonly { readonly leg: number; readonly change: Readonly<Record<string, unknown>> }[];
  /** The open after this many more fails. */
  failOpenAfter(opens: number): void;
  /** The update after this many more fails. */
  failUpdateAfter(updates: number): void;
  /** Opens hang until released. */
  hold(): () => void;
  happen(event: PlaneEvent): void;
}

export const paperPlane = (): PaperPlane => {
  const plans = new Map<number, LegPlan>();
  const joined: (readonly [number, number])[] = [];
  const updates: { leg: number; change: Readonly<Record<string, unknown>> }[] = [];
  let events: PlaneEvent[] = [];
  let last = 0;
  let opensLeft = Infinity;
  let updatesLeft = Infinity;
  let gate: Promise<void> = Promise.resolve();

  const planOf = (leg: number): LegPlan => {
    const plan = plans.get(leg);
    if (plan === undefined) throw mediaPlaneErrors("SALLY_PLANE_LEG", `Leg ${leg}.`);
    return plan;
  };

  return {
    engine: "paper",
    marks: true,
    plans,
    joined,
    updates,
    open: async (plan) => {
      await gate;
      if (opensLeft-- <= 0) throw mediaPlaneErrors("SALLY_PLANE_PORTS");
      const leg = ++last;
      plans.set(leg, plan);
      const rtpPort = 40_000 + leg * 2;
      return { leg, local: { address: plan.address, rtpPort, rtcpPort: plan.rtcp === "mux" ? rtpPort : rtpPort + 1 } };
    },
    join: (a, b) => {
      planOf(a);
      planOf(b);
      joined.push([a, b]);
    },
    update: (leg, change) => {
      const plan = planOf(leg);
      if (updatesLeft-- <= 0) {
        updatesLeft = Infinity;
        throw mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE");
      }
      updates.push({ leg, change });
      plans.set(leg, { ...plan, ...change });
    },
    counters: (leg) => {
      planOf(leg);
      return zero;
    },
    close: async (leg) => {
      planOf(leg);
      plans.delete(leg);
      return zero;
    },
    events: () => {
      const drained = events;
      events = [];
      return drained;
    },
    get legs() {
      return plans.size;
    },
    shutdown: async () => plans.clear(),
    failOpenAfter: (opens) => {
      opensLeft = opens;
    },
    failUpdateAfter: (count) => {
      updatesLeft = count;
    },
    hold: () => {
      let release = (): void => undefined;
      gate = new Promise((resolve) => {
        release = resolve;
      });
      return () => release();
    },
    happen: (event) => void events.push(event),
  };
};
