// What is kept of registrations that nobody has authenticated yet. RFC 3329 2.3, RFC 3261 10.2.
import { VirtualClock } from "@sallyport/kit";
import { createRequest } from "@sallyport/sip";
import { describe, expect, it } from "vitest";
import { readAsked } from "../src/registration/asked.ts";
import { createPendingRegistrations } from "../src/registration/pending.ts";

const entry = { pathId: "a".repeat(32), sent: [], announced: ["sdes-srtp;mediasec"] };

describe("invariant 8: what a stranger's REGISTER leaves behind", () => {
  const keyOf = (contacts: readonly string[]): string => {
    const request = createRequest({
      method: "REGISTER",
      uri: "sip:home.example",
      headers: [["To", "<sip:a@home.example>"], ...contacts.map((value) => ["Contact", value] as const)],
    });
    const read = readAsked(request, "sip:a@home.example", 60);
    if (!read.ok) throw new Error(String(read.status));
    return read.asked.key;
  };

  it("RFC 3261 10.2.2: contacts are remembered by a digest, whatever their length and order", () => {
    const long = Array.from({ length: 7 }, (_, at) => `<sip:u${at}@192.0.2.1;x=${"a".repeat(7900)}>`);
    expect(keyOf(long)).toHaveLength(43);
    expect(keyOf(long)).toBe(keyOf(long.toReversed()));
    expect(keyOf(long)).not.toBe(keyOf(long.slice(1)));
    expect(keyOf([])).toHaveLength(43);
  });

  it("an entry leaves by its age, and by their number", () => {
    const clock = new VirtualClock();
    const pending = createPendingRegistrations(clock);
    for (let at = 0; at < 100; at += 1) pending.put("flow", `old ${at}`, entry);
    clock.advance(599_999);
    expect(pending.get("flow", "old 7")).toMatchObject(entry);
    pending.put("flow", "old 7", entry);
    clock.advance(1);
    pending.put("flow", "new", entry);
    expect(pending.size).toBe(2);
    expect(pending.get("flow", "old 8")).toBeUndefined();
    expect(pending.get("flow", "old 7")).toMatchObject(entry);
    for (let at = 0; at < 20_000; at += 1) pending.put("flow", `many ${at}`, entry);
    expect(pending.size).toBe(20_000);
    expect(pending.get("flow", "new")).toBeUndefined();
  });
});
