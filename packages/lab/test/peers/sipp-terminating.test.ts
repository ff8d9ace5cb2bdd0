// SIPp on the core side, calling: a far end with plain RTP, which it sends back; alice speaks SRTP behind the edge.
import { describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import {
  ackFailure,
  cancel,
  invite,
  pause,
  plainSdp,
  recvRequest,
  recvResponse,
  requestOn,
  respond,
  type Step,
} from "./support/scenario.ts";
import { expectSecured, sippCore, speakToEcho } from "./support/sipp-core.ts";
import { haveSipp } from "./support/sipp.ts";

describe.skipIf(!haveSipp).each(["udp", "tcp"] as const)(
  "SIPp as the core calls over %s (Debian package sip-tester)",
  (protocol) => {
    const core = sippCore(protocol);

    it("RFC 3261 13, TS 33.328 7.3.1: 180, 200, speech, BYE from the core", async () => {
      const coming = core.nextCall();
      const run = await core.calling(
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
      await core.connected(call);
      await speakToEcho(call);
      expectSecured(call);
      expect(await call.ended).toMatchObject({ by: "them" });
      await run.done;
    });

    it("RFC 3264 5, TS 33.328 7.2.1: no offer from the core; the UE's in the 200, the answer in the ACK", async () => {
      const coming = core.nextCall();
      const run = await core.calling(
        invite(),
        recvResponse(100, { optional: true }),
        recvResponse(180),
        recvResponse(200, { dialog: true, body: "RTP/AVP" }),
        requestOn("ACK", 1, { sdp: plainSdp() }),
        recvRequest("BYE"),
        respond("200 OK"),
      );
      const call = await coming;
      await core.connected(call);
      await speakToEcho(call);
      expectSecured(call);
      await call.hangup();
      await run.done;
    });

    it("RFC 3264 8.4: the core holds and resumes with re-INVITE, once without an offer", async () => {
      const coming = core.nextCall();
      const again = (seq: number, direction: string): readonly Step[] => [
        requestOn("INVITE", seq, { sdp: plainSdp({ direction, version: seq }) }),
        recvResponse(100, { optional: true }),
        recvResponse(200, { body: "RTP/AVP" }),
        requestOn("ACK", seq),
        pause(200),
      ];
      const run = await core.calling(
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
      await core.connected(call);
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
      core.alice.ue.onCall(() => ({ ringMs: 10_000 }));
      const run = await core.calling(
        invite({ sdp: plainSdp() }),
        recvResponse(100, { optional: true }),
        recvResponse(180),
        cancel(),
        recvResponse(200),
        recvResponse(487),
        ackFailure(),
      );
      await run.done;
      await until("the ringing to end", () => core.alice.ue.calls().length === 0);
    });

    it("RFC 3261 9.2: the CANCEL comes after the answer and changes nothing", async () => {
      const coming = core.nextCall();
      const run = await core.calling(
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
      await core.connected(call);
      await speakToEcho(call);
      expectSecured(call);
      expect(await call.ended).toMatchObject({ by: "them" });
      await run.done;
    });

    it.each([486, 603])("RFC 3261 21: the UE answers %i, and the core hears it", async (status) => {
      core.alice.ue.onCall(() => ({ accept: false, status }));
      const run = await core.calling(
        invite({ sdp: plainSdp() }),
        recvResponse(100, { optional: true }),
        recvResponse(180),
        recvResponse(status),
        ackFailure(),
      );
      await run.done;
    });

    it.runIf(protocol === "udp")("RFC 3261 13.3.1.4: the 200 comes again until the late ACK", async () => {
      const coming = core.nextCall();
      const run = await core.calling(
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
      await core.connected(call);
      await speakToEcho(call);
      expectSecured(call);
      await new Promise((resolve) => setTimeout(resolve, 1800));
      await call.hangup();
      await run.done;
    });
  },
);
