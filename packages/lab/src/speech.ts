// The recorded voices of the lab (packages/lab/speech): 8 kHz A-law WAV files, some four seconds each.
import { parseWav, type Sound } from "@sallyport/ue";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Voice = "alice" | "bob" | "carol";

const octetsPerMs = 8;

/** The absolute path of a voice's WAV file. */
const speechFile = (voice: Voice): string => fileURLToPath(new URL(`../speech/${voice}.wav`, import.meta.url));

/** The first `ms` milliseconds of a voice, all of it when left out. */
export const voiceOf = (voice: Voice, ms?: number): Sound => {
  const parsed = parseWav(readFileSync(speechFile(voice)));
  if (!parsed.ok) throw new TypeError(`${speechFile(voice)}: ${parsed.code}`);
  const { sound } = parsed;
  return ms === undefined || sound.kind !== "companded"
    ? sound
    : { ...sound, octets: sound.octets.subarray(0, ms * octetsPerMs) };
};
