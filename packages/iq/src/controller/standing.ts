// Owns what the controller has learnt of a gateway's ability to take new contexts, as a plain value: refusals, congestion,
// overload, realms out of service, the operator's wish to drain it. Knows no socket, no clock and no context.
// H.248.10 (chp), H.248.11 (ocp, in throttle.ts), H.248.41 Amd. 1 (ipra); TS 29.334 5.14.
import {
  admittedOne,
  heldBackOne,
  nothingOffered,
  offeredOne,
  reported,
  settle,
  type Offered,
  type Throttle,
} from "./throttle.ts";

export interface Standing {
  /** The operator wants no new contexts there. */
  readonly draining: boolean;
  /** It said that it can not serve now (502, 503, 506, 511): it is left alone until then. */
  readonly busyUntil: number;
  /** It had no room, or did not answer: others are asked first until then. */
  readonly lastUntil: number;
  /** Refusals in a row. */
  readonly refusals: number;
  /** `chp/mgcon`: percent of new contexts to be kept away, until it says otherwise. */
  readonly reduction: number;
  /** What it was sent lately, and what `ocp/mg_overload` made of that. */
  readonly offered: Offered;
  readonly throttle: Throttle | undefined;
  /** `ipra/arc`: realms it can not reach now, lower case. */
  readonly withoutRealms: readonly string[];
}

export const goodStanding: Standing = {
  draining: false,
  busyUntil: 0,
  lastUntil: 0,
  refusals: 0,
  reduction: 0,
  offered: nothingOffered,
  throttle: undefined,
  withoutRealms: [],
};

const firstPauseMs = 500;
const longestPauseMs = 8000;
/** A stranger's list of realms is not kept without bound. */
const maxRealms = 64;

/** A refusal: `busy` when the gateway said that it can not serve now, `full` when it had no room or did not answer. */
export const refusedBy = (standing: Standing, why: "busy" | "full", now: number): Standing => {
  const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(standing.refusals, 10));
  return {
    ...standing,
    refusals: standing.refusals + 1,
    ...(why === "busy" ? { busyUntil: now + pause } : {}),
    lastUntil: now + pause,
  };
};

/** It took a context. */
export const tookOne = (standing: Standing): Standing =>
  standing.refusals === 0 && standing.lastUntil === 0
    ? standing
    : { ...standing, refusals: 0, busyUntil: 0, lastUntil: 0 };

/** A new context is asked of it. */
export const askedOne = (standing: Standing, now: number): Standing => ({
  // Written out: one is made for each call.
  draining: standing.draining,
  busyUntil: standing.busyUntil,
  lastUntil: standing.lastUntil,
  refusals: standing.refusals,
  reduction: standing.reduction,
  offered: offeredOne(standing.offered, now),
  throttle: admittedOne(standing.throttle, now),
  withoutRealms: standing.withoutRealms,
});

/** A new context was kept away from it for its overload. */
export const sparedOne = (standing: Standing, now: number): Standing => {
  const throttle = heldBackOne(standing.throttle, now);
  return throttle === standing.throttle ? standing : { ...standing, throttle };
};

/** It asked for fewer new contexts, in per cent or by its reports of overload. */
export const isCongested = ({ reduction, throttle }: Standing, now: number): boolean =>
  reduction > 0 || settle(throttle, now) !== undefined;

/** What ROOT reported (H.248.1 7.2.7); events without meaning here change nothing. */
export const rootEvent = (
  standing: Standing,
  name: string,
  parameters: Readonly<Record<string, string>>,
  now: number,
): Standing => {
  switch (name) {
    // H.248.10: "reduction" is the percentage of load the controller is asked to block.
    case "chp/mgcon": {
      const asked = Number(parameters["reduction"]);
      return Number.isFinite(asked) ? { ...standing, reduction: Math.min(100, Math.max(0, asked)) } : standing;
    }
    // H.248.11 8.1: one report for each Add it gets while overloaded.
    case "ocp/mg_overload":
      return { ...standing, throttle: reported(standing.throttle, standing.offered, now) };
    // H.248.41 Amd. 1: newly available and newly unavailable realms.
    case "ipra/arc": {
      const listed = (value: string | undefined): readonly string[] =>
        (value ?? "")
          .toLowerCase()
          .split(/[\s,]+/)
          .filter(Boolean)
          .slice(0, maxRealms);
      const back = new Set(listed(parameters["nar"]));
      const gone = listed(parameters["nur"]);
      const without = new Set([...standing.withoutRealms.filter((realm) => !back.has(realm)), ...gone]);
      return { ...standing, withoutRealms: [...without].slice(0, maxRealms) };
    }
    default:
      return standing;
  }
};

/** A gateway that registers starts anew, but the operator's wish stays. */
export const afterRegistration = ({ draining }: Standing): Standing => ({ ...goodStanding, draining });
