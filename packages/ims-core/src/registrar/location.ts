// Owns the bindings of every subscriber, with their time (RFC 3261 10.3, RFC 3327 5.3). Must not know SIP messages.
import type { Clock, Timer } from "@sallyport/kit";
import { sameUri } from "@sallyport/sip";

export interface Binding {
  /** The URI as registered, character by character: unknown parameters are part of it. */
  readonly contact: string;
  /** The header parameters of Contact other than expires, as text: `;+sip.instance="..."`. */
  readonly params: string;
  /** Path elements, nearest to the core first. */
  readonly path: readonly string[];
  readonly callId: string;
  readonly cseq: number;
  /** +sip.instance with reg-id, where the client gave one (RFC 5626 6). */
  readonly instance?: string;
  /** 0 to 1000. */
  readonly q: number;
  /** Milliseconds of the clock. */
  readonly expiresAt: number;
}

export interface Location {
  /** Live bindings, highest q first, then the most recent first. */
  of(impi: string): readonly Binding[];
  replace(impi: string, bindings: readonly Binding[]): void;
  all(): readonly (readonly [impi: string, bindings: readonly Binding[]])[];
  close(): void;
}

/** RFC 3261 10.3 step 7 compares URIs; RFC 5626 6: an instance's new contact takes the place of its old one. */
export const sameBinding = (
  a: Pick<Binding, "contact" | "instance">,
  b: Pick<Binding, "contact" | "instance">,
): boolean => sameUri(a.contact, b.contact) || (a.instance !== undefined && a.instance === b.instance);

export const createLocation = (clock: Clock, onExpired: (impi: string, binding: Binding) => void): Location => {
  const byImpi = new Map<string, readonly Binding[]>();
  const timers = new Map<string, Timer>();

  /** One timer per subscriber, for the binding that ends first. */
  const schedule = (impi: string): void => {
    timers.get(impi)?.cancel();
    timers.delete(impi);
    const bindings = byImpi.get(impi);
    if (bindings === undefined) return;
    const first = Math.min(...bindings.map((binding) => binding.expiresAt));
    timers.set(
      impi,
      clock.after(Math.max(0, first - clock.now()), () => {
        const now = clock.now();
        const before = byImpi.get(impi) ?? [];
        set(
          impi,
          before.filter((binding) => binding.expiresAt > now),
        );
        for (const binding of before) if (binding.expiresAt <= now) onExpired(impi, binding);
      }),
    );
  };

  const set = (impi: string, bindings: readonly Binding[]): void => {
    if (bindings.length === 0) byImpi.delete(impi);
    else byImpi.set(impi, bindings);
    schedule(impi);
  };

  return {
    of: (impi) => byImpi.get(impi) ?? [],
    replace: (impi, bindings) =>
      set(
        impi,
        bindings.toSorted((a, b) => b.q - a.q || b.expiresAt - a.expiresAt),
      ),
    all: () => [...byImpi],
    close: () => {
      for (const timer of timers.values()) timer.cancel();
      timers.clear();
      byImpi.clear();
    },
  };
};
