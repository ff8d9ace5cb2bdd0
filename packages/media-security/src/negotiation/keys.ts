// Owns which keys a state still refers to. What a decision leaves unreferenced is zeroised: exactly once, none forgotten.
import type { Secret } from "@sallyport/kit";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { GatewayStream } from "./model.ts";
import type { AgreedLine, Continuation, Exchange, Negotiation, OfferedLine, Session } from "./state.ts";

// Each walk adds to one set: this runs at every step of every call.
type Keys = Set<Secret>;

const addCrypto = (keys: Keys, crypto: CryptoAttribute | undefined): void => {
  if (crypto === undefined) return;
  for (const key of crypto.keys) keys.add(key.master);
  for (const param of crypto.sessionParams)
    if (param.kind === "FEC_KEY") for (const key of param.keys) keys.add(key.master);
};

const addAgreed = (keys: Keys, line: AgreedLine): void => {
  if (line.kind !== "secured") return;
  addCrypto(keys, line.fromUe);
  addCrypto(keys, line.towardsUe);
};

const addOffered = (keys: Keys, line: OfferedLine): void => {
  if (line.fate !== "secured") return;
  if (line.keys.kind === "ue-offered") addCrypto(keys, line.keys.chosen);
  else for (const candidate of line.keys.candidates) addCrypto(keys, candidate);
};

const addSession = (keys: Keys, session: Session | undefined): void => {
  if (session !== undefined) for (const line of session.lines) addAgreed(keys, line);
};

const addExchange = (keys: Keys, exchange: Exchange | undefined): void => {
  if (exchange === undefined) return;
  for (const line of exchange.lines) addOffered(keys, line);
  for (const answer of exchange.answers) addSession(keys, answer);
  addExchange(keys, exchange.outer);
};

const addWish = (keys: Keys, { access }: GatewayStream): void => {
  addCrypto(keys, access?.localCrypto);
  addCrypto(keys, access?.remoteCrypto);
};

const addContinuation = (keys: Keys, next: Continuation): void => {
  // Every kind by name: one that is forgotten here loses its keys while the gateway works.
  switch (next.kind) {
    case "forward-offer":
    case "ask":
      return addExchange(keys, next.exchange);
    case "forward-answer":
    case "settle":
    case "agree":
      return addSession(keys, next.session);
    case "restored":
      return;
  }
};

/** Every key that the state refers to, also those inside a gateway request under way. */
export const liveKeys = (state: Negotiation): ReadonlySet<Secret> => {
  const keys: Keys = new Set();
  addSession(keys, state.agreed);
  for (const session of state.early ?? []) addSession(keys, session);
  addExchange(keys, state.exchange);
  for (const { wish } of state.installed) addWish(keys, wish);
  if (state.pending !== undefined) {
    for (const stream of state.pending.plan.streams) addWish(keys, stream);
    addContinuation(keys, state.pending.next);
  }
  return keys;
};

/** Keys to zeroise when `before` became `after` and `made` came into being on the way. */
export const spentKeys = (before: Negotiation, made: readonly Secret[], after: Negotiation): readonly Secret[] => {
  if (before === after && made.length === 0) return [];
  const live = liveKeys(after);
  const spent = new Set<Secret>();
  for (const secret of liveKeys(before)) if (!live.has(secret)) spent.add(secret);
  for (const secret of made) if (!live.has(secret)) spent.add(secret);
  return [...spent];
};
