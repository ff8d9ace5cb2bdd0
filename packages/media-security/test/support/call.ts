// A call on the bench: feeds a negotiation, answers its gateway requests, keeps what went out where.
import { seededRandom, type Secret } from "@sallyport/kit";
import { parseSdp, writeSdp, type SdpDocument } from "@sallyport/sdp";
import {
  decide,
  openNegotiation,
  type Effect,
  type Evidence,
  type GatewayPlan,
  type GatewayStream,
  type Negotiation,
  type NegotiationEvent,
  type NegotiationFacts,
  type Side,
} from "../../src/index.ts";

export const both = { ueE2ae: true, ueE2eSdes: false, ueE2eKms: false, networkE2ae: true };

export const facts: NegotiationFacts = {
  registration: both,
  policy: {
    e2ae: "offered",
    suites: ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"],
    announceUnasked: false,
  },
  confidential: true,
  ueRole: "originating",
};

export const sdp = (text: string | readonly string[]): SdpDocument => {
  const body = typeof text === "string" ? text : text.map((line) => `${line}\r\n`).join("");
  const parsed = parseSdp(body);
  if (!parsed.ok) throw new Error(`bad SDP in a test: ${parsed.code} in line ${parsed.line}`);
  return parsed.document;
};

export const body = (document: SdpDocument): string => writeSdp(document).toString("latin1");

const four = { access: "10.9.9.1", core: "192.0.2.10" };
const six = { access: "2001:db8:a::1", core: "2001:db8:c::1" };

/**
 * The addresses the bench's gateway gives out: 30000 and up towards the UE, 20000 and up towards the core, IPv6 where
 * the party has told an IPv6 address.
 */
export const localAddress = (side: Side, stream: number, remote = "") => {
  const port = (side === "access" ? 30_000 : 20_000) + 2 * (stream - 1);
  return { stream, address: (remote.includes(":") ? six : four)[side], port, rtcpPort: port + 1 };
};

export const gatewayReply = (request: number, plan: GatewayPlan): NegotiationEvent & { kind: "gateway-done" } => ({
  kind: "gateway-done",
  request,
  // An address once given stays: only streams that are reserved are told theirs.
  access: plan.streams.filter(isReservation).map((each) => ends(each, "access")),
  core: plan.streams.filter(isReservation).map((each) => ends(each, "core")),
});

const isReservation = ({ access }: GatewayStream): boolean => access?.localCrypto === undefined;

const ends = ({ stream, ...sides }: GatewayStream, side: Side) =>
  localAddress(side, stream, sides[side]?.remote?.address);

export interface Call {
  state: Negotiation;
  readonly effects: Effect[];
  readonly evidence: Evidence[];
  readonly zeroised: Secret[];
  /** Feeds one event; gateway requests are granted unless `refuse` is set. Gives the effects of this event. */
  feed(event: NegotiationEvent, options?: { refuse?: boolean; hold?: boolean }): readonly Effect[];
  offer(from: Side, text: readonly string[], extra?: object): readonly Effect[];
  answer(from: Side, text: readonly string[], extra?: object): readonly Effect[];
}

export const openCall = (change: Partial<NegotiationFacts> = {}, seed: string | number = 1): Call => {
  const random = seededRandom(seed);
  const call: Call = {
    state: openNegotiation({ ...facts, ...change }),
    effects: [],
    evidence: [],
    zeroised: [],
    feed: (event, options = {}) => {
      const seen: Effect[] = [];
      const queue: NegotiationEvent[] = [event];
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const decision = decide(call.state, next, random);
        call.state = decision.state;
        call.evidence.push(...decision.evidence);
        for (const effect of decision.effects) {
          seen.push(effect);
          if (effect.kind === "zeroise") {
            call.zeroised.push(...effect.keys);
            for (const key of effect.keys) key.release();
          }
          if (effect.kind === "gateway" && options.hold !== true) {
            queue.push(
              options.refuse === true
                ? { kind: "gateway-refused", request: effect.request, status: 503 }
                : gatewayReply(effect.request, effect.plan),
            );
          }
        }
      }
      call.effects.push(...seen);
      return seen;
    },
    offer: (from, text, extra = {}) => call.feed({ kind: "offer", from, sdp: sdp(text), carrier: "INVITE", ...extra }),
    answer: (from, text, extra = {}) => call.feed({ kind: "answer", from, sdp: sdp(text), carrier: "2xx", ...extra }),
  };
  return call;
};

/** The text of the body sent on in these effects; fails where there is none. */
export const forwarded = (effects: readonly Effect[]): string => {
  const effect = effects.findLast((each) => each.kind === "forward");
  if (effect?.kind !== "forward") throw new Error(`nothing was forwarded: ${effects.map((each) => each.kind).join()}`);
  return body(effect.sdp);
};

export const kinds = (effects: readonly Effect[]): readonly string[] => effects.map((effect) => effect.kind);

export const planOf = (effects: readonly Effect[]): GatewayPlan => {
  const effect = effects.findLast((each) => each.kind === "gateway");
  if (effect?.kind !== "gateway") throw new Error("no gateway request");
  return effect.plan;
};
