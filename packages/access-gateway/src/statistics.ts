// Owns the names under which a leg's counters leave the gateway. H.248.1 annex E: `nt` (E.11) and `rtp` (E.12); H.248.43: `gm`.
// `xsrtp` is this gateway's own, the proof of protection: docs/iq.md says what each of its items counts.
import { lossShare } from "@sallyport/iq";
import type { LegCounters } from "@sallyport/media-plane";

// RFC 3551 6: payload types whose clock is known without a format's name. `rtp/delay` is told in units of that clock.
const clockOf = (payloadType: string | undefined): number | undefined => {
  const type = Number(payloadType);
  if ([0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18].includes(type)) return 8000;
  if (type === 6) return 16_000;
  return [25, 26, 28, 31, 32, 33, 34].includes(type) ? 90_000 : undefined;
};

/** `openMs`: how long the leg has been there; `formats`: its payload types, the first one in use. */
export const statisticsOf = (
  counters: LegCounters,
  openMs: number,
  formats: readonly string[] = [],
): Readonly<Record<string, string>> => {
  const { lost, roundTripMs, rtpIn } = counters;
  const clock = roundTripMs === 0 ? undefined : clockOf(formats[0]);
  const values: Record<string, string> = {
    "nt/dur": String(Math.max(0, Math.round(openMs))),
    "nt/os": String(counters.octetsOut),
    "nt/or": String(counters.octetsIn),
    "rtp/ps": String(counters.rtpOut),
    "rtp/pr": String(rtpIn),
    "rtp/pl": lossShare(rtpIn, lost),
    "rtp/jit": String(counters.jitter),
    "gm/dp": String(counters.filtered),
    "xsrtp/af": String(counters.authenticationFailures),
    "xsrtp/rp": String(counters.replays),
    "xsrtp/cd": String(counters.clearDropped),
    "xsrtp/kc": String(counters.keyChanges),
    "xsrtp/lost": String(lost),
    "xsrtp/rtt": String(roundTripMs),
    "xsrtp/ir": String(counters.indexReuse),
    "xsrtp/cf": String(counters.carriedForward),
    "xsrtp/rt": String(counters.rocTrials),
    "xsrtp/pd": String(counters.policed),
    "xsrtp/fd": String(counters.filtered),
    "xsrtp/ld": String(counters.lifetimeDropped),
  };
  // One way is taken to be half of both.
  if (clock !== undefined) values["rtp/delay"] = String(Math.round((roundTripMs / 2) * (clock / 1000)));
  return values;
};
