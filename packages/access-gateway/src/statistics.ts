// Owns the names under which a leg's counters leave the gateway. H.248.1 annex E: `nt` (E.11) and `rtp` (E.12).
// `xsrtp` is this gateway's own: af authentication failures, rp replays, cd clear packets dropped, kc key changes.
import type { LegCounters } from "@sallyport/media-plane";

/** `openMs`: how long the leg has been there. */
export const statisticsOf = (counters: LegCounters, openMs: number): Readonly<Record<string, string>> => ({
  "nt/dur": String(Math.max(0, Math.round(openMs))),
  "nt/os": String(counters.octetsOut),
  "nt/or": String(counters.octetsIn),
  "rtp/ps": String(counters.rtpOut),
  "rtp/pr": String(counters.rtpIn),
  "xsrtp/af": String(counters.authenticationFailures),
  "xsrtp/rp": String(counters.replays),
  "xsrtp/cd": String(counters.clearDropped),
  "xsrtp/kc": String(counters.keyChanges),
});
