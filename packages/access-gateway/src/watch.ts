// Owns the way from the plane's rare events to Notify and the log. Knows neither sockets nor messages.
// H.248.40 `adid/ipstop`: reported for the direction that was asked for.
import type { IqGatewayEvent } from "@sallyport/iq";
import type { Clock, Log, Timer } from "@sallyport/kit";
import type { MediaPlane, PlaneEvent } from "@sallyport/media-plane";
import type { LegPlace } from "./contexts.ts";

export interface WatchOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly plane: MediaPlane;
  readonly everyMs: number;
  places(): readonly LegPlace[];
  notify(event: IqGatewayEvent): Promise<void>;
}

/** The Notify an event of silence becomes; undefined when nobody asked for it. */
export const inactivityEvent = (
  event: Extract<PlaneEvent, { kind: "inactive" }>,
  place: LegPlace,
): IqGatewayEvent | undefined => {
  const order = place.stream.state.inactivity;
  const watch = place.termination.watch;
  if (order === undefined || watch === undefined) return undefined;
  if (order.direction !== "both" && order.direction !== event.direction) return undefined;
  return {
    context: place.context,
    termination: place.termination.name,
    request: watch.request,
    name: "adid/ipstop",
    stream: place.stream.state.stream,
    parameters: { dir: event.direction.toUpperCase() },
  };
};

/** Asks the plane at regular intervals until closed. */
export const watchPlane = (options: WatchOptions): { close(): void } => {
  const { clock, log, plane, everyMs } = options;
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

  const drain = (): void => {
    const events = plane.events();
    if (events.length > 0) {
      const places = new Map(options.places().map((place) => [place.stream.leg, place]));
      for (const event of events) {
        const place = places.get(event.leg);
        if (place === undefined) continue;
        if (event.kind === "alarm") {
          const { context, side } = place;
          log.warn("media alarm", {
            context,
            side,
            stream: place.stream.state.stream,
            what: event.what,
            count: event.count,
          });
          continue;
        }
        if (event.kind === "key-expiring") continue;
        const notify = inactivityEvent(event, place);
        if (notify !== undefined) void tell(notify);
      }
    }
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
