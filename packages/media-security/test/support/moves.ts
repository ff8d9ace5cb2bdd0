// The events a call may meet, in any order: what the UE, the core, the gateway and the shell may say.
import { canReOffer, type NegotiationEvent, type Side } from "../../src/index.ts";
import { coreBody, crypto, head, requested, secureAudio, ueOffer } from "./bodies.ts";
import { body, gatewayReply, sdp } from "./call.ts";
import { sameBody, type Marks, type World } from "./world.ts";

export interface Move {
  readonly name: string;
  readonly event: (world: World) => NegotiationEvent | undefined;
}

const forged = [
  "a=3ge2ae:applied",
  "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:Zm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2VkZm9yZ2Vk",
];
const plain = (version: number, ...more: readonly string[]) => coreBody(version, ...forged, ...more);
const ueAnswer = (octet: number, tag = 1, ...more: readonly string[]) => [
  ...head(1, 5),
  ...secureAudio(crypto(tag, octet, tag === 1 ? undefined : "AES_CM_128_HMAC_SHA1_32"), ...more),
];
const e2e = [...head(1, 9), ...secureAudio(crypto(1, 0x66))];
const refusedAnswer = ueAnswer(0x41).map((line) => line.replace("m=audio 40000", "m=audio 0"));
const unmarkedOffer = [...head(1, 8), ...secureAudio(crypto(1, 0x41))];
const e2eAnswer = [...head(7, 9), ...secureAudio(crypto(1, 0x67))];

const offer = (name: string, from: Side, text: readonly string[], extra: object = {}): Move => {
  const event: NegotiationEvent = { kind: "offer", from, sdp: sdp(text), carrier: "INVITE", ...extra };
  return { name, event: () => event };
};
const answer = (name: string, from: Side, text: readonly string[], extra: object = {}): Move => {
  const event: NegotiationEvent = { kind: "answer", from, sdp: sdp(text), carrier: "2xx", branch: "b1", ...extra };
  return { name, event: () => event };
};
const simple = (event: NegotiationEvent): Move => ({ name: event.kind, event: () => event });

const gateway: readonly Move[] = [
  {
    name: "gateway-done",
    event: ({ asked }) => (asked === undefined ? undefined : gatewayReply(asked.request, asked.plan)),
  },
  {
    name: "gateway-refused",
    event: ({ asked }) =>
      asked === undefined ? undefined : { kind: "gateway-refused", request: asked.request, status: 503 },
  },
];

const ends: readonly Move[] = [simple({ kind: "exchange-failed" }), simple({ kind: "ended" })];

export const ueCalls: readonly Move[] = [
  offer("UE offers", "access", ueOffer(1, 0x11)),
  offer("UE offers a new key", "access", ueOffer(2, 0x21)),
  offer("UE holds", "access", [...head(1, 3), ...secureAudio(crypto(7, 0x11), requested, "a=sendonly")]),
  offer("UE offers in UPDATE", "access", ueOffer(4, 0x31), { carrier: "UPDATE", branch: "b1" }),
  offer("core re-offers", "core", plain(2, "a=sendonly")),
  offer("core offers in UPDATE", "core", plain(3), { carrier: "UPDATE", branch: "b1" }),
  answer("core answers 18x b1", "core", plain(1), { carrier: "18x" }),
  answer("core answers 18x b2", "core", ["v=0", "o=- 8 1 IN IP4 192.0.2.99", ...plain(1).slice(2)], {
    carrier: "18x",
    branch: "b2",
  }),
  answer("core answers 2xx b1", "core", plain(1)),
  answer("core answers 2xx b2", "core", ["v=0", "o=- 8 1 IN IP4 192.0.2.99", ...plain(1).slice(2)], { branch: "b2" }),
  answer("core repeats the INVITE's answer", "core", plain(1), { request: "INVITE" }),
  answer(
    "core refuses the line",
    "core",
    plain(1).map((line) => line.replace("m=audio 6000", "m=audio 0")),
  ),
  answer("UE answers", "access", ueAnswer(0x41, 1, requested)),
  simple({ kind: "confirmed", branch: "b1" }),
  simple({ kind: "confirmed", branch: "b2" }),
  ...gateway,
  ...ends,
];

export const coreCalls: readonly Move[] = [
  offer("core offers", "core", plain(1)),
  offer("core re-offers", "core", plain(2, "a=inactive")),
  offer("core offers in 18x", "core", plain(1), { carrier: "18x", branch: "b1" }),
  offer("core offers again in 2xx", "core", plain(1), { carrier: "2xx", branch: "b1" }),
  offer("core offers in UPDATE", "core", plain(3), { carrier: "UPDATE", branch: "b1" }),
  offer("UE re-offers", "access", [...head(1, 6), ...secureAudio(crypto(3, 0x41), requested)]),
  offer("UE re-offers with a new key", "access", ueOffer(7, 0x51)),
  offer("UE re-offers without its indication", "access", unmarkedOffer),
  offer("UE re-offers plain", "access", coreBody(8)),
  answer("UE answers 18x", "access", ueAnswer(0x41), { carrier: "18x" }),
  answer("UE answers", "access", ueAnswer(0x41, 1, requested)),
  answer("UE answers with another key", "access", ueAnswer(0x43)),
  answer("UE answers with the second suite", "access", ueAnswer(0x44, 2)),
  answer("UE answers in the clear", "access", coreBody(9)),
  answer(
    "UE refuses the line",
    "access",
    ueAnswer(0x41).map((line) => line.replace("m=audio 40000", "m=audio 0")),
  ),
  answer("core answers", "core", plain(4)),
  simple({ kind: "confirmed", branch: "b1" }),
  ...gateway,
  ...ends,
];

const second = ["v=0", "o=- 8 1 IN IP4 192.0.2.99", ...plain(1).slice(2)];

/** An INVITE without an offer whose places make theirs, each in an early dialog of its own. */
export const places: readonly Move[] = [
  offer("b1 offers in 18x", "core", plain(1), { carrier: "18x", branch: "b1" }),
  offer("b2 offers in 18x", "core", second, { carrier: "18x", branch: "b2" }),
  offer("b2 offers in 2xx", "core", second, { carrier: "2xx", branch: "b2" }),
  offer("b1 offers in UPDATE", "core", plain(3), { carrier: "UPDATE", branch: "b1" }),
  offer("UE offers to b2 in UPDATE", "access", ueOffer(4, 0x31), { carrier: "UPDATE", branch: "b2" }),
  answer("UE answers b1", "access", ueAnswer(0x41), { carrier: "PRACK" }),
  answer("UE answers b2 with the same key", "access", ueAnswer(0x41), { carrier: "PRACK", branch: "b2" }),
  answer("UE answers b2 with another key", "access", ueAnswer(0x43), { carrier: "PRACK", branch: "b2" }),
  answer("b2 answers the UE's UPDATE", "core", plain(5), { carrier: "UPDATE", branch: "b2", request: "UPDATE" }),
  simple({ kind: "confirmed", branch: "b1" }),
  simple({ kind: "confirmed", branch: "b2" }),
  ...gateway,
  ...ends,
];

export const mixed: readonly Move[] = [
  offer("UE offers", "access", ueOffer(1, 0x11)),
  offer("UE offers e2e", "access", e2e),
  offer("UE offers plain", "access", [...coreBody(2), crypto(1, 0x12)]),
  offer("core offers", "core", plain(1)),
  offer("core offers e2e", "core", e2eAnswer),
  answer("core answers", "core", plain(1)),
  answer("core answers e2e", "core", e2eAnswer),
  answer("UE answers", "access", ueAnswer(0x41, 1, requested)),
  answer("UE answers e2e", "access", e2e),
  ...gateway,
  ...ends,
];

const own = (towards: Side, gatewayIs: "lost" | "kept"): Move => ({
  name: `the edge offers to ${towards}, context ${gatewayIs}`,
  event: ({ state }) => (canReOffer(state) ? { kind: "re-offer", towards, gateway: gatewayIs } : undefined),
});

/** Calls whose gateway is lost, or whose keys wear out, at any time. */
export const moving: readonly Move[] = [
  offer("UE offers", "access", ueOffer(1, 0x11)),
  offer("UE offers a new key", "access", ueOffer(2, 0x21)),
  offer("core offers", "core", plain(1)),
  own("access", "lost"),
  own("access", "kept"),
  own("core", "kept"),
  answer("core answers", "core", plain(1)),
  answer("UE answers", "access", ueAnswer(0x41)),
  answer("UE answers with another key", "access", ueAnswer(0x43)),
  answer("UE answers in the clear", "access", coreBody(9)),
  answer("UE refuses the line", "access", refusedAnswer),
  ...gateway,
  ...ends,
];

const t38 = (session: number) => [...head(session, 8), "m=image 6100 udptl t38", "c=IN IP4 192.0.2.77"];

/** Lines that leave RTP, lose their port or their protection, and come back. */
export const changing: readonly Move[] = [
  offer("UE offers", "access", ueOffer(1, 0x11)),
  offer("UE offers plain", "access", coreBody(2)),
  offer("UE offers T.38", "access", t38(1)),
  offer("UE gives the line up", "access", [...head(1, 4), ...refusedAnswer.slice(4)]),
  offer("core offers", "core", plain(1)),
  offer("core offers T.38", "core", t38(7)),
  answer("core answers", "core", plain(1)),
  answer("core answers T.38", "core", t38(7)),
  answer("UE answers", "access", ueAnswer(0x41)),
  answer("UE answers in the clear", "access", coreBody(9)),
  answer("UE answers T.38", "access", t38(1)),
  ...gateway,
  ...ends,
];

/** A phone: SRTP without indication, tags as it pleases. */
export const phoneCalls: readonly Move[] = [
  offer("phone offers", "access", [...head(1, 1), ...secureAudio(crypto(7, 0x11))]),
  offer("phone offers the same key", "access", [...head(1, 2), ...secureAudio(crypto(1, 0x11), "a=sendonly")]),
  offer("phone offers a new key", "access", [...head(1, 3), ...secureAudio(crypto(1, 0x21))]),
  offer("phone offers and asks for e2ae", "access", ueOffer(4, 0x31)),
  offer("phone offers plain", "access", coreBody(5)),
  offer("core offers", "core", plain(1)),
  offer("core re-offers", "core", plain(2, "a=sendonly")),
  answer("core answers 18x", "core", plain(1), { carrier: "18x" }),
  answer("core answers", "core", plain(1)),
  answer("phone answers", "access", ueAnswer(0x41)),
  answer("phone answers with another key", "access", ueAnswer(0x43)),
  answer("phone answers in the clear", "access", coreBody(9)),
  ...gateway,
  ...ends,
];

// What a UE without indication sends over a line that is not e2ae is e2e, and passes: with keys that serve no e2ae stream.
const e2eBodies = new Set(
  [e2e, e2eAnswer, unmarkedOffer, refusedAnswer, ueAnswer(0x41), ueAnswer(0x43), ueAnswer(0x44, 2)].map((text) =>
    sameBody(body(sdp(text))),
  ),
);
const octets = [0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x43, 0x44, 0x51, 0x52, 0x66, 0x67];
const keyTexts = octets.flatMap((octet) => {
  const key = Buffer.alloc(30, octet);
  return [key.toString("base64").slice(0, 12), key.toString("hex").slice(0, 12)];
});
export const marks: Marks = { e2eBodies, keyTexts: [...keyTexts, "inline", "Zm9yZ2Vk", "8PDw8PDw", "f0f0f0f0"] };
export const named = new Map(octets.map((octet) => [Buffer.alloc(30, octet).toString("hex"), `ue${octet}`]));
