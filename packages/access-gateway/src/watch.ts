// Owns the way from the plane's rare events to Notify and the log, and from time to the report of what hangs.
// Knows neither sockets nor messages. H.248.40 `adid/ipstop`, H.248.36 `hangterm/thb`, `g/cause` (H.248.1 E.1), our own `xsrtp`.
import type { IqGatewayEvent } from "@sallyport/iq";
import type { Clock, Log, Timer } from "@sallyport/kit";
import type { LegCounters, MediaPlane, PlaneEvent } from "@sallyport/media-plane";
import type { LegPlace } from "./contexts.ts";
import type { Termination } from "./termination.ts";

export interface WatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly plane: Pick<MediaPlane, "events" | "counters">;
  readonly everyMs: number;
  place(leg: number): LegPlace | undefined;
  /** Terminations that report when no command names them, with their contexts. */
  watched(): ReadonlyMap<Termination, number>;
  notify(event: IqGatewayEvent): Promise<void>;
  /** Once a round, after everything else. */
  each?(): void;
}

const about = (place: LegPlace, name: string, parameters: Readonly<Record<string, string>>): IqGatewayEvent => ({
  context: place.context,
  termination: place.termination.name,
  request: place.termination.watch?.request ?? 0,
  name,
  stream: place.stream.state.stream,
  parameters,
});

/** The Notify an event of the plane becomes; undefined when nobody asked for it. */
export const eventFor = (event: PlaneEvent, place: LegPlace): IqGatewayEvent | undefined => {
  const { watch } = place.termination;
  if (watch === undefined) return undefined;
  switch (event.kind) {
    case "inactive": {
      const order = place.stream.state.inactivity;
      if (order === undefined || (order.direction !== "both" && order.direction !== event.direction)) return undefined;
      return about(place, "adid/ipstop", { dir: event.direction.toUpperCase() });
    }
    case "key-expiring":
      return watch.keyExpiring ? about(place, "xsrtp/kexp", { dir: event.direction.toUpperCase() }) : undefined;
    // An alarm.
    default:
      // A spent key ends the stream until there is another one: a failure that may pass.
      return event.what === "lifetime" && watch.bearer
        ? about(place, "g/cause", { Generalcause: "FT", Failurecause: "media key spent" })
        : undefined;
  }
};

/** How many clear packets a leg must have seen before anybody is told: one may be an honest start that was too early. */
const clearToTell = 2;

/** Asks the plane at regular intervals until closed. */
export const watchPlane = (options: WatchOptions): { close(): void } => {
  const { clock, log, plane, everyMs } = options;
  /** Legs with one clear packet so far. */
  const suspected = new Set<number>();
  let timer: Timer | undefined;
  let closed = false;

  const tell = async (event: IqGatewayEvent): Promise<void> => {
    try {
      await options.notify(event);
    } catch (error) {
      log.warn("event not reported", {
        context: event.context,
        termination: event.termination,
        event: event.name,
        error: error instanceof Error ? error.message : "unknown",
      });
    }
  };

  const countersOf = (leg: number): LegCounters | undefined =>
    options.place(leg) === undefined ? undefined : plane.counters(leg);

  const tellClear = (leg: number): boolean => {
    const place = options.place(leg);
    const seen = countersOf(leg)?.clearDropped ?? 0;
    if (place === undefined) return true;
    if (seen < clearToTell) return false;
    const { context, side, stream, termination } = place;
    log.warn("media alarm", { context, side, stream: stream.state.stream, what: "clear-on-protected", count: seen });
    if (termination.watch?.clearMedia === true) void tell(about(place, "xsrtp/clear", { count: String(seen) }));
    return true;
  };

  const take = (event: PlaneEvent): void => {
    const place = options.place(event.leg);
    if (place === undefined) return;
    if (event.kind === "alarm" && event.what === "clear-on-protected") {
      if (!tellClear(event.leg)) suspected.add(event.leg);
      return;
    }
    if (event.kind === "alarm") {
      const { context, side, stream } = place;
      log.warn("media alarm", { context, side, stream: stream.state.stream, what: event.what, count: event.count });
    }
    const notify = eventFor(event, place);
    if (notify !== undefined) void tell(notify);
  };

  /** H.248.36: the timer starts anew with every command about the termination, and with the report. */
  const lookForHanging = (): void => {
    const now = clock.now();
    for (const [termination, context] of options.watched()) {
      const { watch } = termination;
      if (watch?.hangingMs === undefined || now - termination.touchedAt < watch.hangingMs) continue;
      termination.touchedAt = now;
      void tell({ context, termination: termination.name, request: watch.request, name: "hangterm/thb" });
    }
  };

  const drain = (): void => {
    for (const event of plane.events()) take(event);
    for (const leg of suspected) if (tellClear(leg)) suspected.delete(leg);
    lookForHanging();
    options.each?.();
    if (!closed) timer = clock.after(everyMs, drain);
  };

  timer = clock.after(everyMs, drain);
  return {
    close: () => {
      closed = true;
      timer?.cancel();
    },
  };
};
