// SIPp on the core side, answering: a far end with plain RTP, which it sends back; alice speaks SRTP behind the edge.
import { headerValue } from "@sallyport/sip";
import { describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import {
  invited,
  pause,
  plainSdp,
  recvRequest,
  recvResponse,
  requestBack,
  respond,
  respondInvite,
  type Step,
} from "./support/scenario.ts";
import { expectSecured, far, sippCore, speakToEcho } from "./support/sipp-core.ts";
import { haveSipp } from "./support/sipp.ts";

describe.skipIf(!haveSipp).each(["udp", "tcp"] as const)(
  "SIPp as the core answers over %s (Debian package sip-tester)",
  (protocol) => {
    const core = sippCore(protocol);

    it("RFC 3261 13, TS 33.328 7.2.1: 180, 200; the UE ends", async () => {
      const run = await core.answering(
        invited({ body: "m=audio [0-9]+ RTP/AVP " }),
        respond("180 Ringing", { tag: true }),
        pause(50),
        respond("200 OK", { tag: true, sdp: plainSdp() }),
        recvRequest("ACK"),
        recvRequest("BYE"),
        respond("200 OK"),
      );
      const call = await core.alice.ue.call(far);
      await speakToEcho(call);
      expectSecured(call);
      await call.hangup();
      await run.done;
    });

    it.each([
      ["with the description again", plainSdp()],
      ["without a description", undefined],
    ])("RFC 3264 and RFC 3960: early media in 183, then 200 %s", async (_what, last) => {
      const run = await core.answering(
        invited(),
        respond("183 Session Progress", { tag: true, sdp: plainSdp() }),
        pause(900),
        respond("200 OK", { tag: true, ...(last === undefined ? {} : { sdp: last }) }),
        recvRequest("ACK"),
        recvRequest("BYE"),
        respond("200 OK"),
      );
      const call = await core.alice.ue.dial(far);
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
      const run = await core.answering(
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
      const call = await core.alice.ue.call(far);
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
      const run = await core.answering(
        invited(),
        respond("200 OK", { tag: true, sdp: plainSdp() }),
        recvRequest("ACK"),
        ...held("recvonly"),
        ...held("sendrecv"),
        recvRequest("BYE"),
        respond("200 OK"),
      );
      const call = await core.alice.ue.call(far);
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
    ] as const)("RFC 3261 21: %i %s reaches alice, and is acknowledged hop by hop", async (status, reason, headers) => {
      const run = await core.answering(
        invited(),
        respond("180 Ringing", { tag: true }),
        respond(`${status} ${reason}`, { tag: true, headers }),
        recvRequest("ACK"),
      );
      await expect(core.alice.ue.call(far)).rejects.toMatchObject({ status });
      await run.done;
    });

    it("RFC 3261 9: alice cancels before an answer", async () => {
      const run = await core.answering(
        invited(),
        respond("180 Ringing", { tag: true }),
        recvRequest("CANCEL"),
        respond("200 OK", { tag: true }),
        respondInvite("487 Request Terminated"),
        recvRequest("ACK"),
      );
      const call = await core.alice.ue.dial(far);
      call.answered.catch(() => undefined);
      await until("ringing", () => call.state === "ringing");
      expect(await call.hangup()).toMatchObject({ by: "us", status: 487 });
      await run.done;
    });

    it("RFC 3261 9.1: the answer was already on its way when alice cancelled: ACK and BYE", async () => {
      const run = await core.answering(
        invited(),
        respond("180 Ringing", { tag: true }),
        recvRequest("CANCEL"),
        respond("200 OK", { tag: true }),
        respondInvite("200 OK", { sdp: plainSdp() }),
        recvRequest("ACK"),
        recvRequest("BYE"),
        respond("200 OK"),
      );
      const call = await core.alice.ue.dial(far);
      call.answered.catch(() => undefined);
      await until("ringing", () => call.state === "ringing");
      expect(await call.hangup()).toMatchObject({ by: "us" });
      await run.done;
    });

    // SIPp knows copies for copies only over UDP.
    it.runIf(protocol === "udp")(
      "RFC 3261 17.1.1.2 and 13.3.1.4: a slow core gets the same INVITE again; each 200 gets the same ACK",
      async () => {
        const run = await core.answering(
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
        const call = await core.alice.ue.call(far);
        await speakToEcho(call);
        expectSecured(call);
        const sent = core.edges.crossings.filter(
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
  },
);
