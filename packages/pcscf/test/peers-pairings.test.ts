// Every client that was watched calls every other through one edge: call, hold, resume, end. Each is protected up to the
// gateway where it can be; no key crosses the core; no key changes without need.
import type { StreamPlan } from "@sallyport/iq";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { clients, type Client } from "./support/clients.ts";
import { relay } from "./support/relay.ts";
import { openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { openTls, type TestTls } from "./support/tls.ts";

let tls: TestTls;
let scenario: Scenario;
beforeAll(async () => {
  tls = await openTls();
});
afterAll(() => tls.close());
afterEach(() => scenario.close());

const open = async (): Promise<void> => {
  scenario = await openScenario({
    change: (config) => ({
      ...config,
      access: [
        ...config.access,
        {
          name: "tls",
          protocol: "tls",
          address: "127.0.0.1",
          port: 0,
          tls: { certificate: tls.files.certificate, key: tls.files.key },
        },
      ],
      policy: {
        rules: [
          { match: { userAgent: ["PJSUA*", "Linphone*", "baresip*"] }, e2ae: "offered", sdesPhone: "offer" },
          { e2ae: "offered" },
        ],
      },
    }),
  });
};

const register = async (client: Client, name: string, protocol: "udp" | "tcp" | "tls") => {
  const ue = await scenario.ue(name, { protocol, ...(protocol === "tls" ? { tls: tls.ue } : {}) });
  const { path } = await ue.register(client.register);
  return { ue, path };
};

/** The keys at the access end of a gateway context now, as fingerprints. The n-th Add makes context n. */
const keysNow = (context: number): string => {
  let adds = 0;
  let access: StreamPlan["access"];
  for (const command of scenario.iq.commands) {
    if (command.kind === "add") adds += 1;
    const of = command.kind === "add" ? adds : command.context;
    if (of === context) access = command.streams[0]?.access ?? access;
  }
  return [access?.remoteCrypto, access?.localCrypto]
    .map((crypto) => crypto?.keys[0]?.master.fingerprint ?? "none")
    .join();
};

const towardsUe = (ue: TestUe): string =>
  ue.wire.flatMap(({ direction, text }) => (direction === "in" ? [text] : [])).join("");

const protocols = ["tls", "tcp", "udp"] as const;

describe("every client with every other", () => {
  for (const [row, caller] of clients.entries())
    for (const [column, called] of clients.entries()) {
      const [one, two] = [protocols[(row + column) % 3] ?? "tls", protocols[(row + 2 * column + 1) % 3] ?? "tcp"];
      it(`TS 33.328 7.2.1, 7.3.1: ${caller.name} over ${one} calls ${called.name} over ${two}`, async () => {
        await open();
        const a = await register(caller, "alice", one);
        const b = await register(called, "bob", two);
        const call = await relay(scenario, a.ue, b, caller.offer(), (offered) => called.answer(offered));
        if (!("ask" in call)) throw new Error(`refused with ${call.refused}: ${call.offered}`);
        expect(call.offered).toMatch(called.protectedCalled ? /m=audio \d+ RTP\/SAVP/ : /m=audio \d+ RTP\/AVP/);
        expect(call.answered).toMatch(caller.protectedCalling ? /m=audio \d+ RTP\/SAVP/ : /m=audio \d+ RTP\/AVP/);
        expect(call.answered.match(/a=crypto:/g)?.length ?? 0).toBe(caller.protectedCalling ? 1 : 0);
        const contexts = [...scenario.iq.open];
        expect(contexts).toHaveLength((caller.protectedCalling ? 1 : 0) + (called.protectedCalled ? 1 : 0));
        const before = contexts.map(keysNow);
        // pjsua narrows the codecs by UPDATE at once; hold and resume by re-INVITE; then the called one holds.
        if (caller.updates === true) {
          const update = await call.ask("caller", "UPDATE", caller.again(2, "sendrecv"), (offered) =>
            called.answer(offered, 2),
          );
          expect(update.status).toBe(200);
        }
        const steps = [
          ["caller", "sendonly", 3],
          ["caller", "sendrecv", 4],
          ["called", "sendonly", 5],
          ["called", "sendrecv", 6],
        ] as const;
        for (const [from, direction, version] of steps) {
          const [asking, asked] = from === "caller" ? [caller, called] : [called, caller];
          // What a UE offers later follows what it has: a best-effort phone that was called holds its SRTP.
          const body =
            from === "called" ? held(called, version, direction, call.offered) : asking.again(version, direction);
          const { status, answered } = await call.ask(from, "INVITE", body, (offered) =>
            asked.answer(offered, version),
          );
          expect(status, `${from} ${direction}`).toBe(200);
          expect(answered).toContain(direction === "sendonly" ? "a=recvonly" : "a=sendrecv");
        }
        expect(contexts.map(keysNow), "keys at the gateways").toEqual(before);
        expect(scenario.edge.calls().map(({ phase }) => phase)).toEqual(["confirmed", "confirmed"]);
        const core = scenario.core.wire.flatMap(({ direction, text }) => (direction === "in" ? [text] : [])).join("");
        expect(core).not.toMatch(/inline:|SAVP|3ge2ae|mediasec/);
        // Nobody who did not ask for the indication sees it, and nobody sees the other's keys.
        for (const [client, { ue }] of [
          [caller, a],
          [called, b],
        ] as const)
          if (client.register.dialect === "none") expect(towardsUe(ue)).not.toMatch(/3ge2ae|mediasec|Security-/i);
        expect(await call.bye()).toBe(200);
        await until(() => scenario.iq.open.size === 0, "both contexts given back");
        expect(scenario.edge.counts().calls).toBe(0);
      });
    }
});

/** The key a client answered with is the one it goes on with. */
const held = (client: Client, version: number, direction: "sendonly" | "sendrecv", offered: string): string => {
  const answered = client.answer(offered, version) ?? "";
  const requested = client.name === "3GPP UE" ? "a=3ge2ae:requested\r\n" : "";
  return answered.replace(/a=(?:sendrecv|recvonly)\r\n/, `${requested}a=${direction}\r\n`);
};
