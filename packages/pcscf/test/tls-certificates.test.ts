// Certificates of an edge that are renewed on the disk while it runs. RFC 5922 7.1, RFC 9325 3.
import { writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { createAuthority } from "@sallyport/test-authority";
import { afterEach, describe, expect, it } from "vitest";
import { openScenario, settled, until, type Scenario } from "./support/scenario.ts";
import { openTls, type TestTls } from "./support/tls.ts";

let scenario: Scenario;
let tls: TestTls;
afterEach(async () => {
  await scenario.close();
  tls.close();
});

const open = async (): Promise<void> => {
  tls = await openTls();
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      access: [{ protocol: "tls", address: "127.0.0.1", port: 0, tls: tls.files }],
    }),
  });
};

/** The names a stranger is shown who connects now. */
const shown = async (): Promise<string | undefined> => {
  const socket = connect({ host: "127.0.0.1", port: scenario.edge.access[0]?.port ?? 0, rejectUnauthorized: false });
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  const names = socket.getPeerCertificate().subjectaltname;
  socket.destroy();
  return names;
};
const told = (event: string): number => scenario.logs.filter((each) => each.event === event).length;
/** A minute, and what is read in it. */
const minute = async (): Promise<void> => {
  scenario.clock.advance(60_000);
  await settled();
};

describe("RFC 5922 7.1: a certificate is renewed", () => {
  it("whoever connects is shown the new one within a minute; a UE that is connected stays registered and can be called", async () => {
    await open();
    const alice = await scenario.ue("alice", { protocol: "tls", tls: tls.ue });
    await alice.register();
    await settled();
    const fresh = await (
      await createAuthority()
    ).issue([
      { type: "ip", value: "127.0.0.1" },
      { type: "dns", value: "renewed.example" },
    ]);
    writeFileSync(tls.files.certificate, fresh.cert);
    writeFileSync(tls.files.key, fresh.key);
    expect(await shown()).toBe("IP Address:127.0.0.1");
    await minute();
    await until(() => told("certificate renewed") === 1, "renewed");
    expect(await shown()).toBe("IP Address:127.0.0.1, DNS:renewed.example");
    const sent = alice.send(alice.request("MESSAGE", "sip:carol@far.example"));
    scenario.core.respond(await scenario.core.expect("MESSAGE"), 200);
    expect((await sent.final()).status).toBe(200);
    await minute();
    expect(told("certificate renewed")).toBe(1);
  });

  it("SALLY_SIP_TLS_MATERIAL, SALLY_EDGE_FILE: files that do not fit together, or are not there, are told once, and the old one stays", async () => {
    await open();
    await settled();
    const fresh = await (await createAuthority()).issue([{ type: "dns", value: "renewed.example" }]);
    writeFileSync(tls.files.certificate, fresh.cert);
    await minute();
    await until(() => told("certificate not renewed") === 1, "told");
    await minute();
    expect([told("certificate not renewed"), await shown()]).toEqual([1, "IP Address:127.0.0.1"]);
    writeFileSync(tls.files.key, fresh.key);
    await minute();
    await until(() => told("certificate renewed") === 1, "renewed");
    expect(await shown()).toBe("DNS:renewed.example");
    expect(JSON.stringify(scenario.logs)).not.toContain("PRIVATE");
  });
});
