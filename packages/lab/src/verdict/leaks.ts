// Searches what crossed the core legs for anything that belongs to the access side: keys, crypto attributes, indications, mediasec.
import { attributeValues, parseCrypto } from "@sallyport/sdp";
import { sdpOf } from "../ladder/ladder.ts";
import type { Sighting, SipSighting } from "../watch/recorder.ts";

export interface LeakSearch {
  /** Messages searched. */
  readonly messages: number;
  /** Pairs of elements between which they travelled. */
  readonly legs: number;
  /** What was found: a word and the message it stood in. */
  readonly found: readonly string[];
}

/** Words that have no business behind a P-CSCF (TS 33.328 7.2.1 step 3, 7.3.1 step 7; signalling towards the core). */
const foreignWords = [
  "a=crypto",
  "inline:",
  "3ge2ae",
  "mediasec",
  "security-client",
  "security-server",
  "security-verify",
];

/** Every spelling in which a key could leave: base64 with and without padding, hexadecimal, raw. */
const spellingsOf = (octets: Buffer): readonly string[] => [
  octets.toString("base64").replace(/=+$/, ""),
  octets.toString("base64url"),
  octets.toString("hex"),
  octets.toString("hex").toUpperCase(),
  octets.toString("latin1"),
];

/** All media keys that were seen on access legs, in every spelling. */
const keySpellings = (sightings: readonly Sighting[]): readonly string[] => {
  const spellings = new Set<string>();
  for (const sighting of sightings) {
    if (sighting.kind !== "sip") continue;
    for (const { lines } of sdpOf(sighting.message)?.media ?? []) {
      for (const value of attributeValues(lines, "crypto")) {
        const parsed = parseCrypto(value);
        if (!parsed.ok) continue;
        for (const { master } of parsed.crypto.keys) {
          for (const spelling of master.use(spellingsOf)) spellings.add(spelling);
        }
      }
    }
  }
  return [...spellings];
};

/** Searches every message to or from `core`. */
export const searchCoreLegs = (core: string, sightings: readonly Sighting[]): LeakSearch => {
  const onCore = sightings.filter(
    (sighting): sighting is SipSighting => sighting.kind === "sip" && (sighting.from === core || sighting.to === core),
  );
  const keys = keySpellings(sightings);
  const found = onCore.flatMap(({ from, to, octets, message }) => {
    const text = octets.toString("latin1");
    const lower = text.toLowerCase();
    const what = message.kind === "request" ? message.method : String(message.status);
    return [
      ...foreignWords.filter((word) => lower.includes(word)).map((word) => `${word} in ${what} from ${from} to ${to}`),
      ...(keys.some((key) => text.includes(key)) ? [`a media key in ${what} from ${from} to ${to}`] : []),
    ];
  });
  return {
    messages: onCore.length,
    legs: new Set(onCore.map(({ from, to }) => [from, to].sort().join(" "))).size,
    found,
  };
};
