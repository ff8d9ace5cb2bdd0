// The public door: suites, packet reading, and one sender or receiver per direction of a stream.
export { createSrtpReceiver } from "./receiver.ts";
export type { SrtpReceiver, SrtpReceiverOptions } from "./receiver.ts";
export { createSrtpSender } from "./sender.ts";
export type { SrtpSender, SrtpSenderOptions } from "./sender.ts";
export type { SrtpKey } from "./keys.ts";
export type { SrtpCounters, SrtpFailure, SrtpResult, SrtpSuccess } from "./result.ts";
export type { HighestIndices, SrtpIndices } from "./replay.ts";
export { findSuite, suites } from "./suites.ts";
export type { Suite, SuiteName } from "./suites.ts";
export { classifyPacket, parseRtpHeader, rtpHeaderLength } from "./packet.ts";
export type { PacketKind, RtpHeader, RtpHeaderResult } from "./packet.ts";
export { srtpErrors } from "./errors.ts";
