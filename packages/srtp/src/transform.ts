// Makes the transform of a suite: counter mode with HMAC-SHA1 or Galois counter mode, over keys given or derived.
import type { Suite } from "./suites.ts";
import { createCounterMode } from "./counter-mode.ts";
import { deriveKeys } from "./derivation.ts";
import { createGalois } from "./galois.ts";
import type { Transform, TransformKeys } from "./transform-port.ts";

/** A transform over given session keys. It takes all buffers: a key is zeroised when it is first used (node:crypto has it then), or by `wipe`. */
export const transformFrom = (suite: Suite, keys: TransformKeys): Transform =>
  suite.aead ? createGalois(suite, keys) : createCounterMode(suite, keys);

/** Derives the session keys from `master` (key || salt) and makes the transform. */
export const transformFor = (suite: Suite, master: Buffer, mki: Uint8Array | undefined): Transform =>
  transformFrom(suite, { ...deriveKeys(suite, master), mki: Buffer.from(mki ?? []) });
