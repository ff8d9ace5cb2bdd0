// One edge, two gateways: one of them is a process, and is killed, or drained, while people speak.
import { afterEach, describe, expect, it } from "vitest";
import { memoryLog } from "@sallyport/kit";
import { settle, until } from "../src/demo/await.ts";
import { voiceOf } from "../src/speech.ts";
import { labCertificates } from "../src/topology/certificates.ts";
import { startLab } from "../src/topology/lab.ts";
import { startGatewayProcess, type GatewayProcess } from "./support/gateway-process.ts";
import { connect, mediaPorts, registered, speak, type BothEnds, type TestLab } from "./support/lab.ts";
import { endAll } from "./support/processes.ts";

let lab: TestLab | undefined;
let other: GatewayProcess | undefined;

afterEach(async () => {
  await other?.close();
  await lab?.close();
  [lab, other] = [undefined, undefined];
  endAll();
});

const gatewayOf = (at: TestLab, id: string) => {
  const found = at.a.edge.gateways().find((gateway) => gateway.id === id);
  if (found === undefined) throw new TypeError(`no gateway ${id}`);
  return found;
};

/** Edge A with gw-a in this process, and gw-b, which gets the calls, in one of its own. */
const twoGateways = async () => {
  const gateways = (["gw-a", "gw-b"] as const).map((id) => ({
    id,
    mid: `<${id}.lab.example>`,
    certificateName: `${id}.lab.example`,
    weight: id === "gw-b" ? 1000 : 1,
  }));
  const ports = mediaPorts();
  const { log, records } = memoryLog();
  const started = await startLab({
    certificates: labCertificates(),
    logOf: (element) => log.child({ element }),
    mediaPorts: ports,
    sides: ["a"],
    change: { edge: { iq: { gateways, keepContextsMs: 2000 } } },
    // The process is started as soon as the port of the edge is known.
    via: async (from, at) => {
      if (from === "gw-a") other = startGatewayProcess({ name: "gw-b", edge: "edge-a", port: at, media: ports.b });
      return at;
    },
  });
  const { a } = started.sides;
  if (a === undefined) throw new TypeError("unreachable: side a was asked for");
  const opened: TestLab = { ...started, a, b: a, records };
  lab = opened;
  // A process starts slowly on a busy machine.
  await until("both gateways to be up", () => a.edge.gateways().every(({ state }) => state === "up"), 30_000);
  const { alice, bob } = await registered(opened, { alice: {}, bob: {} });
  return { opened, alice, bob };
};

const heard = ({ calling, called }: BothEnds): readonly [number, number] => [
  calling.received.octets().length,
  called.received.octets().length,
];

/** Settles when both hear something new, and goes on for a little while. */
const bothHear = async (ends: BothEnds, ms: number): Promise<void> => {
  const before = heard(ends);
  await until("both to hear again", () => heard(ends).every((octets, at) => octets > (before[at] ?? 0) + 800), ms);
};

const keysOf = ({ a }: TestLab): readonly string[] =>
  a.edge
    .calls()
    .flatMap(({ phase, streams }) => (phase === "confirmed" ? streams.map(({ towardsUe }) => towardsUe ?? "") : []));

describe("two gateways behind one edge", () => {
  it(
    "kill -9 of a gateway under a call with media: noticed within a second, both hear each other again over the other one, with new keys",
    { timeout: 60_000 },
    async () => {
      const { opened, alice, bob } = await twoGateways();
      const ends = await connect(alice, bob);
      expect(gatewayOf(opened, "gw-b").contexts).toBe(2);
      expect(opened.a.gateway.contexts()).toBe(0);
      const before = keysOf(opened);
      const speech = Promise.allSettled([
        ends.calling.play(voiceOf("alice", 12_000)),
        ends.called.play(voiceOf("bob", 12_000)),
      ]);
      await bothHear(ends, 3000);
      const killedAt = Date.now();
      other?.run.kill("SIGKILL");
      await until("it to be noticed", () => gatewayOf(opened, "gw-b").state === "down", 1000);
      const noticedMs = Date.now() - killedAt;
      await until("both legs to be at the other gateway", () => opened.a.gateway.contexts() === 2);
      await bothHear(ends, 8000);
      const backMs = Date.now() - killedAt;
      process.stdout.write(`gateway killed: noticed after ${noticedMs} ms, both heard again after ${backMs} ms\n`);
      expect(noticedMs).toBeLessThan(1000);
      const after = keysOf(opened);
      expect(after).toHaveLength(2);
      // Invariant 4: no key that gw-b encrypted with is given to gw-a.
      expect(after.filter((key) => before.includes(key))).toEqual([]);
      expect(opened.a.edge.calls().every(({ security }) => security === "e2ae")).toBe(true);
      await ends.calling.hangup();
      await speech;
      await until(
        "nothing to be left",
        () => opened.a.edge.counts().contexts === 0 && opened.a.gateway.contexts() === 0,
      );
      await until("no port to be left", () => opened.a.tap.ports.length === 0);
    },
  );

  it("kill -9 with no other gateway to go to: both ends get BYE, nothing hangs", { timeout: 60_000 }, async () => {
    const { opened, alice, bob } = await twoGateways();
    opened.a.edge.drainGateway("gw-a", true);
    const ends = await connect(alice, bob);
    opened.a.edge.drainGateway("gw-a", false);
    await opened.a.gateway.close();
    other?.run.kill("SIGKILL");
    await until("both to be told", () => [ends.calling, ends.called].every(({ state }) => state === "ended"));
    expect(opened.a.edge.calls().every(({ ended }) => ended?.reason === "gateway-lost")).toBe(true);
    expect(opened.a.edge.counts().contexts).toBe(0);
  });

  it(
    "drain under calls: not one octet of a running call is lost, new calls go elsewhere, and the gateway leaves empty",
    { timeout: 60_000 },
    async () => {
      const { opened, alice, bob } = await twoGateways();
      const ends = await connect(alice, bob);
      const speaking = speak(ends, 2500);
      await settle(500);
      expect(opened.a.edge.drainGateway("gw-b", true)).toMatchObject({ draining: true, contexts: 2 });
      const second = await registered(opened, { dave: {}, carol: {} });
      const more = await connect(second.dave, second.carol);
      expect(opened.a.gateway.contexts()).toBe(2);
      await speak(more, 300, ["alice", "bob"]);
      await speaking;
      expect(gatewayOf(opened, "gw-b").contexts).toBe(2);
      await ends.calling.hangup();
      await until("gw-b to be empty", () => gatewayOf(opened, "gw-b").contexts === 0);
      expect(gatewayOf(opened, "gw-b").reason).toContain("drained");
      other?.run.kill("SIGTERM");
      expect(await other?.run.ended).toBe(0);
      await until("it to have left", () => gatewayOf(opened, "gw-b").state === "down");
      expect(gatewayOf(opened, "gw-b").reason).toContain("Forced");
      expect(more.calling.state).toBe("answered");
      await more.calling.hangup();
      await until(
        "nothing to be left",
        () => opened.a.edge.counts().contexts === 0 && opened.a.gateway.contexts() === 0,
      );
    },
  );
});
