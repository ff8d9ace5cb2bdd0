// The world around a negotiation, for exploring event orders: a gateway that only knows what it was told, the keys that
// ever existed, and the invariants, checked after every single decision.
import type { Random, Secret } from "@sallyport/kit";
import { attributeValues, parseCrypto, type SdpDocument } from "@sallyport/sdp";
import {
  decide,
  type Effect,
  type GatewayPlan,
  type LegWish,
  type Negotiation,
  type NegotiationEvent,
} from "../../src/index.ts";
import { liveKeys } from "../../src/negotiation/keys.ts";
import { sessionStreams } from "../../src/negotiation/plan.ts";
import { protectionOf } from "../../src/negotiation/state.ts";
import { body, localAddress } from "./call.ts";

interface GatewayStream {
  readonly access: LegWish;
  readonly core: LegWish;
}

export interface World {
  readonly state: Negotiation;
  /** What the gateway holds; undefined: no context. */
  readonly gateway: ReadonlyMap<number, GatewayStream> | undefined;
  readonly asked: { readonly request: number; readonly plan: GatewayPlan } | undefined;
  /** Keys our own randomness made, as hex. */
  readonly made: ReadonlySet<string>;
  readonly released: ReadonlySet<Secret>;
  readonly seen: ReadonlySet<Secret>;
  /** Our key of a (stream, direction): where it was first used. */
  readonly uses: ReadonlyMap<string, string>;
  readonly drawn: number;
}

export const openWorld = (state: Negotiation): World => ({
  state,
  gateway: undefined,
  asked: undefined,
  made: new Set(),
  released: new Set(),
  seen: new Set(),
  uses: new Map(),
  drawn: 0,
});

// In these worlds no key is really zeroised: branches of the exploration share them.
const texts = new WeakMap<Secret, string>();

const hex = (secret: Secret): string => {
  const known = texts.get(secret) ?? secret.use((octets) => octets.toString("hex"));
  texts.set(secret, known);
  return known;
};

const keyHex = (crypto: LegWish["localCrypto"]): string | undefined => {
  const master = crypto?.keys[0]?.master;
  return master === undefined ? undefined : hex(master);
};

/** Keys written in one m-line. */
const keysIn = (document: SdpDocument, index: number): readonly string[] =>
  attributeValues(document.media[index]?.lines ?? [], "crypto").flatMap((value) => {
    const parsed = parseCrypto(value);
    return parsed.ok ? parsed.crypto.keys.map((key) => hex(key.master)) : [];
  });

export class Broken extends Error {}

const must = (invariant: string, holds: boolean, what = ""): void => {
  if (!holds) throw new Broken(`${invariant}: ${what}`);
};

export interface Marks {
  /** Texts that may only stand in bodies passed on unchanged: e2e calls. */
  readonly e2eBodies: ReadonlySet<string>;
  /** How this world's lines are protected: towards a phone no indication ever stands (SDES phone mode). */
  readonly mode?: "e2ae" | "sdes-phone";
  /** Key texts that parties sent, and parts of them: none may stand in evidence or state. */
  readonly keyTexts: readonly string[];
}

/** The body without its o= line: on a call that was e2ae our own version numbers go on. */
export const sameBody = (text: string): string => text.replace(/^o=.*\r\n/m, "");

const checkForward = (world: World, effect: Effect & { kind: "forward" }, offer: boolean, marks: Marks): void => {
  const text = body(effect.sdp);
  const passes = marks.e2eBodies.has(sameBody(text));
  for (const [index, media] of effect.sdp.media.entries()) {
    const stream = index + 1;
    const installed = world.gateway?.get(stream);
    const keys = keysIn(effect.sdp, index);
    const secure = media.protocol.startsWith("RTP/SAVP");
    if (passes) {
      const inUse = new Set([...liveKeys(world.state)].map(hex));
      must("invariant 1", !keys.some((key) => inUse.has(key)), "the key of an e2ae stream passed on as e2e");
      continue;
    }
    if (effect.towards === "core") {
      must("invariant 1", !/crypto|3ge2ae|inline/i.test(media.lines.map((line) => line.raw).join("")), text);
      const ours = media.port === localAddress("core", stream).port;
      must("invariant 1", !secure || !ours, "SRTP profile towards the core");
      must("invariant 8", !ours || installed !== undefined, "an address the gateway does not hold");
      if (!offer && ours) {
        must("invariant 6", installed?.access.remoteCrypto !== undefined, "answer to the core before K22 is installed");
        must("invariant 6", installed?.access.localCrypto !== undefined, "answer to the core before K21 is installed");
      }
      continue;
    }
    const marked = attributeValues(media.lines, "3ge2ae");
    must("invariant 2", !media.lines.some((line) => line.raw.includes("forged")), "a foreign line reached the UE");
    must(
      "invariant 2",
      keys.every((key) => world.made.has(key)),
      "a key that is not ours reached the UE",
    );
    // A party that answers SRTP to a plain offer without any key: nothing of ours.
    if (secure && keys.length === 0 && marked.length === 0 && media.port !== localAddress("access", stream).port)
      continue;
    const due = marks.mode !== "sdes-phone" && secure && media.port !== 0 ? 1 : 0;
    must("invariant 2", marked.length === due, `marker on ${media.protocol} ${text}`);
    if (!secure || media.port === 0) {
      must("invariant 1", keys.length === 0, "a key on a line that is not secured");
      continue;
    }
    must("invariant 2", due === 0 || marked[0] === "applied", "not applied");
    must("invariant 8", installed !== undefined, "secured line without gateway");
    must("invariant 8", media.port === localAddress("access", stream).port, "not the gateway's port");
    if (!offer) {
      must("invariant 6", keys.length === 1, "an answer has one crypto line");
      must("invariant 6", keyHex(installed?.access.localCrypto) === keys[0], "K12 is not what the gateway has");
      must("invariant 6", installed?.access.remoteCrypto !== undefined, "K11 is not in the gateway");
    }
  }
};

const applyPlan = (world: World, plan: GatewayPlan): ReadonlyMap<number, GatewayStream> => {
  const streams = new Map(world.gateway);
  for (const { stream, access, core } of plan.streams) {
    if (access !== undefined && core !== undefined) streams.set(stream, { access, core });
  }
  for (const stream of plan.remove) streams.delete(stream);
  return streams;
};

const checkPlan = (world: World, plan: GatewayPlan): ReadonlyMap<string, string> => {
  const uses = new Map(world.uses);
  must("invariant 10", (plan.context === "new") === (world.gateway === undefined), `context ${plan.context}`);
  for (const { stream, access, core } of plan.streams) {
    must("invariant 1", core?.localCrypto === undefined && core?.remoteCrypto === undefined, "a key on the core side");
    must("invariant 3", access?.protocol.startsWith("RTP/SAVP") === true, "access side not SRTP");
    must(
      "invariant 6",
      (access?.localCrypto === undefined) === (access?.remoteCrypto === undefined),
      "half a pair of keys",
    );
    must("invariant 3", access?.localCrypto !== undefined || access?.mode === "inactive", "open before it has keys");
    const ours = keyHex(access?.localCrypto);
    const theirs = keyHex(access?.remoteCrypto);
    if (ours === undefined || theirs === undefined) continue;
    must("invariant 4", world.made.has(ours) && !world.made.has(theirs), "directions mixed up");
    const use = `${stream} ${access?.localCrypto?.suite.toUpperCase()}`;
    must("invariant 4", (uses.get(ours) ?? use) === use, `one key for ${uses.get(ours)} and ${use}`);
    uses.set(ours, use);
  }
  return uses;
};

/** After a context was lost nothing it encrypted with may be used again, whatever for. */
const spent = (world: World): World["uses"] => {
  const uses = new Map(world.uses);
  for (const { access } of world.gateway?.values() ?? []) {
    const key = keyHex(access.localCrypto);
    if (key !== undefined) uses.set(key, "a lost context");
  }
  return uses;
};

const without = (wish: LegWish | undefined): string =>
  JSON.stringify([
    { ...wish, localCrypto: undefined, remoteCrypto: undefined },
    keyHex(wish?.localCrypto),
    keyHex(wish?.remoteCrypto),
  ]);

/** What holds in every state that waits for nothing. */
const checkState = (world: World, marks: Marks, evidence: unknown): void => {
  const { state } = world;
  const live = liveKeys(state);
  for (const secret of [...world.seen, ...live]) {
    must(
      "invariant 7",
      live.has(secret) !== world.released.has(secret),
      `${secret.fingerprint} forgotten, or released while in use`,
    );
  }
  const releasedHex = new Set([...world.released, ...live].map(hex));
  for (const key of world.made) must("invariant 7", releasedHex.has(key), "a key of ours was forgotten");
  const printed = JSON.stringify([evidence, state], (_, value: unknown) => (typeof value === "bigint" ? "n" : value));
  for (const text of marks.keyTexts) must("invariant 7", !printed.includes(text), "a key in evidence or state");
  if (state.pending !== undefined) return;
  must("invariant 10", (world.gateway === undefined) === (state.installed.length === 0), "context and state differ");
  if (state.phase === "ended") must("invariant 10", live.size === 0 && world.gateway === undefined, "left behind");
  if (state.exchange !== undefined) return;
  const wanted = state.agreed === undefined ? [] : sessionStreams(state.agreed);
  must("invariant 5", (world.gateway?.size ?? 0) === wanted.length, "other streams than the session in force");
  for (const { stream, access, core } of wanted) {
    const has = world.gateway?.get(stream);
    must("invariant 5", without(has?.access) === without(access), `access of ${stream}`);
    must("invariant 5", without(has?.core) === without(core), `core of ${stream}`);
  }
};

/** One decision in the world. Throws `Broken` where an invariant does not hold. */
export const stepWorld = (
  world: World,
  event: NegotiationEvent,
  marks: Marks,
): { world: World; effects: readonly Effect[] } => {
  let drawn = world.drawn;
  const made = new Set(world.made);
  const random: Random = {
    bytes: (length) => {
      drawn += 1;
      const octets = Buffer.alloc(length, 0xf0);
      octets.writeUInt32BE(drawn, 0);
      made.add(octets.toString("hex"));
      return octets;
    },
  };
  const { state, effects, evidence } = decide(world.state, event, random);
  let next: World = { ...world, state, drawn, made };
  if (event.kind === "re-offer" && event.gateway === "lost") next = { ...next, gateway: undefined, uses: spent(world) };
  if (event.kind === "gateway-done" && world.asked?.request === event.request) {
    next = { ...next, gateway: applyPlan(world, world.asked.plan), asked: undefined };
  }
  if (event.kind === "gateway-refused" && world.asked?.request === event.request) next = { ...next, asked: undefined };
  if (effects.some((effect) => effect.kind === "defer"))
    must("stated rule", state === world.state, "deferred but changed");
  for (const effect of effects) {
    switch (effect.kind) {
      case "gateway":
        must("stated rule", next.asked === undefined, "two gateway requests at once");
        next = { ...next, uses: checkPlan(next, effect.plan), asked: effect };
        break;
      case "ask":
        must("stated rule", next.asked === undefined, "asked before the gateway has answered");
        checkForward(next, { ...effect, kind: "forward" }, true, marks);
        break;
      case "forward":
        checkForward(next, effect, isOffer(world, event), marks);
        break;
      case "release-gateway":
        must("invariant 10", next.gateway !== undefined, "release without a context");
        must("invariant 10", next.asked === undefined, "release while a request is under way");
        next = { ...next, gateway: undefined };
        break;
      case "zeroise": {
        for (const key of effect.keys) must("invariant 7", !next.released.has(key), "released twice");
        next = { ...next, released: new Set([...next.released, ...effect.keys]) };
        break;
      }
      default:
        break;
    }
  }
  const seen = new Set([...next.seen, ...liveKeys(state), ...next.released]);
  next = { ...next, seen };
  if (event.kind === "exchange-failed" && state.phase !== "ended") {
    must("invariant 5", state.agreed === world.state.agreed, "a failed exchange changed what is in force");
  }
  checkDowngrade(world.state, state);
  if (state !== world.state || evidence.length > 0) checkState(next, marks, evidence);
  return { world: next, effects };
};

/** Unless policy lets the UE, no line of a dialog goes from protected to clear RTP, whatever lies between. */
const checkDowngrade = (before: Negotiation, after: Negotiation): void => {
  if (before.facts.policy.downgrade === "allow" || after.agreed === before.agreed) return;
  for (const [index, line] of (before.agreed?.lines ?? []).entries()) {
    const now = after.agreed?.lines[index];
    if (protectionOf(line) === undefined || now?.kind !== "passed" || now.security !== "none") continue;
    must("no downgrade", now.reason === "not-rtp" || now.reason === "rejected-by-peer", `${now.media} in the clear`);
  }
};

/** Whether what is forwarded in this step is an offer. */
const isOffer = (world: World, event: NegotiationEvent): boolean =>
  event.kind === "offer" || (event.kind === "gateway-done" && world.state.pending?.next.kind === "forward-offer");

/** One text for all worlds that behave alike: keys by order of appearance, counters and versions left out. */
export const canonical = (world: World, named: ReadonlyMap<string, string>): string => {
  const labels = new Map(named);
  const label = (secret: Secret): string => {
    const key = hex(secret);
    const known = labels.get(key) ?? `k${labels.size}`;
    labels.set(key, known);
    return known;
  };
  const skip = new Set(["requests", "request", "origins", "facts", "closing", "refused"]);
  const print = (value: unknown): unknown => {
    if (typeof value === "bigint") return String(value);
    if (typeof value !== "object" || value === null)
      return typeof value === "function" ? body((value as () => SdpDocument)()) : value;
    if (Array.isArray(value)) return value.map(print);
    if ("fingerprint" in value) return label(value as Secret);
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !skip.has(name))
        .map(([name, inner]) => [name, print(inner)]),
    );
  };
  return JSON.stringify([print(world.state), print([...(world.gateway ?? [])]), world.gateway === undefined]);
};
