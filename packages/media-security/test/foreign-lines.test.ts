// Lines that are not what they were offered as: a key of the access that comes back end to end, an answer of another medium,
// an o= line nobody may write like that. RFC 4568 7.1, RFC 3264 6 and 8; TS 33.328 7.2.1, invariants 1 and 4.
import { describe, expect, it } from "vitest";
import { forwarded, kinds, openCall, planOf } from "./support/call.ts";

const key = (fill: number): string => Buffer.alloc(30, fill).toString("base64");
const crypto = (fill: number, tag = 1): string => `a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${key(fill)}`;
const head = (version: number, user = "-"): readonly string[] => [
  "v=0",
  `o=${user} 1 ${version} IN IP4 10.0.0.7`,
  "s=-",
  "c=IN IP4 10.0.0.7",
  "t=0 0",
];
const asked = (fill: number): readonly string[] => ["m=audio 40000 RTP/SAVP 8", crypto(fill), "a=3ge2ae:requested"];

describe("RFC 4568 7.1: a key of the access", () => {
  it("invariant 1: is not offered end to end on another line of a later offer, whatever became of its own", () => {
    const call = openCall();
    call.offer("access", [...head(1), ...asked(1)]);
    call.answer("core", [...head(1), "m=audio 6000 RTP/AVP 8"]);
    const moved = [...head(2), ...asked(2), "m=video 40002 RTP/SAVP 31", crypto(3), crypto(1, 2)];
    const text = forwarded(call.offer("access", moved));
    expect(text).toContain("m=video 0 RTP/SAVP 31");
    expect(text).not.toContain(key(1));
    expect(call.evidence.some(({ stream, reason }) => stream === 2 && reason === "malformed-request")).toBe(true);
  });

  it("invariant 1: is not answered end to end on another line", () => {
    const call = openCall();
    call.offer("access", [...head(1), ...asked(1)]);
    call.answer("core", [...head(1), "m=audio 6000 RTP/AVP 8"]);
    call.offer("core", [...head(2), "m=audio 6000 RTP/AVP 8", "m=video 6002 RTP/SAVP 31", crypto(9)]);
    const answer = ["m=audio 40000 RTP/SAVP 8", crypto(1), "m=video 40002 RTP/SAVP 31", crypto(1)];
    const text = forwarded(call.answer("access", [...head(2), ...answer]));
    expect(text).toContain("m=video 0 RTP/SAVP 31");
    expect(text).not.toContain(key(1));
  });

  it("invariant 9: another key on an end-to-end line beside it passes", () => {
    const call = openCall();
    const text = forwarded(call.offer("access", [...head(1), ...asked(1), "m=video 40002 RTP/SAVP 31", crypto(2)]));
    expect(text).toContain(`m=video 40002 RTP/SAVP 31\r\n${crypto(2)}\r\n`);
  });
});

describe("RFC 3264 6: an answer of another medium", () => {
  it("of the core is no answer: no key is installed, the call ends with 488", () => {
    const call = openCall();
    call.offer("access", [...head(1), ...asked(1)]);
    const effects = call.answer("core", [...head(1), "m=video 6000 RTP/AVP 8"]);
    expect(effects.find(({ kind }) => kind === "end-call")).toMatchObject({
      coreStatus: 488,
      reason: "answer-invalid",
    });
    expect(kinds(effects)).not.toContain("forward");
  });

  it("of the UE leaves the other lines; in other letters it is the same medium", () => {
    const call = openCall();
    call.offer("core", [...head(1), "m=audio 6000 RTP/AVP 8", "m=video 6002 RTP/AVP 31"]);
    const answer = ["m=AUDIO 40000 RTP/SAVP 8", crypto(1), "m=text 40002 RTP/SAVP 31", crypto(2)];
    const effects = call.answer("access", [...head(1), ...answer]);
    expect(planOf(effects).streams.map(({ stream }) => stream)).toEqual([1]);
    expect(forwarded(effects)).toMatch(/m=AUDIO 20000 RTP\/AVP 8[\s\S]*m=text 0 RTP\/AVP 31/);
  });
});

describe("RFC 3264 8: the version of an o= line", () => {
  it.each(["-", "bintec be.IP plus", "-  "])(
    "rises when another body comes under the same one, by the user %j",
    (user) => {
      const call = openCall();
      const version = (text: string): string | undefined => /^o=.* 1 (\d+) IN IP4 10\.0\.0\.7\r$/m.exec(text)?.[1];
      expect(version(forwarded(call.offer("access", [...head(7, user), ...asked(1)])))).toBe("7");
      call.answer("core", [...head(1), "m=audio 6000 RTP/AVP 8"]);
      const again = forwarded(call.offer("access", [...head(7, user), ...asked(1), "a=sendonly"]));
      expect(version(again)).toBe("8");
      expect(again).toContain(`o=${user} 1 8 IN IP4`);
    },
  );
});
