// Two edges and the gateway they share, each a process of its own: neither sees nor touches what the other made, whatever it
// asks, hands over or leaves behind (H.248.1 11.1).
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileProgram, type Program } from "./child/program.ts";
import { must, until } from "./rig.ts";

interface Edge {
  readonly process: ChildProcess;
  readonly port: number;
  /** Registrations as `method of mid`. */
  readonly registered: string[];
  ask(mid: string, actions: string): Promise<string>;
}

let program: Program;
const running: ChildProcess[] = [];

const startEdge = async (name: string): Promise<Edge> => {
  const child = program.start("controller", name);
  running.push(child);
  const registered: string[] = [];
  const answers: ((answer: string) => void)[] = [];
  let port = 0;
  child.on("message", (message: { port?: number; registered?: string; method?: string; answer?: string }) => {
    port = message.port ?? port;
    if (message.registered !== undefined) registered.push(`${message.method} of ${message.registered}`);
    if (message.answer !== undefined) answers.shift()?.(message.answer);
  });
  await until(`${name} to listen`, () => port > 0, 20_000);
  return {
    process: child,
    port,
    registered,
    ask: (mid, actions) =>
      new Promise((resolve) => {
        answers.push(resolve);
        child.send({ mid, actions });
      }),
  };
};

const key = (fill: number): string => Buffer.alloc(30, fill).toString("base64");

const reserve = (fill: number): string => `Context = $ {
  Add = ip/1/access/$ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {
v=0
c=IN IP4 $
m=audio $ RTP/SAVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key(fill)}
}, Remote {
v=0
c=IN IP4 127.0.0.1
m=audio 5000 RTP/SAVP 0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key(fill + 1)}
} } } },
  Add = ip/1/core/$ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {
v=0
c=IN IP4 $
m=audio $ RTP/AVP 0
} } } } }`;

interface Held {
  readonly context: string;
  readonly terminations: readonly string[];
}

const made = async (edge: Edge, mid: string, fill: number): Promise<Held> => {
  const answer = await edge.ask(mid, reserve(fill));
  const context = must(/^C=(\d+)\{/.exec(answer)?.[1]);
  return { context, terminations: Array.from(answer.matchAll(/A=(ip\/[^{]+)/g), ([, name = ""]) => name) };
};

const list = "Context = * { AuditValue = ROOT { Audit { } } }";
const contextsIn = (answer: string): readonly string[] =>
  Array.from(answer.matchAll(/C=(\d+)/g), ([, context = ""]) => context);

beforeAll(() => {
  program = compileProgram();
}, 120_000);

afterAll(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  program.remove();
});

describe("H.248.1 11.1: two edges, one gateway, three processes", () => {
  it("audits, wildcards, names and hand-overs of one leave the other's contexts alone; so does its death", async () => {
    const [a, b] = [await startEdge("edge-a.example"), await startEdge("edge-b.example")];
    const controller = ({ port }: Edge) => ({
      address: "127.0.0.1",
      port,
      protocol: "tcp",
      protectedBelow: true,
      certificateName: port === a.port ? "edge-a.example" : "edge-b.example",
    });
    const gateway = program.start(
      "gateway",
      JSON.stringify({
        id: "gw-a.example",
        controllers: [controller(a), controller(b)],
        virtual: [{ mid: "<gw-b.example>", controllers: [controller(b)] }],
        interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
        ports: { first: 19_200, last: 19_399 },
        retry: { firstMs: 20, longestMs: 100 },
        keepContextsMs: 300,
      }),
    );
    running.push(gateway);
    const [one, two] = ["<gw-a.example>", "<gw-b.example>"];
    await until("both to be registered", () => a.registered.length === 1 && b.registered.length === 1, 30_000);
    expect([a.registered, b.registered]).toEqual([[`Restart of ${one}`], [`Restart of ${two}`]]);

    const mine = [await made(a, one, 1), await made(a, one, 3)];
    const theirs = await made(b, two, 5);
    const ofA = mine.map(({ context }) => context);
    const [first] = mine;
    const theirName = must(theirs.terminations[0]);
    expect(contextsIn(await a.ask(one, list))).toEqual(ofA);
    expect(contextsIn(await b.ask(two, list))).toEqual([theirs.context]);
    for (const wide of [
      "Context = * { AuditValue = * { Audit { Media, Statistics, Events } } }",
      "Context = * { AuditCapability = ip/*/access/* { Audit { Media } } }",
      "Context = * { ContextAudit { Emergency } }",
    ]) {
      const [seenByA, seenByB] = [await a.ask(one, wide), await b.ask(two, wide)];
      expect(contextsIn(seenByA)).toEqual(ofA);
      expect(contextsIn(seenByB)).toEqual([theirs.context]);
      for (const name of theirs.terminations) expect(seenByA).not.toContain(`=${name}{`);
    }

    // By number, by name in its own context, by wildcard: the other's is not there.
    const there = must(first).context;
    for (const [actions, code] of [
      [`Context = ${there} { Subtract = * }`, 411],
      [`Context = ${there} { W-Subtract = * { Audit { } } }`, 411],
      [`Context = ${there} { AuditValue = * { Audit { } } }`, 411],
      [`Context = ${there} { Emergency }`, 411],
      [`Context = ${there} { Modify = ${first?.terminations[0]} { Media { LocalControl { Mode = Inactive } } } }`, 411],
      [`Context = ${there} { Add = ip/1/core/$ { Media { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n} } } }`, 411],
      [
        `Context = ${theirs.context} { Modify = ${first?.terminations[0]} { Media { LocalControl { Mode = Inactive } } } }`,
        430,
      ],
      [`Context = ${theirs.context} { Subtract = ${first?.terminations[0]} }`, 430],
    ] as const)
      expect([actions, await b.ask(two, actions)]).toEqual([actions, expect.stringContaining(`ER=${code}`)]);
    expect(contextsIn(await a.ask(one, list))).toEqual(ofA);

    // Everything, as b sees everything.
    expect(contextsIn(await b.ask(two, "Context = * { W-Subtract = * { Audit { } } }"))).toEqual([theirs.context]);
    expect(await b.ask(two, list)).toBe("C=-{AV=ROOT}");
    expect(contextsIn(await a.ask(one, list))).toEqual(ofA);
    const again = await made(b, two, 7);

    // The virtual gateway of a is handed to b with its contexts: b knows it as another gateway, and its own stay apart.
    const services = `Services { Method = HandOff, Reason = 903, MgcIdToTry = <edge-b.example>:${b.port} }`;
    await a.ask(one, `Context = - { ServiceChange = ROOT { ${services} } }`);
    await until("the hand-over", () => b.registered.length === 2, 10_000);
    expect(b.registered[1]).toBe(`HandOff of ${one}`);
    expect(contextsIn(await b.ask(one, list))).toEqual(ofA);
    expect(contextsIn(await b.ask(two, list))).toEqual([again.context]);
    expect(await b.ask(two, `Context = ${there} { Subtract = * }`)).toContain("ER=411");
    expect(await b.ask(one, `Context = ${again.context} { Subtract = ${theirName} }`)).toContain("ER=411");
    // And the one of b to nobody who is not configured for it.
    const away = `Services { Method = Failover, Reason = 909, MgcIdToTry = <edge-a.example>:${a.port} }`;
    expect(await b.ask(two, `Context = - { ServiceChange = ROOT { ${away} } }`)).toContain("ER=449");

    // It goes back, and its edge dies: what it made goes after its time, the other's stays.
    const home = `Services { Method = HandOff, Reason = 903, MgcIdToTry = <edge-a.example>:${a.port} }`;
    await b.ask(one, `Context = - { ServiceChange = ROOT { ${home} } }`);
    await until("the way back", () => a.registered.length === 2, 10_000);
    expect(contextsIn(await a.ask(one, list))).toEqual(ofA);
    a.process.kill("SIGKILL");
    await until("it to go where it still can, with nothing", () => b.registered.length === 3, 20_000);
    expect(b.registered[2]).toBe(`Restart of ${one}`);
    expect(await b.ask(one, list)).toBe("C=-{AV=ROOT}");
    expect(contextsIn(await b.ask(two, list))).toEqual([again.context]);
    expect(await b.ask(two, `Context = ${again.context} { Subtract = * }`)).toContain("rtp/ps");
    gateway.send("stop");
    const [code] = (await once(gateway, "exit")) as [number];
    expect(code).toBe(0);
  }, 120_000);
});
