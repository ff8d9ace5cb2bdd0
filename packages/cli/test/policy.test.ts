import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { sdpIn } from "../src/policy/facts.ts";
import { sallyport } from "./support/run.ts";

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const edge = at("../../../config/edge.yaml");
const folder = mkdtempSync(join(tmpdir(), "sallyport-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const announces = ["--security-client", "sdes-srtp;mediasec"];
const offer = (name: string): readonly string[] => ["--offer", at(`offers/${name}`)];
const test = (...args: readonly string[]) => sallyport(["policy", "test", "--config", edge, ...args]);

/** Keys are fresh in every run: so are their fingerprints. */
const steady = (text: string): string => text.replaceAll(/\bkey [0-9a-f]{2}:[0-9a-f]{2}\b/g, "key 00:00");

/** Every key that stands in a sample. */
const planted = ["e2ae.sdp", "unknown-suite.sdp", "phone.sdp"].flatMap((name) =>
  [...readFileSync(at(`offers/${name}`), "latin1").matchAll(/inline:([A-Za-z0-9+/=]+)/g)].map(([, key]) => key ?? ""),
);

const cases = {
  "policy-registration": announces,
  "policy-e2ae": [...announces, ...offer("e2ae.sdp")],
  "policy-plain-to-e2ae": [...announces, ...offer("plain.sdp"), "--direction", "terminating"],
  "policy-plain-to-plain": [...offer("plain.sdp"), "--direction", "terminating"],
  "policy-off": [...announces, "--access-network", "3GPP-GERAN; cgi-3gpp=1", ...offer("invite.txt")],
  "policy-no-common-suite": [...announces, ...offer("unknown-suite.sdp")],
  "policy-phone": offer("phone.sdp"),
} as const;

describe("policy test", () => {
  it.each(Object.entries(cases))("%s: golden, 80 columns, no key", async (name, args) => {
    const { code, out, err } = await test(...args);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
    for (const key of planted) expect(out).not.toContain(key.slice(0, 16));
    expect(out).not.toMatch(/inline:(?!<redacted>)/);
    await expect(steady(out)).toMatchFileSnapshot(`golden/${name}.txt`);
  });

  it("TS 33.328 7.2.1 and 7.3.1: an announced UE is protected in both directions", async () => {
    const out = await test(...cases["policy-e2ae"]);
    expect(out.out).toMatch(/m=audio \d+ RTP\/AVP 8 101/);
    expect(out.out).not.toMatch(/a=crypto|a=3ge2ae/);
    const back = await test(...cases["policy-plain-to-e2ae"]);
    expect(back.out).toMatch(/m=audio \d+ RTP\/SAVP 8/);
    expect(back.out).toContain("a=3ge2ae:applied");
    expect(back.out).toContain("inline:<redacted>");
  });

  it("--json gives all of it, without a key", async () => {
    for (const args of Object.values(cases)) {
      const { code, out } = await test(...args, "--json");
      expect(code).toBe(0);
      const found = JSON.parse(out) as { choice: object; registration: object; registering: { transport: string } };
      expect(found).toMatchObject({ choice: { rule: {} }, registration: { indications: {} } });
      expect(found.registering.transport).toBe("tls");
      for (const key of planted) expect(out).not.toContain(key.slice(0, 16));
      expect(out).not.toMatch(/inline:(?!<redacted>)/);
    }
  });

  it("user agent, realm and option tag reach the decision", async () => {
    const { out } = await test(
      ...announces,
      "--user-agent",
      "Acme 1",
      "--realm",
      "other.example",
      "--option-tag",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({
      registering: { userAgent: "Acme 1", realm: "other.example", usesOptionTag: true },
      registration: { dialect: "draft" },
    });
  });

  it("6.2.1.2: over a transport that is not trusted no key may pass", async () => {
    const text = readFileSync(edge, "utf8").replace("protocol: tls # udp", "protocol: udp # udp");
    const config = join(folder, "udp.yaml");
    writeFileSync(config, text);
    const { out } = await sallyport(["policy", "test", "-c", config, ...announces]);
    expect(out).toContain("udp, keys may not pass");
    expect(out).toContain("signalling-not-confidential");
  });

  describe("TS 33.328 7.1 NOTE 2: an edge with several accesses", () => {
    const config = join(folder, "accesses.yaml");
    const sample = readFileSync(edge, "utf8");
    const point = (name: string, more: string): string =>
      `  - { name: ${name}, protocol: udp, address: 127.0.0.1, port: 0, ${more} }\n`;
    writeFileSync(
      config,
      sample.replace(
        "core: # towards",
        `${point("radio", "trusted: true, accessNetworkInfo: 3GPP-GERAN;cgi-3gpp=1")}${point("wire", "trusted: false")}${point("", "trusted: true").replace("name: ,", "")}core: # towards`,
      ),
    );
    const ask = async (...args: readonly string[]) => {
      const { code, out, err } = await sallyport(["policy", "test", "-c", config, ...announces, ...args, "--json"]);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      return JSON.parse(out) as { registering: object; choice: { rule: object } };
    };

    it("the listening point is named, and it says whether keys may pass", async () => {
      expect(await ask("--listener", "wire")).toMatchObject({
        registering: { listener: "wire", transport: "udp", confidential: false },
      });
      expect(await ask("--listener", "gm")).toMatchObject({ registering: { listener: "gm", confidential: true } });
      expect(await ask("--transport", "udp")).toMatchObject({ registering: { listener: "radio", confidential: true } });
    });

    it("what the listening point says of its access goes before the UE's word", async () => {
      const lies = ["--access-network", "IEEE-802.11"];
      expect(await ask("--listener", "radio", ...lies)).toMatchObject({
        registering: { accessNetwork: "3GPP-GERAN" },
        choice: { index: 0, rule: { e2ae: "off" } },
      });
      expect(await ask("--listener", "wire", ...lies)).toMatchObject({
        registering: { accessNetwork: "IEEE-802.11" },
        choice: { index: 1 },
      });
      const { out } = await sallyport(["policy", "test", "-c", config, ...announces, "--listener", "radio", ...lies]);
      expect(out).toContain("3GPP-GERAN, as the listening point says");
    });

    it("RFC 7315 4.4: of several access types the first is looked at", async () => {
      expect(await ask("--access-network", "3GPP-GERAN, IEEE-802.11;x=1")).toMatchObject({
        registering: { accessNetwork: "3GPP-GERAN" },
      });
    });

    it("SALLY_CLI_LISTENER: no point of that name, or not of that transport, and which there are", async () => {
      for (const args of [
        ["--listener", "air"],
        ["--listener", "radio", "--transport", "tls"],
      ]) {
        const { code, err } = await sallyport(["policy", "test", "-c", config, ...args]);
        expect(code).toBe(1);
        expect(err).toMatch(/it has gm \(tls\), radio \(udp\), wire \(udp\), udp 127\.0\.0\.1:0\..*SALLY_CLI_LISTENER/);
      }
    });
  });

  it("an offer may be a captured SIP message, and may have lost its carriage returns", async () => {
    const body = readFileSync(at("offers/e2ae.sdp"), "latin1");
    expect(sdpIn(readFileSync(at("offers/invite.txt"), "latin1"))).toBe(body);
    expect(sdpIn(body.replaceAll("\r\n", "\n"))).toBe(body);
    expect(sdpIn("SIP/2.0 200 OK\r\nVia: x\r\n\r\nv=0\r\n")).toBe("v=0\r\n");
  });

  it("SALLY_CLI_LISTENER: the edge has no such transport, and says which it has", async () => {
    const { code, err } = await test("--transport", "udp");
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringMatching(/it has tls\..*SALLY_CLI_LISTENER/) });
  });

  it("SALLY_CLI_FILE: an offer that is missing, too large, empty, or none", async () => {
    const blank = join(folder, "blank.sdp");
    writeFileSync(blank, "\n");
    const bodiless = join(folder, "bodiless.sip");
    writeFileSync(bodiless, "INVITE sip:bob@lab.example SIP/2.0\r\nContent-Length: 0\r\n\r\n");
    const large = join(folder, "large.sdp");
    writeFileSync(large, "v=0\r\n".repeat(20_000));
    for (const [path, says] of [
      [join(folder, "nowhere.sdp"), "ENOENT"],
      [large, "64 KiB"],
      [blank, "it is empty"],
      [bodiless, "it is empty"],
      [edge, "not an SDP description"],
    ] as const) {
      const { code, out, err } = await test("--offer", path);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toContain(says);
      expect(err).toContain("SALLY_CLI_FILE");
    }
  });
});
