// baresip behind the edge: a phone that knows SRTP and SDES, and no mediasec. Kamailio is the core.
import { headerValue } from "@sallyport/sip";
import { payloadOf, type UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { voiceOf, type Voice } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { haveBaresip, linear, startBaresip, type Baresip, type BaresipOptions } from "./support/baresip.ts";
import { domain, nothingLeft, startEdges, type Crossing, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";

const saidMs = 1200;
/** Part of a voice in the middle of what was said: beginnings get lost in jitter buffers. */
const middle = (voice: Voice) => {
  const octets = payloadOf(voiceOf(voice), "PCMA").subarray(2400, 6400);
  return { octets, samples: linear({ kind: "companded", law: "PCMA", octets }) };
};

describe.skipIf(!haveBaresip || !haveKamailio).each(["tls", "tcp"] as const)(
  "baresip behind the edge over %s (Debian packages baresip-core and kamailio)",
  (transport) => {
    let kamailio: Kamailio;
    let edges: Edges;
    let bob: LabUe;
    /** carol sends plain RTP; frank offers SRTP on RTP/AVP and takes what comes; dave and erin insist on SRTP. */
    let carol: Baresip;
    let frank: Baresip;
    let dave: Baresip;
    let erin: Baresip;
    const phones: Baresip[] = [];

    const phone = async (
      name: string,
      side: "a" | "b",
      more: Pick<BaresipOptions, "encryption" | "speech">,
    ): Promise<Baresip> => {
      const edgePort = edges[side].edge.access[0]?.port ?? 0;
      const made = await startBaresip({ name, edgePort, transport, ...more });
      phones.push(made);
      return made;
    };
    const answered = (): Promise<UeCall> =>
      new Promise((resolve) => {
        bob.ue.onCall((call) => {
          resolve(call);
          return {};
        });
      });
    /** The bodies of an INVITE and of its 200, at every place where they crossed an edge. */
    const bodies = (callId: string, what: "INVITE" | 200, seq = 0): readonly string[] => {
      const fits = ({ message }: Crossing): boolean =>
        headerValue(message, "call-id") === callId &&
        message.body.length > 0 &&
        (what === "INVITE"
          ? message.kind === "request" && message.method === "INVITE"
          : message.kind === "response" && message.status === what);
      const found = edges.crossings.filter(fits);
      const numbers = [...new Set(found.map(({ message }) => headerValue(message, "cseq")))];
      return found
        .filter(({ message }) => headerValue(message, "cseq") === numbers[seq])
        .map(({ octets }) => octets.subarray(octets.indexOf("\r\n\r\n") + 4).toString("latin1"));
    };
    const lastCallId = (): string => edges.a.edge.calls()[0]?.callId ?? edges.b.edge.calls()[0]?.callId ?? "";
    const bothHeard = async (call: UeCall, far: Baresip, farVoice: Voice, hangUp: () => Promise<unknown>) => {
      await call.play(voiceOf("bob", saidMs));
      const { octets } = middle(farVoice);
      await until("the speech of baresip", () => call.received.octets().includes(octets));
      await hangUp();
      await call.ended;
      await far.happened("CALL_CLOSED");
      expect(await far.hasHeard(middle("bob").samples)).toBe(true);
    };

    beforeAll(async () => {
      kamailio = await startKamailio("MD5");
      edges = await startEdges({ corePort: kamailio.port, coreProtocol: "udp", access: transport });
      bob = await edges.addUe("bob", "b", { security: { e2ae: "preferred", e2e: "accepted" } });
      await bob.ue.register();
      carol = await phone("carol", "a", { speech: voiceOf("carol") });
      frank = await phone("frank", "a", { speech: voiceOf("carol"), encryption: "srtp" });
      dave = await phone("dave", "a", { speech: voiceOf("alice"), encryption: "srtp-mand" });
      erin = await phone("erin", "b", { speech: voiceOf("carol"), encryption: "srtp-mand" });
    });
    afterEach(async () => {
      bob.ue.onCall(undefined);
      await nothingLeft(edges);
    });
    afterAll(async () => {
      for (const each of phones) await each.stop();
      await edges?.close();
      await kamailio?.stop();
    });

    it("TS 33.328 7.1: it registers like any phone, and nothing is announced to it", () => {
      const registered = [edges.a, edges.b].flatMap(({ edge }) => edge.registrations());
      const theirs = registered.filter(({ aor }) => aor !== bob.ue.impu);
      expect(theirs.map(({ aor }) => aor).toSorted()).toEqual(
        ["carol", "dave", "erin", "frank"].map((name) => `sip:${name}@${domain}`),
      );
      for (const { indications, transport: used } of theirs) {
        expect(indications).toMatchObject({ ueE2ae: false, networkE2ae: false });
        expect(used).toBe(transport);
      }
      const toThem = edges.crossings.filter(
        ({ side, direction, message }) =>
          side === "access" && direction === "out" && !/bob@/.test(headerValue(message, "to") ?? ""),
      );
      expect(toThem.length).toBeGreaterThan(5);
      expect(toThem.filter(({ message }) => headerValue(message, "security-server") !== undefined)).toEqual([]);
    });

    it("TS 33.328 7.3.1: with plain RTP it calls a protected UE; its own leg stays as it was", async () => {
      const incoming = answered();
      await carol.command("dial", bob.ue.impu);
      const call = await incoming;
      await carol.happened("CALL_ESTABLISHED");
      expect(call.report().security).toBe("e2ae");
      const offers = bodies(call.id, "INVITE");
      // Edge A in and out, edge B in: byte for byte; edge B out is what bob got.
      expect(offers).toHaveLength(4);
      expect(new Set(offers.slice(0, 3)).size).toBe(1);
      expect(offers[0]).toMatch(/^m=audio \d+ RTP\/AVP /m);
      expect(offers[3]).toMatch(/^m=audio \d+ RTP\/SAVP /m);
      expect(edges.a.edge.calls().find(({ callId }) => callId === call.id)).toMatchObject({
        security: "none",
        reason: "ue-not-capable",
      });
      await bothHeard(call, carol, "carol", () => carol.command("hangup"));
    });

    it("TS 33.328 7.2.1: with plain RTP it is called by a protected UE", async () => {
      const call = await bob.ue.dial(`sip:carol@${domain}`);
      await carol.happened("CALL_INCOMING");
      await carol.command("accept");
      await call.answered;
      expect(call.report().security).toBe("e2ae");
      await bothHeard(call, carol, "carol", () => call.hangup());
    });

    it("RFC 4568 3, TS 33.328 7.3.1: its key on RTP/AVP does not reach a protected UE, whose own leg is keyed by the gateway", async () => {
      const incoming = answered();
      await frank.command("dial", bob.ue.impu);
      const call = await incoming;
      await frank.happened("CALL_ESTABLISHED");
      expect(call.report().security).toBe("e2ae");
      const [offer = ""] = bodies(call.id, "INVITE");
      expect(offer).toMatch(/^m=audio \d+ RTP\/AVP /m);
      const its = /inline:(?<key>\S+)/.exec(offer)?.groups?.["key"] ?? "no key";
      expect(bodies(call.id, "INVITE")[3]).toMatch(/^m=audio \d+ RTP\/SAVP /m);
      expect(bodies(call.id, "INVITE")[3]).not.toContain(its);
      expect(bodies(call.id, 200).at(-1)).not.toContain("inline:");
      await bothHeard(call, frank, "carol", () => frank.command("hangup"));
    });

    it("TS 33.328 6.1, RFC 4568: SDES between two of them passes byte for byte, and no gateway is asked", async () => {
      await dave.command("dial", `sip:erin@${domain}`);
      await erin.happened("CALL_INCOMING");
      await erin.command("accept");
      await Promise.all([dave.happened("CALL_ESTABLISHED"), erin.happened("CALL_ESTABLISHED")]);
      const callId = lastCallId();
      for (const crossed of [bodies(callId, "INVITE"), bodies(callId, 200)]) {
        expect(crossed).toHaveLength(4);
        expect(new Set(crossed).size).toBe(1);
        expect(crossed[0]).toMatch(/^a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:\S+/m);
      }
      expect(bodies(callId, "INVITE")[0]).not.toBe(bodies(callId, 200)[0]);
      expect([edges.a.gateway.contexts(), edges.b.gateway.contexts()]).toEqual([0, 0]);
      expect(edges.a.edge.calls().find((call) => call.callId === callId)?.security).toBe("e2e");
      await new Promise((resolve) => setTimeout(resolve, saidMs));
      await dave.command("hangup");
      await Promise.all([dave.happened("CALL_CLOSED"), erin.happened("CALL_CLOSED")]);
      expect(await erin.hasHeard(middle("alice").samples)).toBe(true);
      expect(await dave.hasHeard(middle("carol").samples)).toBe(true);
    });

    it("RFC 4568 7.1.4, RFC 3264 8.4: SDES with our UE passes byte for byte; it holds and resumes with its key", async () => {
      const incoming = answered();
      await dave.command("dial", bob.ue.impu);
      const call = await incoming;
      await dave.happened("CALL_ESTABLISHED");
      const before = call.report();
      expect(before.security).toBe("e2e");
      // baresip is not asked for the next step before it has the answer to the one before.
      await dave.command("hold");
      await dave.happened("CALL_REMOTE_SDP");
      expect(call.report().mediaDirection).toBe("recvonly");
      await dave.command("resume");
      await dave.happened("CALL_REMOTE_SDP");
      expect(call.report().mediaDirection).toBe("sendrecv");
      for (const seq of [0, 1, 2]) {
        expect(new Set(bodies(call.id, "INVITE", seq)).size).toBe(1);
        expect(bodies(call.id, "INVITE", seq)).toHaveLength(4);
      }
      expect(call.report().fingerprints).toEqual(before.fingerprints);
      expect([edges.a.gateway.contexts(), edges.b.gateway.contexts()]).toEqual([0, 0]);
      await call.reinvite();
      const { octets } = middle("alice");
      const heldUntil = call.received.octets().length;
      await call.play(voiceOf("bob", saidMs));
      // After a hold baresip writes no more down of what it hears, but it still says how much it decoded.
      const decoded = /rx:[^]*?time = (?<seconds>[\d.]+) sec/.exec(await dave.command("audio_debug"));
      expect(Number(decoded?.groups?.["seconds"])).toBeGreaterThan((0.9 * saidMs) / 1000);
      await until("the speech of baresip", () => call.received.octets().subarray(heldUntil).includes(octets));
      await call.hangup();
      await dave.happened("CALL_CLOSED");
    });

    it("RFC 4568: our UE offers it SDES end to end", async () => {
      const call = await bob.ue.dial(`sip:dave@${domain}`, { security: "e2e" });
      await dave.happened("CALL_INCOMING");
      await dave.command("accept");
      await call.answered;
      expect(call.report().security).toBe("e2e");
      await bothHeard(call, dave, "alice", () => call.hangup());
    });

    it("TS 33.328 7.2.1: a call that reaches it as plain RTP is refused where it insists on SRTP, and nothing is left", async () => {
      const call = await bob.ue.dial(`sip:dave@${domain}`, { security: "e2ae" });
      const refused = await call.answered.then(
        () => undefined,
        (error: { readonly status?: number }) => error.status,
      );
      expect(refused).toBe(488);
    });
  },
);
