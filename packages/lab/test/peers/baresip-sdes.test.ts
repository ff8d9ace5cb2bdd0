// baresip in SDES phone mode: SRTP without mediasec, ended at the gateway. The far end, behind Kamailio, knows plain RTP alone.
import { headerValue } from "@sallyport/sip";
import { classifyPacket } from "@sallyport/srtp";
import { payloadOf, type Sound, type UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../../src/demo/await.ts";
import { voiceOf, type Voice } from "../../src/speech.ts";
import type { LabUe, Side } from "../../src/topology/lab.ts";
import { openedWith } from "../support/srtp.ts";
import { haveBaresip, linear, startBaresip, type Baresip, type BaresipOptions } from "./support/baresip.ts";
import { domain, leaks, nothingLeft, startEdges, type Crossing, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";
import { linesOf, throughTheGateway, type Line } from "./support/phone-leg.ts";

const saidMs = 1000;
/** Part of a voice in the middle of what was said: beginnings get lost in jitter buffers. */
const middle = (voice: Voice) => {
  const octets = payloadOf(voiceOf(voice), "PCMA").subarray(2400, 5600);
  return { octets, samples: linear({ kind: "companded", law: "PCMA", octets }) };
};

/** The first second of a voice, over and over: baresip hangs up at the end of its file. */
const endless = (voice: Voice): Sound => ({
  kind: "companded",
  law: "PCMA",
  octets: Buffer.concat(Array.from({ length: 30 }, () => payloadOf(voiceOf(voice, 1000), "PCMA"))),
});

describe.skipIf(!haveBaresip || !haveKamailio).each(["tls", "tcp"] as const)(
  "baresip in SDES phone mode over %s (Debian packages baresip-core and kamailio)",
  (transport) => {
    let kamailio: Kamailio;
    let edges: Edges;
    /** Plain RTP and nothing else: one behind each edge, so that either is on the far side of somebody. */
    let carol: LabUe;
    let bob: LabUe;
    /** Both insist on SRTP. dave's edge also offers it (`offer`), erin's only ends it (`terminate`); frank offers it on RTP/AVP. */
    let dave: Baresip;
    let erin: Baresip;
    let frank: Baresip;
    const phones: Baresip[] = [];

    const phone = async (
      name: string,
      side: Side,
      speech: Voice,
      encryption: NonNullable<BaresipOptions["encryption"]>,
    ): Promise<Baresip> => {
      const edgePort = edges[side].edge.access[0]?.port ?? 0;
      const made = await startBaresip({ name, edgePort, transport, encryption, speech: endless(speech) });
      phones.push(made);
      return made;
    };
    const nextCall = ({ ue }: LabUe): Promise<UeCall> =>
      new Promise((resolve) => {
        ue.onCall((call) => {
          resolve(call);
          return {};
        });
      });
    const lines = (
      callId: string,
      what: "INVITE" | 200,
      place: Pick<Crossing, "edge" | "side" | "direction">,
    ): readonly Line[] => linesOf(edges.crossings, callId, what, place);
    const viewOf = (side: Side, callId: string) =>
      edges[side].edge.calls().find((call) => call.callId === callId && call.aor !== carol.ue.impu);
    const alarms = () => edges.records.filter(({ event }) => event === "media alarm");

    /** Both speak, and each hears the other: the UE octet for octet, baresip in what it decoded. */
    const bothHear = async (call: UeCall, phoneVoice: Voice): Promise<void> => {
      const from = call.received.octets().length;
      await call.play(voiceOf("bob", saidMs));
      const { octets } = middle(phoneVoice);
      await until("the speech of baresip", () => call.received.octets().subarray(from).includes(octets));
    };

    beforeAll(async () => {
      kamailio = await startKamailio("MD5");
      edges = await startEdges({
        corePort: kamailio.port,
        coreProtocol: "udp",
        access: transport,
        edgeOf: (side) => ({
          policy: {
            rules: [
              {
                match: { userAgent: ["baresip*"], transport: [transport] },
                e2ae: "offered",
                sdesPhone: side === "a" ? "offer" : "terminate",
              },
              { e2ae: "offered" },
            ],
          },
        }),
      });
      const plain = { security: { e2ae: "off", e2e: "off" } } as const;
      [carol, bob] = [await edges.addUe("carol", "b", plain), await edges.addUe("bob", "a", plain)];
      await Promise.all([carol.ue.register(), bob.ue.register()]);
      dave = await phone("dave", "a", "alice", "srtp-mand");
      erin = await phone("erin", "b", "alice", "srtp-mand");
      frank = await phone("frank", "a", "alice", "srtp");
    });
    afterEach(async () => {
      for (const { ue } of [carol, bob]) ue.onCall(undefined);
      await nothingLeft(edges);
    });
    afterAll(async () => {
      for (const each of phones) await each.stop();
      await edges?.close();
      await kamailio?.stop();
    });

    it("TS 33.328 7.1: nothing is announced to it, and its registration says that the mode is ours", () => {
      const theirs = [edges.a, edges.b].flatMap(({ edge }) =>
        edge.registrations().filter(({ aor }) => /dave|erin|frank/.test(aor)),
      );
      expect(theirs).toHaveLength(3);
      for (const { indications } of theirs) expect(indications.ueE2ae).toBe(false);
      const announced = edges.crossings.filter(
        ({ side, direction, message }) =>
          side === "access" &&
          direction === "out" &&
          headerValue(message, "security-server") !== undefined &&
          /dave|erin|frank/.test(headerValue(message, "to") ?? ""),
      );
      expect(announced).toEqual([]);
    });

    it.each([
      ["offer", "a"],
      ["terminate", "b"],
    ] as const)(
      "TS 33.328 6.2.1.1, RFC 4568 5.1.2 (%s): its SAVP call reaches plain RTP; hold, resume and our re-INVITE keep both keys",
      async (_mode, side) => {
        const [its, far] = side === "a" ? [dave, carol] : [erin, bob];
        const edge = `edge-${side}`;
        const incoming = nextCall(far);
        await its.command("dial", far.ue.impu);
        const call = await incoming;
        await its.happened("CALL_ESTABLISHED");
        expect(call.report().security).toBe("none");
        expect(viewOf(side, call.id)).toMatchObject({
          direction: "originating",
          security: "e2ae",
          reason: "sdes-phone",
        });
        await bothHear(call, "alice");

        const toCore = { edge, side: "core", direction: "out" } as const;
        const toPhone = { edge, side: "access", direction: "out" } as const;
        const fromPhone = { edge, side: "access", direction: "in" } as const;
        const [offer] = lines(call.id, "INVITE", fromPhone);
        const [clear] = lines(call.id, "INVITE", toCore);
        const [answer] = lines(call.id, 200, toPhone);
        const [phoneKey, gatewayKey] = [offer?.cryptos[0], answer?.cryptos[0]];
        if (phoneKey === undefined || gatewayKey === undefined) throw new Error("a key is missing");
        expect([offer?.protocol, clear?.protocol, answer?.protocol]).toEqual(["RTP/SAVP", "RTP/AVP", "RTP/SAVP"]);
        // Neither required nor invented.
        expect([offer, clear, answer].flatMap((line) => line?.indications)).toEqual([]);
        expect(clear?.cryptos).toEqual([]);
        expect(phoneKey.key).not.toBe(gatewayKey.key);

        await its.command("hold");
        await its.happened("CALL_REMOTE_SDP");
        expect(call.report().mediaDirection).toBe("recvonly");
        await its.command("resume");
        await its.happened("CALL_REMOTE_SDP");
        expect(call.report().mediaDirection).toBe("sendrecv");
        await bothHear(call, "alice");
        await call.reinvite();
        await bothHear(call, "alice");

        const offered = [...lines(call.id, "INVITE", fromPhone), ...lines(call.id, 200, fromPhone)];
        const answered = [...lines(call.id, 200, toPhone), ...lines(call.id, "INVITE", toPhone)];
        expect([offered.length, answered.length]).toEqual([4, 4]);
        const keysOf = (of: readonly Line[], suite: string) =>
          new Set(of.flatMap(({ cryptos }) => cryptos.filter((each) => each.suite === suite).map(({ key }) => key)));
        // Our offer names another suite besides, with a key of its own: only that of the suite in use is in use.
        expect(keysOf(offered, phoneKey.suite)).toEqual(new Set([phoneKey.key]));
        expect(keysOf(answered, phoneKey.suite)).toEqual(new Set([gatewayKey.key]));
        throughTheGateway(
          edges[side],
          { access: answer?.port ?? 0, core: clear?.port ?? 0 },
          { phone: phoneKey, gateway: gatewayKey },
          (3 * 0.9 * saidMs) / 20,
        );
        await its.command("hangup");
        await call.ended;
        await its.happened("CALL_CLOSED");
        expect(await its.hasHeard(middle("bob").samples)).toBe(true);
      },
    );

    it("SDES phone mode: a call of plain RTP is offered to it as SAVP, with a key of the gateway's and no indication", async () => {
      const call = await carol.ue.dial(`sip:dave@${domain}`);
      await dave.happened("CALL_INCOMING");
      await dave.command("accept");
      await call.answered;
      expect(call.report().security).toBe("none");
      expect(viewOf("a", call.id)).toMatchObject({ direction: "terminating", security: "e2ae", reason: "sdes-phone" });
      await bothHear(call, "alice");
      const place = { edge: "edge-a", side: "access" } as const;
      const [offer] = lines(call.id, "INVITE", { ...place, direction: "out" });
      const [answer] = lines(call.id, 200, { ...place, direction: "in" });
      const [clear] = lines(call.id, 200, { edge: "edge-a", side: "core", direction: "out" });
      const phoneKey = answer?.cryptos[0];
      const gatewayKey = offer?.cryptos.find(({ tag }) => tag === phoneKey?.tag);
      if (phoneKey === undefined || gatewayKey === undefined) throw new Error("a key is missing");
      expect([offer?.protocol, answer?.protocol, clear?.protocol]).toEqual(["RTP/SAVP", "RTP/SAVP", "RTP/AVP"]);
      expect([offer, clear].flatMap((line) => line?.indications)).toEqual([]);
      await call.reinvite("sendonly");
      await call.reinvite("sendrecv");
      await bothHear(call, "alice");
      throughTheGateway(
        edges.a,
        { access: offer?.port ?? 0, core: clear?.port ?? 0 },
        { phone: phoneKey, gateway: gatewayKey },
        (2 * 0.9 * saidMs) / 20,
      );
      await call.hangup();
      await dave.happened("CALL_CLOSED");
      expect(await dave.hasHeard(middle("bob").samples)).toBe(true);
    });

    it("SDES phone mode: it has offered SRTP itself, so a call of plain RTP is offered to it as SAVP", async () => {
      const call = await bob.ue.dial(`sip:erin@${domain}`);
      await erin.happened("CALL_INCOMING");
      await erin.command("accept");
      await call.answered;
      expect(call.report().security).toBe("none");
      expect(viewOf("b", call.id)).toMatchObject({ direction: "terminating", security: "e2ae", reason: "sdes-phone" });
      await bothHear(call, "alice");
      const [offer] = lines(call.id, "INVITE", { edge: "edge-b", side: "access", direction: "out" });
      expect([offer?.protocol, offer?.indications]).toEqual(["RTP/SAVP", []]);
      await call.hangup();
      await erin.happened("CALL_CLOSED");
    });

    it("RFC 4568 3 (offer): its key on RTP/AVP protects nothing and goes no further; called, it is protected", async () => {
      const incoming = nextCall(carol);
      await frank.command("dial", carol.ue.impu);
      const out = await incoming;
      await frank.happened("CALL_ESTABLISHED");
      expect(viewOf("a", out.id)).toMatchObject({ security: "none" });
      await bothHear(out, "alice");
      await frank.command("hangup");
      await out.ended;
      await frank.happened("CALL_CLOSED");

      const call = await carol.ue.dial(`sip:frank@${domain}`);
      await frank.happened("CALL_INCOMING");
      await frank.command("accept");
      await call.answered;
      expect(viewOf("a", call.id)).toMatchObject({ security: "e2ae", reason: "sdes-phone" });
      await bothHear(call, "alice");
      await call.hangup();
      await frank.happened("CALL_CLOSED");
    });

    it("invariant 3: the clear RTCP packet it sends at a call's start goes nowhere, is counted, and one alone is no alarm", async () => {
      const before = { alarms: alarms().length, packets: edges.a.tap.packets.length };
      const incoming = nextCall(carol);
      await dave.command("dial", carol.ue.impu);
      const call = await incoming;
      await dave.happened("CALL_ESTABLISHED");
      await bothHear(call, "alice");
      const view = edges.a.gateway.counters().find(({ side }) => side === "access");
      // The gateway looks for alarms five times a second.
      await settle(300);
      await dave.command("hangup");
      await call.ended;
      const seen = edges.a.tap.packets.slice(before.packets);
      // RFC 3550 6.7: an APP packet that is exactly as long as it says, and so has no SRTCP trailer.
      const app = seen.filter(
        ({ direction, octets }) =>
          direction === "in" && octets[1] === 204 && octets.length === 4 + 4 * octets.readUInt16BE(2),
      );
      expect(app.length).toBeGreaterThan(0);
      expect(view?.counters).toMatchObject({ clearDropped: app.length, authenticationFailures: 0 });
      // It sends the same once more, protected: that one goes on. RFC 3550 6.7.
      const [line] = lines(call.id, "INVITE", { edge: "edge-a", side: "access", direction: "in" });
      const sealed = seen.filter(({ direction, octets }) => direction === "in" && classifyPacket(octets) === "rtcp");
      const key = line?.cryptos[0];
      const opened = key === undefined ? [] : openedWith(key, "rtcp", sealed).plain;
      const passed = seen.filter(({ direction, octets }) => direction === "out" && octets[1] === 204);
      expect(passed.map(({ octets }) => octets.toString("hex"))).toEqual(
        opened.filter((packet) => packet.slice(2, 4) === "cc"),
      );
      // On a busy machine it sends the clear one twice before it has its keys: that is told.
      expect(alarms().slice(before.alarms)).toHaveLength(app.length > 1 ? 1 : 0);
    });

    it("invariant 1: nothing of it all crossed into the core", () => {
      expect(leaks(edges.crossings)).toEqual([]);
    });
  },
);
