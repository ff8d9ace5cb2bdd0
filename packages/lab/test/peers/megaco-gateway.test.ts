// Erlang/OTP megaco as the gateway of our edge, with media and SRTP of its own: whole calls, hold, re-INVITE, BYE;
// ServiceChange Restart, Graceful and Forced; its refusals as the caller sees them in SIP.
import type { Ue, UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import { domain } from "./support/edges.ts";
import { startForeignGatewayStage, type ForeignGatewayStage } from "./support/foreign-gateway.ts";
import { haveMegaco, startMegacoGateway, type MegacoGateway } from "./support/megaco.ts";

const name = `gw-a.${domain}`;

describe.skipIf(!haveMegaco).each(["udp", "tls"] as const)(
  "Erlang/OTP megaco as gateway over %s (Debian packages erlang-base, erlang-megaco, erlang-ssl)",
  (transport) => {
    let stage: ForeignGatewayStage;
    let gateway: MegacoGateway;
    let alice: Ue;
    let bob: Ue;
    /** Plain RTP. */
    let carol: Ue;

    const state = () => stage.edge.gateways()[0]?.state;
    const inbound = (to: Ue): Promise<UeCall> =>
      new Promise((resolve) => {
        to.onCall((call) => {
          resolve(call);
          return {};
        });
      });
    const connect = async (from: Ue, to: Ue): Promise<readonly [UeCall, UeCall]> => {
      const called = inbound(to);
      const calling = await from.call(to.impu);
      calls.push(calling);
      return [calling, await called];
    };
    const speak = async ([one, other]: readonly [UeCall, UeCall]): Promise<void> => {
      const from = [
        one.received.octets().length,
        other.received.octets().length,
        one.sent.octets().length,
        other.sent.octets().length,
      ] as const;
      await Promise.all([one.play(voiceOf("alice", 300)), other.play(voiceOf("bob", 300))]);
      await until(
        "every octet to be heard",
        () =>
          other.received.octets().subarray(from[1]).equals(one.sent.octets().subarray(from[2])) &&
          one.received.octets().subarray(from[0]).equals(other.sent.octets().subarray(from[3])),
      );
    };
    /** What is said before all have the new descriptions is lost: short words, until both hear a whole one. */
    const untilBothHear = async ([one, other]: readonly [UeCall, UeCall]): Promise<void> => {
      const missing = (): readonly number[] => [
        other.received.octets().length - one.sent.octets().length,
        one.received.octets().length - other.sent.octets().length,
      ];
      for (let words = 0; words < 40; words += 1) {
        const before = missing();
        await Promise.all([one.play(voiceOf("alice", 60)), other.play(voiceOf("bob", 60))]);
        await settle(200);
        if (missing().every((octets, at) => octets === before[at])) return;
      }
      throw new Error("one does not hear the other");
    };
    const end = async ([one, other]: readonly [UeCall, UeCall]): Promise<void> => {
      await one.hangup();
      await other.ended;
    };
    const calls: UeCall[] = [];
    /** The final status of a call that is not answered. */
    const refused = async (from: Ue, to: string): Promise<number | undefined> => {
      const call = await from.dial(to);
      return call.answered.then(
        () => undefined,
        (error: { readonly status?: number }) => error.status,
      );
    };
    const registerAgain = async (): Promise<void> => {
      await gateway.register("restart", "902");
      await until("the gateway to be up", () => state() === "up");
    };

    beforeAll(async () => {
      stage = await startForeignGatewayStage({ gateway: name, transport, users: ["alice", "bob", "carol"] });
      gateway = await startMegacoGateway(name, transport, stage.iqPort, "gw-a");
      [alice, bob] = [await stage.addUe("alice"), await stage.addUe("bob")];
      carol = await stage.addUe("carol", { security: { e2ae: "off", e2e: "off" } });
      await Promise.all([alice, bob, carol].map((ue) => ue.register()));
    });
    afterEach(async () => {
      for (const ue of [alice, bob, carol]) ue.onCall(undefined);
      // Those of a test that failed; the others have ended.
      for (const call of calls.splice(0)) await call.hangup();
      await until(
        "the edge to let go of every call",
        () => stage.edge.counts().calls + stage.edge.counts().contexts === 0,
      );
      let held: readonly number[] = [-1];
      const ask = async (): Promise<void> => {
        held = await gateway.contexts();
      };
      for (let tries = 0; tries < 50 && held.length > 0; tries += 1) await ask();
      expect(held).toEqual([]);
      expect(gateway.lines.filter((line) => /^(syntax-error|message-error|unexpected)/.test(line))).toEqual([]);
    });
    afterAll(async () => {
      await gateway?.stop();
      await stage?.close();
    });

    it("H.248.1 7.2.8: before it registers no call of e2ae gets through; Restart brings it up, version 2 agreed", async () => {
      expect(state()).toBe("down");
      expect(await refused(alice, carol.impu)).toBe(503);
      const agreed = await gateway.register("restart", "901");
      expect(agreed).toContain("serviceChangeResParms");
      await until("the gateway to be up", () => state() === "up");
      expect(stage.edge.gateways()[0]).toMatchObject({ state: "up", protected: true, protocol: transport });
    });

    it("TS 33.328 7.2.1, 7.3.1: e2ae to e2ae through two contexts of it: hold, resume, re-INVITE, BYE", async () => {
      const ends = await connect(alice, bob);
      expect(ends.map((call) => call.report().security)).toEqual(["e2ae", "e2ae"]);
      expect((await gateway.contexts()).length).toBe(2);
      await speak(ends);
      const keys = ends.map((call) => call.report().fingerprints);
      await ends[0].reinvite("sendonly");
      expect(ends[1].report().mediaDirection).toBe("recvonly");
      await ends[0].reinvite("sendrecv");
      expect(ends[1].report().mediaDirection).toBe("sendrecv");
      await speak(ends);
      await ends[1].reinvite();
      await speak(ends);
      expect(ends.map((call) => call.report().fingerprints)).toEqual(keys);
      await end(ends);
    });

    it("TS 33.328 7.2.1, 7.3.1: e2ae to plain RTP and back; what it counted comes with Subtract", async () => {
      const out = await connect(alice, carol);
      expect(out.map((call) => call.report().security)).toEqual(["e2ae", "none"]);
      await speak(out);
      await end(out);
      const back = await connect(carol, alice);
      expect(back.map((call) => call.report().security)).toEqual(["none", "e2ae"]);
      await speak(back);
      await back[1].hangup();
      await back[0].ended;
      const replies = stage.wire.filter(
        ({ direction, octets }) => direction === "in" && /Subtract\s*=/.test(octets.toString("latin1")),
      );
      expect(replies.length).toBeGreaterThan(0);
      expect(replies.every(({ octets }) => /rtp\/p[sr]\s*=\s*\d+/.test(octets.toString("latin1")))).toBe(true);
    });

    it.each([
      [510, 503],
      [512, 503],
      [449, 488],
    ])("H.248.8: its error %i to an Add is %i to the caller, and nothing stays anywhere", async (code, status) => {
      await gateway.refuse("add", code);
      expect(await refused(alice, carol.impu)).toBe(status);
      const after = await connect(alice, carol);
      await end(after);
    });

    it.each([430, 510, 512])(
      "H.248.8: its error %i to the Modify of the answer ends the call on both sides",
      async (code) => {
        const called = inbound(carol);
        await gateway.refuse("modify", code);
        const call = await alice.dial(carol.impu);
        const status = await call.answered.then(
          () => undefined,
          (error: { readonly status?: number }) => error.status,
        );
        expect(status).toBe(503);
        await (
          await called
        ).ended;
      },
    );

    it("H.248.8: its error to the Modify of a re-INVITE that the far end has accepted ends the call: media and SIP would differ", async () => {
      const ends = await connect(alice, carol);
      await gateway.refuse("modify", 510);
      const failed = await ends[0].reinvite("sendonly").then(
        () => undefined,
        (error: { readonly status?: number }) => error.status,
      );
      expect(failed).toBe(503);
      await Promise.all(ends.map((call) => call.ended));
    });

    it("TS 23.334 8, H.248.1 7.2.8 Graceful: calls go on, new ones are refused; Restart brings it back", async () => {
      const ends = await connect(alice, carol);
      await gateway.register("graceful", "905");
      await until("the gateway to be leaving", () => state() === "leaving");
      await speak(ends);
      expect(await refused(bob, carol.impu)).toBe(503);
      await end(ends);
      await registerAgain();
      await end(await connect(bob, carol));
    });

    it("TS 23.334 8, H.248.1 7.2.8 Forced: its calls end; Restart brings it back", async () => {
      const ends = await connect(alice, carol);
      await gateway.register("forced", "905");
      await gateway.forget();
      await Promise.all(ends.map((call) => call.ended));
      expect(state()).toBe("down");
      await registerAgain();
      await end(await connect(alice, carol));
    });

    it("TS 23.334 8, H.248.1 11.2, RFC 3711 9.1: Restart in the middle of a call: it goes on, in a new context and with a new key", async () => {
      const ends = await connect(alice, carol);
      await speak(ends);
      const [before] = await gateway.contexts();
      const key = ends[0].report().fingerprints?.theirs;
      await gateway.forget();
      await registerAgain();
      await until("a new key of the gateway's", () => ends[0].report().fingerprints?.theirs !== key);
      await untilBothHear(ends);
      expect(await gateway.contexts()).not.toEqual([before]);
      await speak(ends);
      await end(ends);
    });
  },
);
