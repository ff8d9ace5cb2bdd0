// Makes a throw-away authority and certificates for the TLS tests.
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { IqTlsMaterial } from "@sallyport/iq";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
x509.cryptoProvider.set(webcrypto);

const makeKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);

const pem = async (key: webcrypto.CryptoKey): Promise<string> => {
  const octets = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return `-----BEGIN PRIVATE KEY-----\n${octets.toString("base64")}\n-----END PRIVATE KEY-----\n`;
};

/** Issues certificates that carry one DNS name each. */
export const createAuthority = async (): Promise<(name: string) => Promise<IqTlsMaterial>> => {
  const keys = await makeKeys();
  const dates = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) };
  let serial = 1;
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: "CN=Test CA",
    ...dates,
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return async (name) => {
    const own = await makeKeys();
    serial += 1;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serial.toString(16).padStart(2, "0"),
      subject: "CN=not a name",
      issuer: authority.subject,
      ...dates,
      signingAlgorithm: algorithm,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: name }])],
    });
    return { key: await pem(own.privateKey), cert: certificate.toString("pem"), ca: authority.toString("pem") };
  };
};
