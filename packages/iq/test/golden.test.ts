// The controller's half of the mapping against messages kept as files: what goes out, octet for octet, and what comes back.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { ActionReply } from "@sallyport/h248";
import { parseH248 } from "@sallyport/h248";
import { describe, expect, it } from "vitest";
import type { HeldContext } from "../src/controller/held.ts";
import { remember } from "../src/controller/held.ts";
import { firstError, readAdd, readContexts, readModify, readSubtract } from "../src/controller/replies.ts";
import {
  addRequest,
  auditContextsRequest,
  heartbeatRequest,
  modifyRequest,
  removeStreamsRequest,
  subtractRequest,
} from "../src/controller/requests.ts";
import type { IqContext, StreamPlan } from "../src/index.ts";
import { accessEnd, configuration, coreEnd, crypto, reservation, textOf } from "./plans.ts";

const file = (name: string): URL => new URL(`vectors/${name}`, import.meta.url);

const golden = (name: string, text: string): void => {
  if (!existsSync(file(name)) && process.env["SALLYPORT_WRITE_VECTORS"] === "yes")
    writeFileSync(file(name), text, "latin1");
  expect(text).toBe(readFileSync(file(name), "latin1"));
};

const context: IqContext = { gateway: "gw-a", context: 7, access: "ip/1/access/1", core: "ip/1/core/2" };

const held: HeldContext = remember(context, new Map(), reservation, {
  access: [{ stream: 1, address: "192.0.2.20", port: 41_000, rtcpPort: 41_001 }],
  core: [{ stream: 1, address: "10.0.0.20", port: 42_000, rtcpPort: 42_001 }],
});

const replies = (name: string): readonly ActionReply[] => {
  const parsed = parseH248(readFileSync(file(name)));
  if (!parsed.ok) throw new Error(`${name}: ${parsed.code} at ${parsed.offset}`);
  const { body } = parsed.message;
  const reply = body.kind === "transactions" ? body.transactions[0] : undefined;
  if (reply?.kind !== "reply" || reply.body.kind !== "actions") throw new Error(`${name}: not a reply`);
  return reply.body.actions;
};

const video: StreamPlan = {
  stream: 2,
  access: accessEnd({ media: "video", formats: ["-"], rtcpMux: true, inactivityMs: 20_000 }),
  core: coreEnd({ media: "video", formats: [] }),
};

describe("what the controller sends", () => {
  it("TS 23.334 8.2 Reserve AGW Connection Point: RTP/SAVP $ towards the access, RTP/AVP $ towards the core", () => {
    golden("reserve.txt", textOf(addRequest(reservation)));
  });

  it("TS 33.328 6.2.1.3 (a), 6.2.1.3 (b): exactly one key for each direction, K12 in Local, K11 in Remote, tied to the stream", () => {
    const text = textOf(modifyRequest(held, configuration));
    golden("configure.txt", text);
    const [local, remote] = text.split("Remote");
    expect(local).toContain(`inline:${Buffer.alloc(30, 0x12).toString("base64")}`);
    expect(remote?.split("}")[0]).toContain(`inline:${Buffer.alloc(30, 0x11).toString("base64")}`);
    expect(text.match(/a=crypto/g)).toHaveLength(2);
  });

  it("TS 29.334 5.14: realm, latching, inactivity, multiplexed RTCP and emergency go out as properties, signals and events", () => {
    const plan: StreamPlan = {
      stream: 1,
      access: accessEnd({ realm: "access.example", latch: true, inactivityMs: 30_500, rtcpMux: true, dscp: 46 }),
      core: coreEnd({ remote: { address: "2001:db8::9", port: 30_000, rtcpPort: 30_007 } }),
    };
    golden("reserve-with-everything.txt", textOf(addRequest([plan], { emergency: true })));
  });

  it("H.248.1 7.1.8: `$` leaves an address to the gateway in the family asked for, or in that of the far end", () => {
    const reserved = (access: Parameters<typeof accessEnd>[0]): string | undefined =>
      /c=IN (.*) \$/.exec(textOf(addRequest([{ stream: 1, access: accessEnd(access) }])))?.[1];
    const six = { address: "2001:db8::9", port: 30_000 };
    const four = { address: "192.0.2.9", port: 30_000 };
    const asked = [{}, { family: "IP4" }, { family: "IP6" }, { remote: six }, { family: "IP6", remote: four }] as const;
    expect(asked.map(reserved)).toEqual(["IP4", "IP4", "IP6", "IP6", "IP4"]);
  });

  it("TS 23.334 8: a stream added to a context is reserved in it, and the events of the others are repeated", () => {
    const watched = remember(context, held.streams, [{ stream: 1, access: accessEnd({ inactivityMs: 10_000 }) }], {
      access: [],
      core: [],
    });
    golden("add-stream.txt", textOf(modifyRequest(watched, [video])));
  });

  it("H.248.37: a far end that moves is latched again; the same far end is left alone", () => {
    const latched = remember(context, held.streams, [{ stream: 1, access: accessEnd({ latch: true }) }], {
      access: [],
      core: [],
    });
    const at = (port: number): readonly StreamPlan[] => [
      { stream: 1, access: accessEnd({ latch: true, remote: { address: "198.51.100.7", port } }) },
    ];
    expect(textOf(modifyRequest(latched, at(49_170)))).not.toContain("ipnapt");
    expect(textOf(modifyRequest(latched, at(50_000)))).toMatch(/ipnapt\/latch\s*\{\s*Stream = 1,\s*napt = RELATCH/);
    const off = textOf(modifyRequest(latched, [{ stream: 1, access: accessEnd() }]));
    expect(off).toMatch(/napt = OFF/);
  });

  it("H.248.1 7.1.6: streams are given up by empty Local and Remote", () => {
    golden("remove-stream.txt", textOf(removeStreamsRequest(held, [1])));
  });

  it("TS 29.334 5.8.3 Release AGW Termination: with statistics, or wildcarded and without", () => {
    golden("subtract.txt", textOf(subtractRequest(context, { statistics: true })));
    golden("subtract-wildcarded.txt", textOf(subtractRequest(context, { statistics: false })));
  });

  it("TS 23.334 8: the heartbeat is the empty audit of ROOT, the context list ROOT of all contexts", () => {
    golden("heartbeat.txt", textOf(heartbeatRequest));
    golden("audit-contexts.txt", textOf(auditContextsRequest));
  });
});

describe("what the controller reads", () => {
  it("TS 29.334 5.8: the reply to Add gives context, names, addresses and ports", () => {
    const read = readAdd("gw-a", reservation, replies("reply-reserve.txt"));
    expect(read).toEqual({
      ok: true,
      value: {
        context,
        access: [{ stream: 1, address: "192.0.2.20", port: 41_000, rtcpPort: 41_001 }],
        core: [{ stream: 1, address: "10.0.0.20", port: 42_000, rtcpPort: 42_777 }],
      },
    });
  });

  it("RFC 5761: with rtcp-mux RTCP is at the port of RTP", () => {
    const mux = reservation.map((plan) => ({ ...plan, access: accessEnd({ rtcpMux: true }) }));
    const read = readAdd("gw-a", mux, replies("reply-reserve.txt"));
    expect(read.ok && read.value.access[0]?.rtcpPort).toBe(41_000);
  });

  it("invariant 10: a gateway that kept the first Add of a failed pair is told which context to subtract", () => {
    const read = readAdd("gw-a", reservation, replies("reply-second-add-failed.txt"));
    expect(read).toEqual({ ok: false, error: { kind: "refused", error: { code: 510, text: "no ports" }, context: 7 } });
  });

  it("H.248.1 8.2.2: a reply without a context, a name or a port can not be used, and its context is named", () => {
    const good = replies("reply-reserve.txt");
    const [action] = good;
    if (action === undefined) throw new Error("missing");
    const [access, core] = action.commands;
    if (access === undefined || core === undefined) throw new Error("missing");
    const failing: (readonly [string, readonly ActionReply[]])[] = [
      ["no actions", []],
      ["choose context", [{ ...action, context: "$" }]],
      ["one Add", [{ ...action, commands: [access] }]],
      ["wildcard name", [{ ...action, commands: [access, { ...core, termination: "ip/1/core/$" }] }]],
      ["no media", [{ ...action, commands: [access, { ...core, descriptors: [] }] }]],
      [
        "port zero",
        [
          {
            ...action,
            commands: [
              access,
              {
                ...core,
                descriptors: [
                  { kind: "media", streams: [{ id: 1, local: "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n" }] },
                ],
              },
            ],
          },
        ],
      ],
    ];
    for (const [title, given] of failing) {
      const read = readAdd("gw-a", reservation, given);
      expect(read.ok, title).toBe(false);
      if (read.ok) continue;
      expect(read.error.kind, title).toBe("unusable");
      const numbered = given.some((reply) => typeof reply.context === "number");
      expect(read.error.context, title).toBe(numbered ? 7 : undefined);
    }
  });

  it("TS 29.334 5.8: a Modify that chose nothing answers with nothing", () => {
    expect(readModify(context, configuration, replies("reply-modify.txt"))).toEqual({
      ok: true,
      value: { access: [], core: [] },
    });
  });

  it("H.248.1 7.1.15: statistics by termination (version 2), and by stream (version 3)", () => {
    const two = readSubtract(context, [1], replies("reply-subtract.txt"));
    expect(two).toEqual({
      ok: true,
      value: {
        terminations: [
          {
            termination: "ip/1/access/1",
            side: "access",
            stream: 1,
            values: new Map([
              ["rtp/ps", "250"],
              ["rtp/pr", "249"],
            ]),
          },
          {
            termination: "ip/1/core/2",
            side: "core",
            stream: 1,
            values: new Map([
              ["rtp/ps", "249"],
              ["rtp/pr", "250"],
            ]),
          },
        ],
      },
    });
    const three = readSubtract(context, [1, 2], replies("reply-subtract-version-3.txt"));
    expect(three.ok && three.value.terminations.map(({ stream, values }) => [stream, values])).toEqual([
      [1, new Map([["rtp/ps", "5"]])],
      [2, new Map([["rtp/ps", "6"]])],
    ]);
  });

  it("H.248.1 7.2.5: the list of contexts is one action each; the null context and error 431 stand for none", () => {
    expect(readContexts(replies("reply-contexts.txt"))).toEqual({ ok: true, value: [7, 9] });
    expect(readContexts([{ context: "-", commands: [] }])).toEqual({ ok: true, value: [] });
    expect(readContexts([{ context: "*", commands: [], error: { code: 431, text: "" } }])).toEqual({
      ok: true,
      value: [],
    });
    expect(readContexts([{ context: "*", commands: [], error: { code: 500, text: "" } }]).ok).toBe(false);
    // No list, and not the word that there is nothing to list: calls must not be given up for it.
    expect(readContexts([{ context: "*", commands: [] }]).ok).toBe(false);
    expect(readContexts([]).ok).toBe(false);
  });

  it("H.248.1 8.2.2: an error is found in a command, in an action and as a descriptor", () => {
    const error = { code: 449, text: "x" };
    const command = { command: "Modify", termination: "a", descriptors: [] } as const;
    expect(firstError([{ context: 1, commands: [command] }])).toBeUndefined();
    expect(firstError([{ context: 1, commands: [{ ...command, error }] }])).toEqual(error);
    expect(firstError([{ context: 1, commands: [command], error }])).toEqual(error);
    expect(firstError([{ context: 1, commands: [{ ...command, descriptors: [{ kind: "error", error }] }] }])).toEqual(
      error,
    );
  });

  it("TS 33.328 6.2.1.3: a key never stands in a plan's reply", () => {
    for (const name of ["reply-reserve.txt", "reply-modify.txt"]) {
      expect(readFileSync(file(name), "latin1")).not.toContain("crypto");
    }
    expect(crypto(1).keys[0]?.master.length).toBe(30);
  });
});
