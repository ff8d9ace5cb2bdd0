// The messages of RFC 4475 and RFC 5118 thrown at a whole edge, over UDP in memory (they name foreign hosts; robust.test.ts
// throws them over TCP): it answers what it has to, counts what is malformed, serves the next call, and nothing of it stays.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { CallScript } from "./scripts/script.ts";
import { learnIdle } from "./scripts/play.ts";
import { openWorld, type World } from "./scripts/world.ts";

interface Case {
  readonly case: string;
  readonly outcome: "accept" | "refuse" | "discard";
  readonly status?: number;
  readonly proxy?: number;
}

const own = new URL("../../sip/test/vectors/rfc4475/", import.meta.url);
const outcomes = JSON.parse(readFileSync(new URL("outcomes.json", own), "utf8")) as readonly Case[];
const published = fileURLToPath(new URL("../../../../shared/vectors/", import.meta.url));
const has = (folder: string): boolean => existsSync(`${published}${folder}`);

interface Thrown {
  readonly name: string;
  readonly octets: Buffer;
  /** What RFC 4475 lets an edge answer before it looks any further; undefined: anything, also nothing. */
  readonly status: number | undefined;
}

const statusOf = ({ outcome, status, proxy }: Case): number | undefined =>
  outcome === "discard" ? 0 : outcome === "refuse" ? (proxy ?? status) : proxy;

const messages: readonly Thrown[] = [
  ...outcomes.map((each) => ({
    name: each.case,
    octets: readFileSync(new URL(`${each.case}.sip`, own)),
    status: statusOf(each),
  })),
  ...(has("rfc4475")
    ? outcomes.map((each) => ({
        name: `${each.case} as published`,
        octets: readFileSync(`${published}rfc4475/${each.case}.dat`),
        status: statusOf(each),
      }))
    : []),
];
const addresses: readonly Thrown[] = has("rfc5118")
  ? readdirSync(`${published}rfc5118`).map((name) => ({
      name,
      octets: readFileSync(`${published}rfc5118/${name}`),
      status: undefined,
    }))
  : [];

/** An ordinary call of one UE, with protection. */
const usualCall: CallScript = {
  ue: 0,
  callsOut: true,
  atMs: 0,
  offer: "secured",
  sessionS: 0,
  early: [],
  final: { afterMs: 500, fork: 0, status: 200, body: "secured" },
  second: undefined,
  cancelAfterMs: undefined,
  ack: "yes",
  answer: "secured",
  during: [],
  byeAfterMs: 5_000,
  byeBy: ["called"],
  silent: undefined,
};

const malformedAt = (edge: World["edge"]): number =>
  edge.counters().reduce((sum, { name, value }) => sum + (name === "malformed_total" ? value : 0), 0);

/** Every message from a source of its own, then a call; what was answered to each. */
const throwAll = async (thrown: readonly Thrown[]) => {
  const answers = new Map<string, number[]>();
  const world = await openWorld({ seed: 4475, loss: 0, double: 0, slowestMs: 2 }, ({ direction, octets, flow }) => {
    const status = Number(/^SIP\/2\.0 (\d{3})/.exec(octets.toString("latin1"))?.[1] ?? 0);
    if (direction === "out" && status >= 200) answers.get(flow.remote.address)?.push(status);
  });
  const { clock, network, edge } = world;
  const alice = await world.addUe("3gpp");
  const idle = await learnIdle();
  for (const [at, { octets }] of thrown.entries()) {
    const address = `198.51.100.${100 + at}`;
    answers.set(address, []);
    const socket = await network.open(
      { address, port: 5060 },
      { onMessage: () => undefined, onError: () => undefined },
    );
    socket.send(octets, world.access);
    await clock.pass(100);
    await socket.close();
  }
  const statuses = [...answers.values()].map(([first = 0]) => first);
  const malformed = malformedAt(edge);
  alice.register(90, true);
  await clock.pass(1_000);
  world.call(0, alice.ue, usualCall);
  await clock.pass(3_000);
  const during = edge.calls().map(({ security, phase }) => `${phase} ${security}`);
  await clock.pass(400_000);
  const left = [...world.left(), ...((await world.idleTimers()) === idle ? [] : ["timers"]), ...world.watch.found];
  left.push(...(await world.close()));
  return { statuses, malformed, during, left };
};

describe("an edge over UDP", () => {
  it("RFC 4475: answers each as it has to, stays up, serves the next call, keeps nothing", async () => {
    const { statuses, malformed, during, left } = await throwAll(messages);
    const wrong = messages.flatMap(({ name, status }, at) =>
      status === undefined || status === statuses[at] ? [] : [`${name}: ${statuses[at]} instead of ${status}`],
    );
    expect(wrong).toEqual([]);
    // Malformed at the parser, answered or not; what only a proxy may not take is none of them.
    expect(malformed).toBeGreaterThan(messages.length / 8);
    expect(during).toEqual(["confirmed e2ae"]);
    expect(left).toEqual([]);
  });

  it.skipIf(addresses.length === 0)("RFC 5118: IPv6 addresses in every place, as published [rfc5118]", async () => {
    const { statuses, during, left } = await throwAll(addresses);
    const answered = Object.fromEntries(addresses.map(({ name }, at) => [name, statuses[at]]));
    // 4.2: without brackets the host ends nowhere; 4.10: a reference with three colons is none.
    expect(answered["ipv6-bad"]).toBe(400);
    expect(Object.values(answered).every((status) => status === 0 || (status ?? 0) >= 400)).toBe(true);
    expect(during).toEqual(["confirmed e2ae"]);
    expect(left).toEqual([]);
  });
});
