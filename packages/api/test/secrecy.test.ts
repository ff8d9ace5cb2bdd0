import { afterEach, describe, expect, it } from "vitest";
import type { Api } from "../src/index.ts";
import { name, prose } from "../src/text.ts";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge, gateway, registration, securedCall } from "./support/edge.ts";

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

const key = Buffer.alloc(30, 0x4b).toString("base64");
const hex = Buffer.alloc(16, 0x4b).toString("hex");

describe("invariant 7: no key leaves, even when a view behind the interface carries one", () => {
  const words = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^31, then ${key} alone, in hex ${hex}`;
  const stream = { stream: 1, media: "audio", security: "e2ae", reason: "secured" } as const;
  const edge = fakeEdge({
    calls: [
      securedCall({
        callId: `x;inline:${key}`,
        aor: `sip:alice:hunter2hunter2@lab.example;k=inline:${key}`,
        evidence: [
          { clause: "7.2.1", step: "3", found: words, changed: [words, `removed ${words}`], origin: "access" },
        ],
        removed: [words],
        streams: [{ ...stream, fromUe: key, towardsUe: hex }],
        ended: { reason: "bye", detail: words },
        // Fields that no shape knows stay behind.
        ...({ localCrypto: key, negotiation: { keys: [key] } } as object),
      }),
    ],
    registrations: [
      registration({
        contact: `sip:alice:hunter2hunter2@127.0.0.1;x=inline:${key}`,
        reason: words,
        ...({ password: key } as object),
      }),
    ],
    gateways: [gateway({ state: "down", reason: words, ...({ psk: key } as object) })],
  });

  it.each([
    "/v1",
    "/v1/schemas",
    "/v1/status",
    "/v1/registrations",
    "/v1/registrations/latest",
    "/v1/calls",
    "/v1/calls/latest",
    "/v1/calls/latest/explain",
    "/v1/gateways",
    "/v1/counters",
    "/metrics",
  ])("%s", async (path) => {
    api = await openApi(edge);
    const { status, text } = await ask(api, path);
    expect(status).toBe(200);
    for (const planted of [key, key.slice(0, 12), hex, hex.slice(0, 12), "hunter2"])
      expect(text).not.toContain(planted);
  });

  it("a text that is cut does not leave the beginning of a key behind", () => {
    for (let before = 470; before < 530; before += 1)
      expect(prose(`${"word ".repeat(200).slice(0, before)} ${key}`)).not.toContain(key.slice(0, 6));
  });

  it("words, suites, addresses and fingerprints are left alone", () => {
    for (const text of [
      "selected tag 1 AES_CM_128_HMAC_SHA1_80, key 4f:a2 as before",
      "RTP/SAVPF to RTP/AVPF",
      "IMS Access Gateway included in the media path",
      "connection from [2001:db8::1234:5678:9abc:def0]:2944 closed",
    ])
      expect(prose(text)).toBe(text);
    expect(name("sip:alice@lab.example;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6")).toContain("f81d4fae-7dec");
    expect(name("x".repeat(600))).toHaveLength(512);
  });
});
