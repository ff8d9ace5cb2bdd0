// Test fixture: plays a script on the portable engine, with sockets that bind nothing and a clock turned by hand.
import { silentLog, VirtualClock, type DatagramHandlers, type OpenDatagram } from "@sallyport/kit";
import { createPortablePlane } from "../../src/index.ts";
import { countersText, eventsText, sentText, type FlowName, type Operation } from "./operations.ts";

interface Place {
  readonly leg: number;
  readonly hear: readonly DatagramHandlers[];
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);

/** What each operation gave; the clock starts at 1,000,000 ms. */
export const playPortable = async (script: readonly Operation[]): Promise<readonly string[]> => {
  const clock = new VirtualClock(1_000_000);
  const places = new Map<number, Place>();
  let opening: { readonly place: number; readonly hear: DatagramHandlers[] } = { place: 0, hear: [] };
  let sent = "";
  const openDatagram: OpenDatagram = async ({ address, port }, handlers) => {
    const { place, hear } = opening;
    const flow: FlowName = hear.length === 0 ? "rtp" : "rtcp";
    hear.push(handlers);
    return {
      local: { address, port },
      send: (octets, to) => {
        sent = sentText(place, flow, to, octets);
      },
      close: async () => undefined,
    };
  };
  const plane = createPortablePlane({ clock, log: silentLog, openDatagram, portRange: { first: 2, last: 65_535 } });

  const placeOf = (place: number): Place => {
    const found = places.get(place);
    if (found === undefined) throw new Error(`no leg at place ${place}`);
    return found;
  };
  const placeOfLeg = (leg: number): number => [...places].find(([, entry]) => entry.leg === leg)?.[0] ?? -1;

  const play = async (operation: Operation): Promise<string> => {
    switch (operation.op) {
      case "open":
        opening = { place: operation.leg, hear: [] };
        try {
          const { leg } = await plane.open(operation.plan);
          places.set(operation.leg, { leg, hear: opening.hear });
          return "ok";
        } catch (error) {
          return codeOf(error);
        }
      case "update":
        try {
          plane.update(placeOf(operation.leg).leg, operation.change);
          return "ok";
        } catch (error) {
          return codeOf(error);
        }
      case "join":
        plane.join(placeOf(operation.leg).leg, placeOf(operation.other).leg);
        return "";
      case "packet":
        sent = "";
        placeOf(operation.leg).hear[operation.flow === "rtp" ? 0 : 1]?.onMessage(operation.octets, operation.from);
        return sent;
      case "advance":
        clock.advance(operation.ms);
        return "";
      case "counters":
        return countersText(plane.counters(placeOf(operation.leg).leg));
      case "close":
        await plane.close(placeOf(operation.leg).leg);
        places.delete(operation.leg);
        return "";
      // What is left are the events.
      default:
        return eventsText(plane.events().map((event) => Object.assign({}, event, { leg: placeOfLeg(event.leg) })));
    }
  };

  const results: string[] = [];
  for (const operation of script) results.push(await play(operation));
  await plane.shutdown();
  return results;
};
