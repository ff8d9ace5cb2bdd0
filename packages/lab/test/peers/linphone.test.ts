// Linphone as an SDES phone behind the edge, without a sound card; the far end, behind Kamailio, knows plain RTP alone.
import { payloadOf, type Sound, type UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { linear } from "./support/baresip.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";
import { haveLinphone, startLinphone, type Linphone } from "./support/linphone.ts";
import { linesOf, throughTheGateway } from "./support/phone-leg.ts";

const saidMs = 1000;
const endless: Sound = {
  kind: "companded",
  law: "PCMA",
  octets: Buffer.concat(Array.from({ length: 30 }, () => payloadOf(voiceOf("alice", 1000), "PCMA"))),
};
/** A tenth of a second of bob's voice as it is when it has been said in PCMU. */
const bobInPcmu = (): Int16Array =>
  linear({ kind: "companded", law: "PCMU", octets: payloadOf(voiceOf("bob"), "PCMU").subarray(3200, 4000) });

describe.skipIf(!haveLinphone || !haveKamailio).each(["tls", "tcp", "udp"] as const)(
  "Linphone in SDES phone mode over %s (Debian packages linphone-cli and kamailio)",
  (transport) => {
    let kamailio: Kamailio;
    let edges: Edges;
    let carol: LabUe;
    let dave: Linphone;

    const nextCall = (): Promise<UeCall> =>
      new Promise((resolve) => {
        carol.ue.onCall((call) => {
          resolve(call);
          return {};
        });
      });
    const place = { edge: "edge-a", side: "access" } as const;
    const view = (callId: string) =>
      edges.a.edge.calls().find((call) => call.callId === callId && call.aor !== carol.ue.impu);
    /** carol speaks; some of what dave says all the time has come meanwhile. */
    const bothSpeak = async (call: UeCall): Promise<void> => {
      const from = call.received.octets().length;
      await call.play(voiceOf("bob", saidMs));
      await until("the speech of Linphone", () => call.received.octets().length > from + (saidMs * 8) / 2);
      // More than silence and comfort noise: what it says is speech.
      const levels = new Set(call.received.octets().subarray(from));
      expect(levels.size).toBeGreaterThan(50);
    };

    beforeAll(async () => {
      kamailio = await startKamailio("MD5");
      const match = { userAgent: ["Linphone*"] };
      edges = await startEdges({
        corePort: kamailio.port,
        access: transport,
        edge: { policy: { rules: [{ match, e2ae: "offered", sdesPhone: "offer" }, { e2ae: "offered" }] } },
      });
      carol = await edges.addUe("carol", "b", { security: { e2ae: "off", e2e: "off" } });
      await carol.ue.register();
      const edgePort = edges.a.edge.access[0]?.port ?? 0;
      dave = await startLinphone({ name: "dave", edgePort, transport, srtp: true, speech: endless });
    });
    afterEach(async () => {
      carol.ue.onCall(undefined);
      await nothingLeft(edges);
    });
    afterAll(async () => {
      await dave?.stop();
      await edges?.close();
      await kamailio?.stop();
    });

    it("TS 33.328 6.2.1.1, RFC 4568: its call in RTP/SAVP reaches plain RTP; it holds and resumes with both keys unchanged", async () => {
      const incoming = nextCall();
      dave.command(`call sip:carol@${domain}`);
      const call = await incoming;
      await dave.said(/connected/);
      expect(view(call.id)).toMatchObject({ direction: "originating", security: "e2ae", reason: "sdes-phone" });
      await bothSpeak(call);
      dave.command("pause");
      await dave.said(/paused/);
      await until("carol to be on hold", () => call.report().mediaDirection !== "sendrecv");
      dave.command("resume");
      await dave.said(/Media streams established/);
      await until("carol to be back", () => call.report().mediaDirection === "sendrecv");
      await bothSpeak(call);
      const offers = linesOf(edges.crossings, call.id, "INVITE", { ...place, direction: "in" });
      const answers = linesOf(edges.crossings, call.id, 200, { ...place, direction: "out" });
      const [clear] = linesOf(edges.crossings, call.id, "INVITE", { edge: "edge-a", side: "core", direction: "out" });
      const gateway = answers[0]?.cryptos[0];
      const phone = offers[0]?.cryptos.find(({ tag }) => tag === gateway?.tag);
      if (phone === undefined || gateway === undefined) throw new Error("a key is missing");
      expect([offers.length, answers.length]).toEqual([3, 3]);
      expect(offers.every(({ protocol, indications }) => protocol === "RTP/SAVP" && indications.length === 0)).toBe(
        true,
      );
      expect(new Set(answers.flatMap(({ cryptos }) => cryptos.map(({ key }) => key)))).toEqual(new Set([gateway.key]));
      throughTheGateway(
        edges.a,
        { access: answers[0]?.port ?? 0, core: clear?.port ?? 0 },
        { phone, gateway },
        (2 * 0.9 * saidMs) / 20,
      );
      dave.command("terminate");
      await call.ended;
      expect(await dave.hasHeard(bobInPcmu())).toBe(true);
    });

    it("TS 33.328 6.2.1.1: a call of plain RTP is offered to it as RTP/SAVP; we hold and resume", async () => {
      const call = await carol.ue.dial(`sip:dave@${domain}`);
      await dave.said(/Receiving new incoming call/);
      dave.command("answer");
      await call.answered;
      await dave.said(/Media streams established/);
      expect(view(call.id)).toMatchObject({ direction: "terminating", security: "e2ae", reason: "sdes-phone" });
      await bothSpeak(call);
      await call.reinvite("sendonly");
      await call.reinvite("sendrecv");
      await bothSpeak(call);
      const [offer] = linesOf(edges.crossings, call.id, "INVITE", { ...place, direction: "out" });
      const [answer] = linesOf(edges.crossings, call.id, 200, { ...place, direction: "in" });
      const [clear] = linesOf(edges.crossings, call.id, 200, { edge: "edge-a", side: "core", direction: "out" });
      const phone = answer?.cryptos[0];
      const gateway = offer?.cryptos.find(({ tag }) => tag === phone?.tag);
      if (phone === undefined || gateway === undefined) throw new Error("a key is missing");
      throughTheGateway(
        edges.a,
        { access: offer?.port ?? 0, core: clear?.port ?? 0 },
        { phone, gateway },
        (2 * 0.9 * saidMs) / 20,
      );
      await call.hangup();
      await dave.said(/ended/);
    });

    it("invariant 1: nothing of it crossed into the core", () => {
      expect(leaks(edges.crossings)).toEqual([]);
    });
  },
);
