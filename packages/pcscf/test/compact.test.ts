import { describe, expect, it } from "vitest";
import type { Binding } from "../src/registration/binding.ts";
import { createCompact } from "../src/registration/compact.ts";

const binding = (user: string): Binding => ({
  id: "0123456789abcdef0123456789abcdef",
  aor: `sip:${user}@example.test`,
  contact: `sip:${user}@10.0.0.1:5060;transport=tcp`,
  instance: '"<urn:gsma:imei:35020000-000001-0>"',
  flow: { id: "tcp/access/1", protocol: "tcp", listener: "access/0", address: "10.0.0.1", port: 5060 },
  registeredAt: 1,
  expiresAt: 2,
  serviceRoute: ["<sip:scscf.example.test;lr>"],
  identities: [`sip:${user}@example.test`, "tel:+4912345678901"],
  outbound: false,
  indications: { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true },
  dialect: "3gpp",
  securityServer: ["sdes-srtp;mediasec"],
  policy: { e2ae: "offered", suites: ["AES_CM_128_HMAC_SHA1_80"], announceUnasked: false },
  confidential: true,
});

describe("TS 24.229 5.2.2: a binding held compactly", () => {
  it("says the same, without a property more or less", () => {
    const compact = createCompact();
    for (const user of ["alice", "bob"]) {
      const given = binding(user);
      expect(compact(given)).toStrictEqual(given);
    }
    const { instance: _, ...plain } = binding("carol");
    const full: Binding = {
      ...plain,
      path: "fedcba9876543210fedcba9876543210",
      charging: ["ccf=a.example.test"],
      emergency: true,
    };
    expect(compact(full)).toStrictEqual(full);
  });

  it("shares what bindings have in common, and nothing else", () => {
    const compact = createCompact();
    const [alice, bob] = [compact(binding("alice")), compact(binding("bob"))];
    expect(alice.policy).toBe(bob.policy);
    expect(alice.indications).toBe(bob.indications);
    expect(alice.serviceRoute).toBe(bob.serviceRoute);
    const strict = { ...binding("dave").policy, e2ae: "required" } as const;
    const unable = { ...binding("dave").indications, ueE2ae: false };
    const dave: Binding = { ...binding("dave"), policy: strict, indications: unable };
    const other = compact({ ...dave, serviceRoute: ["<sip:other.example.test;lr>"] });
    expect([other.policy, other.indications]).toEqual([strict, unable]);
    expect([alice.policy.e2ae, alice.indications.ueE2ae]).toEqual(["offered", true]);
    expect(other.serviceRoute).toEqual(["<sip:other.example.test;lr>"]);
    expect(alice.serviceRoute).toEqual(["<sip:scscf.example.test;lr>"]);
  });
});
