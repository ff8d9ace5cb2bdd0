// Owns the memory of which leg sends under which key, so that no key protects two streams (RFC 3711 9.1, invariant 4).
// Holds digests, never keys. Keys of closed legs are remembered too, a bounded number of them.
import { createHash } from "node:crypto";
import type { Secret } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";

const known = new WeakMap<Secret, string>();

/** Equal for equal master keys and salts, under whatever suite or MKI: those do not make a key stream a different one. */
export const keyIdentity = (master: Secret): string => {
  let identity = known.get(master);
  if (identity === undefined) {
    identity = master.use((octets) =>
      createHash("sha256").update("sallyport key identity").update(octets).digest("base64"),
    );
    known.set(master, identity);
  }
  return identity;
};

const maxClosed = 16_384;

export class SendKeys {
  readonly #owners = new Map<string, number>();
  readonly #closed = new Set<string>();

  /** @throws SALLY_PLANE_KEY_IN_USE when another leg, open or closed, has sent under it. */
  check(identity: string, leg: number): void {
    const owner = this.#owners.get(identity);
    if (owner !== undefined && owner !== leg) {
      throw mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", `Leg ${owner} has sent under it.`);
    }
    if (this.#closed.has(identity)) {
      throw mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", "A leg that is closed has sent under it.");
    }
  }

  own(identity: string, leg: number): void {
    this.#owners.set(identity, leg);
  }

  /** Nothing was sent under it. */
  forget(identity: string): void {
    this.#owners.delete(identity);
  }

  /** The leg is closed: its keys stay used. */
  retire(identities: Iterable<string>): void {
    for (const identity of identities) {
      this.#owners.delete(identity);
      this.#closed.add(identity);
      if (this.#closed.size <= maxClosed) continue;
      for (const oldest of this.#closed) {
        this.#closed.delete(oldest);
        break;
      }
    }
  }

  clear(): void {
    this.#owners.clear();
    this.#closed.clear();
  }
}
