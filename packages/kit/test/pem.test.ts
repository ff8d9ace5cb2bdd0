// What is in a PEM file is judged when it is read: OpenSSL takes a text without a key, and every handshake fails later.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pemFault, readPemFiles, validityOf } from "../src/index.ts";

let folder: string;
let certificate: string;
let key: string;
const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });

const hasOpenssl = ((): boolean => {
  try {
    execFileSync("openssl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasOpenssl)("RFC 7468: PEM files of TLS (needs openssl)", () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sallyport-pem-"));
    const args =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=edge.example -days 30 -keyout key.pem -out cert.pem";
    execFileSync("openssl", args.split(" "), { cwd: folder, stdio: "ignore" });
    certificate = readFileSync(join(folder, "cert.pem"), "utf8");
    key = readFileSync(join(folder, "key.pem"), "utf8");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("what belongs together is taken, with words around it and chains too", () => {
    expect(pemFault({ certificate, key, ca: certificate })).toBeUndefined();
    expect(pemFault({ certificate: `subject=edge\n${certificate}\n${certificate}`, key })).toBeUndefined();
    expect(pemFault({})).toBeUndefined();
  });

  it("names the file that holds nothing, something else, a damaged certificate or another's key, and shows none of it", () => {
    const damaged = certificate.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA");
    expect(pemFault({ certificate: "junk", key })).toEqual({
      part: "certificate",
      what: "It holds no certificate in PEM.",
    });
    expect(pemFault({ certificate, key, ca: "" })?.part).toBe("ca");
    expect(pemFault({ certificate: damaged, key })?.what).toBe("A certificate in it can not be read.");
    expect(pemFault({ certificate, key: "" })?.part).toBe("key");
    expect(pemFault({ certificate, key: certificate })?.part).toBe("key");
    expect(pemFault({ certificate: key, key })?.part).toBe("certificate");
    expect(pemFault({ certificate, key: String(other) })).toEqual({
      part: "key",
      what: "Its key is not that of the certificate.",
    });
  });

  it("reads files under the names they have, and refuses by the path of the first that can not be used", async () => {
    const path = (name: string): string => join(folder, name);
    writeFileSync(path("empty.pem"), "");
    const refuse = ({ part, path: at, what }: { part: string; path: string; what: string }): Error =>
      new Error(`${part} ${at} ${what}`);
    const named = { certificate: path("cert.pem"), key: path("key.pem"), ca: undefined };
    expect(await readPemFiles(named, refuse)).toEqual({ certificate, key });
    await expect(readPemFiles({ ...named, key: path("none.pem") }, refuse)).rejects.toThrow(
      `key ${path("none.pem")} there is no such file (ENOENT).`,
    );
    await expect(readPemFiles({ ...named, key: path("empty.pem") }, refuse)).rejects.toThrow(
      `key ${path("empty.pem")} It holds no private key`,
    );
  });

  it("tells from when until when a certificate is good", () => {
    const { notBefore = 0, notAfter = 0 } = validityOf(certificate) ?? {};
    expect(notAfter - notBefore).toBe(30 * 86_400_000);
    expect(Math.abs(Date.now() - notBefore)).toBeLessThan(3_600_000);
    expect(validityOf("junk")).toBeUndefined();
  });
});
