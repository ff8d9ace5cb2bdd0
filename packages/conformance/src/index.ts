// The face of conformance: what the standard asks, and which test proves it.
export { coverage, coveragePage, namesIn, unknownNames } from "./coverage.ts";
export type { Proof, TestTitle } from "./coverage.ts";
export { requirementName, requirements } from "./requirements.ts";
export type { Requirement } from "./requirements.ts";
