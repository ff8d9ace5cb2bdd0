// What a PEM file holds, looked at before it is used: a text without a key is no error to OpenSSL, only to every peer later.
// Owns the judgement and its wording; reads no file, opens nothing. RFC 7468.
import { X509Certificate, createPrivateKey } from "node:crypto";

/** The texts of one identity on TLS: each may be left out. */
export interface PemTexts {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
}

/** Which of the texts can not be used, and why, as a sentence. */
export interface PemFault {
  readonly part: keyof PemTexts;
  readonly what: string;
}

export interface Validity {
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const block = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/** Undefined where one of them can not be read. */
const certificatesIn = (text: string): readonly X509Certificate[] | undefined => {
  try {
    return (text.match(block) ?? []).map((pem) => new X509Certificate(pem));
  } catch {
    return undefined;
  }
};

const faultIn = (text: string | undefined): string | undefined => {
  const found = text === undefined ? undefined : certificatesIn(text);
  if (text === undefined || (found !== undefined && found.length > 0)) return undefined;
  return found === undefined ? "A certificate in it can not be read." : "It holds no certificate in PEM.";
};

const keyIn = (text: string) => {
  try {
    return createPrivateKey(text);
  } catch {
    return undefined;
  }
};

/** What keeps these texts from being used together; undefined where nothing does. Never shows a text. */
export const pemFault = ({ ca, certificate, key }: PemTexts): PemFault | undefined => {
  for (const [part, text] of [["certificate", certificate] as const, ["ca", ca] as const]) {
    const what = faultIn(text);
    if (what !== undefined) return { part, what };
  }
  if (key === undefined) return undefined;
  const read = keyIn(key);
  if (read === undefined)
    return { part: "key", what: "It holds no private key in PEM that opens without a passphrase." };
  const own = certificate === undefined ? undefined : certificatesIn(certificate)?.[0];
  return own === undefined || own.checkPrivateKey(read)
    ? undefined
    : { part: "key", what: "Its key is not that of the certificate." };
};

/** From when until when the first certificate of a text is good; undefined where there is none. */
export const validityOf = (certificate: string): Validity | undefined => {
  const own = certificatesIn(certificate)?.[0];
  return own && { notBefore: Date.parse(own.validFrom), notAfter: Date.parse(own.validTo) };
};
