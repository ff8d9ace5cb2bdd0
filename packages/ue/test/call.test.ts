import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryLog, seededRandom, systemClock, systemDatagrams, type OpenDatagram } from "@sallyport/kit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createUe,
  encodeG711,
  parseWav,
  runScript,
  ueConfigSchema,
  writeWav,
  type Sound,
  type Ue,
  type UeConfigInput,
} from "../src/index.ts";
import { createAuthority } from "@sallyport/test-authority";
import { headersOf, requestsOf, startProxy, type TestProxy } from "./proxy.ts";

const passwords = { "alice@home.example": "open sesame", "bob@home.example": "b0b" };
const alice = "sip:alice@home.example";
const bob = "sip:bob@home.example";

let proxy: TestProxy;
let ues: Ue[] = [];
let sockets = 0;
let lose: (octets: Buffer) => boolean = () => false;
const keysSeen = new Set<string>();
const wire: { readonly from: number; readonly octets: Buffer }[] = [];

const counted: OpenDatagram = async (binding, handlers) => {
  const socket = await systemDatagrams(binding, handlers);
  sockets += 1;
  return {
    local: socket.local,
    send: (octets, to) => {
      wire.push({ from: socket.local.port, octets: Buffer.from(octets) });
      if (lose(Buffer.from(octets))) return;
      socket.send(octets, to);
    },
    close: async () => {
      sockets -= 1;
      await socket.close();
    },
  };
};

const logs = memoryLog();
const ueOf = async (impu: string, change: Partial<UeConfigInput> = {}): Promise<Ue> => {
  const config = ueConfigSchema.parse({
    impu,
    password: passwords[impu.slice(4) as keyof typeof passwords],
    edge: { address: "127.0.0.1", port: proxy.port, protocol: "udp" },
    local: { address: "127.0.0.1" },
    media: { rtcpIntervalMs: 60 },
    ...change,
    security: { trustedAccess: true, ...change.security },
  });
  const ue = await createUe(config, {
    clock: systemClock,
    random: seededRandom(`${impu}${ues.length}`),
    log: logs.log,
    openDatagram: counted,
  });
  ues.push(ue);
  return ue;
};

/** Plays the IMS-ALG's part of the indications: `requested` becomes `applied`, an answer to it says `applied`. */
const indicate = (): void => {
  proxy.securityServer = ["sdes-srtp;mediasec"];
  proxy.rewrite = (body, message) => {
    if (body.includes("a=3ge2ae:requested")) return body.replace("a=3ge2ae:requested", "a=3ge2ae:applied");
    return message.kind === "response" && body.includes("a=crypto") ? `${body}a=3ge2ae:applied\r\n` : undefined;
  };
};

const speech = (seed: string, frames: number): Sound => ({
  kind: "companded",
  law: "PCMA",
  octets: seededRandom(seed).bytes(160 * frames),
});

beforeEach(async () => {
  proxy = await startProxy(passwords);
  wire.length = 0;
});

afterEach(async () => {
  await Promise.all(ues.map((ue) => ue.close()));
  ues = [];
  await proxy.close();
  lose = () => false;
  for (const key of proxy.seen.join("").match(/inline:[^\s|]+/g) ?? []) keysSeen.add(key.slice(7));
  expect(sockets).toBe(0);
});

describe("registration", () => {
  it("RFC 3261 22, RFC 7616: registers with digest SHA-256 or MD5, refreshes with the next nonce count, de-registers", async () => {
    for (const digest of [["SHA-256"], ["MD5"]] as const) {
      proxy.seen.length = 0;
      const ue = await ueOf(alice, { digest: Array.from(digest) });
      const registered = await ue.register();
      expect(registered).toMatchObject({ expiresS: 3600, ueE2ae: true, networkE2ae: false });
      await ue.register();
      const sent = requestsOf(proxy, "REGISTER");
      expect(sent.length).toBe(3);
      expect(sent[1]).toContain(`algorithm=${digest[0]}`);
      expect(sent[2]).toContain("nc=00000002");
      expect(new Set(sent.map((text) => headersOf(text, "Call-ID")[0])).size).toBe(1);
      expect(sent.map((text) => headersOf(text, "CSeq")[0])).toEqual(["1 REGISTER", "2 REGISTER", "3 REGISTER"]);
      await ue.deregister();
      expect(ue.registration).toBeUndefined();
      expect(headersOf(requestsOf(proxy, "REGISTER")[3] ?? "", "Expires")).toEqual(["0"]);
      await ue.close();
    }
  });

  it("a wrong password is refused, says so, and leaves the UE without registration", async () => {
    const ue = await ueOf(alice, { password: "wrong" });
    await expect(ue.register()).rejects.toMatchObject({ code: "SALLY_UE_REGISTRATION", status: 401 });
    await expect(ue.call(bob)).rejects.toMatchObject({ code: "SALLY_UE_NOT_REGISTERED" });
  });

  it("a refresh comes before the end", async () => {
    proxy.expiresS = 1;
    const ue = await ueOf(alice);
    await ue.register();
    const before = requestsOf(proxy, "REGISTER").length;
    await expect.poll(() => requestsOf(proxy, "REGISTER").length, { timeout: 3000 }).toBeGreaterThan(before);
    expect(ue.registration).toBeDefined();
  });
});

const pair = async (a: Partial<UeConfigInput> = {}, b: Partial<UeConfigInput> = {}) => {
  const [ueA, ueB] = [await ueOf(alice, a), await ueOf(bob, b)];
  await Promise.all([ueA.register(), ueB.register()]);
  const incoming = new Promise<ReturnType<Ue["calls"]>[number]>((resolve) =>
    ueB.onCall((call) => {
      resolve(call);
      return {};
    }),
  );
  return { ueA, ueB, incoming };
};

describe("calls", () => {
  it.each([
    ["clear RTP", { e2ae: "off" }, "none", undefined],
    ["end-to-end SRTP", { e2ae: "off", e2e: "preferred" }, "e2e", "AES_CM_128_HMAC_SHA1_80"],
    [
      "end-to-end SRTP, GCM",
      { e2ae: "off", e2e: "preferred", suites: ["AEAD_AES_256_GCM"] },
      "e2e",
      "AEAD_AES_256_GCM",
    ],
  ] as const)(
    "%s: what one plays the other hears, octet for octet, with DTMF and reports",
    async (_name, security, kind, suite) => {
      const wish = {
        ...security,
        ...("suites" in security ? { suites: Array.from(security.suites) } : {}),
      } as UeConfigInput["security"];
      const { ueA, incoming } = await pair({ security: wish }, { security: wish });
      const call = await ueA.call(bob);
      const other = await incoming;
      await other.answered;
      const [up, down] = [speech("up", 12), speech("down", 9)];
      await Promise.all([call.play(up), other.play(down), other.digitsReceived("1#"), call.sendDigits("1#")]);
      await expect.poll(() => call.received.octets().length + other.received.octets().length).toBe(160 * 21);
      expect(other.received.octets().equals(call.sent.octets())).toBe(true);
      expect(other.received.octets()).toEqual(up.kind === "companded" && up.octets);
      expect(call.received.octets()).toEqual(down.kind === "companded" && down.octets);
      await expect.poll(() => call.report().media.control.roundTripMs).toBeDefined();
      const report = call.report();
      expect(report).toMatchObject({ state: "answered", security: kind, asked: kind, codec: "PCMA", status: 200 });
      expect(report.suite).toBe(suite);
      expect(report.media.control).toMatchObject({ malformed: 0, remote: { lost: 0 } });
      expect(report.media.counters).toMatchObject({
        authenticationFailures: 0,
        replays: 0,
        otherDropped: 0,
        notSent: 0,
      });
      expect(other.report().media.sources[0]).toMatchObject({ lost: 0 });
      expect(other.report().fingerprints).toEqual(
        report.fingerprints && { ours: report.fingerprints.theirs, theirs: report.fingerprints.ours },
      );
      // Whether the wire was clear is asked of the wire.
      const clear = wire.some(({ octets }) => up.kind === "companded" && octets.includes(up.octets.subarray(0, 160)));
      expect(clear).toBe(kind === "none");
      await call.hangup();
      expect(await other.ended).toMatchObject({ by: "them" });
      expect(ueA.calls()).toEqual([]);
    },
  );

  it("TS 33.328 7.2.1 step 1: offers SRTP, crypto with K11 and requested when both announced; TS 33.328 7.3.1 step 5: answers one line with K22", async () => {
    indicate();
    const { ueA, incoming } = await pair();
    expect(ueA.registration?.networkE2ae).toBe(true);
    const call = await ueA.call(bob);
    const other = await incoming;
    const offer = requestsOf(proxy, "INVITE")[0]?.split("\n\n")[1] ?? "";
    expect(offer).toMatch(/m=audio \d+ RTP\/SAVP 8 0 101/);
    expect(offer.match(/a=crypto:/g)?.length).toBe(2);
    expect(offer).toContain("a=3ge2ae:requested\r\n");
    expect(new Set(offer.match(/inline:\S+/g)).size).toBe(2);
    const answer =
      proxy.seen.find((text) => text.startsWith("SIP/2.0 200") && text.includes("a=crypto"))?.split("\n\n")[1] ?? "";
    expect(answer.match(/a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:/g)?.length).toBe(1);
    expect(answer).not.toContain("3ge2ae");
    expect(call.report()).toMatchObject({ asked: "e2ae", security: "e2ae", notes: [] });
    expect(other.report()).toMatchObject({ security: "e2ae", notes: [] });
    await call.play(speech("x", 3));
    await expect.poll(() => other.received.octets().length).toBe(480);
  });

  it("TS 33.328 5.4.1: e2ae asked and no applied: the report and the log say so; a required policy ends the call", async () => {
    proxy.securityServer = ["sdes-srtp;mediasec"];
    const { ueA, incoming } = await pair();
    const call = await ueA.call(bob);
    expect(call.report()).toMatchObject({ asked: "e2ae", security: "unconfirmed", notes: [{ code: "no-applied" }] });
    expect(logs.records.some(({ level, fields }) => level === "warn" && fields["code"] === "no-applied")).toBe(true);
    await call.hangup();
    await (
      await incoming
    ).ended;
    const strict = await ueOf(alice, { security: { e2ae: "required" } });
    await strict.register();
    await expect(strict.call(bob)).rejects.toMatchObject({ code: "SALLY_UE_NOT_SECURED" });
    await expect.poll(() => requestsOf(proxy, "BYE").length).toBe(2);
  });

  it("a required policy sends no INVITE where the network announced nothing, and refuses a clear offer with 488", async () => {
    const { ueA, ueB } = await pair({ security: { e2ae: "off" } }, { security: { e2ae: "required" } });
    await expect(ueA.call(bob)).rejects.toMatchObject({ status: 488 });
    await expect(ueB.call(alice)).rejects.toMatchObject({ code: "SALLY_UE_NOT_SECURED" });
    expect(requestsOf(proxy, "INVITE").length).toBe(1);
  });

  it("RFC 4568 7.1.4: a re-INVITE offers the same key, and the contexts go on; hold and resume", async () => {
    const security = { e2ae: "off", e2e: "preferred" } as const;
    const { ueA, incoming } = await pair({ security }, { security });
    const call = await ueA.call(bob);
    const other = await incoming;
    await call.play(speech("1", 4));
    const before = call.report().fingerprints;
    await call.reinvite("sendonly");
    expect(call.report().mediaDirection).toBe("sendonly");
    expect(other.report().mediaDirection).toBe("recvonly");
    await other.play(speech("unheard", 2));
    // RFC 6337 5.3: each offers what it wants itself, so a refresh by the held side neither resumes nor holds anything.
    await other.reinvite();
    expect(requestsOf(proxy, "INVITE").at(-1)).toContain("a=sendrecv");
    expect([call.report().mediaDirection, other.report().mediaDirection]).toEqual(["sendonly", "recvonly"]);
    await call.reinvite();
    expect([call.report().mediaDirection, other.report().mediaDirection]).toEqual(["sendonly", "recvonly"]);
    await call.reinvite("sendrecv");
    await Promise.all([call.play(speech("2", 4)), other.play(speech("3", 4))]);
    await expect.poll(() => other.received.octets().length + call.received.octets().length).toBe(160 * 12);
    expect(call.report().fingerprints).toEqual(before);
    for (const each of [call, other]) {
      expect(each.report().media.counters).toMatchObject({ authenticationFailures: 0, replays: 0, notSent: 0 });
    }
    const keys = requestsOf(proxy, "INVITE").map((text) => new Set(text.match(/inline:\S+/g)));
    expect(keys.length).toBe(5);
    expect(keys[1]).toEqual(keys[4]);
    expect(keys[0]).toEqual(new Set([...(keys[1] ?? []), ...(keys[0] ?? [])]));
  });

  it("a later offer cannot make a secured call clear", async () => {
    const security = { e2ae: "off", e2e: "preferred" } as const;
    const { ueA, incoming } = await pair({ security }, { security });
    const call = await ueA.call(bob);
    const other = await incoming;
    await other.answered;
    proxy.rewrite = (body, message) =>
      message.kind === "request" && message.method === "INVITE"
        ? body.replace("RTP/SAVP", "RTP/AVP").replace(/a=crypto.*\r\n/g, "")
        : undefined;
    await expect(call.reinvite()).rejects.toMatchObject({ status: 488 });
    await call.play(speech("still", 3));
    await expect.poll(() => other.received.octets().length).toBe(480);
    expect(other.report().security).toBe("e2e");
  });

  it("RFC 3261 13.2.1: an INVITE without offer gets one in the 200, and the ACK brings the answer; without it, BYE", async () => {
    const { ueA, incoming } = await pair();
    let offer = "";
    proxy.rewrite = (body, message) => {
      if (message.kind !== "request") return undefined;
      if (message.method === "ACK") return offer;
      offer = body;
      return "";
    };
    const call = await ueA.call(bob);
    const other = await incoming;
    await other.answered;
    await Promise.all([call.play(speech("up", 3)), other.play(speech("down", 3))]);
    await expect.poll(() => call.received.octets().length + other.received.octets().length).toBe(160 * 6);
    proxy.rewrite = (_body, message) => (message.kind === "request" && message.method === "INVITE" ? "" : undefined);
    const second = await ueA.call(bob);
    expect(await second.ended).toMatchObject({ by: "them" });
  });

  it("RFC 3261 9: a call nobody answers is cancelled; refusals and busy come back with their status", async () => {
    const { ueA, ueB } = await pair();
    let heard: string | undefined;
    ueB.onCall(
      (call) =>
        new Promise((resolve) => {
          void call.ended.then((end) => {
            heard = end.why;
            resolve({ accept: false });
          });
        }),
    );
    const ringing = await ueA.dial(bob);
    await expect.poll(() => ringing.state).toBe("ringing");
    expect(await ringing.hangup()).toMatchObject({ by: "us", status: 487 });
    await expect.poll(() => heard).toBe("cancelled");
    await expect(ueA.call(bob, { timeoutMs: 100 })).rejects.toMatchObject({ status: 487 });
    ueB.onCall(() => ({ accept: false, status: 486 }));
    await expect(ueA.call(bob)).rejects.toMatchObject({ code: "SALLY_UE_CALL", status: 486 });
    ueB.onCall(undefined);
    await expect(ueA.call(bob)).rejects.toMatchObject({ status: 480 });
    await expect(ueA.call("sip:nobody@home.example")).rejects.toMatchObject({ status: 404 });
    expect(ueA.calls().length + ueB.calls().length).toBe(0);
  });

  it("RFC 3261 13.3.1.4: the 2xx is sent again until its ACK comes", async () => {
    const { ueA, incoming } = await pair();
    let lost = 1;
    proxy.drop = (message) => message.kind === "request" && message.method === "ACK" && lost-- > 0;
    const call = await ueA.call(bob);
    await expect.poll(() => requestsOf(proxy, "ACK").length, { timeout: 3000 }).toBe(2);
    const end = (await incoming).ended;
    await call.hangup();
    expect(await end).toMatchObject({ by: "them" });
  });

  it("RFC 3550 A.3: loss on the way is counted and reported back", async () => {
    const { ueA, incoming } = await pair();
    const call = await ueA.call(bob);
    const other = await incoming;
    let packets = 0;
    // RTP of 172 octets is speech; the third and the fifth packet are lost.
    lose = (octets) => octets.length === 172 && [3, 5].includes(++packets);
    await call.play(speech("holes", 8));
    await expect.poll(() => other.received.octets().length).toBe(160 * 6);
    expect(other.report().media.sources[0]).toMatchObject({ packets: 6, lost: 2 });
    await expect.poll(() => call.report().media.control.remote?.lost).toBe(2);
    const heard = other.received.sound();
    expect(heard.kind === "companded" && heard.octets.length).toBe(160 * 8);
    expect(heard.kind === "companded" && heard.octets.subarray(320, 480).every((octet) => octet === 0xd5)).toBe(true);
  });

  it("RFC 3261 18: over TCP the same, requests come back on the connection of the registration", async () => {
    await proxy.close();
    proxy = await startProxy(passwords, undefined, "tcp");
    const edge = { address: "127.0.0.1", port: proxy.port, protocol: "tcp" } as const;
    const { ueA, incoming } = await pair({ edge }, { edge });
    const call = await ueA.call(bob);
    const other = await incoming;
    await call.play(speech("tcp", 3));
    await expect.poll(() => other.received.octets().length).toBe(480);
    await other.hangup();
    expect(await call.ended).toMatchObject({ by: "them" });
    await ueA.deregister();
  });

  it("TS 33.328 6.2.1.2 (b): over TLS the same, keys on no other wire; a cut connection is registered again", async () => {
    await proxy.close();
    const made = await (await createAuthority()).issue([{ type: "ip", value: "127.0.0.1" }]);
    const folder = await mkdtemp(join(tmpdir(), "sallyport-ue-"));
    await writeFile(join(folder, "ca.pem"), made.ca);
    proxy = await startProxy(passwords, { key: made.key, cert: made.cert });
    indicate();
    const edge = {
      address: "127.0.0.1",
      port: proxy.port,
      protocol: "tls",
      tls: { ca: join(folder, "ca.pem") },
    } as const;
    const security = { trustedAccess: false, e2ae: "required" } as const;
    const { ueA, incoming } = await pair({ edge, security }, { edge, security });
    const call = await ueA.call(bob);
    const other = await incoming;
    await Promise.all([call.play(speech("up", 4)), other.play(speech("down", 4))]);
    await expect.poll(() => call.received.octets().length + other.received.octets().length).toBe(160 * 8);
    expect(call.report()).toMatchObject({ security: "e2ae", notes: [] });
    expect(wire.every(({ octets }) => !octets.includes("inline:"))).toBe(true);
    await call.hangup();
    const before = requestsOf(proxy, "REGISTER").length;
    proxy.cut();
    await expect.poll(() => requestsOf(proxy, "REGISTER").length, { timeout: 5000 }).toBe(before + 2);
    const stranger = await ueOf(alice, { edge: { ...edge, tls: {} }, security });
    await expect(stranger.register()).rejects.toThrow(/SALLY_UE_REGISTRATION/);
    await rm(folder, { recursive: true });
  });

  it("draft dialect: every request but ACK and CANCEL carries Security-Verify and the option tags", async () => {
    proxy.securityServer = ["msrp-tls;mediasec", "sdes-srtp;mediasec"];
    const { ueA } = await pair({ security: { dialect: "draft" } }, { security: { dialect: "draft" } });
    const call = await ueA.call(bob);
    await call.hangup();
    for (const method of ["INVITE", "BYE"]) {
      const [text = ""] = requestsOf(proxy, method);
      expect(headersOf(text, "Security-Verify")).toEqual(proxy.securityServer);
      expect(headersOf(text, "Require")).toEqual(["mediasec"]);
      expect(headersOf(text, "Proxy-Require")).toEqual(["mediasec"]);
    }
    expect(headersOf(requestsOf(proxy, "ACK")[0] ?? "", "Require")).toEqual([]);
  });

  it("invariant 7: no key and no password is in any log record", async () => {
    const all = JSON.stringify(logs.records, (_name, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    expect(keysSeen.size).toBeGreaterThan(5);
    expect(logs.records.length).toBeGreaterThan(50);
    expect(all).not.toMatch(/inline:/i);
    for (const key of keysSeen) expect(all).not.toContain(key);
    for (const password of Object.values(passwords)) expect(all).not.toContain(password);
  });
});

describe("scripts", () => {
  it("two UEs by script: register, call, play, digits, record, hang up", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sallyport-ue-"));
    const samples = Int16Array.from({ length: 1600 }, (_, at) => Math.round(9000 * Math.sin(at / 7)));
    await writeFile(join(folder, "in.wav"), writeWav({ kind: "linear", samples }));
    indicate();
    const [ueA, ueB] = [await ueOf(alice), await ueOf(bob)];
    await runScript(ueB, [{ register: true }]);
    const steps: string[] = [];
    await Promise.all([
      runScript(
        ueA,
        [
          { register: true },
          { expect: { registered: true, networkE2ae: true } },
          { call: { to: bob } },
          { expect: { state: "answered", security: "e2ae", suite: "AES_CM_128_HMAC_SHA1_80" } },
          { play: join(folder, "in.wav") },
          { dtmf: "42#" },
          { hold: true },
          { resume: true },
          { wait: 20 },
          { hangup: true },
          { expect: { state: "ended", packetsSent: { min: 10 } } },
        ],
        { onStep: (_index, what) => void steps.push(what) },
      ),
      runScript(ueB, [
        { answer: { ringMs: 30 } },
        { waitForDigits: { digits: "42#" } },
        { waitForEnd: {} },
        { record: join(folder, "out.wav") },
        { expect: { digits: "42#", packetsReceived: { min: 10 }, refusedPackets: { max: 0 }, lost: { max: 0 } } },
      ]),
    ]);
    expect(steps[2]).toContain(bob);
    const recorded = parseWav(await readFile(join(folder, "out.wav")));
    expect(recorded.ok && recorded.sound.kind === "companded" && recorded.sound.octets).toEqual(
      encodeG711("PCMA", samples),
    );
    await rm(folder, { recursive: true });
  });

  it("a step that fails says which one and why", async () => {
    const ue = await ueOf(alice);
    await expect(runScript(ue, [{ register: true }, { call: { to: "sip:nobody@home.example" } }])).rejects.toThrow(
      /step 2 \(call .*nobody.*404 Not Found/,
    );
    await expect(runScript(ue, [{ hangup: true }])).rejects.toThrow(/step 1 \(hangup\).*SALLY_UE_NO_CALL/);
    await expect(runScript(ue, [{ expect: { networkE2ae: true } }])).rejects.toThrow(/networkE2ae is false/);
    await expect(runScript(ue, [{ answer: { timeoutMs: 20 } }])).rejects.toThrow(/No call came within 20 ms/);
    await expect(
      runScript(ue, [{ call: { to: "sip:nobody@home.example", expectStatus: 404 } }]),
    ).resolves.toBeUndefined();
    await expect(runScript(ue, [{ wait: 1, hangup: true }])).rejects.toThrow(/exactly one key/);
  });
});

describe("configuration", () => {
  const base = {
    impu: alice,
    password: "x",
    edge: { address: "127.0.0.1", port: 5061 },
    local: { address: "127.0.0.1" },
  };

  it("fills in defaults, refuses unknown keys, and e2ae over signalling without protection", () => {
    expect(ueConfigSchema.parse(base)).toMatchObject({
      edge: { protocol: "tls" },
      security: { e2ae: "preferred", dialect: "3gpp", e2e: "accepted" },
      codecs: ["PCMA", "PCMU"],
    });
    expect(ueConfigSchema.safeParse({ ...base, colour: "red" }).success).toBe(false);
    const udp = { ...base, edge: { ...base.edge, protocol: "udp" } };
    expect(ueConfigSchema.safeParse(udp).success).toBe(false);
    expect(ueConfigSchema.safeParse({ ...udp, security: { e2ae: "off" } }).success).toBe(true);
    expect(ueConfigSchema.safeParse({ ...udp, security: { trustedAccess: true } }).success).toBe(true);
  });
});
