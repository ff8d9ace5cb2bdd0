// Later offers of a running call, from either side: what changes, what must not, and what a refusal leaves behind.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StreamPlan } from "@sallyport/iq";
import { headerValue } from "@sallyport/sip";
import { bodyOf, establishOriginating, establishTerminating, type Established } from "./support/calls.ts";
import { openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys, sdp, ueAnswer, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(() => scenario.close());

type Caller = "ue" | "core";

interface Running {
  readonly dialog: Established;
  readonly caller: Caller;
  seq: number;
}

const establish = async (caller: Caller): Promise<Running> => {
  const dialog =
    caller === "ue" ? await establishOriginating(scenario, alice) : await establishTerminating(scenario, alice, path);
  return { dialog, caller, seq: 10 };
};

/** An offer of one side and the answer of the other; what each saw. */
const reoffer = async (
  call: Running,
  from: Caller,
  offer: string,
  answer: { readonly status?: number; readonly body?: string },
  method: "INVITE" | "UPDATE" = "INVITE",
): Promise<{ readonly status: number; readonly offered: string; readonly answered: string }> => {
  call.seq += 1;
  const { seq } = call;
  const make = (name: string, body?: string) =>
    from === call.caller ? call.dialog.byCaller(name, seq, body) : call.dialog.byCalled(name, seq, body);
  const [asking, asked, contact] =
    from === "ue"
      ? [alice, scenario.core, `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`]
      : [scenario.core, alice, `<${alice.contact}>`];
  const sent = asking.send(make(method, offer));
  const before = asked.requests.all.length;
  let status: number | undefined;
  sent.responses
    .next((response) => response.status >= 200)
    .then(
      (response) => (status = response.status),
      () => undefined,
    );
  await until(() => status !== undefined || asked.requests.all.length > before, "the offer goes on or is refused");
  const arrived = asked.requests.all[before];
  if (arrived !== undefined) {
    await asked.expect(method);
    asked.respond(arrived, answer.status ?? 200, {
      headers: [["Contact", contact]],
      ...(answer.body === undefined ? {} : { body: answer.body }),
    });
  }
  await until(() => status !== undefined, "the final answer");
  const final = sent.responses.all.findLast((response) => response.status >= 200);
  if (final === undefined) throw new Error("no final answer");
  if (method === "INVITE" && final.status < 300) {
    await asking.ack(make("ACK"));
    await asked.acks.next();
  }
  return {
    status: final.status,
    offered: arrived === undefined ? "" : bodyOf(arrived.request),
    answered: bodyOf(final),
  };
};

/** The last plan of the access end. */
const access = (): NonNullable<StreamPlan["access"]> => {
  const found = scenario.iq.commands.findLast(({ streams }) => streams[0]?.access !== undefined)?.streams[0]?.access;
  if (found === undefined) throw new Error("no access end was planned");
  return found;
};
const keysNow = (): readonly (string | undefined)[] =>
  [access().remoteCrypto, access().localCrypto].map((attribute) => attribute?.keys[0]?.master.fingerprint);
const cryptoOf = (body: string): readonly string[] => body.match(/^a=crypto:.*$/gm) ?? [];
const secured = (version: number, lines: readonly string[], more: object = {}): string =>
  sdp({ protocol: "RTP/SAVP", version, lines, ...more });
const own = [crypto(keys.k11), "a=3ge2ae:requested"];

describe("hold and resume", () => {
  const ways: readonly {
    readonly name: string;
    readonly parts: { readonly lines?: readonly string[]; readonly address?: string };
    readonly answer: readonly string[];
    readonly seen: RegExp;
  }[] = [
    { name: "sendonly", parts: { lines: ["a=sendonly"] }, answer: ["a=recvonly"], seen: /a=sendonly/ },
    { name: "inactive", parts: { lines: ["a=inactive"] }, answer: ["a=inactive"], seen: /a=inactive/ },
    { name: "c=0.0.0.0 (RFC 2543)", parts: { address: "0.0.0.0" }, answer: ["a=recvonly"], seen: /m=audio [1-9]/ },
  ];
  for (const caller of ["ue", "core"] as const)
    for (const from of ["ue", "core"] as const)
      for (const { name, parts, answer, seen } of ways) {
        it(`RFC 3264 8.4: ${name} by the ${from} in a call of the ${caller}, and back: no key changes on either way`, async () => {
          const call = await establish(caller);
          const before = keysNow();
          const ueKey = caller === "ue" ? keys.k11 : keys.k22;
          const ueLines = (more: readonly string[]) => [crypto(ueKey), "a=3ge2ae:requested", ...more];
          for (const [version, hold] of [
            [2, true],
            [3, false],
          ] as const) {
            const said = hold ? { ...parts } : { lines: ["a=sendrecv"] };
            const back = hold ? answer : ["a=sendrecv"];
            const { status, offered, answered } =
              from === "ue"
                ? await reoffer(
                    call,
                    "ue",
                    secured(version, ueLines(said.lines ?? []), "address" in said ? { address: said.address } : {}),
                    {
                      body: coreSdp({ version, lines: back }),
                    },
                  )
                : await reoffer(call, "core", coreSdp({ version, ...said }), {
                    body: ueAnswer(1, { version, lines: back }).replace(keys.k22, ueKey),
                  });
            expect(status).toBe(200);
            expect(offered).toMatch(hold ? seen : /a=sendrecv/);
            expect(answered).toContain(back[0]);
            expect(keysNow()).toEqual(before);
            const outside = from === "ue" ? answered : offered;
            expect(cryptoOf(outside).length).toBeGreaterThan(0);
            expect(cryptoOf(from === "ue" ? offered : answered)).toEqual([]);
          }
          expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
        });
      }

  for (const from of ["ue", "core"] as const) {
    it(`RFC 3264 8.2: port 0 by the ${from} takes the stream away, coming back it has fresh keys`, async () => {
      const call = await establish("ue");
      const before = keysNow();
      const gone =
        from === "ue"
          ? await reoffer(call, "ue", secured(2, own, { port: 0 }), { body: coreSdp({ version: 2, port: 0 }) })
          : await reoffer(call, "core", coreSdp({ version: 2, port: 0 }), { body: secured(2, [], { port: 0 }) });
      expect(gone.status).toBe(200);
      expect(gone.offered).toMatch(/m=audio 0 RTP\/S?AVP/);
      expect(gone.answered).toMatch(/m=audio 0 RTP\/S?AVP/);
      const fresh = keyOf(0x5a);
      const back =
        from === "ue"
          ? await reoffer(call, "ue", secured(3, [crypto(fresh), "a=3ge2ae:requested"]), {
              body: coreSdp({ version: 3 }),
            })
          : await reoffer(call, "core", coreSdp({ version: 3 }), { body: secured(3, [crypto(fresh)]) });
      expect(back.status).toBe(200);
      const after = keysNow();
      expect(after[0]).not.toBe(before[0]);
      expect(after[1]).not.toBe(before[1]);
      expect(scenario.edge.calls()).toMatchObject([{ security: "e2ae" }]);
    });
  }
});

describe("keys and addresses", () => {
  it("RFC 4568 7.1.4: a new suite gives both directions new keys", async () => {
    const call = await establish("ue");
    const before = keysNow();
    const line = crypto(keys.k11b, 2, "AES_CM_128_HMAC_SHA1_32");
    const { answered } = await reoffer(call, "ue", secured(2, [line, "a=3ge2ae:requested"]), {
      body: coreSdp({ version: 2 }),
    });
    expect(cryptoOf(answered)).toEqual([expect.stringMatching(/^a=crypto:2 AES_CM_128_HMAC_SHA1_32 /)]);
    const after = keysNow();
    expect(after[0]).not.toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    expect(access().remoteCrypto?.suite).toBe("AES_CM_128_HMAC_SHA1_32");
  });

  it("TS 33.328 7.3.1: roles swap twice; the key in force stays, whatever tag it goes by", async () => {
    const call = await establish("ue");
    const before = keysNow();
    const first = await reoffer(call, "core", coreSdp({ version: 2 }), { body: secured(2, [crypto(keys.k11)]) });
    // What we offer is the key we answered with, on the first line.
    expect(cryptoOf(first.offered)[0]).toContain(/inline:(\S+)/.exec(bodyOf(call.dialog.ok))?.[1]);
    const second = await reoffer(call, "ue", secured(3, [crypto(keys.k11, 5), "a=3ge2ae:requested"]), {
      body: coreSdp({ version: 3 }),
    });
    expect(cryptoOf(second.answered)).toEqual([expect.stringMatching(/^a=crypto:5 /)]);
    const third = await reoffer(call, "core", coreSdp({ version: 4 }), {
      body: secured(4, [crypto(keys.k11, 5)]),
    });
    expect(third.status).toBe(200);
    expect(cryptoOf(third.offered)[0]).toMatch(/^a=crypto:5 /);
    expect(keysNow()).toEqual(before);
  });

  it("RFC 3264 8.3.1: a UE that moves says its new address; the gateway learns it with the key in force", async () => {
    const call = await establish("ue");
    const [fromUe] = keysNow();
    await reoffer(call, "ue", secured(2, own, { address: "10.0.0.99", port: 41_000 }), {
      body: coreSdp({ version: 2 }),
    });
    expect(access().remote).toMatchObject({ address: "10.0.0.99", port: 41_000 });
    expect(keysNow()[0]).toBe(fromUe);
  });

  it("RFC 3264 8.3.1: a far end that moves changes the core side alone", async () => {
    const call = await establish("ue");
    const before = keysNow();
    await reoffer(call, "core", coreSdp({ version: 2, address: "192.0.2.99", port: 6500 }), {
      body: secured(2, [crypto(keys.k11)]),
    });
    const core = scenario.iq.commands.findLast(({ streams }) => streams[0]?.core !== undefined)?.streams[0]?.core;
    expect(core?.remote).toMatchObject({ address: "192.0.2.99", port: 6500 });
    expect(keysNow()).toEqual(before);
  });

  it("TS 33.328 7.3.1: a UE that answers a re-offer with a new key is heard with it from then on", async () => {
    const call = await establish("core");
    const before = keysNow();
    await reoffer(call, "core", coreSdp({ version: 2 }), { body: secured(2, [crypto(keyOf(0x5b))]) });
    expect(keysNow()[0]).not.toBe(before[0]);
    expect(keysNow()[1]).toBe(before[1]);
  });
});

describe("offers that fail", () => {
  for (const from of ["ue", "core"] as const)
    for (const status of [488, 491, 504]) {
      it(`RFC 3261 14.1: an offer of the ${from} refused with ${status} leaves keys, addresses and the call as they were`, async () => {
        const call = await establish("ue");
        const before = [keysNow(), access().remote];
        const offer =
          from === "ue"
            ? secured(2, [crypto(keyOf(0x5c)), "a=3ge2ae:requested"], { address: "10.0.0.99", port: 41_000 })
            : coreSdp({ version: 2, address: "192.0.2.99", port: 6500 });
        expect((await reoffer(call, from, offer, { status })).status).toBe(status);
        // The next exchange shows what is in force: the gateway hears of nothing else.
        const good = await reoffer(call, "core", coreSdp({ version: 3 }), { body: secured(3, [crypto(keys.k11)]) });
        expect(good.status).toBe(200);
        expect([keysNow(), access().remote]).toEqual(before);
        expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
      });
    }

  it("TS 33.328 7.2.1 step 7: an UPDATE that the far end took and the gateway refuses ends the call; nothing goes on in the clear", async () => {
    const call = await establish("ue");
    scenario.iq.failNext("modify");
    const failed = await reoffer(
      call,
      "ue",
      secured(2, [crypto(keyOf(0x5d)), "a=3ge2ae:requested"]),
      { body: coreSdp({ version: 2 }) },
      "UPDATE",
    );
    expect(failed.status).toBeGreaterThanOrEqual(400);
    expect(failed.answered).not.toContain("inline:");
    alice.respond(await alice.expect("BYE"), 200);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await until(() => scenario.iq.open.size === 0, "the context given back");
    expect(scenario.edge.calls()).toMatchObject([{ phase: "ended", ended: { reason: "media-security" } }]);
  });

  it("RFC 3264 5: a medium added later is protected like the first; refused by the far end it leaves nothing", async () => {
    const call = await establish("ue");
    const video = (port: number, key: string) =>
      `m=video ${port} RTP/SAVP 97\r\na=rtpmap:97 H264/90000\r\n${crypto(key)}\r\na=3ge2ae:requested\r\n`;
    const offer = secured(2, own) + video(42_000, keyOf(0x60));
    const added = await reoffer(call, "ue", offer, {
      body: `${coreSdp({ version: 2 })}m=video 6002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n`,
    });
    expect(added.offered.match(/^m=\w+ [1-9]\d* RTP\/AVP /gm)).toHaveLength(2);
    const [one, two] = cryptoOf(added.answered);
    expect(one?.split("inline:")[1]).not.toBe(two?.split("inline:")[1]);
    const dropped = await reoffer(call, "ue", secured(3, own) + video(42_000, keyOf(0x60)), {
      body: `${coreSdp({ version: 3 })}m=video 0 RTP/AVP 97\r\n`,
    });
    expect(dropped.answered).toMatch(/m=video 0 RTP\/SAVP 97/);
    expect(cryptoOf(dropped.answered)).toHaveLength(1);
    expect(scenario.iq.commands.some(({ kind }) => kind === "remove")).toBe(true);
  });

  it("RFC 3261 14.1: offers that cross are refused with 491 on both ways, and each comes through when tried again", async () => {
    const call = await establish("ue");
    alice.send(call.dialog.byCaller("UPDATE", 20, ueOffer({ version: 2 })));
    const atCore = await scenario.core.expect("UPDATE");
    const crossed = await scenario.core.send(call.dialog.byCalled("UPDATE", 20, coreSdp({ version: 2 }))).final();
    expect(crossed.status).toBe(491);
    scenario.core.respond(atCore, 491);
    call.seq = 30;
    const again = await reoffer(
      call,
      "core",
      coreSdp({ version: 2 }),
      { body: secured(2, [crypto(keys.k11)]) },
      "UPDATE",
    );
    expect(again.status).toBe(200);
    expect((await reoffer(call, "ue", secured(3, own), { body: coreSdp({ version: 3 }) })).status).toBe(200);
  });

  it("RFC 3261 14.1: an offerless re-INVITE of the core is offered by the UE, answered in the ACK", async () => {
    const call = await establish("ue");
    const before = keysNow();
    const sent = scenario.core.send(call.dialog.byCalled("INVITE", 5));
    const arrived = await alice.expect("INVITE");
    expect(bodyOf(arrived.request)).toBe("");
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: secured(2, own) });
    const ok = await sent.final();
    expect(bodyOf(ok)).toMatch(/RTP\/AVP/);
    expect(cryptoOf(bodyOf(ok))).toEqual([]);
    await scenario.core.ack(call.dialog.byCalled("ACK", 5, coreSdp({ version: 2 })));
    const ack = await alice.acks.next();
    expect(bodyOf(ack)).toMatch(/RTP\/SAVP .*a=crypto:1 .*a=3ge2ae:applied/s);
    expect(keysNow()).toEqual(before);
  });

  it("RFC 3261 14.1: an offerless re-INVITE of the UE is offered the key in force, answered in its ACK", async () => {
    const call = await establish("ue");
    const before = keysNow();
    const sent = alice.send(call.dialog.byCaller("INVITE", 5));
    const arrived = await scenario.core.expect("INVITE");
    scenario.core.respond(arrived, 200, {
      headers: [["Contact", "<sip:carol@127.0.0.1>"]],
      body: coreSdp({ version: 2 }),
    });
    const ok = await sent.final();
    expect(bodyOf(ok)).toMatch(/RTP\/SAVP .*a=3ge2ae:applied/s);
    await alice.ack(call.dialog.byCaller("ACK", 5, secured(2, [crypto(keys.k11)])));
    const ack = await scenario.core.acks.next();
    expect(bodyOf(ack)).toMatch(/RTP\/AVP/);
    expect(headerValue(ack, "content-type")).toBe("application/sdp");
    expect(keysNow()).toEqual(before);
  });
});
