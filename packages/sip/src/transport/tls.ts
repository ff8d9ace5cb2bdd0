// Owns what TLS means for SIP: versions, certificates in both directions, and the names a verified certificate gives
// (RFC 3261 26.3.1, RFC 5922 7.1 and 7.2). Must not know SIP messages.
import { constants } from "node:crypto";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import type {
  ConnectionOptions,
  PeerCertificate,
  SecureContext,
  SecureContextOptions,
  TLSSocket,
  TlsOptions,
} from "node:tls";
import { sipErrors } from "../errors.ts";
import type { TlsMaterial } from "./flow.ts";

const contexts = new WeakMap<Partial<TlsMaterial>, SecureContext>();

/**
 * RFC 9325 3.1.1: nothing below TLS 1.2. 3.5: no renegotiation, in which a peer could become another than the one whose names
 * were learned.
 */
const texts = (material: Partial<TlsMaterial>): SecureContextOptions => ({
  ...(material.key === undefined ? {} : { key: material.key }),
  ...(material.cert === undefined ? {} : { cert: material.cert }),
  ...(material.ca === undefined ? {} : { ca: material.ca }),
  minVersion: "TLSv1.2",
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
});

/** @throws SALLY_SIP_TLS_MATERIAL when the PEM texts can not be used. */
const secureContext = (material: Partial<TlsMaterial>): SecureContext => {
  const known = contexts.get(material);
  if (known !== undefined) return known;
  try {
    const made = createSecureContext(texts(material));
    contexts.set(material, made);
    return made;
  } catch (cause) {
    throw sipErrors("SALLY_SIP_TLS_MATERIAL", "The PEM text was not accepted.", { cause });
  }
};

/** Names stand as `DNS:a, URI:sip:b, IP Address:192.0.2.1`; a name with a comma in it is written as a JSON string. */
const alternativeNames = (text: string): string[] => {
  const names: string[] = [];
  let start = 0;
  let quoted = false;
  const take = (end: number): void => {
    const entry = text.slice(start, end).trim();
    const colon = entry.indexOf(":");
    const kind = entry.slice(0, colon);
    const value = entry.slice(colon + 1);
    // A name that had to be quoted holds characters no SIP name has: it names nobody.
    if ((kind === "DNS" || kind === "URI" || kind === "IP Address") && !value.startsWith('"')) names.push(value);
  };
  for (let at = 0; at < text.length; at++) {
    if (quoted && text[at] === "\\") at++;
    else if (text[at] === '"') quoted = !quoted;
    else if (text[at] === "," && !quoted) {
      take(at);
      start = at + 1;
    }
  }
  if (text !== "") take(text.length);
  return names;
};

/** The names a certificate speaks for: subjectAltName, and the common name only where there is none (RFC 5922 7.1). */
const certificateNames = (certificate: PeerCertificate): readonly string[] => {
  if (certificate.subjectaltname !== undefined) return alternativeNames(certificate.subjectaltname);
  const common: unknown = certificate.subject?.CN;
  return typeof common === "string" ? [common] : [];
};

/** RFC 5922 7.2: names are compared whole, without wildcards; a sip URI names its host. */
export const namesMatch = (names: readonly string[], wanted: string): boolean => {
  const name = wanted.toLowerCase();
  return names.some((candidate) => {
    const lower = candidate.toLowerCase();
    return lower === name || lower === `sip:${name}`;
  });
};

/** Empty unless the chain was verified. */
export const peerNames = (socket: TLSSocket): readonly string[] => {
  if (!socket.authorized) return [];
  const certificate = socket.getPeerCertificate();
  return certificate.subject === undefined ? [] : certificateNames(certificate);
};

/** What a server that runs shows from now on. @throws SALLY_SIP_TLS_MATERIAL */
export const renewedTls = (material: TlsMaterial): SecureContextOptions => {
  // A server takes the texts, not a context; this is only to refuse what it could not use.
  secureContext(material);
  return texts(material);
};

export const serverTls = (material: TlsMaterial, handshakeMs: number): TlsOptions => {
  // Without a CA of our own the system's roots would let every certificate on earth in.
  if (material.requireClientCertificate === true && material.ca === undefined) {
    throw sipErrors("SALLY_SIP_TLS_MATERIAL", "Client certificates are required, but no CA is given.");
  }
  return {
    ...renewedTls(material),
    requestCert: material.ca !== undefined,
    rejectUnauthorized: material.requireClientCertificate === true,
    handshakeTimeout: handshakeMs,
  };
};

export const clientTls = (material: Partial<TlsMaterial> | undefined, wantedName: string): ConnectionOptions => ({
  ...(material === undefined ? {} : { secureContext: secureContext(material) }),
  minVersion: "TLSv1.2",
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  rejectUnauthorized: true,
  // RFC 6066 3: server_name holds no IP literals.
  ...(isIP(wantedName) === 0 ? { servername: wantedName } : {}),
  checkServerIdentity: (_host, certificate) =>
    namesMatch(certificateNames(certificate), wantedName)
      ? undefined
      : new Error(`the certificate does not name ${wantedName}`),
});
