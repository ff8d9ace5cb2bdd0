// Owns the base64 of RFC 4568 6.1: only the alphabet of RFC 4648 section 4, padding there or not, and one text per key.

const value = new Int8Array(256).fill(-1);
for (const [at, octet] of Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/").entries()) {
  value[octet] = at;
}

/**
 * The octets, in a buffer of their own; undefined for an empty text, a character outside the alphabet, wrong padding,
 * or bits left over (RFC 4648 3.5: a second spelling of the same key would slip past a comparison of texts).
 */
export const decodeBase64 = (text: string): Buffer | undefined => {
  let length = text.length;
  while (length > 0 && text.length - length < 2 && text.charCodeAt(length - 1) === 0x3d) length -= 1;
  if (length === 0 || length % 4 === 1) return undefined;
  if (length !== text.length && text.length % 4 !== 0) return undefined;
  // Outside the heap, which the garbage collector copies about: a key that was zeroised must not stand elsewhere.
  const out = Buffer.from(new ArrayBuffer(Math.floor((length * 3) / 4)));
  let bits = 0;
  let held = 0;
  let to = 0;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    const six = code > 0xff ? -1 : (value[code] as number);
    if (six === -1) {
      out.fill(0);
      return undefined;
    }
    held = ((held << 6) | six) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out[to++] = (held >> bits) & 0xff;
  }
  if ((held & ((1 << bits) - 1)) === 0) return out;
  out.fill(0);
  return undefined;
};
