import { describe, expect, it } from "vitest";
import { forwarded, openCall } from "./support/call.ts";
import { coreBody, cryptoLines, ueOffer } from "./support/bodies.ts";

describe("the UE's call", () => {
  it("TS 33.328 7.2.1 step 3: the transport is changed from SRTP to RTP, all SDES crypto attributes and the indication are removed", () => {
    const call = openCall();
    const text = forwarded(call.offer("access", ueOffer()));
    expect(text).toContain("m=audio 20000 RTP/AVP 96 8");
    expect(text).not.toMatch(/crypto|3ge2ae|inline/);
  });

  it("TS 33.328 7.2.1 step 8: the answer becomes SRTP with one SDES crypto attribute and the indication", () => {
    const call = openCall();
    call.offer("access", ueOffer());
    const text = forwarded(call.answer("core", coreBody()));
    expect(text).toContain("m=audio 30000 RTP/SAVP 96 8");
    expect(cryptoLines(text)).toHaveLength(1);
    expect(text).toMatch(/a=3ge2ae:applied\r\n/);
  });
});
