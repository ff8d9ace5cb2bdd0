// Owns WAV files of one channel at 8000 Hz: 16-bit PCM, A-law, mu-law. Knows no file system and no packet.
// RIFF/WAVE, "fmt " tags 1 (PCM), 6 (A-law), 7 (mu-law), 0xFFFE (extensible, its sub-format's first two octets decide).
import { decodeG711, encodeG711, type Law } from "./g711.ts";

export type Sound =
  | { readonly kind: "linear"; readonly samples: Int16Array }
  | { readonly kind: "companded"; readonly law: Law; readonly octets: Buffer };

export type WavParseCode = "not-wav" | "no-format" | "no-data" | "truncated" | "encoding" | "rate" | "channels";

export type WavResult =
  | { readonly ok: true; readonly sound: Sound }
  | { readonly ok: false; readonly code: WavParseCode; readonly offset: number };

const sampleRate = 8000;

/** Reads a WAV. Chunks other than "fmt " and "data" are skipped. */
export const parseWav = (octets: Buffer): WavResult => {
  const no = (code: WavParseCode, offset: number): WavResult => ({ ok: false, code, offset });
  if (octets.length < 12 || octets.toString("latin1", 0, 4) !== "RIFF" || octets.toString("latin1", 8, 12) !== "WAVE") {
    return no("not-wav", 0);
  }
  let format: { readonly tag: number; readonly bits: number } | undefined;
  for (let at = 12; at + 8 <= octets.length;) {
    const id = octets.toString("latin1", at, at + 4);
    const size = octets.readUInt32LE(at + 4);
    const start = at + 8;
    if (id === "fmt ") {
      if (size < 16 || start + size > octets.length) return no("truncated", at);
      const given = octets.readUInt16LE(start);
      const tag = given === 0xfffe && size >= 26 ? octets.readUInt16LE(start + 24) : given;
      if (octets.readUInt16LE(start + 2) !== 1) return no("channels", start + 2);
      if (octets.readUInt32LE(start + 4) !== sampleRate) return no("rate", start + 4);
      format = { tag, bits: octets.readUInt16LE(start + 14) };
    } else if (id === "data") {
      if (format === undefined) return no("no-format", at);
      // Writers that stream leave the size unknown (0xFFFFFFFF or 0 is seen): the data then reaches to the end.
      const end = size === 0xffff_ffff ? octets.length : start + size;
      if (end > octets.length) return no("truncated", at);
      return soundOf(format, octets.subarray(start, end)) ?? no("encoding", start);
    }
    at = start + size + (size & 1);
  }
  return no(format === undefined ? "no-format" : "no-data", octets.length);
};

const soundOf = (format: { readonly tag: number; readonly bits: number }, data: Buffer): WavResult | undefined => {
  if (format.tag === 1 && format.bits === 16) {
    const samples = new Int16Array(data.length >> 1);
    for (let at = 0; at < samples.length; at += 1) samples[at] = data.readInt16LE(2 * at);
    return { ok: true, sound: { kind: "linear", samples } };
  }
  if ((format.tag !== 6 && format.tag !== 7) || format.bits !== 8) return undefined;
  const law = format.tag === 6 ? "PCMA" : "PCMU";
  return { ok: true, sound: { kind: "companded", law, octets: Buffer.from(data) } };
};

/** The sound as payload octets of a codec. Octets of the same law pass unchanged. */
export const payloadOf = (sound: Sound, law: Law): Buffer => {
  if (sound.kind === "linear") return encodeG711(law, sound.samples);
  return sound.law === law ? sound.octets : encodeG711(law, decodeG711(sound.law, sound.octets));
};

/** A WAV file. */
export const writeWav = (sound: Sound): Buffer => {
  const linear = sound.kind === "linear";
  const data = linear ? Buffer.alloc(2 * sound.samples.length) : sound.octets;
  if (linear) for (const [at, sample] of sound.samples.entries()) data.writeInt16LE(sample, 2 * at);
  const width = linear ? 2 : 1;
  const format = Buffer.alloc(linear ? 16 : 18);
  format.writeUInt16LE(linear ? 1 : sound.law === "PCMA" ? 6 : 7, 0);
  format.writeUInt16LE(1, 2);
  format.writeUInt32LE(sampleRate, 4);
  format.writeUInt32LE(sampleRate * width, 8);
  format.writeUInt16LE(width, 12);
  format.writeUInt16LE(8 * width, 14);
  const chunks = [chunk("fmt ", format)];
  // A "fact" chunk is due for every format but PCM.
  if (!linear) {
    const fact = Buffer.alloc(4);
    fact.writeUInt32LE(data.length, 0);
    chunks.push(chunk("fact", fact));
  }
  chunks.push(chunk("data", data));
  return chunk("RIFF", Buffer.concat([Buffer.from("WAVE", "latin1"), ...chunks]));
};

const chunk = (id: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(8);
  head.write(id, "latin1");
  head.writeUInt32LE(body.length, 4);
  return Buffer.concat([head, body, Buffer.alloc(body.length & 1)]);
};
