// The port behind which elements keep what must outlive a request, and its in-memory driver.
export { storeErrors } from "./errors.ts";
export { memoryStore } from "./memory.ts";
export type { MemoryStoreLimits } from "./memory.ts";
export type { StateChange, StateEntry, StatePage, StateStore, StateValue } from "./port.ts";
