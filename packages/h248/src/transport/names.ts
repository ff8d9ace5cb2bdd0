// Owns the names a verified certificate gives its owner: subjectAltName only, never the common name (RFC 6125 6.4.4).
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";

const known = new Map([
  ["DNS", ""],
  ["URI", ""],
  ["IP Address", ""],
]);

/** Splits the printed subjectAltName; an entry with a comma, quote or the like is printed as a JSON string. */
export const namesOf = (subjectAltName: string): readonly string[] => {
  const names: string[] = [];
  const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  for (let match = entry.exec(subjectAltName); match !== null; match = entry.exec(subjectAltName)) {
    const [all, kind = "", value = ""] = match;
    if (all === "") break;
    if (!known.has(kind) || value === "") continue;
    // A quoted name holds a character that no name of ours has: it must not be taken for another.
    if (value.startsWith('"')) continue;
    if (kind === "IP Address" && isIP(value) === 0) continue;
    names.push(value.toLowerCase());
  }
  return names;
};

/** The names of the certificate this socket has verified; [] when it has verified none. */
export const verifiedNames = (socket: TLSSocket): readonly string[] => {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
  return certificate?.subjectAltName === undefined ? [] : namesOf(certificate.subjectAltName);
};
