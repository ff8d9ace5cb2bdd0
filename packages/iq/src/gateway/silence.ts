// Owns how long a controller may be silent: the wait that is configured ends the association, the one the controller asked
// for (`it/ito`, H.248.14) asks it whether it is still there. One timer; knows neither connection nor message.
import type { Clock, Timer } from "@sallyport/kit";

export interface SilenceWatch {
  /** The controller was heard now. */
  heard(): void;
  /** Watches from now on; 0 or undefined: not for that. */
  watch(limits: { readonly lostMs: number; readonly askMs?: number | undefined }): void;
  stop(): void;
}

export const watchSilence = (
  clock: Clock,
  on: { readonly lost: () => void; readonly ask: () => void },
): SilenceWatch => {
  let timer: Timer | undefined;
  let heardAt = clock.now();
  let askedAt = -Infinity;
  let lostMs = 0;
  let askMs = 0;

  const arm = (): void => {
    timer?.cancel();
    timer = undefined;
    const lostAt = lostMs > 0 ? heardAt + lostMs : Infinity;
    const askAt = askMs > 0 ? Math.max(heardAt, askedAt) + askMs : Infinity;
    const due = Math.min(lostAt, askAt);
    if (due < Infinity) timer = clock.after(Math.max(0, due - clock.now()), fire);
  };

  const fire = (): void => {
    const now = clock.now();
    if (lostMs > 0 && now - heardAt >= lostMs) return on.lost();
    if (askMs > 0 && now - Math.max(heardAt, askedAt) >= askMs) {
      askedAt = now;
      on.ask();
    }
    arm();
  };

  return {
    heard: () => {
      heardAt = clock.now();
    },
    watch: (limits) => {
      lostMs = limits.lostMs;
      askMs = limits.askMs ?? 0;
      heardAt = clock.now();
      arm();
    },
    stop: () => {
      timer?.cancel();
      timer = undefined;
      lostMs = 0;
      askMs = 0;
    },
  };
};
