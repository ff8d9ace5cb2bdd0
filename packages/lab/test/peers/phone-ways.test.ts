// Linphone and baresip as people set them up: sips identities, ICE, video, rtcp-mux, several codecs, other suites. Each
// calls a protected UE and is called by it; nothing of theirs is in the clear on the access side.
import { headerValue } from "@sallyport/sip";
import { payloadOf, type Sound, type UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { haveBaresip, startBaresip, type BaresipOptions } from "./support/baresip.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";
import { haveLinphone, startLinphone, type LinphoneOptions } from "./support/linphone.ts";
import { linesOf, neverClear } from "./support/phone-leg.ts";

/** What a person does with a phone. */
interface Phone {
  dial(): Promise<void>;
  ring(): Promise<void>;
  accept(): Promise<void>;
  hold(): Promise<void>;
  resume(): Promise<void>;
  hangUp(): Promise<void>;
  stop(): Promise<void>;
}
type Usual = Pick<LinphoneOptions & BaresipOptions, "name" | "edgePort" | "speech"> & { readonly transport: "tls" };

const linphone =
  (way: Partial<LinphoneOptions>) =>
  async (usual: Usual): Promise<Phone> => {
    const phone = await startLinphone({ ...usual, srtp: true, ...way });
    const then = async (command: string, said: RegExp): Promise<void> => {
      phone.command(command);
      await phone.said(said);
    };
    const scheme = way.sips === true ? "sips" : "sip";
    return {
      dial: () => then(`call ${scheme}:carol@${domain}`, /connected/),
      ring: async () => void (await phone.said(/Receiving new incoming call/)),
      accept: () => then("answer", /Media streams established/),
      hold: () => then("pause", /paused/),
      resume: () => then("resume", /Media streams established/),
      hangUp: () => then("terminate", /ended/),
      stop: () => phone.stop(),
    };
  };

const baresip =
  (way: Partial<BaresipOptions>) =>
  async (usual: Usual): Promise<Phone> => {
    const phone = await startBaresip({ ...usual, encryption: "srtp-mand", ...way });
    const then = async (command: string, event: string, params?: string): Promise<void> => {
      await phone.command(command, params);
      await phone.happened(event);
    };
    return {
      dial: () => then("dial", "CALL_ESTABLISHED", `sip:carol@${domain}`),
      ring: () => phone.happened("CALL_INCOMING"),
      accept: () => then("accept", "CALL_ESTABLISHED"),
      hold: () => then("hold", "CALL_REMOTE_SDP"),
      resume: () => then("resume", "CALL_REMOTE_SDP"),
      hangUp: () => then("hangup", "CALL_CLOSED"),
      stop: () => phone.stop(),
    };
  };

const opus = { mime: "opus", rate: 48_000, channels: 2, enabled: 1 };
const pcma = { mime: "PCMA", rate: 8000, channels: 1, enabled: 1 };

const ways: readonly {
  readonly title: string;
  readonly packages: string;
  readonly have: boolean;
  readonly start: (usual: Usual) => Promise<Phone>;
  /** Must stand in what it offers. */
  readonly offers: RegExp;
}[] = [
  {
    title: "Linphone with a sips identity (RFC 3261 26.2.2)",
    packages: "linphone-cli",
    have: haveLinphone,
    start: linphone({ sips: true }),
    offers: /^m=audio \d+ RTP\/SAVP /m,
  },
  {
    title: "Linphone with ICE (RFC 8839)",
    packages: "linphone-cli",
    have: haveLinphone,
    start: linphone({ change: { net: { firewall_policy: "ice", stun_server: "" } } }),
    offers: /^a=ice-ufrag:/m,
  },
  {
    title: "Linphone with two codecs and other suites (RFC 6188)",
    packages: "linphone-cli",
    have: haveLinphone,
    start: linphone({
      change: {
        audio_codec_0: opus,
        audio_codec_1: pcma,
        sip: { srtp_crypto_suites: "AES_256_CM_HMAC_SHA1_80,AES_CM_128_HMAC_SHA1_32" },
      },
    }),
    offers: /^a=crypto:1 AES_(?:256_CM|CM_256)_HMAC_SHA1_80 /m,
  },
  {
    title: "baresip with rtcp-mux (RFC 5761)",
    packages: "baresip",
    have: haveBaresip,
    start: baresip({ config: ["rtcp_mux yes"] }),
    offers: /^a=rtcp-mux/m,
  },
  {
    title: "baresip with video in VP8 (RFC 7741)",
    packages: "baresip",
    have: haveBaresip,
    start: baresip({
      modules: ["fakevideo", "vp8"],
      config: ["video_source fakevideo,nil", "video_display fakevideo,nil", "video_size 320x240", "video_fps 5"],
    }),
    offers: /^m=video \d+ RTP\/SAVP /m,
  },
  {
    title: "baresip with Opus and G.722 (RFC 7587, RFC 3551)",
    packages: "baresip",
    have: haveBaresip,
    start: baresip({
      modules: ["opus", "g722"],
      config: ["audio_srate 8000-48000", "audio_channels 1-2"],
      account: ["audio_codecs=opus/48000/2,g722/16000/1,pcma/8000/1"],
    }),
    offers: /^a=rtpmap:\d+ opus\/48000\/2/m,
  },
];

const saidMs = 500;
const endless: Sound = {
  kind: "companded",
  law: "PCMA",
  octets: Buffer.concat(Array.from({ length: 30 }, () => payloadOf(voiceOf("alice", 1000), "PCMA"))),
};

for (const { title, packages, have, start, offers } of ways) {
  describe.skipIf(!have || !haveKamailio)(`${title} (Debian packages ${packages} and kamailio)`, () => {
    let kamailio: Kamailio;
    let edges: Edges;
    let carol: LabUe;
    let dave: Phone;

    /** Both speak, and none of it was in the clear where the phone is. */
    const bothSpeak = async (call: UeCall): Promise<void> => {
      const from = call.received.octets().length;
      await call.play(voiceOf("bob", saidMs));
      await until("the speech of the phone", () => call.received.octets().length > from + saidMs * 4);
    };
    const sdpOf = (callId: string, side: "access" | "core", direction: "in" | "out"): string =>
      edges.crossings
        .find(
          ({ edge, message, ...at }) =>
            edge === "edge-a" &&
            at.side === side &&
            at.direction === direction &&
            message.kind === "request" &&
            message.method === "INVITE" &&
            headerValue(message, "call-id") === callId,
        )
        ?.message.body.toString("latin1") ?? "";
    const protectedOf = (callId: string) =>
      edges.a.edge.calls().find((call) => call.callId === callId && call.aor !== carol.ue.impu);

    beforeAll(async () => {
      kamailio = await startKamailio("MD5");
      const match = { userAgent: ["Linphone*", "baresip*"] };
      edges = await startEdges({
        corePort: kamailio.port,
        edge: { policy: { rules: [{ match, e2ae: "offered", sdesPhone: "offer" }, { e2ae: "offered" }] } },
      });
      carol = await edges.addUe("carol", "b", { security: { e2ae: "required" } });
      await carol.ue.register();
      const edgePort = edges.a.edge.access[0]?.port ?? 0;
      dave = await start({ name: "dave", edgePort, speech: endless, transport: "tls" });
    });
    afterEach(async () => {
      carol.ue.onCall(undefined);
      await nothingLeft(edges);
      expect(leaks(edges.crossings)).toEqual([]);
    });
    afterAll(async () => {
      await dave?.stop();
      await edges?.close();
      await kamailio?.stop();
    });

    it("TS 33.328 7.2.1: it calls, holds, resumes and ends the call", async () => {
      const incoming = new Promise<UeCall>((resolve) =>
        carol.ue.onCall((call) => {
          resolve(call);
          return {};
        }),
      );
      const dialled = dave.dial();
      const call = await incoming;
      await dialled;
      expect(sdpOf(call.id, "access", "in")).toMatch(offers);
      expect(sdpOf(call.id, "core", "out")).not.toMatch(/crypto|SAVP|candidate|ice-/);
      expect(protectedOf(call.id)).toMatchObject({ security: "e2ae", reason: "sdes-phone" });
      await bothSpeak(call);
      await dave.hold();
      await until("carol to be on hold", () => call.report().mediaDirection !== "sendrecv");
      await dave.resume();
      await until("carol to be back", () => call.report().mediaDirection === "sendrecv");
      await bothSpeak(call);
      const [clear] = linesOf(edges.crossings, call.id, "INVITE", { edge: "edge-a", side: "core", direction: "out" });
      neverClear(edges.a, clear?.port ?? 0, saidMs / 20);
      await dave.hangUp();
      await call.ended;
    });

    it("TS 33.328 7.3.1: it is called, we hold and resume, and it ends the call", async () => {
      const call = await carol.ue.dial(`sip:dave@${domain}`);
      await dave.ring();
      await dave.accept();
      await call.answered;
      expect(protectedOf(call.id)).toMatchObject({ direction: "terminating", security: "e2ae", reason: "sdes-phone" });
      await bothSpeak(call);
      await call.reinvite("sendonly");
      await call.reinvite("sendrecv");
      await bothSpeak(call);
      await dave.hangUp();
      await call.ended;
    });
  });
}
