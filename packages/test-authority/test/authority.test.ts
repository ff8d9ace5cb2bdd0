import { X509Certificate, createPrivateKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createAuthority } from "../src/index.ts";

describe("the throw-away authority", () => {
  it("RFC 5280 4.2.1.6: issues certificates with the names asked for, signed by itself, with their key", async () => {
    const authority = await createAuthority({ days: 2 });
    const issued = await authority.issue([
      { type: "dns", value: "edge-a.example" },
      { type: "ip", value: "127.0.0.1" },
    ]);
    const certificate = new X509Certificate(issued.cert);
    expect(certificate.verify(new X509Certificate(authority.ca).publicKey)).toBe(true);
    expect(certificate.subjectAltName).toBe("DNS:edge-a.example, IP Address:127.0.0.1");
    expect(certificate.checkPrivateKey(createPrivateKey(issued.key))).toBe(true);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(86_400_000);
  });

  it("gives every authority its own key", async () => {
    const [one, other] = [await createAuthority(), await createAuthority()];
    const { cert } = await one.issue([{ type: "dns", value: "a.example" }]);
    expect(new X509Certificate(cert).verify(new X509Certificate(other.ca).publicKey)).toBe(false);
  });
});
