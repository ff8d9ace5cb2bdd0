// Watches the wires of the lab: every SIP and H.248 message as it left one element and reached another, octet for octet.
// It sees only what crossed a socket; nothing here asks an element what it believes.
import type { SipMessage } from "@sallyport/sip";
import { parseMessage } from "@sallyport/sip";
import type { H248Message } from "@sallyport/h248";
import { parseH248 } from "@sallyport/h248";

export interface SipSighting {
  readonly kind: "sip";
  readonly from: string;
  readonly to: string;
  readonly at: number;
  readonly octets: Buffer;
  readonly message: SipMessage;
}

export interface IqSighting {
  readonly kind: "iq";
  readonly from: string;
  readonly to: string;
  readonly at: number;
  readonly octets: Buffer;
  readonly message: H248Message;
}

export type Sighting = SipSighting | IqSighting;

interface WireSight {
  readonly direction: "in" | "out";
  readonly octets: Buffer;
  readonly at: number;
}

interface Waiting {
  readonly element: string;
  readonly octets: Buffer;
  readonly at: number;
}

/** How many messages may be on their way at once before the oldest is given up as lost. */
const inFlightLimit = 256;

export interface Recorder {
  /** The `observe` hook of an element's SIP transport. */
  sip(element: string): (event: WireSight) => void;
  /** The `observe` hook of an element's H.248 transport. */
  iq(element: string): (event: WireSight) => void;
  /** Everything seen so far, in the order in which it arrived. */
  readonly sightings: readonly Sighting[];
}

/** Joins what left one element to what reached another by the octets: the same message, seen twice. */
export const createRecorder = (): Recorder => {
  const sightings: Sighting[] = [];
  const joinBy = (record: (from: string, to: string, at: number, octets: Buffer) => void) => {
    const left: Waiting[] = [];
    const arrived: Waiting[] = [];
    // Inside one process the arrival may be noted before the sender's own note: either may come first.
    const meet = (mine: Waiting[], theirs: Waiting[], sight: Waiting): Waiting | undefined => {
      const index = theirs.findIndex(({ element, octets }) => element !== sight.element && octets.equals(sight.octets));
      if (index >= 0) return theirs.splice(index, 1)[0];
      mine.push(sight);
      if (mine.length > inFlightLimit) mine.shift();
      return undefined;
    };
    return (element: string) =>
      ({ direction, octets, at }: WireSight): void => {
        const sight = { element, octets: Buffer.from(octets), at };
        const other = direction === "out" ? meet(left, arrived, sight) : meet(arrived, left, sight);
        if (other === undefined) return;
        const [from, to] = direction === "out" ? [element, other.element] : [other.element, element];
        record(from, to, Math.max(at, other.at), sight.octets);
      };
  };
  const sip = joinBy((from, to, at, octets) => {
    const parsed = parseMessage(octets);
    if (parsed.ok) sightings.push({ kind: "sip", from, to, at, octets, message: parsed.message });
  });
  const iq = joinBy((from, to, at, octets) => {
    const parsed = parseH248(octets);
    if (parsed.ok) sightings.push({ kind: "iq", from, to, at, octets, message: parsed.message });
  });
  return { sip, iq, sightings };
};
