// Both edges between our UEs and a core of another make: Kamailio as registrar and proxy, refusing whatever is of the access side.
import { createSocket } from "node:dgram";
import { headerList, headerValue } from "@sallyport/sip";
import type { UeConfigInput } from "@sallyport/ue";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import type { LabUe, Side } from "../../src/topology/lab.ts";
import { connect, speak } from "../support/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";

/** Sends one datagram and gives the first line of what comes back. */
const ask = (port: number, request: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error("no answer"));
    }, 3000);
    socket.once("message", (octets) => {
      clearTimeout(timer);
      socket.close();
      resolve(octets.toString("latin1").split("\r\n")[0] ?? "");
    });
    socket.bind(0, "127.0.0.1", () =>
      socket.send(request.replace("@LOCAL@", String(socket.address().port)), port, "127.0.0.1"),
    );
  });

const registerWith = (...extra: readonly string[]): string =>
  [
    `REGISTER sip:${domain} SIP/2.0`,
    "Via: SIP/2.0/UDP 127.0.0.1:@LOCAL@;branch=z9hG4bKstrict",
    `From: <sip:alice@${domain}>;tag=1`,
    `To: <sip:alice@${domain}>`,
    "Call-ID: strict",
    "CSeq: 1 REGISTER",
    "Max-Forwards: 70",
    `Contact: <sip:alice@127.0.0.1:@LOCAL@>`,
    ...extra,
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");

const cases = [
  { core: "udp", access: "tls", algorithm: "SHA-256", dialect: "3gpp" },
  { core: "tcp", access: "tls", algorithm: "MD5", dialect: "draft" },
  { core: "udp", access: "udp", algorithm: "MD5", dialect: "draft" },
  { core: "tcp", access: "tcp", algorithm: "SHA-256", dialect: "3gpp" },
] as const;

describe.skipIf(!haveKamailio)("Kamailio as the core (Debian package kamailio)", () => {
  describe.each(cases)("core over $core, UEs over $access, $algorithm, dialect $dialect", (facts) => {
    let kamailio: Kamailio;
    let edges: Edges;
    let alice: LabUe;
    let bob: LabUe;
    let carol: LabUe;

    const addRegistered = async (name: string, side: Side, change: Partial<UeConfigInput> = {}): Promise<LabUe> => {
      const made = await edges.addUe(name, side, change);
      await made.ue.register();
      return made;
    };

    beforeAll(async () => {
      kamailio = await startKamailio(facts.algorithm);
      edges = await startEdges({ corePort: kamailio.port, coreProtocol: facts.core, access: facts.access });
      const security = { dialect: facts.dialect, e2ae: "required" } as const;
      alice = await addRegistered("alice", "a", { security });
      bob = await addRegistered("bob", "b", { security });
      carol = await addRegistered("carol", "a", { security });
    });
    afterAll(async () => {
      await edges?.close();
      await kamailio?.stop();
    });

    it("RFC 3261 8.2.2.3 and 16.3: it refuses what is of the access side, when it is let through", async () => {
      const { port } = kamailio;
      expect(await ask(port, registerWith("Proxy-Require: mediasec"))).toMatch(/^SIP\/2\.0 420 /);
      expect(await ask(port, registerWith("Proxy-Require: sec-agree"))).toMatch(/^SIP\/2\.0 420 /);
      expect(await ask(port, registerWith("Require: mediasec"))).toMatch(/^SIP\/2\.0 420 /);
      expect(await ask(port, registerWith("Security-Client: sdes-srtp;mediasec"))).toMatch(/^SIP\/2\.0 400 /);
      expect(await ask(port, registerWith())).toMatch(/^SIP\/2\.0 403 No Path/);
    });

    it("RFC 3327, RFC 3608, RFC 7315: UEs are registered with Path, Service-Route and P-Associated-URI", () => {
      for (const { ue } of [alice, bob, carol]) {
        expect(ue.registration?.networkE2ae).toBe(true);
        // A UE that was answered 420 registers without the option tag.
        expect(ue.registration?.draft).toBe(facts.dialect === "draft");
        expect(ue.registration?.serviceRoute).toEqual([
          `<sip:orig@127.0.0.1:${kamailio.port};transport=${facts.core};lr>`,
        ]);
      }
      const accepted = edges.crossings.filter(
        ({ side, direction, message }) =>
          side === "core" && direction === "in" && message.kind === "response" && message.status === 200,
      );
      expect(accepted.map(({ message }) => headerList(message, "path").length)).toEqual([1, 1, 1]);
    });

    it("TS 33.328 7.2.1, 7.3.1: alice calls bob across it, speech is whole both ways, and again after a re-INVITE", async () => {
      const ends = await connect(alice, bob);
      expect([ends.calling.report().security, ends.called.report().security]).toEqual(["e2ae", "e2ae"]);
      await speak(ends, 600);
      const { fingerprints } = ends.calling.report();
      await ends.calling.reinvite("sendonly");
      expect(ends.called.report().mediaDirection).toBe("recvonly");
      await ends.calling.reinvite("sendrecv");
      await ends.called.reinvite();
      expect(ends.calling.report().fingerprints).toEqual(fingerprints);
      await speak(ends, 300);
      expect(ends.calling.received.octets().length).toBeGreaterThan(6000);
      await ends.called.hangup();
      await ends.calling.ended;
      await nothingLeft(edges);
    });

    it("TS 33.328 7.2.1, 7.3.1: carol and alice behind one edge, the same Call-ID crosses it twice", async () => {
      const ends = await connect(alice, carol);
      const crossing = edges.a.edge.calls().filter(({ callId }) => callId === ends.calling.id);
      expect(crossing.map(({ direction }) => direction).toSorted()).toEqual(["originating", "terminating"]);
      expect(crossing.map(({ security }) => security)).toEqual(["e2ae", "e2ae"]);
      expect(edges.a.gateway.contexts()).toBe(2);
      await speak(ends, 600, ["alice", "carol"]);
      await ends.calling.hangup();
      await ends.called.ended;
      await nothingLeft(edges);
    });

    it("RFC 3261 9: alice cancels while bob rings", async () => {
      bob.ue.onCall(() => ({ ringMs: 10_000 }));
      const calling = await alice.ue.dial(bob.ue.impu);
      await until("bob to ring", () => bob.ue.calls().some(({ state }) => state === "ringing"));
      await until("alice to hear it", () => calling.state === "ringing");
      calling.answered.catch(() => undefined);
      const ended = await calling.hangup();
      expect(ended).toMatchObject({ by: "us", status: 487 });
      await until("bob to stop ringing", () => bob.ue.calls().length === 0);
      await nothingLeft(edges);
    });

    it("RFC 3261 21: bob declines, and what he said reaches alice", async () => {
      bob.ue.onCall(() => ({ accept: false, status: 486 }));
      await expect(alice.ue.call(bob.ue.impu)).rejects.toMatchObject({ status: 486 });
      await expect(alice.ue.call(`sip:nobody@${domain}`)).rejects.toMatchObject({ status: 480 });
      await nothingLeft(edges);
    });

    it("TS 33.328 7.1: nothing of e2ae ever crossed to it or from it, nor did a word of it enter its log", () => {
      const core = edges.crossings.filter(({ side }) => side === "core");
      expect(core.length).toBeGreaterThan(40);
      expect(leaks(core)).toEqual([]);
      expect(kamailio.output).not.toMatch(/3ge2ae/);
      const access = edges.crossings.filter(({ side }) => side === "access");
      expect(leaks(access.map((each) => ({ ...each, side: "core" as const }))).length).toBeGreaterThan(10);
      const tagged = access.filter(({ message }) => headerValue(message, "proxy-require") !== undefined);
      expect(tagged.length > 0).toBe(facts.dialect === "draft");
    });

    it("RFC 3261 10.2.2: both de-register, and calls find nobody", async () => {
      await bob.ue.deregister();
      expect(edges.b.edge.registrations()).toEqual([]);
      await expect(alice.ue.call(bob.ue.impu)).rejects.toMatchObject({ status: 480 });
      await bob.ue.register();
      expect(edges.b.edge.registrations()).toHaveLength(1);
    });
  });
});
