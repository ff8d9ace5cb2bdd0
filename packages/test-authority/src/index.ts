// A throw-away certificate authority for the lab and the tests. Its own key lives in memory only and dies with the process.
// Never for service: nothing protects, renews or revokes what it issues.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** A name a certificate carries: DNS name, IP address or URI (RFC 5280 4.2.1.6). */
export interface CertificateName {
  readonly type: "dns" | "ip" | "url";
  readonly value: string;
}

/** PEM texts: a private key, its certificate, and the authority that signed it. */
export interface IssuedCertificate {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

export interface TestAuthority {
  /** The authority's own certificate, PEM. */
  readonly ca: string;
  /** A certificate for server and client that carries these names. `subject` is a common name, by default one that names nobody. */
  issue(names: readonly CertificateName[], subject?: string): Promise<IssuedCertificate>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const dayMs = 86_400_000;

const makeKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

const privatePem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const text = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${text.replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
};

/** A fresh authority (ECDSA P-256); what it issues is good from yesterday for `days` days. */
export const createAuthority = async ({ days = 1, name = "Test authority" } = {}): Promise<TestAuthority> => {
  x509.cryptoProvider.set(webcrypto);
  const keys = await makeKeys();
  const validity = { notBefore: new Date(Date.now() - dayMs), notAfter: new Date(Date.now() + days * dayMs) };
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: `CN=${name}`,
    ...validity,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  const ca = `${authority.toString("pem")}\n`;
  let serial = 1;
  return {
    ca,
    issue: async (names, subject = "not a name") => {
      const own = await makeKeys();
      serial += 1;
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serial.toString(16).padStart(2, "0"),
        subject: `CN=${subject}`,
        issuer: authority.subject,
        ...validity,
        signingAlgorithm: algorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension([...names]),
        ],
      });
      return { key: await privatePem(own.privateKey), cert: `${certificate.toString("pem")}\n`, ca };
    },
  };
};
