// Owns which keys a state still refers to. What a decision leaves unreferenced is zeroised: exactly once, none forgotten.
import type { Secret } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { GatewayStream } from "./model.ts";
import type { AgreedLine, Continuation, Exchange, Negotiation, OfferedLine, Session } from "./state.ts";
import { secretsOf } from "./step.ts";

const ofAgreed = (line: AgreedLine): readonly CryptoAttribute[] =>
  line.kind === "secured" ? [line.fromUe, line.towardsUe] : [];

const ofOffered = (line: OfferedLine): readonly CryptoAttribute[] => {
  if (line.fate !== "secured") return [];
  return line.keys.kind === "ue-offered" ? [line.keys.chosen] : line.keys.candidates;
};

const ofSession = (session: Session | undefined): readonly CryptoAttribute[] =>
  session === undefined ? [] : session.lines.flatMap(ofAgreed);

const ofExchange = (exchange: Exchange | undefined): readonly CryptoAttribute[] =>
  exchange === undefined
    ? []
    : [...exchange.lines.flatMap(ofOffered), ...exchange.answers.flatMap(ofSession), ...ofExchange(exchange.outer)];

const ofWish = ({ access }: GatewayStream): readonly CryptoAttribute[] =>
  [access?.localCrypto, access?.remoteCrypto].filter((crypto) => crypto !== undefined);

const ofContinuation = (next: Continuation): readonly CryptoAttribute[] => {
  switch (next.kind) {
    case "forward-offer":
    case "ask":
      return ofExchange(next.exchange);
    case "forward-answer":
    case "settle":
    case "agree":
      return ofSession(next.session);
    default:
      return [];
  }
};

/** Every key that the state refers to, also those inside a gateway request under way. */
export const liveKeys = (state: Negotiation): ReadonlySet<Secret> =>
  new Set(
    [
      ...ofSession(state.agreed),
      ...ofExchange(state.exchange),
      ...state.installed.flatMap((stream) => ofWish(stream.wish)),
      ...(state.pending === undefined
        ? []
        : [...state.pending.plan.streams.flatMap(ofWish), ...ofContinuation(state.pending.next)]),
    ].flatMap(secretsOf),
  );

/** Keys to zeroise when `before` became `after` and `made` came into being on the way. */
export const spentKeys = (before: Negotiation, made: readonly Secret[], after: Negotiation): readonly Secret[] => {
  const live = liveKeys(after);
  return [...new Set([...liveKeys(before), ...made])].filter((secret) => !live.has(secret));
};
