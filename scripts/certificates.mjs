// Makes the throw-away certificates and the sealing key of the lab. Never use them outside a lab: the keys lie readable in an ignored folder.
import { randomBytes, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority } from "../packages/test-authority/dist/index.js";

const elements = ["core", "edge-a", "edge-b", "gw-a", "gw-b"];
const domain = "lab.example";
const weekMs = 7 * 86_400_000;

const goodForAWeek = (folder) => {
  const files = ["ca.crt", ...elements.flatMap((name) => [`${name}.crt`, `${name}.key`])].map((file) =>
    join(folder, file),
  );
  if (!files.every((file) => existsSync(file))) return false;
  return files
    .filter((file) => file.endsWith(".crt"))
    .every((file) => Date.parse(new X509Certificate(readFileSync(file)).validTo) > Date.now() + weekMs);
};

/** Writes ca.crt and NAME.crt / NAME.key for every lab element into `folder`. Returns false when those there still serve. */
export const makeLabCertificates = async (folder) => {
  if (goodForAWeek(folder)) return false;
  const authority = await createAuthority({ days: 90, name: "Sallyport throw-away lab CA" });
  for (const element of elements) {
    const { key, cert } = await authority.issue(
      [
        { type: "dns", value: `${element}.${domain}` },
        { type: "dns", value: "localhost" },
        { type: "ip", value: "127.0.0.1" },
        { type: "ip", value: "::1" },
      ],
      `${element}.${domain}`,
    );
    writeFileSync(join(folder, `${element}.crt`), cert);
    writeFileSync(join(folder, `${element}.key`), key, { mode: 0o600 });
  }
  writeFileSync(join(folder, "ca.crt"), authority.ca);
  return true;
};

/** Writes the key that seals the media keys in the sample edge's store, unless it is there. A new one would orphan what the old one sealed. */
export const makeSealingKey = (file) => {
  if (existsSync(file)) return;
  writeFileSync(file, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
};
