import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues, type TlsMaterial } from "@sallyport/sip";
import { createAuthority, type TestAuthority } from "@sallyport/test-authority";
import { bodyOf, establishOriginating } from "./support/calls.ts";
import { createPeer } from "./support/peer.ts";
import { coreRequest, openScenario, type Scenario } from "./support/scenario.ts";
import { coreSdp, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let authority: TestAuthority;
let folder: string;
let edgeTls: TlsMaterial;
let coreTls: TlsMaterial;

beforeAll(async () => {
  authority = await createAuthority();
  folder = mkdtempSync(join(tmpdir(), "sallyport-pcscf-"));
  edgeTls = await authority.issue([{ type: "ip", value: "127.0.0.1" }]);
  coreTls = await authority.issue([
    { type: "dns", value: "core.home.example" },
    { type: "ip", value: "127.0.0.1" },
  ]);
  writeFileSync(join(folder, "edge.pem"), edgeTls.cert);
  writeFileSync(join(folder, "edge.key"), edgeTls.key);
  writeFileSync(join(folder, "ca.pem"), edgeTls.ca ?? "");
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await scenario.close();
});

const files = () => ({
  certificate: join(folder, "edge.pem"),
  key: join(folder, "edge.key"),
  ca: join(folder, "ca.pem"),
});

describe("strangers on the core side", () => {
  it("TS 33.328 5.4.1: a request from neither the next hop nor a trusted peer is refused before it says anything", async () => {
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        core: { ...config.core, nextHop: config.core.nextHop.replace("127.0.0.1", "127.0.0.2") },
      }),
    });
    const refused = await scenario.core
      .send(coreRequest(scenario.core, "INVITE", "sip:bob@127.0.0.1", { body: coreSdp() }))
      .final();
    expect(refused.status).toBe(403);
    expect(scenario.edge.counters()).toContainEqual({ name: "strangers_refused_total", labels: {}, value: 1 });
  });

  it("an address named as trusted may send", async () => {
    scenario = await openScenario({
      change: (config) => ({
        ...config,
        core: {
          ...config.core,
          nextHop: config.core.nextHop.replace("127.0.0.1", "127.0.0.2"),
          trusted: { addresses: ["127.0.0.1"] },
        },
      }),
    });
    const answered = await scenario.core
      .send(coreRequest(scenario.core, "INVITE", "sip:bob@127.0.0.1", { body: coreSdp() }))
      .final();
    expect(answered.status).toBe(404);
  });

  it("TS 33.328 5.4.1: over TLS a certificate of the right authority with another name is a stranger's", async () => {
    scenario = await openScenario({
      core: { protocol: "tls", tls: coreTls },
      change: (config) => ({
        ...config,
        core: {
          nextHop: config.core.nextHop.replace("127.0.0.1", "localhost").replace("tcp", "tls"),
          nextHopName: "core.home.example",
          listen: [
            { protocol: "tls", address: "127.0.0.1", port: 0, tls: { ...files(), requireClientCertificate: true } },
          ],
        },
      }),
    });
    const point = scenario.edge.core[0];
    const stranger = await createPeer({
      name: "stranger",
      clock: scenario.clock,
      protocol: "tls",
      tls: await authority.issue([{ type: "dns", value: "elsewhere.example" }]),
      target: () => ({ protocol: "tls", address: "127.0.0.1", port: point?.port ?? 0 }),
    });
    const request = coreRequest(stranger, "INVITE", "sip:bob@127.0.0.1", { body: coreSdp() });
    expect((await stranger.send(request).final()).status).toBe(403);
    expect((await scenario.core.send(request).final()).status).toBe(404);
    await stranger.close();
  });

  it("a UE cannot use the access side as if it were the core: a Path token opens nothing there", async () => {
    scenario = await openScenario();
    const bob = await scenario.ue("bob");
    const { path } = await bob.register();
    const mallory = await scenario.ue("mallory");
    await mallory.register();
    const sent = mallory.send(mallory.request("INVITE", bob.contact, { headers: [["Route", path]], body: ueOffer() }));
    const arrived = await scenario.core.expect("INVITE");
    expect(arrived.request.uri).toBe(bob.contact);
    expect(bob.requests.all).toEqual([]);
    void sent;
  });
});

describe("TLS on both sides", () => {
  it("TS 33.328 6.2.1.2: a UE on TLS needs no trusted access; 401 and 200 list tls where sec-agree was asked", async () => {
    scenario = await openScenario({
      core: { protocol: "tls", tls: coreTls },
      change: (config) => ({
        ...config,
        access: [
          {
            name: "tls",
            protocol: "tls",
            address: "127.0.0.1",
            port: 0,
            tls: { certificate: files().certificate, key: files().key },
          },
        ],
        core: {
          nextHop: config.core.nextHop.replace("tcp", "tls"),
          listen: [
            { protocol: "tls", address: "127.0.0.1", port: 0, tls: { ...files(), requireClientCertificate: true } },
          ],
        },
      }),
    });
    const alice = await scenario.ue("alice", {
      protocol: "tls",
      tls: await authority.issue([{ type: "dns", value: "alice.example" }]),
    });
    const { challenge, second, ok } = await alice.register({
      dialect: "none",
      headers: [
        ["Security-Client", "tls, sdes-srtp;mediasec"],
        ["Require", "sec-agree"],
        ["Proxy-Require", "sec-agree"],
      ],
    });
    expect(headerValues(challenge, "security-server")).toEqual(["tls", "sdes-srtp;mediasec"]);
    expect(headerValues(ok, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(headerValue(second, "authorization")).toContain('integrity-protected="tls-pending"');
    expect(headerValue(second, "require")).toBeUndefined();
    const dialog = await establishOriginating(scenario, alice);
    expect(bodyOf(dialog.ok)).toContain("a=3ge2ae:applied");
    expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae" }]);
    const again = await alice.register({ dialect: "3gpp" });
    expect(headerValue(again.second, "authorization")).toContain('integrity-protected="tls-yes"');
  });
});

describe("what the edge is for itself", () => {
  it("RFC 3261 11.2: OPTIONS to the edge itself is answered here, with what a proxy says of itself", async () => {
    scenario = await openScenario();
    const alice = await scenario.ue("alice");
    const point = scenario.edge.access[0];
    const answer = await alice.send(alice.request("OPTIONS", `sip:127.0.0.1:${point?.port}`)).final();
    expect(answer.status).toBe(200);
    const said = ["accept", "accept-encoding", "accept-language", "allow"].map((name) => headerValue(answer, name));
    expect(said).toEqual(["application/sdp", "identity", "en", undefined]);
    expect(scenario.edge.counters().filter(({ name }) => name === "requests_refused_total")).toEqual([]);
    expect(headerList(answer, "supported")).toEqual(
      expect.arrayContaining(["path", "outbound", "sec-agree", "mediasec"]),
    );
    expect(scenario.core.requests.all).toEqual([]);
  });
});
