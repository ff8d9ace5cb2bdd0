// Owns key material (invariant 7): it can be used and zeroised, never printed.
import { hash, timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";
import { kitErrors } from "./error.ts";

const label = Buffer.from("sallyport fingerprint");
/** Where label and key stand together for a moment; longer keys than any suite has get memory of their own. */
const scratch = Buffer.concat([label, Buffer.alloc(256)]);

/** Two octets of a digest, as four digits. */
const fingerprintOf = (octets: Buffer): string => {
  const text =
    octets.length <= scratch.length - label.length
      ? scratch.subarray(0, label.length + octets.length)
      : Buffer.concat([label, octets]);
  octets.copy(text, label.length);
  const digits = hash("sha256", text, "hex").slice(0, 4);
  text.fill(0, label.length);
  return digits;
};

/** Key material that shows only a two-octet fingerprint to `toString`, JSON and `inspect`. */
export class Secret {
  readonly #octets: Buffer;
  readonly #fingerprint: string;
  #released = false;

  private constructor(octets: Buffer) {
    this.#octets = octets;
    this.#fingerprint = fingerprintOf(octets);
  }

  /** Copies the octets; the caller keeps, and should clear, the original. */
  static copyOf(octets: Uint8Array): Secret {
    // Memory of its own: what V8 keeps inside its heap (up to 64 octets) it copies about, and leaves copies behind.
    const own = Buffer.from(new ArrayBuffer(octets.length));
    own.set(octets);
    return new Secret(own);
  }

  /** Copies the octets and zeroises the caller's buffer. */
  static take(octets: Uint8Array): Secret {
    const secret = Secret.copyOf(octets);
    octets.fill(0);
    return secret;
  }

  get length(): number {
    return this.#octets.length;
  }

  get released(): boolean {
    return this.#released;
  }

  /** `4f:a2`: enough to tell two keys apart on a screen, useless to recover one. Stays readable after release. */
  get fingerprint(): string {
    return `${this.#fingerprint.slice(0, 2)}:${this.#fingerprint.slice(2)}`;
  }

  /**
   * Lends the octets to `use`, which must not keep them.
   * @throws SALLY_SECRET_RELEASED once released.
   */
  use<T>(use: (octets: Buffer) => T): T {
    if (this.#released) throw kitErrors("SALLY_SECRET_RELEASED", `Fingerprint ${this.fingerprint}.`);
    return use(this.#octets);
  }

  /** An independent copy with its own life. */
  copy(): Secret {
    return this.use((octets) => Secret.copyOf(octets));
  }

  /** Compares in constant time. A released secret equals nothing. */
  equals(other: Secret): boolean {
    if (this.#released || other.#released || this.length !== other.length) return false;
    return timingSafeEqual(this.#octets, other.#octets);
  }

  /** Zeroises the octets. Harmless when repeated. */
  release(): void {
    this.#octets.fill(0);
    this.#released = true;
  }

  toString(): string {
    return `[secret ${this.fingerprint}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
