// Owns the gateway's media engine: which one the configuration gets, and when it has no room for further calls. New calls are
// refused before running ones lose packets. Knows neither Iq nor contexts.
import type { Clock, Log, OpenDatagram } from "@sallyport/kit";
import { createMediaPlane, type ChosenPlane, type MediaPlane, type ThreadLoad } from "@sallyport/media-plane";
import type { GatewayConfig } from "./config.ts";

/** What the engine says of itself. */
export interface MediaView {
  readonly engine: string;
  /** Why this one. */
  readonly reason: string;
  /** It is less than the best, or goes without something: what would help. */
  readonly warning?: string;
  /** Why new calls are turned away now; absent when they are not. */
  readonly shortage?: string;
  /** Packet threads; none in an engine without threads of its own. */
  readonly threads: readonly ThreadLoad[];
}

/** Once a tenth of a second: as often as threads measure themselves. */
const lookEveryMs = 100;
/** How long after a loss no new call is taken. */
const afterLossMs = 5000;
/** Packets found waiting at once; receive buffers are 2,048 a thread. */
const deepestQueue = 1024;

/** Whether a thread keeps up: there is one a call could go to, and nothing was lost lately. */
export const mediaGauge = (
  clock: Clock,
  highestLoad: number,
  threads: () => readonly ThreadLoad[],
): (() => string | undefined) => {
  let at = -Infinity;
  let lossAt = -Infinity;
  let lost = 0;
  let shortage: string | undefined;
  return () => {
    const now = clock.now();
    if (now - at < lookEveryMs) return shortage;
    at = now;
    const seen = threads();
    const lostNow = seen.reduce((sum, thread) => sum + thread.lost, 0);
    if (lostNow > lost) lossAt = now;
    lost = lostNow;
    const keepsUp = ({ load, queueDepth }: ThreadLoad): boolean => load < highestLoad && queueDepth < deepestQueue;
    if (now - lossAt < afterLossMs) shortage = "media packets were lost";
    else shortage = seen.length > 0 && !seen.some(keepsUp) ? "media threads are loaded" : undefined;
    return shortage;
  };
};

export interface Media {
  readonly plane: MediaPlane;
  view(): MediaView;
  /** Why no further call may come, or undefined when it may. */
  shortage(): string | undefined;
}

interface MediaDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly openDatagram?: OpenDatagram;
  readonly plane?: MediaPlane;
}

/** @throws SALLY_PLANE_RANGE, SALLY_PLANE_ENGINE. */
export const openMedia = (config: GatewayConfig, deps: MediaDeps): Media => {
  const { clock, log, openDatagram, plane } = deps;
  const { media, ports } = config;
  const chosen: ChosenPlane =
    plane === undefined
      ? createMediaPlane({
          clock,
          log,
          portRange: ports,
          engine: media.engine,
          threads: media.threads,
          batchUs: media.batchUs,
          interfaces: media.interfaces,
          ...(media.receiveBuffer === undefined ? {} : { receiveBuffer: media.receiveBuffer }),
          ...(openDatagram === undefined ? {} : { openDatagram }),
        })
      : { plane, reason: `${plane.engine}: given by the caller` };
  const { native, reason, warning } = chosen;
  log.info("media engine", { engine: chosen.plane.engine, reason });
  if (warning !== undefined) log.warn("media engine goes without", { what: warning });
  const shortage =
    native === undefined ? () => undefined : mediaGauge(clock, media.highestLoad, () => native.threads());
  return {
    plane: chosen.plane,
    view: () => {
      const short = shortage();
      return {
        engine: chosen.plane.engine,
        reason,
        ...(warning === undefined ? {} : { warning }),
        ...(short === undefined ? {} : { shortage: short }),
        threads: native?.threads() ?? [],
      };
    },
    shortage,
  };
};
