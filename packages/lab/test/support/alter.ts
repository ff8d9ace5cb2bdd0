// Tampers with what the recorder saw, one thing at a time, so that the verdict can be caught when it does not notice.
import { parseH248 } from "@sallyport/h248";
import { parseMessage } from "@sallyport/sip";
import type { Sighting } from "../../src/watch/recorder.ts";

/** The octets as text, edited; `Content-Length` of SIP follows the body. */
const edited = (octets: Buffer, kind: Sighting["kind"], edit: (text: string) => string): Buffer => {
  const before = octets.toString("latin1");
  const after = edit(before);
  if (after === before) throw new Error("this alteration alters nothing");
  if (kind === "iq") return Buffer.from(after, "latin1");
  const end = after.indexOf("\r\n\r\n") + 4;
  const length = String(after.length - end);
  const head = after.slice(0, end).replace(/^(content-length|l)\s*:.*$/im, `Content-Length: ${length}`);
  return Buffer.from(head + after.slice(end), "latin1");
};

/** The same sightings with one of them said differently. */
export const altered = (
  sightings: readonly Sighting[],
  one: Sighting,
  edit: (text: string) => string,
): readonly Sighting[] => {
  if (!sightings.includes(one)) throw new Error("no such sighting");
  const octets = edited(one.octets, one.kind, edit);
  return sightings.map((sighting): Sighting => {
    if (sighting !== one) return sighting;
    if (sighting.kind === "sip") {
      const parsed = parseMessage(octets);
      if (!parsed.ok) throw new Error(`the altered message cannot be read: ${parsed.code}`);
      return { ...sighting, octets, message: parsed.message };
    }
    const parsed = parseH248(octets);
    if (!parsed.ok) throw new Error(`the altered message cannot be read: ${parsed.code}`);
    return { ...sighting, octets, message: parsed.message };
  });
};

/** The same sightings with one of them seen only after another. */
export const delayed = (sightings: readonly Sighting[], one: Sighting, after: Sighting): readonly Sighting[] => {
  const rest = sightings.filter((sighting) => sighting !== one);
  const at = rest.indexOf(after);
  if (at < 0 || rest.length === sightings.length) throw new Error("no such sighting");
  return rest.toSpliced(at + 1, 0, one);
};

/** The same sightings without one of them. */
export const without = (sightings: readonly Sighting[], one: Sighting): readonly Sighting[] => {
  if (!sightings.includes(one)) throw new Error("no such sighting");
  return sightings.filter((sighting) => sighting !== one);
};
