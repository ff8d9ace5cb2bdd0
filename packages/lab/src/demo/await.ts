// Waits for a fact to become true, with a bound.
import { labErrors } from "../errors.ts";

const pollMs = 20;

/** Settles when `holds` says so. @throws SALLY_LAB_TIMEOUT naming `what` */
export const until = async (what: string, holds: () => boolean, timeoutMs = 30_000): Promise<void> => {
  const giveUp = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > giveUp)
      throw labErrors("SALLY_LAB_TIMEOUT", `${what} did not happen within ${timeoutMs} ms.`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
};

/** Lets `ms` milliseconds pass, for packets on their way. */
export const settle = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
