// Owns what the controller has learnt of a gateway's ability to take new contexts, as a plain value: refusals, congestion,
// realms out of service, the operator's wish to drain it. Knows no socket, no clock and no context.
// H.248.10 (chp), H.248.11 (ocp), H.248.41 Amd. 1 (ipra); TS 29.334 5.14.

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
  /** `ocp/mg_overload`: percent kept away at `overloadAt`, going down from then on. */
  readonly overload: number;
  readonly overloadAt: number;
  /** `ipra/arc`: realms it can not reach now, lower case. */
  readonly withoutRealms: readonly string[];
}

export const goodStanding: Standing = {
  draining: false,
  busyUntil: 0,
  lastUntil: 0,
  refusals: 0,
  reduction: 0,
  overload: 0,
  overloadAt: 0,
  withoutRealms: [],
};

const firstPauseMs = 500;
const longestPauseMs = 8000;
const overloadStep = 10;
const overloadMost = 90;
/** Percent points an overload goes down in a second without a further report. */
const overloadDecay = 10;
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

/** Percent of new contexts to be kept away from it now, 0 to 100. */
export const reductionNow = (standing: Standing, now: number): number => {
  const seconds = Math.max(0, now - standing.overloadAt) / 1000;
  return Math.max(standing.reduction, standing.overload - overloadDecay * seconds, 0);
};

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
    // H.248.11: one report for each context it takes while overloaded; the controller steps back until they stop.
    case "ocp/mg_overload": {
      const current = Math.max(0, standing.overload - (overloadDecay * Math.max(0, now - standing.overloadAt)) / 1000);
      return { ...standing, overload: Math.min(overloadMost, current + overloadStep), overloadAt: now };
    }
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
