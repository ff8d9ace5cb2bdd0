// Local and Remote as text: what is written is read back, and nothing a peer sends throws, hangs or shows a key.
import * as fc from "fast-check";
import type { SallyportError } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { iqError } from "../src/controller/refusals.ts";
import type { SessionText, iqErrors } from "../src/index.ts";
import { errorText, readChoosePattern, readSessionText, terminationName, writeSessionText } from "../src/index.ts";
import { keysAllowed } from "../src/profile/keys-allowed.ts";
import { readServiceChange } from "../src/profile/services.ts";
import { crypto } from "./plans.ts";

const chosen = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof(
    fc.constant({ kind: "choose" } as const),
    fc.constant({ kind: "none" } as const),
    value.map((given) => ({ kind: "given", value: given }) as const),
  );

const port = fc.integer({ min: 0, max: 65_535 });
const address = fc.oneof(fc.ipV4(), fc.ipV6());

const session: fc.Arbitrary<SessionText> = fc.record(
  {
    address: chosen(address),
    port: chosen(port),
    media: fc.constantFrom("audio", "video", "text"),
    protocol: fc.constantFrom("RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "RTP/AVPF"),
    formats: fc.array(fc.integer({ min: 0, max: 127 }).map(String), { maxLength: 5 }),
    rtcp: fc.record({ port: chosen(port), address }, { requiredKeys: ["port"] }),
    rtcpMux: fc.boolean(),
    crypto: fc.integer({ min: 1, max: 255 }).map((fill) => crypto(fill)),
  },
  { requiredKeys: ["address", "port", "media", "protocol", "formats", "rtcpMux"] },
);

describe("session descriptions", () => {
  it("H.248.1 7.1.8: whatever is written is read back", () => {
    fc.assert(
      fc.property(session, (text) => {
        const written = writeSessionText(text);
        const read = readSessionText(written);
        expect(read.ok).toBe(true);
        if (read.ok) expect(writeSessionText(read.value)).toBe(written);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  it(
    "H.248.1 Annex B: any octets are read or refused with 473, 474 or 501, and nothing is thrown",
    { timeout: 60_000 },
    () => {
      const lines = fc.constantFrom(
        "v=0",
        "c=IN IP4 $",
        "m=audio $ RTP/SAVP -",
        "a=rtcp-mux",
        "a=crypto:1 X inline:AAAA",
        "a=rtcp:$",
        "s=-",
        "",
        "zz",
      );
      const text = fc.oneof(
        fc.string({ maxLength: 300, unit: "binary" }),
        fc.array(lines, { maxLength: 12 }).map((all) => all.join("\n")),
      );
      fc.assert(
        fc.property(text, (octets) => {
          const read = readSessionText(octets);
          if (!read.ok) {
            expect([473, 474, 501]).toContain(read.error.code);
            expect(read.error.text.length).toBeLessThanOrEqual(120);
          }
        }),
        { seed: 4, numRuns: 2000 },
      );
      expect(readSessionText("v=0\n".repeat(100_000)).ok).toBe(false);
      expect(readSessionText(`v=0\r\n${"a=x\r\n".repeat(200)}`)).toMatchObject({ ok: false, error: { code: 474 } });
    },
  );

  it("H.248.1 7.1.8: of one description v=, o=, s= and t= are optional to a gateway; a fully conformant one is as good", () => {
    const plain = readSessionText("c=IN IP4 $\nm=audio $ RTP/SAVP 0\n");
    expect(plain).toMatchObject({ ok: true, value: { media: "audio", formats: ["0"] } });
    const whole = "v=0\r\no=- 2890844526 2890842807 IN IP4 $\r\ns=-\r\nt=0 0\r\nc=IN IP4 $\r\nm=audio $ RTP/SAVP 0\r\n";
    expect(readSessionText(whole)).toEqual(plain);
    // Then v= is what parts one from the next.
    for (const two of ["c=IN IP4 $\nm=audio $ RTP/AVP 0\nv=0\n", "v=0\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n"])
      expect(readSessionText(two)).toMatchObject({ ok: false, error: { code: 501 } });
  });

  it("H.248.1 7.1.8, TS 23.334 8.2: formats left to a gateway that need not know them are none, and its answer leaves nothing open", () => {
    const read = readSessionText("v=0\nc=IN IP4 $\nm=audio $ RTP/SAVP $\n");
    expect(read).toMatchObject({ ok: true, value: { formats: [] } });
    if (read.ok) expect(writeSessionText(read.value)).toContain("m=audio $ RTP/SAVP -");
  });

  it("RFC 4566 5.14: one port may be written as a number of ports; several are none a stream of RTP has", () => {
    const portOf = (port: string) => {
      const read = readSessionText(`v=0\nc=IN IP4 192.0.2.1\nm=audio ${port} RTP/AVP 0\n`);
      return read.ok ? read.value.port : read.error.code;
    };
    expect(portOf("40000/1")).toEqual({ kind: "given", value: 40_000 });
    expect(portOf("$/1")).toEqual({ kind: "choose" });
    expect(["40000/2", "40000/", "/1", "40000/1/1"].map(portOf)).toEqual([474, 474, 474, 474]);
  });

  it("RFC 4566 5.13: a description may have as many attributes as a browser's video has", () => {
    const feedback = Array.from({ length: 300 }, (_, at) => `a=rtcp-fb:${96 + (at % 32)} nack pli`).join("\r\n");
    const read = readSessionText(`v=0\r\nc=IN IP4 $\r\nm=video $ RTP/SAVPF 96\r\n${feedback}\r\na=rtcp-mux\r\n`);
    expect(read).toMatchObject({ ok: true, value: { rtcpMux: true } });
    expect(readSessionText(`v=0\r\nc=IN IP4 $\r\nm=video $ RTP/SAVPF 96\r\n${"a=x\r\n".repeat(1000)}`).ok).toBe(false);
  });

  it("RFC 3605, H.248.1 7.1.8: port and address of RTCP are left to the gateway together", () => {
    const read = readSessionText("v=0\nc=IN IP4 $\nm=audio $ RTP/SAVP 0\na=rtcp:$ IN IP4 $\n");
    expect(read).toMatchObject({ ok: true, value: { rtcp: { port: { kind: "choose" } } } });
  });

  it("invariant 7: an error text shows no piece of a key, wherever a damaged message has put it, and what is none as it is", () => {
    const key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    const shown = [
      "tman/sdr=99999999999999999999",
      "root/MGCProvisionalResponseTimerValue=5",
      "UDP/TLS/RTP/SAVPF",
      "ip/1/access/4294967293",
      "ipdc/realm=averylongnameofarealm",
      "SALLY_PLANE_REMOTE",
    ];
    for (const text of shown) expect(errorText(text)).toBe(text);
    for (const piece of [
      key,
      key.slice(0, 32),
      key.slice(5, 21),
      `0${key.slice(0, 30)}0/rsb`,
      `gm/${key.slice(0, 20)}`,
    ])
      for (const text of [piece, `${piece}=ON`, `Mode=${piece}`])
        expect(errorText(text)).not.toMatch(/[A-Za-z0-9]{12}/);
  });

  it("TS 29.334 5.17.1: an error text never carries a key, a quote or a control character", () => {
    const key = Buffer.alloc(30, 0x55).toString("base64");
    const text = errorText(`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^20 "quoted"\r\n\0`);
    expect(text).toBe("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:<redacted>|2^20  quoted");
  });
});

describe("small rules", () => {
  it("TS 29.334 5.6, H.248.41: the side left to the gateway, or named by its realm, is the side that realm is on", () => {
    const sideOf = (realm: string) => (realm === "outside" ? "access" : realm === "inside" ? "core" : undefined);
    expect(readChoosePattern("$", { realm: "inside", sideOf })).toEqual({ side: "core", group: 1 });
    expect(readChoosePattern("ip/3/$/$", { realm: "outside", sideOf })).toEqual({ side: "access", group: 3 });
    expect(readChoosePattern("IP/3/Outside/$", { sideOf })).toEqual({ side: "access", group: 3, realm: "outside" });
    expect(terminationName({ side: "access", group: 3, realm: "outside" }, 9)).toBe("ip/3/outside/9");
    expect(readChoosePattern("ip/1/core/$", { realm: "outside", sideOf })).toEqual({ side: "core", group: 1 });
    for (const name of ["$", "ip/1/$/$", "ip/1/elsewhere/$", "ip/1/outside/7"])
      expect(readChoosePattern(name, { sideOf }), name).toBeUndefined();
  });

  it("TS 29.334 5.6: names to be chosen", () => {
    expect(readChoosePattern("IP/1/Access/$")).toEqual({ side: "access", group: 1 });
    expect(readChoosePattern("ip/$/core/$")).toEqual({ side: "core", group: 1 });
    for (const name of ["$", "ip/1/access/7", "ip/70000/core/$", "ip/1/core/$/x", "ip/1/x/$", "ip/-1/core/$", "*"]) {
      expect(readChoosePattern(name), name).toBeUndefined();
    }
  });

  it("invariant 6: keys cross mutual TLS, a path declared protected, or loopback in the lab, and nothing else", () => {
    const peer = (address: string, secure = false) => ({ protected: secure, local: { address }, remote: { address } });
    expect(keysAllowed(peer("192.0.2.1", true), {})).toBe(true);
    expect(keysAllowed(peer("192.0.2.1"), { protectedBelow: true })).toBe(true);
    for (const address of ["127.0.0.1", "127.9.9.9", "::1"]) {
      expect(keysAllowed(peer(address), { lab: true })).toBe(true);
      expect(keysAllowed(peer(address), {})).toBe(false);
    }
    for (const address of ["192.0.2.1", "128.0.0.1", "::2", "2001:db8::1"]) {
      expect(keysAllowed(peer(address), { lab: true }), address).toBe(false);
    }
  });

  it("H.248.1 7.2.8: the reason of a ServiceChange is a bare number or a quoted text; no descriptor is error 442", () => {
    const command = (services: object) =>
      readServiceChange({
        command: "ServiceChange",
        termination: "ROOT",
        descriptors: [{ kind: "services", extensions: [], ...services }],
      });
    expect(command({ method: "RESTART", reason: "901 Cold Boot", version: 2, profile: "ETSI_BGF/2" })).toEqual({
      ok: true,
      value: { method: "Restart", reason: 901, version: 2, profile: { name: "ETSI_BGF", version: 2 } },
    });
    expect(command({ method: "Forced", reason: "905" })).toMatchObject({ ok: true, value: { reason: 905 } });
    expect(command({ method: "X-Vanish" })).toMatchObject({ ok: false, error: { code: 449 } });
    expect(command({ method: "Restart", profile: "nonsense" })).toMatchObject({ ok: false, error: { code: 449 } });
    expect(readServiceChange({ command: "ServiceChange", termination: "ROOT", descriptors: [] })).toMatchObject({
      ok: false,
      error: { code: 442 },
    });
  });

  it.each<readonly [number, keyof typeof iqErrors.catalogue, number]>([
    [411, "SALLY_IQ_CONTEXT_GONE", 500],
    [412, "SALLY_IQ_NO_RESOURCES", 503],
    [430, "SALLY_IQ_CONTEXT_GONE", 500],
    [449, "SALLY_IQ_MEDIA_REFUSED", 488],
    [472, "SALLY_IQ_MEDIA_REFUSED", 488],
    [473, "SALLY_IQ_MEDIA_REFUSED", 488],
    [474, "SALLY_IQ_MEDIA_REFUSED", 488],
    [501, "SALLY_IQ_REFUSED", 500],
    [503, "SALLY_IQ_BUSY", 503],
    [504, "SALLY_IQ_GATEWAY_LOST", 503],
    [505, "SALLY_IQ_GATEWAY_LOST", 503],
    [506, "SALLY_IQ_BUSY", 503],
    [510, "SALLY_IQ_NO_RESOURCES", 503],
    [511, "SALLY_IQ_BUSY", 503],
    [512, "SALLY_IQ_NO_RESOURCES", 503],
    [526, "SALLY_IQ_NO_RESOURCES", 503],
    [599, "SALLY_IQ_REFUSED", 500],
  ])("H.248.1 errors: H.248 error %i becomes %s and SIP %i", (code, expected, status) => {
    const error: SallyportError = iqError({ code, text: "why inline:SECRETSECRETSECRET" }, "gw-a");
    expect([error.code, error.sipStatus, error.where]).toEqual([expected, status, "gw-a"]);
    expect(error.message).toContain(String(code));
    expect(error.message).not.toContain("SECRET");
  });
});
