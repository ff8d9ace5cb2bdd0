// The P-CSCF (IMS-ALG) of TS 33.328: registration, calls, routing and the controller's side of Iq.
export { edgeConfigSchema } from "./config.ts";
export type { EdgeConfig, EdgeConfigInput } from "./config.ts";
export { defaultStore } from "./state/config.ts";
export { createEdge } from "./edge.ts";
export type { Edge, EdgeDeps } from "./edge.ts";
export { mediaPolicy } from "./policy.ts";
export { pcscfErrors } from "./errors.ts";
export type { CallView } from "./call/view.ts";
export type { EndReason } from "./call/types.ts";
export type { CounterName, CounterView } from "./counters.ts";
export type { IqFactory } from "./iq/controller.ts";
export type { RegistrationView } from "./registration/view.ts";
export type { ListeningPoint } from "./listening/points.ts";
