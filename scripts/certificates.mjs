// Makes the throw-away CA and the element certificates of the lab. Never use them outside a lab: the CA key is thrown away,
// the element keys lie readable in an ignored folder.
import { webcrypto, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

const elements = ["core", "edge-a", "edge-b", "gw-a", "gw-b"];
const domain = "lab.example";
const days = 90;
const dayMs = 86_400_000;
const curve = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

const pem = (label, der) =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n")}\n-----END ${label}-----\n`;

const makeKeys = () => webcrypto.subtle.generateKey(curve, true, ["sign", "verify"]);

const goodForAWeek = (folder) => {
  const files = ["ca.crt", ...elements.flatMap((name) => [`${name}.crt`, `${name}.key`])].map((file) =>
    join(folder, file),
  );
  if (!files.every((file) => existsSync(file))) return false;
  return files
    .filter((file) => file.endsWith(".crt"))
    .every((file) => Date.parse(new X509Certificate(readFileSync(file)).validTo) > Date.now() + 7 * dayMs);
};

/** Writes ca.crt and NAME.crt / NAME.key for every lab element into `folder`. Returns false when those there still serve. */
export const makeLabCertificates = async (folder) => {
  if (goodForAWeek(folder)) return false;
  x509.cryptoProvider.set(webcrypto);
  const notBefore = new Date(Date.now() - dayMs);
  const notAfter = new Date(Date.now() + days * dayMs);
  const caKeys = await makeKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString("hex"),
    name: "CN=Sallyport throw-away lab CA",
    notBefore,
    notAfter,
    signingAlgorithm: curve,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  for (const name of elements) {
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: Buffer.from(webcrypto.getRandomValues(new Uint8Array(8))).toString("hex"),
      subject: `CN=${name}.${domain}`,
      issuer: ca.subject,
      notBefore,
      notAfter,
      signingAlgorithm: curve,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: "dns", value: `${name}.${domain}` },
          { type: "dns", value: "localhost" },
          { type: "ip", value: "127.0.0.1" },
          { type: "ip", value: "::1" },
        ]),
      ],
    });
    writeFileSync(join(folder, `${name}.crt`), pem("CERTIFICATE", certificate.rawData));
    writeFileSync(
      join(folder, `${name}.key`),
      pem("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)),
      {
        mode: 0o600,
      },
    );
  }
  writeFileSync(join(folder, "ca.crt"), pem("CERTIFICATE", ca.rawData));
  return true;
};
