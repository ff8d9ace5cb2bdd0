// Invariant 7, end to end: whatever goes right or wrong in the lab, no key is in a log, a view, an error, or behind a P-CSCF.
import { randomBytes } from "node:crypto";
import { connect as connectTls } from "node:tls";
import { readFileSync } from "node:fs";
import { Secret, seededRandom } from "@sallyport/kit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { labCertificates } from "../src/topology/certificates.ts";
import type { LabUe } from "../src/topology/lab.ts";
import { connect, openLab, registered, speak, type TestLab } from "./support/lab.ts";
import { createRawUe, handwrittenSdp } from "./support/raw-ue.ts";
import { rememberKeys, searchFor, spellingsOf, type Material } from "./support/secrets.ts";

const planted = (length = 30): { readonly key: Buffer; readonly inline: string } => {
  const key = randomBytes(length);
  return { key, inline: key.toString("base64") };
};

describe("invariant 7", () => {
  let lab: TestLab;
  const drawn = new Set<string>();
  const known: Buffer[] = [];
  const errors: unknown[] = [];
  const views: Material[] = [];
  const failed = (error: unknown): void => void errors.push(error);

  const look = (when: string, ues: readonly LabUe[]): void => {
    const add = (what: string, value: unknown): void => void views.push({ where: `${what}, ${when}`, value });
    for (const [side, { edge, gateway }] of [
      ["a", lab.a],
      ["b", lab.b],
    ] as const) {
      add(`calls of edge ${side}`, edge.calls());
      add(`registrations of edge ${side}`, edge.registrations());
      add(`counters of edge ${side}`, [edge.counters(), edge.counts(), edge.gateways()]);
      add(`counters of gateway ${side}`, [gateway.counters(), gateway.registration()]);
    }
    add("bindings of the core", lab.core.bindings());
    for (const { ue } of ues) add(`reports of ${ue.impu}`, [ue.registration, ue.calls().map((call) => call.report())]);
  };

  const goodCall = async (alice: LabUe, bob: LabUe): Promise<void> => {
    const ends = await connect(alice, bob);
    await speak(ends, 200);
    look("in mid-call", [alice, bob]);
    await ends.calling.reinvite("sendonly");
    await ends.calling.reinvite("sendrecv");
    await ends.called.reinvite();
    look("after re-INVITE", [alice, bob]);
    await ends.calling.hangup();
    await ends.called.ended;
    views.push({ where: "reports of the ended call", value: [ends.calling.report(), ends.called.report()] });
  };

  const failedCalls = async (alice: LabUe, bob: LabUe, dave: LabUe): Promise<void> => {
    await dave.ue.call(bob.ue.impu).catch(failed);
    bob.ue.onCall(() => ({ accept: false, status: 486 }));
    await alice.ue.call(bob.ue.impu).catch(failed);
    bob.ue.onCall(() => ({ ringMs: 60_000 }));
    const cancelled = await alice.ue.dial(bob.ue.impu);
    cancelled.answered.catch(failed);
    await until("it to ring", () => cancelled.state === "ringing");
    await cancelled.hangup();
    look("after failed calls", [alice, bob, dave]);
  };

  /** SDP that no parser should print: keys cut short, in wrong places, beside broken lines. */
  const malformedCalls = async (): Promise<void> => {
    const raw = await createRawUe(lab, "carol", "b");
    await raw.register();
    const bodies = ({ inline }: ReturnType<typeof planted>): readonly string[] => [
      handwrittenSdp({
        lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${inline}|2^99|1:999`, "a=3ge2ae:requested"],
      }),
      handwrittenSdp({ lines: [`a=crypto:1 NO_SUCH_SUITE inline:${inline}`, "a=3ge2ae:requested"] }),
      handwrittenSdp({ lines: [`a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:${inline}`, "a=3ge2ae:requested"] }),
      handwrittenSdp({ lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${inline}`, "m=", "a=3ge2ae:requested"] }),
      handwrittenSdp({ lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${inline}${inline}`, "a=3ge2ae:requested"] }),
      handwrittenSdp({ lines: [`a=crypto:1 AEAD_AES_256_GCM inline:${inline}`, "a=3ge2ae:requested"] }),
      handwrittenSdp({ lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${inline}`, "a=3ge2ae:requested"] }).replace(
        "v=0",
        `k=base64:${inline}\r\nv=0`,
      ),
      handwrittenSdp({
        protocol: "RTP/AVP",
        lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${inline}`, "a=3ge2ae:requested"],
      }),
    ];
    for (let at = 0; at < 8; at += 1) {
      const secret = planted();
      known.push(secret.key);
      const body = bodies(secret)[at] ?? "";
      const { status } = await raw.invite(`sip:alice@${lab.domain}`, body);
      errors.push({ status });
    }
    await raw.close();
  };

  /** A stream that is no SIP at all, with a key in it. */
  const malformedMessage = async (): Promise<void> => {
    const secret = planted();
    known.push(secret.key);
    const point = lab.b.edge.access[0];
    const socket = connectTls({
      port: point?.port ?? 0,
      host: "127.0.0.1",
      ca: readFileSync(labCertificates().ca),
      servername: `edge-b.${lab.domain}`,
    });
    socket.on("error", failed);
    await new Promise<void>((resolve) => socket.once("secureConnect", () => resolve()));
    const body = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${secret.inline}\r\n`;
    for (const text of [
      `INVITE sip:x@y SIP/2.0\r\nContent-Length: ${body.length}\r\nVia: broken\r\n\r\n${body}`,
      `INVITE ${secret.inline} SIP/9.9\r\nX-Key: ${secret.inline}\r\nContent-Length: minus\r\n\r\n${body}`,
    ])
      socket.write(text);
    await settle(100);
    socket.destroy();
  };

  beforeAll(async () => {
    lab = await openLab({ randomOf: (element) => rememberKeys(seededRandom(`secrecy of ${element}`), drawn) });
    const { alice, bob, dave } = await registered(lab, {
      alice: {},
      bob: {},
      dave: { security: { suites: ["AEAD_AES_256_GCM"] } },
    });
    const wrong = await lab.addUe("carol", "b", { password: "not-the-password-of-carol" });
    await wrong.ue.register().catch(failed);
    await goodCall(alice, bob);
    await failedCalls(alice, bob, dave);
    alice.ue.onCall(() => ({ accept: false, status: 486 }));
    await malformedCalls();
    await malformedMessage();
    const ends = await connect(alice, bob);
    await speak(ends, 200);
    await lab.a.gateway.close();
    await Promise.all([ends.calling.ended, ends.called.ended]);
    await alice.ue.call(bob.ue.impu).catch(failed);
    look("after the gateway was killed", [alice, bob, dave]);
    for (const { octets } of lab.recorder.sightings) {
      for (const [, inline] of octets.toString("latin1").matchAll(/inline:([A-Za-z0-9+/=]{20,})/g))
        known.push(Buffer.from(inline ?? "", "base64"));
    }
    for (const key of drawn) known.push(Buffer.from(key, "hex"));
    for (const password of [
      "alice-of-the-lab",
      "bob-of-the-lab",
      "dave-of-the-lab",
      "carol-of-the-lab",
      "not-the-password-of-carol",
    ])
      known.push(Buffer.from(password));
  });
  afterAll(() => lab?.close());

  const logs = (): readonly Material[] =>
    lab.records.map((record) => ({ where: `log: ${record.event}`, value: record }));
  const coreMessages = (): readonly Material[] =>
    lab.recorder.sightings
      .filter(({ kind, from, to }) => kind === "sip" && (from === "core" || to === "core"))
      .map(({ from, to, octets }) => ({ where: `SIP from ${from} to ${to}`, value: octets }));
  const corePackets = (): readonly Material[] => {
    const packets = [...lab.a.tap.packets, ...lab.b.tap.packets];
    const gatewayPorts = new Set(packets.map(({ local }) => local.port));
    return packets
      .filter(({ remote }) => gatewayPorts.has(remote.port))
      .map(({ local, octets }) => ({ where: `packet at ${local.port}`, value: octets }));
  };

  it("invariant 7: the test knows the keys of every call, and all that went wrong went wrong", () => {
    expect(drawn.size).toBeGreaterThan(15);
    expect(known.length).toBeGreaterThan(40);
    expect(lab.records.length).toBeGreaterThan(50);
    const statuses = errors.flatMap((error) => (error as { readonly status?: number }).status ?? []);
    const malformed = [488, 488, 488, 400, 488, 488, 400, 488];
    expect(statuses).toEqual([403, 488, 486, 487, ...malformed, 503]);
    expect(errors.flatMap((error) => (error instanceof Error && "code" in error ? [error.code] : []))).toContain(
      "SALLY_UE_REGISTRATION",
    );
    // Keys are where they belong: on the access legs and on Iq. The search would find them there.
    const access = lab.recorder.sightings.filter(({ from, to }) => from === "alice" || to === "gw-a");
    expect(
      searchFor(
        known,
        access.map(({ octets }) => ({ where: "access", value: octets })),
      ).length,
    ).toBeGreaterThan(4);
  });

  it("invariant 7: no log record of any level shows one", () => {
    expect(searchFor(known, logs())).toEqual([]);
  });

  it("invariant 7: no view shows one, before, in and after a call", () => {
    expect(views.length).toBeGreaterThan(30);
    expect(searchFor(known, views)).toEqual([]);
  });

  it("invariant 7: no error shows one, in message, stack, cause or fields", () => {
    expect(
      searchFor(
        known,
        errors.map((error, at) => ({ where: `error ${at}`, value: error })),
      ),
    ).toEqual([]);
  });

  it("invariant 1, 7: no SIP message of a core leg shows one", () => {
    expect(coreMessages().length).toBeGreaterThan(50);
    expect(searchFor(known, coreMessages())).toEqual([]);
  });

  it("invariant 7: no packet between the gateways shows one", () => {
    expect(corePackets().length).toBeGreaterThan(30);
    expect(searchFor(known, corePackets())).toEqual([]);
  });

  it.each<readonly [string, (key: Buffer) => unknown]>([
    ["in base64", (key) => ({ note: `key ${key.toString("base64")}` })],
    ["in base64 without padding", (key) => key.toString("base64").replace(/=+$/, "")],
    ["in base64url", (key) => key.toString("base64url")],
    ["in hexadecimal", (key) => ({ deep: [{ er: key.toString("hex") }] })],
    ["in upper case", (key) => key.toString("hex").toUpperCase()],
    ["as octets", (key) => ({ octets: Uint8Array.from(key) })],
    ["as latin1 text", (key) => key.toString("latin1")],
    ["as a Buffer prints", (key) => key.toString("hex").replaceAll(/..(?=.)/g, "$& ")],
    ["as a Buffer's JSON", (key) => JSON.stringify(key)],
    ["its master key alone", (key) => key.subarray(0, 16).toString("hex")],
    ["its last sixteen octets alone", (key) => key.subarray(-16).toString("base64")],
    ["in the middle of something larger", (key) => Buffer.concat([randomBytes(5), key, randomBytes(5)])],
    ["in an error's cause", (key) => new Error("outer", { cause: new Error(key.toString("base64")) })],
    ["in a Map", (key) => new Map([["a", new Set([key.toString("hex")])]])],
    ["in a field that is not enumerable", (key) => Object.defineProperty({}, "x", { value: key.toString("hex") })],
  ])("a leak planted %s is found", (_, leak) => {
    const { key } = planted();
    expect(searchFor([key], [{ where: "the leak", value: leak(key) }])).toEqual(["the leak"]);
    expect(searchFor([planted().key], [{ where: "the leak", value: leak(key) }])).toEqual([]);
    // A Secret of the same octets is no leak.
    expect(searchFor([key], [{ where: "a secret", value: { secret: Secret.copyOf(key) } }])).toEqual([]);
    expect(spellingsOf(key).length).toBeGreaterThan(20);
  });
});
