// Owns where the keys of protected lines stand a second time in the same description, whoever may read them there: the
// other side must not see what protects the access. Decides nothing. TS 33.328 7.2.1 step 3; RFC 4568 9, RFC 3407 3.
import { attributeValues, type SdpLine, type SdpMedia } from "@sallyport/sdp";

/** Characters of a key that tell it: 120 bits of it. */
const enough = 20;

const base64 = /[A-Za-z0-9+/]+/g;

/** The beginnings of all keys in the crypto attributes of these m-lines, usable or not. */
export const keysIn = (sections: readonly SdpMedia[]): ReadonlySet<string> => {
  const found = new Set<string>();
  for (const { lines } of sections) {
    for (const value of attributeValues(lines, "crypto")) {
      for (const [, key = ""] of value.matchAll(/inline:([A-Za-z0-9+/]+)/gi)) {
        if (key.length >= enough) found.add(key.slice(0, enough));
      }
    }
  }
  return found;
};

/** Whether one of the keys stands in the line, as a part of whatever word. Linear in the line's length. */
export const holdsKey = ({ value }: SdpLine, keys: ReadonlySet<string>): boolean => {
  if (keys.size === 0 || value.length < enough) return false;
  for (const [word] of value.matchAll(base64)) {
    for (let at = 0; at + enough <= word.length; at += 1) if (keys.has(word.slice(at, at + enough))) return true;
  }
  return false;
};
