// What is told of a call that came to nothing, or to less than was asked: issue 3, "why this call is, or is not, protected,
// with one reason code, and what was removed from whom".
import { describe, expect, it } from "vitest";
import { summarise } from "../src/index.ts";
import { coreBody, crypto, head, requested, secureAudio, ueOffer } from "./support/bodies.ts";
import { facts, kinds, openCall } from "./support/call.ts";

const terminating = { ueRole: "terminating" } as const;

describe("issue 3, evidence: why nothing was protected", () => {
  it("the core answers the RTP offer with SRTP: nothing is secured, the answer is the reason and is told", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    expect(kinds(call.answer("core", [...head(3), ...secureAudio(crypto(1, 4))]))).toContain("end-call");
    expect(summarise(call.state)).toMatchObject({
      security: "none",
      reason: "answer-invalid",
      streams: [{ stream: 1, security: "none", reason: "answer-invalid" }],
    });
    expect(call.evidence.at(-1)).toMatchObject({
      clause: "7.2.1",
      step: "5",
      origin: "core",
      reason: "answer-invalid",
    });
  });

  it("the UE answers the SRTP offer in the clear: the same of the UE", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody());
    expect(kinds(call.answer("access", coreBody()))).toContain("end-call");
    expect(summarise(call.state)).toMatchObject({ security: "none", reason: "answer-invalid" });
  });

  it("what was in force before an answer that spoiled it is still told as it was", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    call.answer("core", coreBody());
    call.offer("access", ueOffer());
    call.answer("core", [...head(3), ...secureAudio(crypto(1, 4))]);
    expect(summarise(call.state)).toMatchObject({ security: "e2ae", reason: "secured" });
  });

  it.each(["access", "core"] as const)(
    "%s refuses the only line with port 0: that is the reason, and it is told",
    (side) => {
      const call = openCall(side === "access" ? terminating : {});
      call.offer(side === "access" ? "core" : "access", side === "access" ? coreBody() : ueOffer());
      call.answer(side, [...head(3), `m=audio 0 ${side === "access" ? "RTP/SAVP" : "RTP/AVP"} 96 8`]);
      expect(summarise(call.state)).toMatchObject({ security: "none", reason: "rejected-by-peer" });
      expect(call.evidence).toContainEqual(
        expect.objectContaining({ origin: side, step: "5", stream: 1, reason: "rejected-by-peer" }),
      );
    },
  );
});

describe("issue 3, evidence: what was removed", () => {
  const removed = (call: ReturnType<typeof openCall>): readonly string[] =>
    call.evidence.flatMap(({ changed }) => changed.filter((change) => change.startsWith("removed")));

  it("of a phone's offer the crypto attributes alone, where it bore no indication", () => {
    const phone = openCall({
      policy: { ...facts.policy, sdesPhone: "terminate" },
      registration: { ...facts.registration, ueE2ae: false },
    });
    phone.offer("access", [...head(), ...secureAudio(crypto(1, 1))]);
    expect(removed(phone)).toEqual(["removed every crypto attribute"]);
    const call = openCall();
    call.offer("access", [...head(), ...secureAudio(crypto(1, 1), requested)]);
    expect(removed(call)).toEqual(["removed every crypto attribute and the indication"]);
  });

  it("TS 24.229 7.5.2: of a UE's answer the indication that stood there, once", () => {
    const call = openCall(terminating);
    call.offer("core", coreBody());
    call.answer("access", [...head(3), ...secureAudio(crypto(1, 9), requested)]);
    expect(removed(call)).toEqual(["removed a=3ge2ae", "removed the crypto attribute"]);
    expect(call.evidence.find(({ changed }) => changed.includes("removed a=3ge2ae"))?.origin).toBe("access");
  });
});
