// Every kind of UE calls every other through the edge, over TLS, TCP and UDP: a UE of the 3GPP dialect, one of the draft's that
// behaves like Asterisk, an SDES phone and plain RTP. Each call is held and resumed by both sides, and every octet said is heard.
import { coreConfigSchema, createCore, type Core } from "@sallyport/ims-core";
import { silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { classifyPacket } from "@sallyport/srtp";
import type { UeCall, UeConfigInput } from "@sallyport/ue";
import type { SipMessage } from "@sallyport/sip";
import { headerList, headerValue, parseMessage } from "@sallyport/sip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { voiceOf } from "../src/speech.ts";
import type { LabUe, Side } from "../src/topology/lab.ts";
import { domain, leaks, nothingLeft, passwordOf, startEdges, type Edges } from "./peers/support/edges.ts";
import { carriesLine, likeAsterisk } from "./support/asterisk.ts";

const kinds = ["3gpp", "asterisk", "phone", "plain"] as const;
type Kind = (typeof kinds)[number];

/** How a leg towards that kind is kept, whatever the other side is. */
const legOf: Readonly<Record<Kind, { readonly security: string; readonly reason: string }>> = {
  "3gpp": { security: "e2ae", reason: "secured" },
  asterisk: { security: "e2ae", reason: "secured" },
  phone: { security: "e2ae", reason: "sdes-phone" },
  plain: { security: "none", reason: "ue-not-capable" },
};
/** What the UE itself makes of it: a phone knows SDES and nothing of who holds the other key. */
const seenBy: Readonly<Record<Kind, string>> = { "3gpp": "e2ae", asterisk: "e2ae", phone: "e2e", plain: "none" };

const configOf: Readonly<Record<Kind, Partial<UeConfigInput>>> = {
  "3gpp": { security: { dialect: "3gpp" } },
  asterisk: { security: { dialect: "draft", suites: ["AES_CM_128_HMAC_SHA1_80"] } },
  phone: { security: { e2ae: "off", e2e: "preferred" }, accessNetwork: "DSL" },
  plain: { security: { e2ae: "off", e2e: "off" } },
};

const saidMs = 240;
const nameOf = (kind: Kind, side: Side): string => `${kind}-${side}`;

describe.each(["tls", "tcp", "udp"] as const)("UEs of all kinds over %s", (transport) => {
  let core: Core;
  let edges: Edges;
  const ues = new Map<string, LabUe>();
  const incoming = new Map<string, UeCall>();
  /** What came to the UEs that are like Asterisk. */
  const asked: SipMessage[] = [];

  const ue = (kind: Kind, side: Side): LabUe => {
    const found = ues.get(nameOf(kind, side));
    if (found === undefined) throw new Error(`no ${kind} behind ${side}`);
    return found;
  };

  beforeAll(async () => {
    const names = kinds.flatMap((kind) => [nameOf(kind, "a"), nameOf(kind, "b")]);
    core = await createCore(
      coreConfigSchema.parse({
        domain,
        listen: [{ name: "mw", protocol: "udp", address: "127.0.0.1", port: 0 }],
        users: names.map((name) => ({
          impu: `sip:${name}@${domain}`,
          impi: `${name}@${domain}`,
          password: passwordOf(name),
        })),
      }),
      { clock: systemClock, random: systemRandom, log: silentLog },
    );
    edges = await startEdges({
      corePort: core.listening[0]?.port ?? 0,
      access: transport,
      edge: {
        policy: {
          rules: [{ match: { accessNetwork: ["DSL*"] }, e2ae: "offered", sdesPhone: "offer" }, { e2ae: "offered" }],
        },
      },
    });
    await Promise.all(
      kinds.flatMap((kind) =>
        (["a", "b"] as const).map(async (side) => {
          const name = nameOf(kind, side);
          const deps: Parameters<Edges["addUe"]>[3] = {
            alter: likeAsterisk,
            observe: ({ direction, octets }) => {
              const parsed = direction === "in" ? parseMessage(octets) : undefined;
              if (parsed?.ok === true) asked.push(parsed.message);
            },
          };
          const made = await edges.addUe(name, side, configOf[kind], kind === "asterisk" ? deps : {});
          made.ue.onCall((call) => {
            incoming.set(`${call.peer} ${name}`, call);
            return {};
          });
          await made.ue.register();
          ues.set(name, made);
        }),
      ),
    );
  });
  afterAll(async () => {
    await edges?.close();
    await core?.close();
  });

  it("TS 33.328 7.1: each is told what it can do with, and the core of nothing", () => {
    for (const { edge } of [edges.a, edges.b])
      for (const { aor, indications } of edge.registrations()) {
        const capable = /3gpp|asterisk/.test(aor);
        expect({ aor, ...indications }).toMatchObject({ aor, ueE2ae: capable, networkE2ae: capable });
      }
    expect(leaks(edges.crossings)).toEqual([]);
  });

  const callOf = async (from: Kind, to: Kind): Promise<readonly string[]> => {
    const [caller, callee] = [ue(from, "a"), ue(to, "b")];
    const calling = await caller.ue.call(callee.ue.impu);
    const key = () =>
      [...incoming.keys()].find((each) => each.includes(nameOf(from, "a")) && each.endsWith(nameOf(to, "b")));
    await until("the call to come", () => key() !== undefined);
    const called = incoming.get(key() ?? "");
    if (called === undefined) throw new Error("unreachable: waited for it");
    await called.answered;
    const wrong: string[] = [];
    const check = (what: string, is: unknown, wanted: unknown): void => {
      if (is !== wanted) wrong.push(`${from} to ${to}: ${what} is ${String(is)}, not ${String(wanted)}`);
    };
    const speak = async (): Promise<void> => {
      await Promise.all([calling.play(voiceOf("alice", saidMs)), called.play(voiceOf("bob", saidMs))]);
      await until(
        `${from} and ${to} to hear every octet`,
        () =>
          calling.sent.octets().equals(called.received.octets()) &&
          called.sent.octets().equals(calling.received.octets()),
      );
    };
    check("security of the caller", calling.report().security, seenBy[from]);
    check("security of the called", called.report().security, seenBy[to]);
    for (const [side, direction, kind] of [
      ["a", "originating", from],
      ["b", "terminating", to],
    ] as const) {
      const view = edges[side].edge.calls().find((each) => each.callId === calling.id && each.direction === direction);
      check(
        `the ${direction} leg`,
        `${view?.security} ${view?.reason}`,
        `${legOf[kind].security} ${legOf[kind].reason}`,
      );
    }
    await speak();
    const keys = [calling, called].map((call) => JSON.stringify(call.report().fingerprints));
    for (const [one, other] of [
      [calling, called],
      [called, calling],
    ] as const) {
      await one.reinvite("sendonly");
      check("the held side", other.report().mediaDirection, "recvonly");
      await one.reinvite("sendrecv");
      check("the resumed side", other.report().mediaDirection, "sendrecv");
    }
    await speak();
    [calling, called].forEach((call, at) =>
      check("the keys after hold", JSON.stringify(call.report().fingerprints), keys[at]),
    );
    check("octets heard", called.received.octets().length, 2 * saidMs * 8);
    await calling.hangup();
    await called.ended;
    return wrong;
  };

  it("TS 33.328 7.2.1, 7.3.1: every kind calls every kind, holds, resumes and is held, and each hears the other", async () => {
    const started: Promise<readonly string[]>[] = [];
    for (const from of kinds)
      for (const to of kinds) {
        started.push(callOf(from, to).catch((error: Error) => [`${from} to ${to}: ${error.message}`]));
        // Not all in one tick: UEs have a life of their own.
        await settle(25);
      }
    expect((await Promise.all(started)).flat()).toEqual([]);
    await nothingLeft(edges);
    expect(leaks(edges.crossings)).toEqual([]);
  }, 60_000);

  it("invariant 3: SRTP is all that protected kinds send and get; plain ones send and get plain RTP", () => {
    for (const kind of kinds)
      for (const side of ["a", "b"] as const) {
        const lengths = new Set(
          ue(kind, side)
            .tap.packets.filter(({ octets }) => classifyPacket(octets) === "rtp")
            .map(({ octets }) => octets.length),
        );
        // 12 of header, 160 of speech, and 10 of tag where there is one.
        expect([kind, ...lengths]).toEqual([kind, kind === "plain" ? 172 : 182]);
      }
  });

  it("the one like Asterisk is called at the line it registered, and answered whatever it asks for", () => {
    const requests = asked.flatMap((message) => (message.kind === "request" ? [message] : []));
    const invites = requests.filter(({ method }) => method === "INVITE");
    expect(invites.length).toBeGreaterThanOrEqual(kinds.length);
    expect(invites.every(({ uri }) => carriesLine(uri))).toBe(true);
    // Its 401 and its 200 name what the network does, for it reads the first and others the second.
    const answers = asked.filter(
      (message) => message.kind === "response" && /REGISTER/.test(headerValue(message, "cseq") ?? ""),
    );
    expect(answers.length).toBeGreaterThanOrEqual(4);
    for (const answer of answers)
      expect(headerList(answer, "security-server").some((value) => /^sdes-srtp\s*;\s*mediasec/i.test(value))).toBe(
        true,
      );
  });

  it("RFC 3608 6.1: the one like Asterisk says no Service-Route; its calls take the stored one all the same, as those of others", () => {
    const routes = (kind: Kind) =>
      edges.crossings
        .filter(
          ({ edge, side, direction, message }) =>
            edge === "edge-a" &&
            side === "core" &&
            direction === "out" &&
            message.kind === "request" &&
            message.method === "INVITE" &&
            !/;tag=/.test(headerValue(message, "to") ?? "") &&
            (headerValue(message, "from") ?? "").includes(nameOf(kind, "a")),
        )
        .map(({ message }) => headerValue(message, "route"));
    expect(routes("asterisk")).toHaveLength(kinds.length);
    expect(new Set(routes("asterisk"))).toEqual(new Set(routes("3gpp")));
    expect(routes("asterisk")[0]).toMatch(/^<sip:[^>]+;lr>/);
  });
});
