// The port behind which elements keep what must outlive a request, its drivers, and the seal for the secrets among it.
export { storeErrors } from "./errors.ts";
export { lmdbStore } from "./lmdb/store.ts";
export type { LmdbStoreOptions } from "./lmdb/store.ts";
export { memoryStore } from "./memory.ts";
export type { MemoryStoreLimits } from "./memory.ts";
export type { StateChange, StateEntry, StatePage, StateStore, StateValue } from "./port.ts";
export { readSealingKey } from "./seal/key.ts";
export type { SealingKeySource } from "./seal/key.ts";
export { sealer } from "./seal/sealer.ts";
export type { Sealer, SealerOptions } from "./seal/sealer.ts";
