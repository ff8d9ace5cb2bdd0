// SIPp on the core side: call flows of a far end with plain RTP, which it sends back; our UE speaks SRTP behind the edge.
import { headerValue } from "@sallyport/sip";
import type { UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import {
  ackFailure,
  cancel,
  invite,
  invited,
  pause,
  plainSdp,
  recvRequest,
  recvResponse,
  requestBack,
  requestOn,
  respond,
  respondInvite,
  type Step,
} from "./support/scenario.ts";
import { haveSipp, runSipp, sippPorts, type SippRun } from "./support/sipp.ts";

const far = "sip:far@far.example";

/** A registrar that asks for nothing. */
const registrar: readonly Step[] = [
  recvRequest("REGISTER"),
  respond("200 OK", {
    tag: true,
    contact: "[last_Contact:]",
    headers: [
      "[last_Path:]",
      "Service-Route: <sip:orig@[local_ip]:[local_port];transport=[transport];lr>",
      `P-Associated-URI: <sip:alice@${domain}>`,
      "Expires: 600",
    ],
  }),
];

describe.skipIf(!haveSipp).each(["udp", "tcp"] as const)(
  "SIPp as the core over %s (Debian package sip-tester)",
  (protocol) => {
    let ports: Awaited<ReturnType<typeof sippPorts>>;
    let edges: Edges;
    let alice: LabUe;
    let values: Record<string, string> = {};

    let running: SippRun | undefined;

    const sipp = async (steps: readonly Step[], remotePort?: number): Promise<SippRun> => {
      running = await runSipp(steps, {
        ...ports,
        protocol,
        values,
        ...(remotePort === undefined ? {} : { remotePort }),
      });
      return running;
    };
    /** SIPp waits for a call. */
    const answering = (...steps: readonly Step[]) => sipp(steps);
    /** SIPp makes a call, along the Path that alice's registration left. */
    const calling = (...steps: readonly Step[]) => sipp(steps, edges.a.edge.core[0]?.port ?? 0);

    /** Speaks, and hears SIPp send every octet back. */
    const speakToEcho = async (call: UeCall, ms = 300): Promise<void> => {
      await call.play(voiceOf("alice", ms));
      await until("every octet to come back", () => call.sent.octets().equals(call.received.octets()));
    };
    const expectSecured = (call: UeCall): void => {
      expect(call.report().security).toBe("e2ae");
      expect(call.received.octets().length).toBeGreaterThan(2000);
    };
    const nextCall = (): Promise<UeCall> =>
      new Promise((resolve) => {
        alice.ue.onCall((call) => {
          resolve(call);
          return {};
        });
      });

    beforeAll(async () => {
      ports = await sippPorts();
      edges = await startEdges({ corePort: ports.port, coreProtocol: protocol, sides: ["a"] });
      const registering = await sipp(registrar);
      alice = await edges.addUe("alice", "a", { security: { e2ae: "required", dialect: "draft" } });
      await alice.ue.register();
      await registering.done;
      const seen = edges.crossings.find(
        ({ side, direction, message }) => side === "core" && direction === "out" && message.kind === "request",
      )?.message;
      const contact = /<(?<uri>[^>]*)>/.exec((seen && headerValue(seen, "contact")) ?? "")?.groups?.["uri"] ?? "";
      values = { path: (seen && headerValue(seen, "path")) ?? "", contact, user: "alice", domain };
    }, 30_000);
    afterEach(async ({ task }) => {
      await running?.stop();
      // What SIPp saw says more than what the test missed.
      if (task.result?.state !== "pass") return running?.done;
      await nothingLeft(edges);
    });
    afterAll(async () => {
      if (edges === undefined) return;
      const farewell = await sipp(registrar);
      await edges.close();
      await farewell.done;
      expect(leaks(edges.crossings)).toEqual([]);
    });

    describe("alice calls", () => {
      it("RFC 3261 13, TS 33.328 7.2.1: 180, 200; the UE ends", async () => {
        const run = await answering(
          invited({ body: "m=audio [0-9]+ RTP/AVP " }),
          respond("180 Ringing", { tag: true }),
          pause(50),
          respond("200 OK", { tag: true, sdp: plainSdp() }),
          recvRequest("ACK"),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await alice.ue.call(far);
        await speakToEcho(call);
        expectSecured(call);
        await call.hangup();
        await run.done;
      });

      it.each([
        ["with the description again", plainSdp()],
        ["without a description", undefined],
      ])("RFC 3264 and RFC 3960: early media in 183, then 200 %s", async (_what, last) => {
        const run = await answering(
          invited(),
          respond("183 Session Progress", { tag: true, sdp: plainSdp() }),
          pause(900),
          respond("200 OK", { tag: true, ...(last === undefined ? {} : { sdp: last }) }),
          recvRequest("ACK"),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await alice.ue.dial(far);
        await until("early media to be agreed", () => call.report().security === "e2ae");
        expect(call.state).toBe("ringing");
        await speakToEcho(call, 200);
        expect(call.state).toBe("ringing");
        await call.answered;
        await speakToEcho(call);
        expectSecured(call);
        await call.hangup();
        await run.done;
      });

      it("RFC 3264 8.4: the core holds and resumes with re-INVITE, then ends", async () => {
        const again = (seq: number, direction: string): readonly Step[] => [
          requestBack("INVITE", seq, { sdp: plainSdp({ direction, version: seq }) }),
          recvResponse(100, { optional: true }),
          recvResponse(200, { body: "RTP/AVP" }),
          requestBack("ACK", seq),
          pause(300),
        ];
        const run = await answering(
          invited(),
          respond("200 OK", { tag: true, sdp: plainSdp() }),
          recvRequest("ACK"),
          pause(400),
          ...again(2, "sendonly"),
          ...again(3, "inactive"),
          ...again(4, "sendrecv"),
          pause(600),
          requestBack("BYE", 5),
          recvResponse(200),
        );
        const call = await alice.ue.call(far);
        const { fingerprints } = call.report();
        await speakToEcho(call, 200);
        await until("hold", () => call.report().mediaDirection === "recvonly");
        await until("both silent", () => call.report().mediaDirection === "inactive");
        await until("resumption", () => call.report().mediaDirection === "sendrecv");
        expect(call.report().fingerprints).toEqual(fingerprints);
        await speakToEcho(call);
        expectSecured(call);
        expect(await call.ended).toMatchObject({ by: "them" });
        await run.done;
      });

      it("RFC 3261 14: alice holds and resumes, the core answers", async () => {
        const held = (direction: string): readonly Step[] => [
          recvRequest("INVITE", { body: `RTP/AVP.*a=${direction === "recvonly" ? "sendonly" : direction}` }),
          respond("200 OK", { sdp: plainSdp({ direction }) }),
          recvRequest("ACK"),
        ];
        const run = await answering(
          invited(),
          respond("200 OK", { tag: true, sdp: plainSdp() }),
          recvRequest("ACK"),
          ...held("recvonly"),
          ...held("sendrecv"),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await alice.ue.call(far);
        await call.reinvite("sendonly");
        await call.reinvite("sendrecv");
        await speakToEcho(call);
        expectSecured(call);
        await call.hangup();
        await run.done;
      });

      it.each([
        [486, "Busy Here", []],
        [603, "Decline", []],
        [302, "Moved Temporarily", ["Contact: <sip:elsewhere@far.example>"]],
        [500, "Server Internal Error", ["Retry-After: 5"]],
      ] as const)(
        "RFC 3261 21: %i %s reaches alice, and is acknowledged hop by hop",
        async (status, reason, headers) => {
          const run = await answering(
            invited(),
            respond("180 Ringing", { tag: true }),
            respond(`${status} ${reason}`, { tag: true, headers }),
            recvRequest("ACK"),
          );
          await expect(alice.ue.call(far)).rejects.toMatchObject({ status });
          await run.done;
        },
      );

      it("RFC 3261 9: alice cancels before an answer", async () => {
        const run = await answering(
          invited(),
          respond("180 Ringing", { tag: true }),
          recvRequest("CANCEL"),
          respond("200 OK", { tag: true }),
          respondInvite("487 Request Terminated"),
          recvRequest("ACK"),
        );
        const call = await alice.ue.dial(far);
        call.answered.catch(() => undefined);
        await until("ringing", () => call.state === "ringing");
        expect(await call.hangup()).toMatchObject({ by: "us", status: 487 });
        await run.done;
      });

      it("RFC 3261 9.1: the answer was already on its way when alice cancelled: ACK and BYE", async () => {
        const run = await answering(
          invited(),
          respond("180 Ringing", { tag: true }),
          recvRequest("CANCEL"),
          respond("200 OK", { tag: true }),
          respondInvite("200 OK", { sdp: plainSdp() }),
          recvRequest("ACK"),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await alice.ue.dial(far);
        call.answered.catch(() => undefined);
        await until("ringing", () => call.state === "ringing");
        expect(await call.hangup()).toMatchObject({ by: "us" });
        await run.done;
      });

      // SIPp knows copies for copies only over UDP.
      it.runIf(protocol === "udp")(
        "RFC 3261 17.1.1.2 and 13.3.1.4: a slow core gets the same INVITE again; each 200 gets the same ACK",
        async () => {
          const run = await answering(
            invited(),
            // RFC 3261 17.1.1.2: timer A fires at 500 ms and 1500 ms; `-rtcheck full` refuses copies that differ.
            pause(1700),
            respond("200 OK", { tag: true, sdp: plainSdp() }),
            recvRequest("ACK"),
            // SIPp sends this once more for each copy of the ACK, as long as the copies are copies.
            respondInvite("200 OK", { sdp: plainSdp(), once: true }),
            recvRequest("BYE"),
            respond("200 OK"),
          );
          const call = await alice.ue.call(far);
          await speakToEcho(call);
          expectSecured(call);
          const sent = edges.crossings.filter(
            ({ side, direction, message }) =>
              side === "core" && direction === "out" && headerValue(message, "call-id") === call.id,
          );
          const invites = sent.filter(({ message }) => message.kind === "request" && message.method === "INVITE");
          expect(invites.length).toBe(3);
          expect(new Set(invites.map(({ octets }) => octets.toString("latin1"))).size).toBe(1);
          const acks = sent.filter(({ message }) => message.kind === "request" && message.method === "ACK");
          expect(acks.length).toBeGreaterThan(1);
          expect(new Set(acks.map(({ octets }) => octets.toString("latin1"))).size).toBe(1);
          await call.hangup();
          await run.done;
        },
      );
    });

    describe("the core calls", () => {
      it("RFC 3261 13, TS 33.328 7.3.1: 180, 200, speech, BYE from the core", async () => {
        const coming = nextCall();
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(200, { dialog: true, body: "RTP/AVP" }),
          requestOn("ACK", 1),
          pause(900),
          requestOn("BYE", 2),
          recvResponse(200),
        );
        const call = await coming;
        await call.answered;
        await speakToEcho(call);
        expectSecured(call);
        expect(await call.ended).toMatchObject({ by: "them" });
        await run.done;
      });

      it("RFC 3264 5, TS 33.328 7.2.1: no offer from the core; the UE's in the 200, the answer in the ACK", async () => {
        const coming = nextCall();
        const run = await calling(
          invite(),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(200, { dialog: true, body: "RTP/AVP" }),
          requestOn("ACK", 1, { sdp: plainSdp() }),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await coming;
        await call.answered;
        await speakToEcho(call);
        expectSecured(call);
        await call.hangup();
        await run.done;
      });

      it("RFC 3264 8.4: the core holds and resumes with re-INVITE, once without an offer", async () => {
        const coming = nextCall();
        const again = (seq: number, direction: string): readonly Step[] => [
          requestOn("INVITE", seq, { sdp: plainSdp({ direction, version: seq }) }),
          recvResponse(100, { optional: true }),
          recvResponse(200, { body: "RTP/AVP" }),
          requestOn("ACK", seq),
          pause(200),
        ];
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(200, { dialog: true }),
          requestOn("ACK", 1),
          ...again(2, "inactive"),
          requestOn("INVITE", 3),
          recvResponse(100, { optional: true }),
          recvResponse(200, { body: "RTP/AVP" }),
          requestOn("ACK", 3, { sdp: plainSdp({ version: 3 }) }),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await coming;
        await call.answered;
        const { fingerprints } = call.report();
        await until("hold", () => call.report().mediaDirection === "inactive");
        await until("resumption", () => call.report().mediaDirection === "sendrecv");
        expect(call.report().fingerprints).toEqual(fingerprints);
        await speakToEcho(call);
        expectSecured(call);
        await call.hangup();
        await run.done;
      });

      it("RFC 3261 9.2: the core cancels while the UE rings", async () => {
        alice.ue.onCall(() => ({ ringMs: 10_000 }));
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          cancel(),
          recvResponse(200),
          recvResponse(487),
          ackFailure(),
        );
        await run.done;
        await until("the ringing to end", () => alice.ue.calls().length === 0);
      });

      it("RFC 3261 9.2: the CANCEL comes after the answer and changes nothing", async () => {
        const coming = nextCall();
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(200, { dialog: true }),
          cancel(),
          recvResponse(200),
          requestOn("ACK", 1),
          pause(600),
          requestOn("BYE", 2),
          recvResponse(200),
        );
        const call = await coming;
        await call.answered;
        await speakToEcho(call);
        expectSecured(call);
        expect(await call.ended).toMatchObject({ by: "them" });
        await run.done;
      });

      it.each([486, 603])("RFC 3261 21: the UE answers %i, and the core hears it", async (status) => {
        alice.ue.onCall(() => ({ accept: false, status }));
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(status),
          ackFailure(),
        );
        await run.done;
      });

      it.runIf(protocol === "udp")("RFC 3261 13.3.1.4: the 200 comes again until the late ACK", async () => {
        const coming = nextCall();
        const run = await calling(
          invite({ sdp: plainSdp() }),
          recvResponse(100, { optional: true }),
          recvResponse(180),
          recvResponse(200, { dialog: true }),
          // `-rtcheck full` takes the copies at 500 ms and 1500 ms for what they are, if they are.
          pause(1700),
          requestOn("ACK", 1),
          recvRequest("BYE"),
          respond("200 OK"),
        );
        const call = await coming;
        await call.answered;
        await speakToEcho(call);
        expectSecured(call);
        await new Promise((resolve) => setTimeout(resolve, 1800));
        await call.hangup();
        await run.done;
      });
    });
  },
);
