// Real clients as data: how each registers, offers, answers and offers again, as they were watched on the wire. Keys are
// fixed so that a test can tell whether one changed.
import type { RegisterOptions } from "./scenario.ts";
import { keyOf, sdp } from "./sdp.ts";

export interface Client {
  readonly name: string;
  readonly register: RegisterOptions;
  /** What it says when it calls. */
  offer(): string;
  /** What it says when it holds (`sendonly`) and takes back; version counts up. */
  again(version: number, direction: "sendonly" | "sendrecv"): string;
  /** Its answer; undefined: 488. */
  answer(offered: string, version?: number): string | undefined;
  /** Whether its media is protected up to the gateway when it calls, and when it is called. */
  readonly protectedCalling: boolean;
  readonly protectedCalled: boolean;
  /** Sends UPDATE with one codec right after the answer. */
  readonly updates?: true;
}

const suiteLengths: Readonly<Record<string, number>> = {
  AEAD_AES_256_GCM: 44,
  AEAD_AES_256_GCM_8: 44,
  AES_256_CM_HMAC_SHA1_80: 46,
  AES_256_CM_HMAC_SHA1_32: 46,
  AEAD_AES_128_GCM: 28,
  AEAD_AES_128_GCM_8: 28,
  AES_CM_128_HMAC_SHA1_80: 30,
  AES_CM_128_HMAC_SHA1_32: 30,
};
const pjsuaSuites = Object.keys(suiteLengths);
const sha80 = "AES_CM_128_HMAC_SHA1_80";

const line = (tag: number, suite: string, fill: number): string =>
  `a=crypto:${tag} ${suite} inline:${keyOf(fill, suiteLengths[suite] ?? 30)}`;

const protocolOf = (body: string): string => /^m=audio \d+ (\S+)/m.exec(body)?.[1] ?? "";
const offeredTag = (body: string, suite = sha80): number =>
  Number(new RegExp(`^a=crypto:(\\d+) ${suite} `, "im").exec(body)?.[1] ?? Number.NaN);
const oppositeOf = (body: string): string =>
  body.includes("a=sendonly") ? "a=recvonly" : body.includes("a=inactive") ? "a=inactive" : "a=sendrecv";

/** Answers SRTP with one line of the offer's tag; refuses plain RTP with 488, as SRTP is mandatory for it. */
const insisting =
  (fill: number, more: readonly string[] = [], spell = (suite: string) => suite) =>
  (offered: string, version = 1): string | undefined => {
    const protocol = protocolOf(offered);
    const tag = offeredTag(offered);
    if (!protocol.startsWith("RTP/SAVP") || Number.isNaN(tag)) return undefined;
    const lines = [line(tag, sha80, fill).replace(sha80, spell(sha80)), ...more, oppositeOf(offered)];
    return sdp({ protocol, version, lines });
  };

const phone = (name: string): RegisterOptions => ({ dialect: "none", headers: [["User-Agent", name]] });

export const clients: readonly Client[] = [
  {
    // One line; `requested` in offers and in answers; mediasec everywhere.
    name: "Asterisk",
    register: { dialect: "draft", headers: [["User-Agent", "Asterisk PBX"]] },
    offer: () => sdp({ protocol: "RTP/SAVP", lines: [line(1, sha80, 0xa1), "a=3ge2ae:requested"] }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVP", version, lines: [line(1, sha80, 0xa1), "a=3ge2ae:requested", `a=${direction}`] }),
    answer: insisting(0xa1, ["a=3ge2ae:requested"]),
    protectedCalling: true,
    protectedCalled: true,
  },
  {
    // Lower case, a blank after the colon: TS 34.229-1 prints it so.
    name: "3GPP UE",
    register: { dialect: "3gpp", headers: [["User-Agent", "UE 1.0"]] },
    offer: () =>
      sdp({
        protocol: "RTP/SAVP",
        lines: [line(1, sha80, 0xb1).replace(sha80, sha80.toLowerCase()), "a=3ge2ae: requested"],
      }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVP", version, lines: [line(1, sha80, 0xb1), "a=3ge2ae:requested", `a=${direction}`] }),
    answer: insisting(0xb1, [], (suite) => suite.toLowerCase()),
    protectedCalling: true,
    protectedCalled: true,
  },
  {
    // Eight lines, tag 7 for the suite in common, two suites of no RFC; later offers renumber to 1 and keep the key.
    name: "PJSUA",
    register: phone("PJSUA v2.17 Linux"),
    offer: () => sdp({ protocol: "RTP/SAVP", lines: pjsuaSuites.map((suite, at) => line(at + 1, suite, 0xc1)) }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVP", version, lines: [line(1, sha80, 0xc1), `a=${direction}`] }),
    answer: insisting(0xc1),
    protectedCalling: true,
    protectedCalled: true,
    updates: true,
  },
  {
    // Four lines; registers again with the address it sees; STUN on its media ports is the gateway's affair.
    name: "Linphone",
    register: phone("Linphone-Desktop/5.1.65"),
    offer: () =>
      sdp({
        protocol: "RTP/SAVP",
        lines: [
          "AES_CM_128_HMAC_SHA1_80",
          "AES_CM_128_HMAC_SHA1_32",
          "AES_256_CM_HMAC_SHA1_80",
          "AES_256_CM_HMAC_SHA1_32",
        ].map((suite, at) => line(at + 1, suite, 0xd1).replace(/=+$/, "")),
      }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVP", version, lines: [line(1, sha80, 0xd1), `a=${direction}`] }),
    answer: insisting(0xd1),
    protectedCalling: true,
    protectedCalled: true,
  },
  {
    name: "baresip srtp-mand",
    register: phone("baresip v1.0.0 (x86_64/linux)"),
    offer: () => sdp({ protocol: "RTP/SAVP", lines: ["a=rtcp-rsize", line(1, sha80, 0xe1)] }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVP", version, lines: ["a=rtcp-rsize", line(1, sha80, 0xe1), `a=${direction}`] }),
    answer: insisting(0xe1, ["a=rtcp-rsize"]),
    protectedCalling: true,
    protectedCalled: true,
  },
  {
    name: "baresip srtp-mandf",
    register: phone("baresip v1.0.0 (x86_64/linux)"),
    offer: () => sdp({ protocol: "RTP/SAVPF", lines: [line(1, sha80, 0xe3)] }),
    again: (version, direction) =>
      sdp({ protocol: "RTP/SAVPF", version, lines: [line(1, sha80, 0xe3), `a=${direction}`] }),
    answer: insisting(0xe3),
    protectedCalling: true,
    protectedCalled: true,
  },
  {
    // Best effort: a key on an AVP line means nothing, and may not travel. Called, it takes the SAVP it is offered.
    name: "baresip srtp",
    register: phone("baresip v1.0.0 (x86_64/linux)"),
    offer: () => sdp({ lines: [line(1, sha80, 0xe5)] }),
    again: (version, direction) => sdp({ version, lines: [line(1, sha80, 0xe5), `a=${direction}`] }),
    answer: (offered, version = 1) =>
      insisting(0xe5)(offered, version) ??
      sdp({ protocol: protocolOf(offered), version, lines: [line(1, sha80, 0xe5), oppositeOf(offered)] }),
    protectedCalling: false,
    protectedCalled: true,
  },
  {
    name: "plain phone",
    register: phone("Plain/1.0"),
    offer: () => sdp(),
    again: (version, direction) => sdp({ version, lines: [`a=${direction}`] }),
    answer: (offered, version = 1) =>
      protocolOf(offered).startsWith("RTP/AVP")
        ? sdp({ protocol: protocolOf(offered), version, lines: [oppositeOf(offered)] })
        : undefined,
    protectedCalling: false,
    protectedCalled: false,
  },
];
