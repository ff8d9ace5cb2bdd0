// The wait for the first gateway after a restart: an edge that took up calls knows that one is on its way, and a call that
// comes in these moments need not be turned away. Owns that wait, bounded in time and number. Knows no call.
import type { Clock } from "@sallyport/kit";

export interface FirstGateway {
  /** Resolves to true when a gateway is there; to false at once when none is awaited (any more), or too many wait. */
  wait(): Promise<boolean>;
  /** A gateway has registered. */
  arrived(): void;
  close(): void;
}

/** A gateway of ours is back within half a second; a caller hears nothing for this long at most. */
const longestMs = 2000;
const maxWaiting = 256;

/** `expected`: an earlier run left contexts at a gateway. */
export const awaitFirstGateway = (clock: Clock, expected: boolean): FirstGateway => {
  const waiting: ((there: boolean) => void)[] = [];
  let open = expected;
  const settle = (there: boolean): void => {
    open = false;
    timer?.cancel();
    for (const tell of waiting.splice(0)) tell(there);
  };
  const timer = expected ? clock.after(longestMs, () => settle(false)) : undefined;
  return {
    wait: () =>
      open && waiting.length < maxWaiting ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(false),
    arrived: () => settle(true),
    close: () => settle(false),
  };
};
