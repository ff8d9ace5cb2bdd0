// What is in a PEM file is judged when it is read: OpenSSL takes a text without a key, and every handshake fails later.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "@sallyport/test-authority";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pemFault, readPemFiles, validityOf } from "@sallyport/kit";

const folder = mkdtempSync(join(tmpdir(), "sallyport-pem-"));
let certificate: string;
let key: string;
let other: string;

describe("RFC 7468: PEM files of TLS", () => {
  beforeAll(async () => {
    const authority = await createAuthority({ days: 30 });
    const names = [{ type: "dns", value: "edge.example" }] as const;
    ({ cert: certificate, key } = await authority.issue(names));
    ({ key: other } = await authority.issue(names));
    writeFileSync(join(folder, "cert.pem"), certificate);
    writeFileSync(join(folder, "key.pem"), key);
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
    expect(pemFault({ certificate, key: other })).toEqual({
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
    expect(notAfter - notBefore).toBe(31 * 86_400_000);
    expect(Math.abs(Date.now() - 86_400_000 - notBefore)).toBeLessThan(3_600_000);
    expect(validityOf("junk")).toBeUndefined();
  });
});
