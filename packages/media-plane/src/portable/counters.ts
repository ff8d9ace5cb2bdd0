// Owns the counters of one leg while it lives: the port's counters, writable.
import type { LegCounters } from "../plane.ts";

export type Tally = { -readonly [K in keyof LegCounters]: LegCounters[K] };

export const newTally = (): Tally => ({
  rtpIn: 0,
  rtcpIn: 0,
  octetsIn: 0,
  rtpOut: 0,
  rtcpOut: 0,
  octetsOut: 0,
  otherIn: 0,
  otherOut: 0,
  authenticationFailures: 0,
  replays: 0,
  clearDropped: 0,
  malformed: 0,
  sourceDropped: 0,
  stunDropped: 0,
  dtlsDropped: 0,
  awaitingKeysDropped: 0,
  modeDropped: 0,
  filtered: 0,
  policed: 0,
  indexReuse: 0,
  carriedForward: 0,
  rocTrials: 0,
  lifetimeDropped: 0,
  sourcesRefused: 0,
  otherDropped: 0,
  sendErrors: 0,
  keyChanges: 0,
  sources: 0,
  lost: 0,
  jitter: 0,
  roundTripMs: 0,
  lastPacketAt: 0,
});
