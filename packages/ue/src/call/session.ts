// Owns the offer/answer state of one call: what was offered, what is in force, whose keys are whose.
// Must not know SIP messages. RFC 3264 5 to 8, RFC 4568 5.1 and 7.1.4 (unchanged keys keep their contexts).
import type { Random } from "@sallyport/kit";
import { createAnswer, createOffer } from "@sallyport/media-security";
import { parseSdp, releaseCrypto, type CryptoAttribute, type SdpDocument } from "@sallyport/sdp";
import type { Law } from "../media/g711.ts";
import type { AudioStream } from "../media/stream.ts";
import {
  answerDirection,
  commonFormats,
  ownFormats,
  readDescription,
  writeDescription,
  type Direction,
  type Formats,
  type RemoteEnd,
} from "./description.ts";
import {
  judgeAnswer,
  judgeOffer,
  type AgreedKeys,
  type Asked,
  type MediaSecurity,
  type SecurityFacts,
  type SecurityNote,
} from "./security.ts";

type Outcome = { readonly ok: true } | { readonly ok: false; readonly why: string };
type AnswerOutcome = { readonly ok: true; readonly answer: string } | { readonly ok: false; readonly why: string };

interface SessionView {
  readonly asked: Asked;
  readonly security: MediaSecurity | undefined;
  readonly notes: readonly SecurityNote[];
  readonly suite?: string;
  /** Fingerprints of the keys: what we send with, what they send with. */
  readonly fingerprints?: { readonly ours: string; readonly theirs: string };
  readonly codec?: Law;
  readonly direction: Direction;
}

export interface Session {
  /** A fresh offer, or the same stream again with its keys. */
  offer(asked: Asked, direction: Direction): string;
  /** `final`: no other answer to this offer will come. A refused answer leaves what was in force. */
  takeAnswer(body: Uint8Array, final: boolean): Outcome;
  /** The open offer came to nothing: what was in force stays. */
  abandonOffer(): void;
  takeOffer(body: Uint8Array, wished: Direction): AnswerOutcome;
  readonly view: SessionView;
  /** Something was agreed. */
  readonly agreed: boolean;
  /** Zeroises every key. The stream is closed by its owner. */
  release(): void;
}

export interface SessionOptions {
  readonly random: Random;
  readonly stream: AudioStream;
  readonly codecs: readonly Law[];
  readonly mux: boolean;
  readonly sessionId: string;
  facts(): SecurityFacts;
}

interface OpenOffer {
  readonly asked: Asked;
  readonly cryptos: readonly CryptoAttribute[];
  readonly formats: Formats;
  readonly direction: Direction;
}

const acceptsOf = (formats: Formats): ReadonlyMap<number, Law | "event"> =>
  new Map<number, Law | "event">([
    ...formats.speech.map(({ payloadType, law }) => [payloadType, law] as const),
    ...(formats.event === undefined ? [] : [[formats.event, "event"] as const]),
  ]);

const sends = (direction: Direction): boolean => direction === "sendrecv" || direction === "sendonly";
const receives = (direction: Direction): boolean => direction === "sendrecv" || direction === "recvonly";

export const createSession = (options: SessionOptions): Session => {
  const { random, stream } = options;
  let open: OpenOffer | undefined;
  let keys: AgreedKeys | undefined;
  let asked: Asked = "none";
  let security: MediaSecurity | undefined;
  let notes: readonly SecurityNote[] = [];
  let codec: Law | undefined;
  let direction: Direction = "sendrecv";
  let shape: { readonly offer: SdpDocument; readonly index: number } | undefined;
  let version = 0;
  let written = "";

  /** RFC 3264 8: the version counts up exactly when the description changes. */
  const write = (parts: Omit<Parameters<typeof writeDescription>[0], "version" | "sessionId" | "local">): string => {
    const at = (each: number) =>
      writeDescription({ ...parts, sessionId: options.sessionId, version: each, local: stream.local });
    if (at(version) !== written) version += 1;
    written = at(version);
    return written;
  };

  /** Releases what of `old` is used nowhere in `kept`; attributes may share keys. */
  const releaseUnused = (old: readonly CryptoAttribute[], kept: readonly CryptoAttribute[]): void => {
    const used = new Set(kept.flatMap((each) => each.keys.map((key) => key.master)));
    for (const each of old) {
      if (!each.keys.some((key) => used.has(key.master))) releaseCrypto(each);
    }
  };

  const inForce = (): readonly CryptoAttribute[] => (keys === undefined ? [] : [keys.ours, keys.theirs]);

  const agree = (
    remote: RemoteEnd,
    facts: {
      readonly speech: { readonly payloadType: number; readonly law: Law };
      readonly accepts: ReadonlyMap<number, Law | "event">;
      readonly mux: boolean;
      readonly direction: Direction;
      readonly keys: AgreedKeys | undefined;
    },
  ): void => {
    const { event } = remote.formats;
    stream.agree({
      remote: { address: remote.address, rtpPort: remote.port, rtcpPort: remote.rtcpPort },
      mux: facts.mux,
      speech: facts.speech,
      ...(event === undefined ? {} : { event }),
      accepts: facts.accepts,
      ...(facts.keys === undefined ? {} : { keys: facts.keys }),
      send: sends(facts.direction),
      receive: receives(facts.direction),
    });
    const before = inForce();
    keys = facts.keys;
    releaseUnused(before, [...inForce(), ...(open?.cryptos ?? [])]);
    codec = facts.speech.law;
    direction = facts.direction;
  };

  const closeOffer = (): void => {
    releaseUnused(open?.cryptos ?? [], inForce());
    open = undefined;
  };

  return {
    offer: (wanted, wished) => {
      closeOffer();
      const facts = options.facts();
      // A stream that is secured is offered again as it is, with the suite and the key in use.
      const cryptos =
        keys !== undefined ? [{ ...keys.ours, tag: 1 }] : wanted === "none" ? [] : createOffer(facts.suites, random);
      open = { asked: wanted, cryptos, formats: ownFormats(options.codecs), direction: wished };
      asked = wanted;
      return write({
        mux: options.mux,
        formats: open.formats,
        direction: wished,
        protocol: cryptos.length === 0 ? "RTP/AVP" : "RTP/SAVP",
        cryptos,
        ...(wanted === "e2ae" ? { indication: "requested" as const } : {}),
        ...(shape === undefined ? {} : { answers: shape }),
      });
    },

    takeAnswer: (body, final) => {
      const no = (why: string): Outcome => ({ ok: false, why });
      if (open === undefined) return no("An answer came to no offer.");
      const parsed = parseSdp(body);
      if (!parsed.ok) return no(`The answer is no SDP: ${parsed.code} in line ${parsed.line}.`);
      const remote = readDescription(parsed.document, shape?.index ?? 0);
      if (remote === undefined) return no("The answer has no audio line where the offer had it.");
      if (remote.port === 0) return no("The audio stream was refused.");
      const [speech] = commonFormats(remote.formats, options.codecs).speech;
      if (speech === undefined) return no("The answer names no codec that was offered.");
      const judged = judgeAnswer(options.facts(), open.asked, open.cryptos, remote);
      notes = judged.notes;
      if (!judged.ok) return no(judged.why);
      security = judged.security;
      agree(remote, {
        speech,
        accepts: acceptsOf(open.formats),
        mux: options.mux && remote.mux,
        direction: answerDirection(remote.direction, open.direction),
        keys: judged.keys,
      });
      if (final) closeOffer();
      return { ok: true };
    },

    abandonOffer: closeOffer,

    takeOffer: (body, wished) => {
      const no = (why: string): AnswerOutcome => ({ ok: false, why });
      const parsed = parseSdp(body);
      if (!parsed.ok) return no(`The offer is no SDP: ${parsed.code} in line ${parsed.line}.`);
      const remote = readDescription(parsed.document, shape?.index);
      if (remote === undefined || remote.port === 0) return no("The offer has no audio line in use.");
      const formats = commonFormats(remote.formats, options.codecs);
      const [speech] = formats.speech;
      if (speech === undefined) return no("The offer has no codec in common.");
      const facts = options.facts();
      const judged = judgeOffer(facts, remote);
      if (!judged.ok) return no(judged.why);
      const lesser = security === "e2ae" && judged.security !== "e2ae";
      // What was protected is not made clear by a later offer, whoever sends it; nor less than the policy asks for.
      if (keys !== undefined && (judged.chosen === undefined || (lesser && facts.e2ae === "required"))) {
        if (judged.chosen !== undefined) releaseCrypto(judged.chosen.crypto);
        return no("The offer would take the protection of the call away.");
      }
      let next: AgreedKeys | undefined;
      if (judged.chosen !== undefined) {
        const { crypto, suite } = judged.chosen;
        // RFC 4568 7.1.4: our key stays while the suite does, whatever tag the other side gives the line.
        const ours =
          keys !== undefined && keys.suite.name === suite.name
            ? { ...keys.ours, tag: crypto.tag, suite: crypto.suite }
            : createAnswer(crypto, random);
        next = { ours, theirs: crypto, suite };
      }
      shape = { offer: parsed.document, index: remote.index };
      security = judged.security;
      notes = judged.notes;
      const mux = options.mux && remote.mux;
      const agreedDirection = answerDirection(remote.direction, wished);
      agree(remote, { speech, accepts: acceptsOf(formats), mux, direction: agreedDirection, keys: next });
      const answer = write({
        mux,
        formats,
        direction: agreedDirection,
        protocol: remote.protocol,
        cryptos: next === undefined ? [] : [next.ours],
        answers: shape,
      });
      return { ok: true, answer };
    },

    get view() {
      return {
        asked,
        security,
        notes,
        direction,
        ...(keys === undefined ? {} : { suite: keys.suite.name, fingerprints: fingerprintsOf(keys) }),
        ...(codec === undefined ? {} : { codec }),
      };
    },
    get agreed() {
      return codec !== undefined;
    },
    release: () => {
      closeOffer();
      for (const each of inForce()) releaseCrypto(each);
      keys = undefined;
    },
  };
};

const fingerprintsOf = (keys: AgreedKeys): { readonly ours: string; readonly theirs: string } => ({
  ours: keys.ours.keys[0]?.master.fingerprint ?? "",
  theirs: keys.theirs.keys[0]?.master.fingerprint ?? "",
});
