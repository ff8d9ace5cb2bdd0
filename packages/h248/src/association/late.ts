// Owns what is remembered of requests that were given up: whom a reply that comes after all is for (H.248.1 8.2.3: an answer
// may come as late as LONG-TIMER). Bounded in number and time; no timer of its own.
import type { ActionReply } from "../text/message.ts";

export interface GivenUp {
  readonly scope: string;
  /** The mid that must answer; any when absent. */
  readonly mid: string | undefined;
  readonly onLate: (actions: readonly ActionReply[]) => void;
}

const mostRemembered = 4096;

export class LateReplies {
  /** By transaction id, oldest first. */
  readonly #givenUp = new Map<number, GivenUp & { readonly until: number }>();
  readonly #keepMs: number;

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  remember(id: number, request: GivenUp, now: number): void {
    for (const [old, { until }] of this.#givenUp) {
      if (until > now && this.#givenUp.size < mostRemembered) break;
      this.#givenUp.delete(old);
    }
    this.#givenUp.set(id, { ...request, until: now + this.#keepMs });
  }

  /** The request this reply is for, once. */
  take(id: number, scope: string, mid: string, now: number): GivenUp | undefined {
    const found = this.#givenUp.get(id);
    if (found === undefined || found.scope !== scope || (found.mid !== undefined && found.mid !== mid))
      return undefined;
    this.#givenUp.delete(id);
    return found.until > now ? found : undefined;
  }

  clear(): void {
    this.#givenUp.clear();
  }
}
