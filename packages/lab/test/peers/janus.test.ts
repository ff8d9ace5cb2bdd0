// Janus (Sofia-SIP) in SDES phone mode: what it hears is written down by itself, its browser is a description without media.
// Behind Kamailio, which puts itself into the path of re-INVITEs too.
import { headerList, headerValue } from "@sallyport/sip";
import { payloadOf, type UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import { haveJanus, startJanus, type Janus } from "./support/janus.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";
import { linesOf } from "./support/phone-leg.ts";

const saidMs = 1000;

describe.skipIf(!haveJanus || !haveKamailio).each([
  ["udp", "sdes_mandatory"],
  ["tcp", "sdes_optional"],
] as const)("Janus over %s with %s (Debian packages janus and kamailio)", (transport, srtp) => {
  let kamailio: Kamailio;
  let edges: Edges;
  let carol: LabUe;
  let dave: Janus;
  const mandatory = srtp === "sdes_mandatory";

  const place = { edge: "edge-a", side: "access" } as const;
  const view = (callId: string) =>
    edges.a.edge.calls().find((call) => call.callId === callId && call.aor !== carol.ue.impu);
  /** Janus does nothing more in a call before it has acknowledged what it was told. */
  const acknowledged = (callId: string, times: number): Promise<void> =>
    until(
      `${times} ACK of Janus on their way into the core`,
      () =>
        edges.crossings.filter(
          ({ edge, side, direction, message }) =>
            edge === "edge-a" &&
            side === "core" &&
            direction === "out" &&
            message.kind === "request" &&
            message.method === "ACK" &&
            headerValue(message, "call-id") === callId,
        ).length >= times,
    );
  /** carol speaks, Janus writes down. */
  const heard = async (call: UeCall, file: string): Promise<void> => {
    await dave.ask({ request: "recording", action: "start", peer_audio: true, filename: dave.recording(file) });
    await dave.happened("recordingupdated");
    await call.play(voiceOf("bob", saidMs));
    await dave.ask({ request: "recording", action: "stop", peer_audio: true });
    await dave.happened("recordingupdated");
    const said = payloadOf(voiceOf("bob", saidMs), "PCMA");
    // The middle of what was said, 20 ms to the packet.
    const packets = [20, 25, 30].map((at) => said.subarray(at * 160, (at + 1) * 160));
    for (const packet of packets) expect(await dave.hasHeard(file, packet)).toBe(true);
  };

  /** It is busy for a moment after a call, until its browser's side has ended too. */
  const reached = async (): Promise<UeCall> => {
    const rings = () => dave.events.filter(({ event }) => event === "incomingcall").length;
    const before = rings();
    for (let tries = 0; tries < 30; tries += 1) {
      const call = await carol.ue.dial(`sip:dave@${domain}`);
      call.answered.catch(() => undefined);
      await until("Janus to ring or to be busy", () => rings() > before || call.state === "ended");
      if (rings() > before) return call;
      await settle(100);
    }
    throw new Error("Janus stays busy");
  };

  beforeAll(async () => {
    kamailio = await startKamailio("MD5");
    const match = { userAgent: ["Janus*"] };
    edges = await startEdges({
      corePort: kamailio.port,
      access: transport,
      edge: { policy: { rules: [{ match, e2ae: "offered", sdesPhone: "offer" }, { e2ae: "offered" }] } },
    });
    carol = await edges.addUe("carol", "b", { security: { e2ae: "required" } });
    await carol.ue.register();
    dave = await startJanus({ name: "dave", edgePort: edges.a.edge.access[0]?.port ?? 0, transport, srtp });
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

  it("RFC 3261 16.6 step 4: its call; it holds and resumes, each of its ACKs comes through the edge, and we re-INVITE", async () => {
    const incoming = new Promise<UeCall>((resolve) =>
      carol.ue.onCall((call) => {
        resolve(call);
        return {};
      }),
    );
    await dave.ask({ request: "call", uri: carol.ue.impu }, "offer");
    const call = await incoming;
    await dave.happened("accepted");
    expect(call.report().security).toBe("e2ae");
    // Optional means RTP/AVP with a key, which protects nothing (RFC 4568 3): its leg stays in the clear, carol's does not.
    expect(view(call.id)).toMatchObject(
      mandatory ? { security: "e2ae", reason: "sdes-phone" } : { security: "none", reason: "ue-not-capable" },
    );
    await heard(call, "calls");
    await acknowledged(call.id, 1);
    await dave.ask({ request: "hold" });
    await acknowledged(call.id, 2);
    expect(call.report().mediaDirection).toBe("recvonly");
    await dave.ask({ request: "unhold" });
    await acknowledged(call.id, 3);
    expect(call.report().mediaDirection).toBe("sendrecv");
    const named = edges.crossings.filter(
      ({ edge, side, direction, message }) =>
        edge === "edge-a" &&
        side === "access" &&
        direction === "out" &&
        message.kind === "response" &&
        message.status === 200 &&
        headerValue(message, "call-id") === call.id &&
        /INVITE/.test(headerValue(message, "cseq") ?? ""),
    );
    expect(named.map(({ message }) => headerList(message, "record-route").length >= 3)).toEqual([true, true, true]);
    await call.reinvite();
    await heard(call, "called-again");
    await dave.ask({ request: "hangup" });
    await call.ended;
    await dave.happened("hangup");
  });

  it("TS 33.328 6.2.1.1: a call of plain RTP is offered to it as RTP/SAVP, and it hears what was said", async () => {
    const call = await reached();
    await dave.happened("incomingcall");
    await dave.ask({ request: "accept" }, "answer");
    await call.answered;
    await dave.happened("accepted");
    expect(view(call.id)).toMatchObject({ direction: "terminating", security: "e2ae", reason: "sdes-phone" });
    const [offer] = linesOf(edges.crossings, call.id, "INVITE", { ...place, direction: "out" });
    expect([offer?.protocol, offer?.indications]).toEqual(["RTP/SAVP", []]);
    await heard(call, "is-called");
    await call.reinvite("sendonly");
    await call.reinvite("sendrecv");
    await call.hangup();
    await dave.happened("hangup");
  });
});
