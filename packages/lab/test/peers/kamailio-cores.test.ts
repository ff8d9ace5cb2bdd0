// Both edges around Kamailio as cores are built with it: topology hiding by masking and by a database, outbound, TLS, a media
// relay, forks to two UEs at once and to one after another.
import { headerValue } from "@sallyport/sip";
import type { AnswerOptions, UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { certificate, labCertificates } from "../../src/topology/certificates.ts";
import type { LabUe, Side } from "../../src/topology/lab.ts";
import { connect, speak } from "../support/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges, type EdgesOptions } from "./support/edges.ts";
import { haveKamailio, haveKamailioPart, startKamailio, type Kamailio, type KamailioPart } from "./support/kamailio.ts";
import { haveRtpengine, startRtpengine, type Rtpengine } from "./support/rtpengine.ts";

const cases: readonly {
  readonly core: "udp" | "tcp" | "tls";
  readonly parts: readonly KamailioPart[];
  readonly packages: string;
}[] = [
  { core: "udp", parts: ["FORWARD", "TOPOH"], packages: "kamailio" },
  { core: "tcp", parts: ["FORWARD", "TOPOS"], packages: "kamailio, kamailio-sqlite-modules and sqlite3" },
  { core: "tls", parts: ["FORWARD", "TLS"], packages: "kamailio and kamailio-tls-modules" },
  {
    core: "udp",
    parts: ["FORWARD", "TOPOH", "OUTBOUND", "RTPENGINE"],
    packages: "kamailio, kamailio-outbound-modules and rtpengine-daemon",
  },
];
const here = ({ parts }: (typeof cases)[number]): boolean =>
  haveKamailio && parts.every(haveKamailioPart) && (haveRtpengine || !parts.includes("RTPENGINE"));

/** The core side of an edge over TLS, with certificates both ways. */
const overTls = (tlsPort: number): NonNullable<EdgesOptions["edgeOf"]> => {
  const certificates = labCertificates();
  return (side) => ({
    core: {
      listen: [
        {
          name: "mw",
          protocol: "tls",
          address: "127.0.0.1",
          port: 0,
          tls: { ...certificate(certificates, `edge-${side}`), ca: certificates.ca, requireClientCertificate: true },
        },
      ],
      nextHop: `sip:127.0.0.1:${tlsPort};transport=tls`,
      nextHopName: "core.lab.example",
    },
  });
};

for (const facts of cases) {
  const { core, parts, packages } = facts;
  describe.skipIf(!here(facts))(`Kamailio over ${core} with ${parts.join(", ")} (Debian packages ${packages})`, () => {
    let kamailio: Kamailio;
    let relay: Rtpengine | undefined;
    let edges: Edges;
    let alice: LabUe;
    let bob: LabUe;
    /** Another UE of bob's, behind the other edge. */
    let desk: LabUe;
    let carol: LabUe;

    const registered = async (name: string, side: Side, address = "127.0.0.1"): Promise<LabUe> => {
      const made = await edges.addUe(name, side, { security: { e2ae: "required" }, local: { address } });
      await made.ue.register();
      return made;
    };
    /** What becomes of the calls that come to a UE, the latest first. */
    const calls = ({ ue }: LabUe, how: AnswerOptions) => {
      const seen: UeCall[] = [];
      ue.onCall((call) => {
        seen.unshift(call);
        return how;
      });
      return seen;
    };
    const taken = async (seen: readonly UeCall[]): Promise<UeCall> => {
      await until("the called side to be answered", () => seen[0]?.state === "answered");
      const [call] = seen;
      if (call === undefined) throw new TypeError("unreachable: waited for it");
      return call;
    };

    beforeAll(async () => {
      relay = parts.includes("RTPENGINE") ? await startRtpengine() : undefined;
      kamailio = await startKamailio("MD5", { parts, relay: relay?.port ?? 0 });
      edges = await startEdges({
        corePort: kamailio.port,
        ...(core === "tls" ? { edgeOf: overTls(kamailio.tlsPort) } : { coreProtocol: core }),
      });
      alice = await registered("alice", "a");
      bob = await registered("bob", "b");
      desk = await registered("bob", "a", "127.0.0.2");
      carol = await registered("carol", "a");
    });
    afterEach(async () => {
      for (const { ue } of [bob, desk, carol]) ue.onCall(undefined);
      await nothingLeft(edges);
      expect(leaks(edges.crossings)).toEqual([]);
    });
    afterAll(async () => {
      await edges?.close();
      await kamailio?.stop();
      await relay?.stop();
    });

    it("TS 33.328 7.2.1, 7.3.1: alice and carol behind one edge; re-INVITE of both ends", async () => {
      const ends = await connect(alice, carol);
      expect([ends.calling.report().security, ends.called.report().security]).toEqual(["e2ae", "e2ae"]);
      await speak(ends, 300, ["alice", "carol"]);
      await ends.called.reinvite("sendonly");
      expect(ends.calling.report().mediaDirection).toBe("recvonly");
      await ends.called.reinvite("sendrecv");
      await ends.calling.reinvite();
      await speak(ends, 300, ["alice", "carol"]);
      await ends.calling.hangup();
      await ends.called.ended;
      const invites = edges.crossings.filter(
        ({ side, message }) => side === "core" && message.kind === "request" && message.method === "INVITE",
      );
      // Masked, the Call-ID that comes back is another one; a database keeps it.
      const hidden = new Set(invites.map(({ message }) => headerValue(message, "call-id")));
      expect(hidden.size).toBe(parts.includes("TOPOH") ? 2 : 1);
    });

    it("RFC 3261 16.7: both UEs of bob ring behind two edges, one answers; its speech is whole, and nothing is left of the other", async () => {
      const answering = calls(bob, { ringMs: 500 });
      const ringing = calls(desk, { ringMs: 10_000 });
      const calling = await alice.ue.dial(bob.ue.impu);
      await calling.answered;
      const called = await taken(answering);
      await until("the other to stop ringing", () => ringing.length === 1 && desk.ue.calls().length === 0);
      await speak({ calling, called }, 300);
      await calling.reinvite("sendonly");
      await calling.reinvite("sendrecv");
      await speak({ calling, called }, 300);
      await calling.hangup();
      await called.ended;
    });

    it("RFC 3261 16.7, 13.2.2.4: both are busy, and a later branch to carol answers", async () => {
      calls(bob, { ringMs: 200, accept: false, status: 486 });
      calls(desk, { ringMs: 100, accept: false, status: 486 });
      const answering = calls(carol, { ringMs: 100 });
      const calling = await alice.ue.dial(bob.ue.impu);
      await calling.answered;
      const called = await taken(answering);
      await speak({ calling, called }, 300, ["alice", "carol"]);
      await called.reinvite();
      await speak({ calling, called }, 300, ["alice", "carol"]);
      await called.hangup();
      await calling.ended;
    });

    it("RFC 3261 9: alice gives up while both ring", async () => {
      calls(bob, { ringMs: 10_000 });
      calls(desk, { ringMs: 10_000 });
      const calling = await alice.ue.dial(`sip:bob@${domain}`);
      calling.answered.catch(() => undefined);
      await until("both to ring", () =>
        [bob, desk].every(({ ue }) => ue.calls().some(({ state }) => state === "ringing")),
      );
      await until("alice to hear it", () => calling.state === "ringing");
      expect(await calling.hangup()).toMatchObject({ by: "us", status: 487 });
      await until("both to stop", () => bob.ue.calls().length + desk.ue.calls().length === 0);
    });
  });
}
