// A scriptable IMS UE: registers with its media security policy, calls, answers, plays, records, and says what it got.
export { ueConfigSchema } from "./config.ts";
export type { UeConfig, UeConfigInput } from "./config.ts";
export { ueErrors } from "./errors.ts";
export { scriptSchema, stepSchema } from "./script/schema.ts";
export type { Expectation, Step, StepInput } from "./script/schema.ts";
