// The floor everything stands on: results, errors, time, randomness, secrets, ids and the log port.
export { SallyportError, defineErrors, kitErrors } from "./error.ts";
export type { ErrorCatalogue, ErrorEntry, ErrorOptionsAt, ErrorFactory } from "./error.ts";
export { fail, ok } from "./result.ts";
export type { Result } from "./result.ts";
export { VirtualClock, systemClock } from "./clock.ts";
export type { Clock, Timer } from "./clock.ts";
export { seededRandom, systemRandom, token } from "./random.ts";
export type { Random } from "./random.ts";
export { Secret } from "./secret.ts";
export { memoryLog, silentLog } from "./log.ts";
export type { Log, LogFields, LogLevel, LogRecord } from "./log.ts";
export { redactKeys } from "./redact.ts";
export { systemDatagrams } from "./datagram.ts";
export type { Datagram, DatagramBinding, DatagramHandlers, Endpoint, OpenDatagram } from "./datagram.ts";
export { isIpv6Literal, isLoopback, isNotUnicast, isUnspecified } from "./address.ts";
export { interning, ownText } from "./text.ts";
export { gatherWrites } from "./gather-writes.ts";
