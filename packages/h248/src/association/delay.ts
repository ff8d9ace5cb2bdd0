// Owns the measured delay to a peer, from which the first repetition is timed (H.248.1 Annex D.1.3: AAD and ADEV).

/** Average acknowledgement delay and its average deviation, ms. */
export interface Delay {
  readonly average: number;
  readonly deviation: number;
}

/** Takes in one delay, measured only where the request was sent once (an answer to a repeated one is ambiguous). */
export const measure = (delay: Delay | undefined, sample: number): Delay => {
  if (delay === undefined) return { average: sample, deviation: sample / 2 };
  const error = sample - delay.average;
  return {
    average: delay.average + error / 8,
    deviation: delay.deviation + (Math.abs(error) - delay.deviation) / 4,
  };
};

/** The time to the first repetition: AAD + 4 ADEV, kept within bounds. */
export const firstRetry = (delay: Delay | undefined, initial: number, min: number, max: number): number =>
  delay === undefined ? initial : Math.min(max, Math.max(min, delay.average + 4 * delay.deviation));
