// The recorded voices of the lab (packages/lab/speech): 8 kHz A-law WAV files, some four seconds each.
import { fileURLToPath } from "node:url";

export type Voice = "alice" | "bob" | "carol";

/** The absolute path of a voice's WAV file. */
export const speechFile = (voice: Voice): string => fileURLToPath(new URL(`../speech/${voice}.wav`, import.meta.url));
