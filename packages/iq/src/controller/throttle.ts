// Owns the leaky bucket that holds new contexts back from an overloaded gateway, and the adaptation of its rate to the reports
// that still come. H.248.11 (`ocp`) 8.2.1 to 8.2.5; TS 29.334 5.14.2: throttling based on rate limitation.
// Pure: knows neither clock nor gateway.

/** The bucket in force; undefined in its place: nothing is held back. */
export interface Throttle {
  /** Contexts a second that run out of the bucket. */
  readonly rate: number;
  /** Contexts in the bucket at `at`. */
  readonly level: number;
  readonly at: number;
  /** The round of measurement: when it began, and what it has seen. */
  readonly round: number;
  readonly reports: number;
  readonly admitted: number;
  /** Somebody was held back in it. */
  readonly binding: boolean;
  /** Rounds in a row without a report and without anybody held back. */
  readonly quiet: number;
}

/** How many contexts a gateway was sent lately, while nothing holds them back: the rate a throttle starts from. */
export interface Offered {
  readonly round: number;
  readonly now: number;
  readonly before: number;
}

export const nothingOffered: Offered = { round: 0, now: 0, before: 0 };

const roundMs = 1000;
/** Reports a round that are a "suitably low level": they are all that tells that the gateway still has enough. */
const goalReports = 1;
const leastRate = 0.5;
/** What a throttle starts with where hardly anything was sent: one refusal is not an overload yet. */
const leastStart = 2;
/** What is surely no limit: one second of the fastest controller. */
const mostRate = 10_000;
/** A round without a report lets this much more through. */
const growth = 1.25;
const step = 0.5;
/** 8.2.4: after so many rounds in which nobody complained and nobody was held back the bucket is put away. */
const quietRounds = 10;
/** Rounds that are worked off one by one; whoever was silent for longer is not overloaded. */
const mostRounds = 64;

/** A quarter of a second's worth at once: calls come in bunches. */
const depthOf = (rate: number): number => 2 + rate / 4;

export const offeredOne = (offered: Offered, now: number): Offered => {
  const rounds = Math.floor((now - offered.round) / roundMs);
  if (rounds <= 0) return { round: offered.round, now: offered.now + 1, before: offered.before };
  return { round: now, now: 1, before: rounds === 1 ? offered.now : 0 };
};

const drained = ({ level, rate, at }: Throttle, now: number): number =>
  Math.max(0, level - (rate * Math.max(0, now - at)) / 1000);

/** 8.2.3: fewer where more reports came than the goal, by the share of contexts they complain of; more where none did. */
const adapted = ({ rate, reports, admitted }: Throttle): number => {
  if (reports > goalReports)
    return Math.max(leastRate, rate * (1 - 0.5 * Math.min(1, reports / Math.max(1, admitted))));
  return reports === 0 ? Math.min(mostRate, rate * growth + step) : rate;
};

/** The bucket as it is now: every round that has passed has had its say. */
export const settle = (throttle: Throttle | undefined, now: number): Throttle | undefined => {
  let current = throttle;
  for (let rounds = 0; current !== undefined && now - current.round >= roundMs; rounds += 1) {
    if (rounds >= mostRounds) return undefined;
    const quiet: number = current.reports === 0 && !current.binding ? current.quiet + 1 : 0;
    const end: number = current.round + roundMs;
    const rate = adapted(current);
    current =
      quiet >= quietRounds
        ? undefined
        : { rate, level: drained(current, end), at: end, round: end, reports: 0, admitted: 0, binding: false, quiet };
  }
  return current;
};

/** 8.2.1: the first report puts up a bucket that is full and lets half of what was sent through; further ones are counted. */
export const reported = (throttle: Throttle | undefined, offered: Offered, now: number): Throttle => {
  const current = settle(throttle, now);
  if (current !== undefined) return { ...current, reports: current.reports + 1 };
  const recent = now - offered.round < 2 * roundMs ? Math.max(offered.now, offered.before) : 0;
  const rate = Math.min(mostRate, Math.max(leastStart, recent / 2));
  const level = depthOf(rate);
  return { rate, level, at: now, round: now, reports: 1, admitted: 0, binding: false, quiet: 0 };
};

/** Milliseconds until one more may be sent; 0: now. */
export const waitFor = (throttle: Throttle | undefined, now: number): number => {
  const current = settle(throttle, now);
  if (current === undefined) return 0;
  const excess = drained(current, now) + 1 - depthOf(current.rate);
  return excess <= 0 ? 0 : Math.ceil((1000 * excess) / current.rate);
};

/** 8.2.2: one was sent. Whoever may not be held back fills the bucket too, but no further than twice: others come again. */
export const admittedOne = (throttle: Throttle | undefined, now: number): Throttle | undefined => {
  const current = settle(throttle, now);
  if (current === undefined) return undefined;
  const level = Math.min(2 * depthOf(current.rate), drained(current, now) + 1);
  return { ...current, level, at: now, admitted: current.admitted + 1 };
};

/** One was held back. */
export const heldBackOne = (throttle: Throttle | undefined, now: number): Throttle | undefined => {
  const current = settle(throttle, now);
  return current === undefined || current.binding ? current : { ...current, binding: true };
};
