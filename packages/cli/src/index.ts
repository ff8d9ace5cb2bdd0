// The faces a person types at: the program, its configuration files, its log.
export { loadConfiguration, parseConfiguration } from "./config/load.ts";
export { configurationPage, keysOf } from "./config/reference.ts";
export type { KeyDescription } from "./config/reference.ts";
export { elementKinds } from "./elements.ts";
export type { ElementKind, ElementName, Running } from "./elements.ts";
export { cliErrors } from "./errors.ts";
export { elementLog, logLevels } from "./log.ts";
export { openLoopbackApi } from "./loopback-api.ts";
export type { LogWay } from "./log.ts";
export { askedToEnd, createProgram, explain, logFormatOption, runProgram } from "./program.ts";
export type { Streams } from "./program.ts";
