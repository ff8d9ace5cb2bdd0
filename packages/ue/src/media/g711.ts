// Owns G.711: A-law and mu-law octets to and from 16-bit linear PCM. Knows no packet and no file.
// ITU-T G.711; companding by segment search, decoding by table.

export type Law = "PCMA" | "PCMU";

const decodeA = (octet: number): number => {
  const code = octet ^ 0x55;
  const segment = (code & 0x70) >> 4;
  const mantissa = (code & 0x0f) << 4;
  const value = segment === 0 ? mantissa + 8 : (mantissa + 0x108) << (segment - 1);
  return (code & 0x80) !== 0 ? value : -value;
};

const decodeMu = (octet: number): number => {
  const code = ~octet & 0xff;
  const value = ((((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84;
  return (code & 0x80) !== 0 ? -value : value;
};

const encodeA = (sample: number): number => {
  // The sign of -1 and 0 differ: A-law has no zero, its two smallest steps stand on either side of it.
  const sign = sample >= 0 ? 0x80 : 0;
  const size = Math.min(sample >= 0 ? sample : -sample - 1, 32_767) >> 4;
  const segment = size < 16 ? 0 : 28 - Math.clz32(size);
  const mantissa = segment < 2 ? size & 0x0f : (size >> (segment - 1)) & 0x0f;
  return (sign | (segment << 4) | mantissa) ^ 0x55;
};

const encodeMu = (sample: number): number => {
  const sign = sample < 0 ? 0x80 : 0;
  const size = Math.min(Math.abs(sample), 32_635) + 0x84;
  const segment = 24 - Math.clz32(size);
  return ~(sign | (segment << 4) | ((size >> (segment + 3)) & 0x0f)) & 0xff;
};

const tableOf = (decode: (octet: number) => number): Int16Array =>
  Int16Array.from({ length: 256 }, (_, octet) => decode(octet));

const tables: Readonly<Record<Law, Int16Array>> = { PCMA: tableOf(decodeA), PCMU: tableOf(decodeMu) };

/** One octet per sample. */
export const encodeG711 = (law: Law, samples: Int16Array): Buffer => {
  const encode = law === "PCMA" ? encodeA : encodeMu;
  const out = Buffer.alloc(samples.length);
  for (let at = 0; at < samples.length; at += 1) out[at] = encode(samples[at] as number);
  return out;
};

export const decodeG711 = (law: Law, octets: Uint8Array): Int16Array => {
  const table = tables[law];
  const out = new Int16Array(octets.length);
  for (let at = 0; at < octets.length; at += 1) out[at] = table[octets[at] as number] as number;
  return out;
};

/** The octet for silence: the step next to zero. */
export const silenceOf = (law: Law): number => (law === "PCMA" ? 0xd5 : 0xff);
