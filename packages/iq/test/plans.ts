// Plans, keys and small answers that several tests use.
import type { ActionRequest, H248Message } from "@sallyport/h248";
import { parseH248, writeH248 } from "@sallyport/h248";
import { Secret } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { CallEndPlan, StreamPlan } from "../src/index.ts";

/** What a test counts on being there. */
export const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("missing");
  return value;
};

export const crypto = (fill: number, tag = 1, suite = "AES_CM_128_HMAC_SHA1_80", length = 30): CryptoAttribute => ({
  tag,
  suite,
  keys: [{ master: Secret.copyOf(Buffer.alloc(length, fill)) }],
  sessionParams: [],
});

export const accessEnd = (more: Partial<CallEndPlan> = {}): CallEndPlan => ({
  protocol: "RTP/SAVP",
  media: "audio",
  formats: ["0", "101"],
  mode: "inactive",
  ...more,
});

export const coreEnd = (more: Partial<CallEndPlan> = {}): CallEndPlan => ({
  protocol: "RTP/AVP",
  media: "audio",
  formats: ["0", "101"],
  mode: "inactive",
  ...more,
});

export const reservation: readonly StreamPlan[] = [
  { stream: 1, access: accessEnd({ remote: { address: "198.51.100.7", port: 49_170 } }), core: coreEnd() },
];

export const configuration: readonly StreamPlan[] = [
  {
    stream: 1,
    access: accessEnd({
      mode: "send-receive",
      remote: { address: "198.51.100.7", port: 49_170 },
      localCrypto: crypto(0x12),
      remoteCrypto: crypto(0x11),
    }),
    core: coreEnd({ mode: "send-receive", remote: { address: "203.0.113.9", port: 30_000 } }),
  },
];

/** The actions of the first request in a message text. */
export const actionsOf = (text: string): readonly ActionRequest[] => {
  const parsed = parseH248(Buffer.from(text, "latin1"));
  if (!parsed.ok) throw new Error(`not H.248: ${parsed.code} at ${parsed.offset}`);
  const { body } = parsed.message;
  const first = body.kind === "transactions" ? body.transactions[0] : undefined;
  if (first?.kind !== "request") throw new Error("no request");
  return first.actions;
};

/** A request as text, long tokens. */
export const textOf = (actions: readonly ActionRequest[]): string => {
  const message: H248Message = {
    version: 2,
    mid: "<edge-a.example>",
    body: { kind: "transactions", transactions: [{ kind: "request", id: 1, actions }] },
  };
  return writeH248(message, "pretty").toString("latin1");
};
