// Strangers at the doors of a whole edge, over real sockets: malformed streams, slow senders, half a TLS handshake, floods of
// connections, giant headers and bodies. What they can make it hold is bounded, and UEs are served all the while or right after.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { certificate, labCertificates } from "../src/topology/certificates.ts";
import { drivenClock, type DrivenClock } from "./support/clock.ts";
import { connect as callUp, held, nothingHeld, openLab, registered, type TestLab } from "./support/lab.ts";

const loopback = "127.0.0.1";
const limits = {
  transport: {
    // A fifth is kept for the core and for what is opened from here.
    maxConnections: 70,
    maxConnectionsPerAddress: 50,
    connectMs: 400,
    messageMs: 5_000,
    firstMessageMs: 9_000,
    maxMalformed: 4,
  },
} as const;

interface Scene {
  readonly lab: TestLab;
  readonly time: DrivenClock;
  /** A connection to the open port, or to the one with TLS. */
  dial(which: "tcp" | "tls"): Stranger;
}

interface Stranger {
  readonly socket: Socket;
  heard: string;
  closed: boolean;
}

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const open = async (): Promise<Scene> => {
  const time = drivenClock();
  closing.push(() => time.stop());
  const lab = await openLab({
    clock: time.clock,
    sides: ["a"],
    change: {
      edge: {
        access: [
          { name: "tls", protocol: "tls", address: loopback, port: 0, tls: certificate(labCertificates(), "edge-a") },
          { name: "tcp", protocol: "tcp", address: loopback, port: 0, trusted: true },
        ],
        limits,
      },
    },
  });
  closing.push(() => lab.close());
  return {
    lab,
    time,
    dial: (which) => {
      const point = lab.a.edge.access.find(({ protocol }) => protocol === which);
      const stranger: Stranger = { socket: connect(point?.port ?? 0, loopback), heard: "", closed: false };
      stranger.socket.on("data", (octets: Buffer) => (stranger.heard += octets.toString("latin1")));
      stranger.socket.on("close", () => (stranger.closed = true));
      stranger.socket.on("error", () => undefined);
      closing.push(() => void stranger.socket.destroy());
      return stranger;
    },
  };
};

const crowd = (scene: Scene, count: number, which: "tcp" | "tls"): readonly Stranger[] =>
  Array.from({ length: count }, () => scene.dial(which));

const allClosed = (strangers: readonly Stranger[]): Promise<void> =>
  until("every stranger to be shown out", () => strangers.every(({ closed }) => closed));

/** A call with protection goes through, ends, and nothing of anything is left. */
const servedAgain = async ({ lab, time }: Scene): Promise<void> => {
  const { alice, dave } = await registered(lab, { alice: {}, dave: {} });
  const { calling, called } = await callUp(alice, dave);
  expect(calling.report().security).toBe("e2ae");
  await calling.hangup();
  await called.ended;
  await time.pass(64_500);
  await until("everything to be given back", () => JSON.stringify(held(lab.a)) === JSON.stringify(nothingHeld));
};

const malformed = ({ lab }: Scene, code?: string): number =>
  lab.a.edge
    .counters()
    .filter(({ name, labels }) => name === "malformed_total" && (code === undefined || labels["code"] === code))
    .reduce((sum, { value }) => sum + value, 0);

const head = (more = ""): string =>
  [
    "OPTIONS sip:lab.example SIP/2.0",
    "Via: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bKstranger",
    "Max-Forwards: 70",
    "From: <sip:mallory@lab.example>;tag=m",
    "To: <sip:lab.example>",
    "Call-ID: stranger",
    "CSeq: 1 OPTIONS",
    more,
  ].join("\r\n");

describe("an edge among strangers", () => {
  it("RFC 4475: every message on a connection of its own is answered, counted or shown out", async () => {
    const scene = await open();
    const own = new URL("../../sip/test/vectors/rfc4475/", import.meta.url);
    const cases = JSON.parse(readFileSync(new URL("outcomes.json", own), "utf8")) as readonly {
      readonly case: string;
      readonly outcome: string;
      readonly status?: number;
      readonly proxy?: number;
    }[];
    const thrown: (readonly [(typeof cases)[number], Stranger])[] = [];
    for (let at = 0; at < cases.length; at += 20) {
      const some = cases.slice(at, at + 20).map((each) => [each, scene.dial("tcp")] as const);
      for (const [each, { socket }] of some) socket.write(readFileSync(new URL(`${each.case}.sip`, own)));
      await settle(150);
      thrown.push(...some);
      // What waits for the rest of a message that never comes has waited long enough.
      await scene.time.pass(limits.transport.messageMs + 100);
      for (const [, { socket }] of some) socket.end();
      await until("these to be gone", () => some.every(([, { closed }]) => closed));
    }
    // On a stream the length has to be there, and true (RFC 3261 18.3): nothing but the status may be another then.
    const wrong = thrown.flatMap(([{ case: name, outcome, status, proxy }, { heard }]) => {
      const due = outcome === "refuse" ? (proxy ?? status) : proxy;
      const got = /^SIP\/2\.0 (\d{3})/.exec(heard)?.[1];
      return due === undefined || got === String(due) || got === undefined || got === "400" ? [] : [`${name}: ${got}`];
    });
    expect(wrong).toEqual([]);
    const answered = thrown.filter(([, { heard }]) => heard.startsWith("SIP/2.0 4") || heard.startsWith("SIP/2.0 5"));
    expect(answered.length).toBeGreaterThan(20);
    expect(malformed(scene)).toBeGreaterThan(8);
    await servedAgain(scene);
  });

  it("who sends an octet at a time is shown out when the message takes too long, and costs nobody else", async () => {
    const scene = await open();
    const slow = crowd(scene, 30, "tcp");
    for (const octet of head("Content-Length: 0\r\n\r\n").slice(0, 40)) {
      for (const { socket } of slow) socket.write(octet);
      await settle(2);
    }
    expect(slow.some(({ closed }) => closed)).toBe(false);
    await servedBeside(scene);
    await scene.time.pass(limits.transport.messageMs);
    await allClosed(slow);
    await servedAgain(scene);
  });

  it("RFC 8446: half a TLS handshake is not waited for", async () => {
    const scene = await open();
    const silent = crowd(scene, 15, "tls");
    const half = crowd(scene, 15, "tls");
    // The first octets of a ClientHello that announces more than ever comes.
    for (const { socket } of half) socket.write(Buffer.from("160301020001000100fc0303", "hex"));
    await allClosed([...silent, ...half]);
    await servedAgain(scene);
  });

  it("who says nothing at all is shown out; more connections than one address may have are not let in", async () => {
    const scene = await open();
    const flood = crowd(scene, 150, "tcp");
    await until("the surplus to be refused", () => flood.filter(({ closed }) => closed).length >= 100);
    await settle(50);
    expect(flood.filter(({ closed }) => !closed).length).toBe(limits.transport.maxConnectionsPerAddress);
    await scene.time.pass(limits.transport.firstMessageMs);
    await allClosed(flood);
    await servedAgain(scene);
  });

  it("giant and endless headers and bodies are cut off at the limits; memory stays bounded", async () => {
    const scene = await open();
    const before = process.memoryUsage();
    const endless = crowd(scene, 12, "tcp");
    const lines = crowd(scene, 12, "tcp");
    const filler = "x".repeat(16_384);
    for (const { socket } of endless) socket.write(head("X-Long: "));
    for (const { socket } of lines) socket.write(head());
    for (let round = 0; round < 200; round += 1) {
      for (const { socket } of endless) if (socket.writableLength < 65_536) socket.write(filler);
      for (const { socket } of lines) if (socket.writableLength < 65_536) socket.write("X: y\r\n".repeat(2_000));
      await settle(1);
    }
    await allClosed([...endless, ...lines]);
    // Announced is enough: nobody waits for the body.
    const bodies = crowd(scene, 12, "tcp");
    for (const { socket } of bodies) socket.write(head("Content-Length: 99999999\r\n\r\n"));
    await allClosed(bodies);
    for (const { heard } of bodies) expect(heard).toMatch(/^SIP\/2\.0 513 /);
    expect(malformed(scene)).toBe(36);
    const grown =
      process.memoryUsage().external - before.external + process.memoryUsage().arrayBuffers - before.arrayBuffers;
    expect(grown).toBeLessThan(16 * 1024 * 1024);
    await servedAgain(scene);
  });

  it("a stream that is nothing but malformed messages is closed after a few", async () => {
    const scene = await open();
    const stranger = scene.dial("tcp");
    for (let each = 0; each < 20; each += 1) stranger.socket.write("NOTHING\r\nContent-Length: 0\r\n\r\n");
    await allClosed([stranger]);
    expect(malformed(scene)).toBe(limits.transport.maxMalformed);
    await servedAgain(scene);
  });
});

/** A call goes through while the strangers are there. */
async function servedBeside({ lab }: Scene): Promise<void> {
  const { alice, dave } = await registered(lab, { alice: {}, dave: {} });
  const { calling, called } = await callUp(alice, dave);
  await calling.hangup();
  await called.ended;
  await alice.ue.close();
  await dave.ue.close();
}
