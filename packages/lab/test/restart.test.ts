// The edge is a process here, and dies: what its UEs, its gateway and its core see of that.
import { afterEach, describe, expect, it } from "vitest";
import type { UeCall } from "@sallyport/ue";
import { settle, until } from "../src/demo/await.ts";
import { voiceOf } from "../src/speech.ts";
import { contexts, openKillableLab, type KillableLab } from "./support/edge-process.ts";
import { endAll } from "./support/processes.ts";

let open: KillableLab | undefined;

afterEach(async () => {
  await open?.close();
  open = undefined;
  endAll();
});

const pair = async (sip: "udp" | "tls") => {
  const opened = await openKillableLab(sip);
  open = opened;
  const [alice, bob] = [await opened.addUe("alice"), await opened.addUe("bob")];
  await alice.ue.register();
  await bob.ue.register();
  return { lab: opened, alice: alice.ue, bob: bob.ue };
};

type Pair = Awaited<ReturnType<typeof pair>>;

const connect = async (from: Pair["alice"], to: Pair["alice"]) => {
  let called: UeCall | undefined;
  to.onCall((call) => {
    called = call;
    return {};
  });
  const calling = await from.call(to.impu);
  await until("the called side to be answered", () => called?.state === "answered");
  if (called === undefined) throw new TypeError("unreachable: waited for it");
  return { calling, called };
};

const registers = ({ records }: KillableLab): number => records.filter(({ event }) => event === "registered").length;

describe("kill -9 of the edge", () => {
  it(
    "UDP: not one packet of a running call is lost; a BYE ends it on both sides; UEs are called without registering again",
    { timeout: 60_000 },
    async () => {
      const { lab, alice, bob } = await pair("udp");
      const { calling, called } = await connect(alice, bob);
      await contexts(lab, 2);
      const speech = [calling.play(voiceOf("alice", 6000)), called.play(voiceOf("bob", 6000))];
      await settle(500);
      expect(await lab.kill()).toBe("SIGKILL");
      await settle(300);
      expect(lab.gateway.contexts()).toBe(2);
      await lab.start();
      await Promise.all(speech);
      await until(
        "every octet to be heard",
        () =>
          calling.sent.octets().equals(called.received.octets()) &&
          called.sent.octets().equals(calling.received.octets()),
      );
      expect(calling.sent.octets().length).toBeGreaterThanOrEqual(36_000);
      expect(calling.report().security).toBe("e2ae");
      expect(lab.edge.stderr).toMatch(/"event":"calls taken up".*"calls":2/);
      // And afterwards, with the edge of the second start.
      await Promise.all([calling.play(voiceOf("alice", 500)), called.play(voiceOf("bob", 500))]);
      await until("more to be heard", () => calling.sent.octets().equals(called.received.octets()));
      await calling.hangup();
      await called.ended;
      await contexts(lab, 0);
      const before = registers(lab);
      const again = await connect(bob, alice);
      expect(again.called.report().security).toBe("e2ae");
      expect(registers(lab)).toBe(before);
      await again.called.hangup();
      await again.calling.ended;
      await contexts(lab, 0);
      expect(lab.edge.stderr).not.toMatch(/"level":"(?:error|warn)"/);
    },
  );

  it(
    "TLS: the UEs register on new connections, and the call goes on until the called one ends it",
    { timeout: 60_000 },
    async () => {
      const { lab, alice, bob } = await pair("tls");
      const { calling, called } = await connect(alice, bob);
      const speech = [calling.play(voiceOf("alice", 6000)), called.play(voiceOf("bob", 6000))];
      await settle(500);
      await lab.kill();
      await lab.start();
      await Promise.all([...speech, alice.register(), bob.register()]);
      await until("every octet to be heard", () => calling.sent.octets().equals(called.received.octets()));
      await called.hangup();
      await calling.ended;
      await contexts(lab, 0);
    },
  );

  it(
    "invariant 10: a call that died while it rang leaves no context; the next one goes through",
    { timeout: 60_000 },
    async () => {
      const { lab, alice, bob } = await pair("udp");
      bob.onCall(() => ({ ringMs: 60_000 }));
      const lost = alice.call(bob.impu).catch(() => undefined);
      await until("ringing", () => bob.calls().length > 0 && lab.gateway.contexts() > 0);
      await lab.kill();
      await lab.start();
      await contexts(lab, 0);
      const { calling, called } = await connect(bob, alice);
      await calling.hangup();
      await called.ended;
      await contexts(lab, 0);
      void lost;
    },
  );

  it("SIGTERM leaves running calls to the next start as well", { timeout: 60_000 }, async () => {
    const { lab, alice, bob } = await pair("udp");
    const { calling, called } = await connect(alice, bob);
    expect(await lab.kill("SIGTERM")).toBe(0);
    expect(lab.gateway.contexts()).toBe(2);
    expect([calling.state, called.state]).toEqual(["answered", "answered"]);
    await lab.start();
    await called.hangup();
    await calling.ended;
    await contexts(lab, 0);
  });
});
