// Bodies as other people write them, one a file under test/corpus: how each is played at a negotiation, in every role and
// mode, and the outcome in words. What stands beside a body (`.expected`) is that text.
import { readFileSync, readdirSync } from "node:fs";
import { parseSdp } from "@sallyport/sdp";
import { summarise, type Effect, type NegotiationFacts, type Side } from "../../src/index.ts";
import { both, facts, forwarded, openCall, sdp, type Call } from "./call.ts";

export const corpusFolder = new URL("../corpus/", import.meta.url);

export interface CorpusBody {
  readonly name: string;
  readonly text: string;
}

export const corpusBodies: readonly CorpusBody[] = readdirSync(corpusFolder)
  .filter((name) => name.endsWith(".sdp"))
  .sort()
  .map((name) => ({ name: name.slice(0, -4), text: readFileSync(new URL(name, corpusFolder), "latin1") }));

const nobody = { ueE2ae: false, ueE2eSdes: false, ueE2eKms: false, networkE2ae: false };

const modes = {
  e2ae: { registration: both },
  required: { registration: both, policy: { ...facts.policy, e2ae: "required" } },
  phone: { registration: nobody, policy: { ...facts.policy, e2ae: "off", sdesPhone: "offer" } },
  plain: { registration: nobody, policy: { ...facts.policy, e2ae: "off" } },
} as const satisfies Record<string, Partial<NegotiationFacts>>;

type Mode = keyof typeof modes;

/** A key of a party on the bench: 30 octets, told apart by the section it stands in. */
const partyKey = (section: number): string => Buffer.alloc(30, 0x60 + (section % 64)).toString("base64");

const endOf = (text: string): string => (/\r\n/.test(text) ? "\r\n" : "\n");

/** Each m-line with what follows it; the session part first. */
export const sectionsOf = (text: string): readonly string[] => text.split(/^(?=m=)/m);

const map = (text: string, change: (section: string, index: number) => string): string =>
  sectionsOf(text)
    .map((section, at) => (at === 0 ? section : change(section, at - 1)))
    .join("");

/** With lines at its end: before the blank ones a body may end in. */
const appended = (section: string, lines: readonly string[], end: string): string => {
  const [blanks = ""] = /(?:\r?\n)*$/.exec(section) ?? [];
  const [own = "", ...more] = blanks.split(/(?<=\n)/);
  const last = own === "" ? end : own;
  return (
    section.slice(0, section.length - blanks.length) + last + lines.map((line) => line + end).join("") + more.join("")
  );
};

const without = (section: string, names: RegExp): string =>
  section.replace(new RegExp(`^a=(?:${names.source})[^\\r\\n]*(?:\\r?\\n|$)`, "gim"), "");

/** The body as a UE would write it that asks for e2ae: every AVP line an SAVP line with a key and the indication. */
const dressed = (text: string, indicated: boolean): string =>
  map(text, (section, at) => {
    if (!/^m=\S+ +[1-9]\S* +RTP\/AVPF?\b/i.test(section)) return section;
    const end = endOf(text);
    const secured = section.replace(/ RTP\/AVP/i, " RTP/SAVP");
    const key = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${partyKey(at)}`;
    return appended(secured, indicated ? [key, "a=3ge2ae:requested"] : [key], end);
  });

/** The body as the core would have it: no SAVP, no key. */
const undressed = (text: string): string =>
  map(without(text, /crypto|3ge2ae/), (section) => section.replace(/^(m=.*) RTP\/SAVP/i, "$1 RTP/AVP"));

/** An answer to what was offered: profile and tag taken over on lines that carry our key. */
const answering = (text: string, offer: string): string => {
  const offered = sectionsOf(offer).slice(1);
  return map(undressed(text), (section, at) => {
    const profile = /^m=\S+ \S+ (RTP\/SAVPF?)\b/i.exec(offered[at] ?? "")?.[1];
    const tag = /^a=crypto:(\d+) /m.exec(offered[at] ?? "")?.[1];
    if (profile === undefined || tag === undefined || /^m=\S+ +0\b/.test(section)) return section;
    const end = endOf(text);
    const secured = section.replace(/^(m=\S+ +\S+ +)\S+/, `$1${profile}`);
    return appended(secured, [`a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${partyKey(32 + at)}`], end);
  });
};

const nextVersion = (text: string): string =>
  text.replace(/^(o=\S+ \S+ )(\d+)/m, (_, before: string, version: string) => `${before}${BigInt(version) + 1n}`);

/** One body put in, what came of it. */
export interface Played {
  readonly from: Side;
  readonly kind: "offer" | "answer";
  /** The body in question, as handed in. */
  readonly input: string;
  readonly call: Call;
  readonly effects: readonly Effect[];
}

type Play = (text: string, mode: Mode) => Played | undefined;

const put = (call: Call, kind: "offer" | "answer", from: Side, input: string): Played => {
  const carrier = kind === "offer" ? "INVITE" : "2xx";
  const effects = call.feed({ kind, from, sdp: sdp(input), carrier });
  return { from, kind, input, call, effects };
};

const isThrough = ({ effects }: Played): boolean => effects.some(({ kind }) => kind === "forward");

/** The body offered by one side and answered, by its own mirror, by the other; undefined when it is not taken. */
const established = (call: Call, from: Side, offer: string): boolean => {
  const offered = put(call, "offer", from, offer);
  if (!isThrough(offered)) return false;
  const other = from === "access" ? "core" : "access";
  return isThrough(put(call, "answer", other, answering(offer, forwarded(offered.effects))));
};

const isDressing = (mode: Mode): boolean => mode !== "plain";
const dress = (text: string, mode: Mode): string => dressed(text, mode !== "phone");

const roles: Readonly<Record<string, Play>> = {
  "offer of the UE": (text, mode) => put(openCall(modes[mode]), "offer", "access", text),
  "offer of the UE, secured": (text, mode) => {
    const input = dress(text, mode);
    return input === text || !isDressing(mode) ? undefined : put(openCall(modes[mode]), "offer", "access", input);
  },
  "offer of the core": (text, mode) => put(openCall(modes[mode]), "offer", "core", text),
  "answer of the UE": (text, mode) => {
    const call = openCall(modes[mode]);
    const offered = put(call, "offer", "core", undressed(text));
    if (!isThrough(offered)) return undefined;
    return put(call, "answer", "access", answering(text, forwarded(offered.effects)));
  },
  "answer of the UE as it stands": (text, mode) => {
    const call = openCall(modes[mode]);
    return isThrough(put(call, "offer", "core", undressed(text))) ? put(call, "answer", "access", text) : undefined;
  },
  "answer of the core": (text, mode) => {
    const call = openCall(modes[mode]);
    const offer = isDressing(mode) ? dress(undressed(text), mode) : undressed(text);
    return isThrough(put(call, "offer", "access", offer)) ? put(call, "answer", "core", undressed(text)) : undefined;
  },
  "answer of the core as it stands": (text, mode) => {
    const call = openCall(modes[mode]);
    const offer = isDressing(mode) ? dress(undressed(text), mode) : undressed(text);
    return isThrough(put(call, "offer", "access", offer)) ? put(call, "answer", "core", text) : undefined;
  },
  "re-offer of the UE": (text, mode) => {
    const call = openCall(modes[mode]);
    const offer = isDressing(mode) ? dress(text, mode) : text;
    return established(call, "access", offer) ? put(call, "offer", "access", nextVersion(offer)) : undefined;
  },
  "re-offer of the core": (text, mode) => {
    const call = openCall(modes[mode]);
    const offer = undressed(text);
    return established(call, "core", offer) ? put(call, "offer", "core", nextVersion(offer)) : undefined;
  },
};

const unkeyed = (line: string): string => line.replace(/(inline:)[A-Za-z0-9+/=]{38,}/g, "$1(key)");

const linesOf = (text: string): readonly string[] => text.split(/\r?\n/);

/** What went and what came, line by line; lines that stay in their order are not shown. */
const difference = (before: string, after: string): readonly string[] => {
  const sections = sectionsOf(after);
  return sectionsOf(before).flatMap((section, at) => {
    const was = linesOf(section);
    const is = linesOf(sections[at] ?? "");
    const left = [...is];
    const gone = was.filter((line) => {
      const found = left.indexOf(line);
      if (found >= 0) left.splice(found, 1);
      return found < 0;
    });
    return gone.map((line) => `  -${at} ${unkeyed(line)}`).concat(left.map((line) => `  +${at} ${unkeyed(line)}`));
  });
};

const orders = ({ effects }: Played): readonly string[] =>
  effects.flatMap((effect) =>
    effect.kind !== "gateway"
      ? []
      : effect.plan.streams.map(({ stream, access, core }) => {
          const leg = (wish: typeof access): string => {
            const { address = "-", port, rtcpPort } = wish?.remote ?? {};
            return [
              wish?.protocol,
              port === undefined ? address : `${address}:${port}`,
              ...(rtcpPort === undefined ? [] : [`rtcp ${rtcpPort}`]),
              ...(wish?.rtcpMux === true ? ["mux"] : []),
              wish?.mode,
              ...(wish?.localCrypto === undefined ? [] : ["keyed"]),
            ].join(" ");
          };
          return `  gateway ${stream}: ${leg(access)} | ${leg(core)}`;
        }),
  );

const outcome = (played: Played): string => {
  const { effects, call, input } = played;
  const streams = summarise(call.state).streams.map(
    ({ stream, media, security, reason }) => `  stream ${stream}: ${media} ${security} ${reason}`,
  );
  for (const effect of effects) {
    if (effect.kind === "refuse") return `  refused ${effect.status} ${effect.reason}`;
    if (effect.kind === "end-call") return `  ends the call ${effect.coreStatus} ${effect.reason}`;
  }
  const body = forwarded(effects);
  const changes = body === input ? ["  octet for octet"] : difference(input, body);
  return [...streams, ...orders(played), ...changes].join("\n");
};

/** The outcome of a body in all modes and roles, alike ones together; `check` sees each of them. */
export const tellOutcomes = (text: string, check: (played: Played, at: string) => void): string => {
  const parsed = parseSdp(text, { maxMedia: 16 });
  if (!parsed.ok) return `not read: ${parsed.code} in line ${parsed.line}\n`;
  const told = new Map<string, string[]>();
  for (const [role, play] of Object.entries(roles)) {
    for (const mode of Object.keys(modes) as Mode[]) {
      const played = play(text, mode);
      if (played === undefined) continue;
      const at = `${role}: ${mode}`;
      check(played, at);
      const words = outcome(played);
      told.set(words, [...(told.get(words) ?? []), at]);
    }
  }
  return [...told].map(([words, cases]) => `${cases.join("\n")}\n${words}\n`).join("\n");
};
