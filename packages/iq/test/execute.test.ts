// The gateway's half of the mapping: commands as text in, replies out, against a handler that only remembers.
import { readFileSync } from "node:fs";
import type { ActionReply } from "@sallyport/h248";
import { describe, expect, it } from "vitest";
import type { Execution } from "../src/gateway/execute.ts";
import { runActions } from "../src/gateway/execute.ts";
import type { AddRequest } from "../src/index.ts";
import type { RecordingHandler } from "./handler.ts";
import { recordingHandler } from "./handler.ts";
import { actionsOf, must } from "./plans.ts";

interface Case {
  readonly title: string;
  readonly context: string;
  readonly command: string;
  readonly protected?: boolean;
  readonly code: number;
  readonly text: string;
}

const key = Buffer.alloc(30, 7).toString("base64");

const cases = JSON.parse(readFileSync(new URL("vectors/refusals.json", import.meta.url), "utf8")) as readonly Case[];

const gateway = (more: Partial<Execution> = {}): Execution & { readonly handler: RecordingHandler } => {
  const handler = recordingHandler();
  handler.plant(7);
  (handler.held as Map<number, readonly string[]>).set(7, ["ip/1/access/1", "ip/1/core/2"]);
  return { keysAllowed: false, version: 2, serviceChange: () => undefined, ...more, handler };
};

const message = (actions: string): string => `MEGACO/2 <edge-a.example> Transaction = 5 { ${actions} }`;

const run = (on: Execution, actions: string): Promise<readonly ActionReply[]> =>
  runActions(on, actionsOf(message(actions)));

const errorOf = (replies: readonly ActionReply[]) => replies.at(-1)?.commands.at(-1)?.error ?? replies.at(-1)?.error;

const add = (side: string): string =>
  `Add = ip/1/${side}/$ { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n} } } }`;

describe("refusals", () => {
  it.each(cases)("H.248.1 error $code: $title", async ({ context, command, protected: keysAllowed, code, text }) => {
    const on = gateway({ keysAllowed: keysAllowed ?? false });
    const before = new Map(on.handler.held);
    const replies = await run(on, `Context = ${context} { ${command} }`);
    const error = must(errorOf(replies));
    expect(error.code).toBe(code);
    expect(error.text).toContain(text);
    expect(error.text).not.toMatch(/EhIS|ERER/);
    expect(new Map(on.handler.held)).toEqual(before);
  });

  it("TS 29.334 5.17.1: an error text is quotable and short, whatever was sent", async () => {
    const long = "x".repeat(3000);
    const replies = await run(
      gateway(),
      `Context = 7 { Modify = ip/1/access/1 { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio "${long} RTP/AVP 0\n} } } } }`,
    );
    const error = must(errorOf(replies));
    expect(error.code).toBe(474);
    expect(error.text.length).toBeLessThanOrEqual(120);
    expect(error.text).not.toContain('"');
  });
});

describe("commands", () => {
  it("H.248.1 8.3: the first error ends the transaction, what was done before stays and is answered", async () => {
    const on = gateway();
    const replies = await run(
      on,
      `Context = 7 { Subtract = ip/1/access/1, Modify = ip/1/moon/9, Subtract = ip/1/core/2 }, Context = $ { ${add("core")} }`,
    );
    expect(replies).toHaveLength(1);
    expect(replies[0]?.commands.map(({ command, error }) => [command, error?.code])).toEqual([
      ["Subtract", undefined],
      ["Modify", 430],
    ]);
    expect(on.handler.held.get(7)).toEqual(["ip/1/core/2"]);
    expect(on.handler.adds).toHaveLength(0);
  });

  it("H.248.1 8.3: an optional command's error ends nothing", async () => {
    const on = gateway();
    const replies = await run(on, `Context = 7 { O-Modify = ip/1/moon/9, Subtract = ip/1/core/2 }`);
    expect(replies[0]?.commands.map(({ command, error }) => [command, error?.code])).toEqual([
      ["Modify", 430],
      ["Subtract", undefined],
    ]);
  });

  it("H.248.1 8.1: an optional Add that failed before the one that made the context is answered in the same action", async () => {
    const on = gateway();
    on.handler.failNext("access");
    const replies = await run(on, `Context = $ { O-${add("access")}, ${add("core")} }`);
    expect(replies.map(({ context, commands }) => [context, commands.map(({ error }) => error?.code)])).toEqual([
      [must(replies[0]).context, [510, undefined]],
    ]);
    expect(replies[0]?.context).toBe(1);
  });

  it("H.248.11 8.1: an Add that came while there was too little for it is told of, taken or not, and no other", async () => {
    let told = 0;
    const on = gateway({ overloaded: () => (told += 1) });
    const added = on.handler.add.bind(on.handler);
    await run(on, `Context = $ { ${add("access")} }`);
    await run(on, "Context = 99 { Add = ip/1/access/$ }");
    expect(told).toBe(0);
    on.handler.failNext("access");
    await run(on, `Context = $ { ${add("access")} }`);
    expect(told).toBe(1);
    on.handler.add = async (request) => {
      const outcome = await added(request);
      return outcome.ok ? { ok: true, value: { ...outcome.value, pressed: true } } : outcome;
    };
    await run(on, `Context = $ { Emergency, ${add("access")} }`);
    expect(told).toBe(2);
  });

  it("invariant 10: an error nobody foresaw leaves no context of its action either, and no key", async () => {
    const on = gateway({ keysAllowed: true });
    const added = on.handler.add.bind(on.handler);
    let broken: AddRequest | undefined;
    on.handler.add = async (request) => {
      if (request.name.side === "access") return added(request);
      broken = request;
      throw new TypeError("defect");
    };
    const secured = add("core").replace("RTP/AVP 0", `RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}`);
    await expect(run(on, `Context = $ { ${add("access")}, ${secured} }`)).rejects.toThrow("defect");
    expect([...on.handler.held.keys()]).toEqual([7]);
    const local = must(broken?.streams[0]?.local);
    if (local.kind !== "describe") throw new TypeError("unreachable: it describes");
    expect(must(local.text.crypto).keys.map(({ master }) => master.released)).toEqual([true]);
  });

  it("invariant 10: a failed Add in a CHOOSE context leaves no context, also when the Add before it was good", async () => {
    const on = gateway();
    on.handler.failNext("core");
    const replies = await run(on, `Context = $ { ${add("access")}, ${add("core")} }`);
    expect(errorOf(replies)?.code).toBe(510);
    expect(replies).toHaveLength(1);
    expect(replies[0]?.context).toBe("$");
    expect(replies[0]?.commands).toHaveLength(1);
    expect([...on.handler.held.keys()]).toEqual([7]);
  });

  it("H.248.1 6.1: the commands after the first Add of a CHOOSE context go to the context it made", async () => {
    const on = gateway();
    const replies = await run(on, `Context = $ { ${add("access")}, ${add("core")} }`);
    expect(replies).toHaveLength(1);
    const [reply] = replies;
    expect(on.handler.adds.map((request) => request.context)).toEqual(["new", reply?.context]);
    expect(reply?.commands.map(({ termination }) => termination)).toEqual(["ip/1/access/1", "ip/1/core/2"]);
  });

  it("TS 29.334 5.8: a reply carries what was chosen, and never a key", async () => {
    const on = gateway({ keysAllowed: true });
    const replies = await run(
      on,
      `Context = $ { Add = ip/1/access/$ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/SAVP -\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:EhISEhISEhISEhISEhISEhISEhISEhISEhISEhIS\n}, Remote {\nv=0\nc=IN IP4 198.51.100.7\nm=audio 49170 RTP/SAVP -\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:ERERERERERERERERERERERERERERERERERERERER\n} } } } }`,
    );
    expect(JSON.stringify(replies)).not.toContain("crypto");
    const media = must(replies[0]?.commands[0]?.descriptors[0]);
    expect(media.kind === "media" && media.streams[0]).toEqual({
      id: 1,
      local: "v=0\r\nc=IN IP4 192.0.2.20\r\nm=audio 40002 RTP/SAVP -\r\n",
    });
    const [request] = on.handler.adds;
    const [stream] = must(request).streams;
    const local = stream?.local?.kind === "describe" ? stream.local.text.crypto : undefined;
    const remote = stream?.remote?.kind === "describe" ? stream.remote.text.crypto : undefined;
    expect(local?.keys[0]?.master.use((octets) => octets[0])).toBe(0x12);
    expect(remote?.keys[0]?.master.use((octets) => octets[0])).toBe(0x11);
    expect(stream?.mode).toBe("send-receive");
  });

  const group = (protocol: string, key = ""): string =>
    `v=0\nc=IN IP4 $\nm=audio $ ${protocol} 0 101\n${key === "" ? "" : `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}\n`}`;

  it("H.248.1 7.1.5, 7.1.8: of several groups the first that can be had is taken and told, in Remote the one that goes with it", async () => {
    const on = gateway({ keysAllowed: true });
    const key = "EhISEhISEhISEhISEhISEhISEhISEhISEhISEhIS";
    const far = (protocol: string) => group(protocol).replaceAll("$", "5000").replace("IP4 5000", "IP4 198.51.100.7");
    const replies = await run(
      on,
      `Context = $ { Add = ip/1/access/$ { Media { Stream = 1 { LocalControl { ReservedGroup = OFF, ReservedValue = ON }, Local {\n${group("UDP/TLS/RTP/SAVP")}${group("RTP/SAVP", key)}${group("RTP/AVP")}\n}, Remote {\n${far("RTP/AVP")}${far("RTP/SAVP")}\n} } } } }`,
    );
    const [stream] = must(on.handler.adds[0]).streams;
    expect(stream).toMatchObject({
      reservedGroup: false,
      reservedValue: true,
      local: { chosen: true, text: { protocol: "RTP/SAVP" } },
      remote: { text: { protocol: "RTP/SAVP" } },
    });
    const [descriptor] = must(replies[0]?.commands[0]).descriptors;
    const told = descriptor?.kind === "media" ? descriptor.streams[0]?.local : undefined;
    expect(told?.match(/^v=/gm)).toHaveLength(1);
    expect(told).toMatch(/m=audio \d+ RTP\/SAVP 0 101/);
  });

  it("H.248.1 7.1.8: a description without v= is carried out like any other, alone and before others", async () => {
    const on = gateway();
    const bare = group("RTP/AVP").replace("v=0\n", "");
    const add = (local: string): string =>
      `Context = $ { Add = ip/1/core/$ { Media { Stream = 1 { Local {\n${local}\n} } } } }`;
    expect(errorOf(await run(on, add(bare)))).toBeUndefined();
    expect(errorOf(await run(on, add(`${bare}${group("RTP/AVPF")}`)))).toBeUndefined();
    const read = on.handler.adds.map(({ streams }) => streams[0]?.local);
    expect(read).toMatchObject([{ text: { protocol: "RTP/AVP" } }, { text: { protocol: "RTP/AVP" }, chosen: true }]);
  });

  it("invariant 7: the keys of a command that is refused are zeroised", async () => {
    const on = gateway({ keysAllowed: true });
    on.handler.failNext("access");
    await run(
      on,
      `Context = $ { Add = ip/1/access/$ { Media { Stream = 1 { Local {\nv=0\nc=IN IP4 $\nm=audio $ RTP/SAVP -\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:EhISEhISEhISEhISEhISEhISEhISEhISEhISEhIS\n} } } } }`,
    );
    const [stream] = must(on.handler.adds[0]).streams;
    const local = stream?.local?.kind === "describe" ? stream.local.text.crypto : undefined;
    expect(local?.keys[0]?.master.released).toBe(true);
  });

  it("TS 29.334 5.14: properties, signals and events arrive as typed orders", async () => {
    const on = gateway();
    await run(
      on,
      `Context = 7 { Modify = IP/1/Access/1 { Media { Stream = 2 { LocalControl { Mode = ReceiveOnly, ipdc/realm = inside, gm/rsb = OFF, ds/dscp = 00 } } },
       Events = 12 { ADID/IPSTOP { Stream = 2, dt = 31, dir = Both }, g/cause },
       Signals { ipnapt/latch { Stream = 2, napt = RELATCH } } } }`,
    );
    expect(on.handler.modifies).toEqual([
      {
        context: 7,
        termination: "IP/1/Access/1",
        streams: [{ stream: 2, mode: "receive-only", realm: "inside", rtcp: false, dscp: 0 }],
        latch: [{ napt: "relatch", stream: 2 }],
        watch: expect.objectContaining({
          request: 12,
          inactivity: [{ afterMs: 31_000, direction: "both", stream: 2 }],
          bearer: true,
          keyExpiring: false,
          clearMedia: false,
        }),
      },
    ]);
  });

  it("H.248.1 7.1.9 and 7.1.11: bare Events and bare Signals stop everything; an empty Local gives up the stream", async () => {
    const on = gateway();
    await run(
      on,
      "Context = 7 { Modify = ip/1/access/1 { Events, Signals, Media { Stream = 1 { Local {\n}, Remote {\n} } } } }",
    );
    expect(on.handler.modifies[0]).toEqual({
      context: 7,
      termination: "ip/1/access/1",
      streams: [{ stream: 1, local: { kind: "release" }, remote: { kind: "release" } }],
      latch: [{ napt: "off" }],
      watch: { request: 0, inactivity: [], bearer: false, keyExpiring: false, clearMedia: false, events: [] },
    });
  });

  it("H.248.1 7.2.2: Modify of ALL goes to each termination the name matches, and is answered for each", async () => {
    const order = "{ Media { Stream = 1 { LocalControl { Mode = Inactive } } } }";
    const modified = async (name: string) => {
      const on = gateway();
      const replies = await run(on, `Context = 7 { Modify = ${name} ${order} }`);
      const orders = on.handler.modifies.map(({ termination, streams }) => `${termination} ${streams[0]?.mode}`);
      return { orders, said: replies.flatMap(({ commands }) => commands.map(({ termination }) => termination)) };
    };
    const [access, core] = ["ip/1/access/1", "ip/1/core/2"];
    for (const all of ["*", "ip/*", "IP/1/*"]) {
      expect(await modified(all)).toEqual({
        orders: [`${access} inactive`, `${core} inactive`],
        said: [access, core],
      });
    }
    expect(await modified("ip/1/core/*")).toEqual({ orders: [`${core} inactive`], said: [core] });
    expect(errorOf(await run(gateway(), `Context = 7 { Modify = ip/2/* ${order} }`))?.code).toBe(431);
    expect(errorOf(await run(gateway(), `Context = 9 { Modify = * ${order} }`))?.code).toBe(411);
    expect(errorOf(await run(gateway(), `Context = 7 { W-Modify = * ${order} }`))?.code).toBe(501);
  });

  it("H.248.8 error 433: Add of a termination that is in a context already", async () => {
    for (const context of ["$", "7"]) {
      const command = add("access").replace("ip/1/access/$", "IP/1/access/1");
      const replies = await run(gateway(), `Context = ${context} { ${command} }`);
      expect(errorOf(replies)).toEqual({ code: 433, text: "IP/1/access/1" });
    }
  });

  it("H.248.1 7.2.3: Subtract answers with statistics, summed where the version can not tell streams apart", async () => {
    const replies = await run(gateway(), "Context = 7 { Subtract = ip/1/access/1 }");
    expect(replies[0]?.commands[0]?.descriptors).toEqual([
      {
        kind: "statistics",
        statistics: [
          { name: "nt/dur", relation: "=", values: ["1000"] },
          { name: "rtp/ps", relation: "=", values: ["12"] },
        ],
      },
    ]);
    const three = await run(gateway({ version: 3 }), "Context = 7 { Subtract = ip/1/access/1 }");
    const media = must(three[0]?.commands[0]?.descriptors[0]);
    expect(media.kind === "media" && media.streams.map(({ id }) => id)).toEqual([1, 2]);
    const silent = await run(gateway(), "Context = 7 { Subtract = ip/1/access/1 { Audit { } } }");
    expect(silent[0]?.commands[0]?.descriptors).toEqual([]);
  });

  it("TS 29.334 5.10: W-Subtract answers once for all; the ALL context subtracts everything", async () => {
    const on = gateway();
    const one = await run(on, "Context = 7 { W-Subtract = * { Audit { } } }");
    expect(one).toEqual([{ context: 7, commands: [{ command: "Subtract", termination: "*", descriptors: [] }] }]);
    expect(on.handler.held.size).toBe(0);
    on.handler.plant(3);
    on.handler.plant(4);
    const all = await run(on, "Context = * { W-Subtract = * { Audit { } } }");
    expect(all.map(({ context }) => context)).toEqual([3, 4]);
    expect(on.handler.held.size).toBe(0);
  });

  it("TS 29.334 5.8: topology and context audits are not part of the profile", async () => {
    const topology = await run(
      gateway(),
      "Context = 7 { Topology { ip/1/access/1, ip/1/core/2, Isolate }, Subtract = * }",
    );
    expect(errorOf(topology)?.code).toBe(444);
  });
});

describe("audits", () => {
  it("TS 23.334 8: the empty audit of ROOT is answered with nothing, and is the heartbeat", async () => {
    const replies = await run(gateway(), "Context = - { AuditValue = ROOT { Audit { } } }");
    expect(replies).toEqual([
      { context: "-", commands: [{ command: "AuditValue", termination: "ROOT", descriptors: [] }] },
    ]);
  });

  it("H.248.1 7.2.5: ROOT of all contexts lists them, the null context when there is none", async () => {
    const on = gateway();
    on.handler.plant(9);
    expect((await run(on, "Context = * { AuditValue = ROOT { Audit { } } }")).map(({ context }) => context)).toEqual([
      7, 9,
    ]);
    await on.handler.clear();
    expect((await run(on, "Context = * { AuditValue = ROOT { Audit { } } }")).map(({ context }) => context)).toEqual([
      "-",
    ]);
  });

  it("H.248.1 7.2.5: a termination, all of a context, all of all; Media, Statistics and Packages", async () => {
    const on = gateway();
    const one = await run(on, "Context = 7 { AuditValue = ip/1/access/1 { Audit { Media, Statistics, Packages } } }");
    expect(one[0]?.commands[0]?.descriptors.map(({ kind }) => kind)).toEqual(["media", "statistics", "packages"]);
    const all = await run(on, "Context = 7 { AuditValue = * { Audit { } } }");
    expect(all[0]?.commands.map(({ termination }) => termination)).toEqual(["ip/1/access/1", "ip/1/core/2"]);
    on.handler.plant(8);
    expect(await run(on, "Context = * { AuditValue = * { Audit { } } }")).toHaveLength(2);
    expect(errorOf(await run(on, "Context = 6 { AuditValue = * { Audit { } } }"))?.code).toBe(411);
    expect(errorOf(await run(on, "Context = 7 { AuditValue = ip/1/moon/9 { Audit { } } }"))?.code).toBe(430);
    expect(errorOf(await run(on, "Context = $ { AuditValue = * { Audit { } } }"))?.code).toBe(421);
  });
});
