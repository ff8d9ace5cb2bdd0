// Judges the nine steps of TS 33.328 7.2.1 and of 7.3.1 from what crossed the wires. Pure: ladder rows in, a judgement for each step out.
// Nothing an element says about itself counts here.
import type { CommandRequest, H248Message } from "@sallyport/h248";
import { attributeValues, connectionOf, parseCrypto, parseSdp, type SdpDocument } from "@sallyport/sdp";
import { sdpOf, type LadderRow } from "../ladder/ladder.ts";

export interface StepJudgement {
  /** `1` to `9`, as numbered in the clause. */
  readonly step: number;
  readonly ok: boolean;
  /** What was missing, in words; empty when ok. */
  readonly why: string;
}

/** What the media of one UE showed, for step 9. */
export interface MediaEvidence {
  /** Voice of the far end heard unchanged, and own voice unchanged at the far end. */
  readonly bothWays: boolean;
  /** Every packet between UE and gateway was SRTP or SRTCP that the UE or gateway could verify. */
  readonly protectedOnAccess: boolean;
}

const isSavp = (protocol: string): boolean => /^RTP\/SAVPF?$/.test(protocol);
const isAvp = (protocol: string): boolean => /^RTP\/AVPF?$/.test(protocol);

const audioOf = (sdp: SdpDocument | undefined) => sdp?.media.find(({ media, port }) => media === "audio" && port !== 0);

const cryptosOf = (sdp: SdpDocument | undefined): readonly string[] =>
  attributeValues(audioOf(sdp)?.lines ?? [], "crypto");

const indicationOf = (sdp: SdpDocument | undefined): string =>
  attributeValues(audioOf(sdp)?.lines ?? [], "3ge2ae")[0]?.trim() ?? "";

const rowAt = (rows: readonly LadderRow[], step: string): LadderRow | undefined =>
  rows.find(({ steps }) => steps.includes(step));

const sdpAt = (rows: readonly LadderRow[], step: string): SdpDocument | undefined => {
  const sighting = rowAt(rows, step)?.sighting;
  return sighting?.kind === "sip" ? sdpOf(sighting.message) : undefined;
};

const commandsIn = (message: H248Message): readonly CommandRequest[] =>
  message.body.kind === "transactions"
    ? message.body.transactions.flatMap((transaction) =>
        transaction.kind === "request" ? transaction.actions.flatMap(({ commands }) => commands) : [],
      )
    : [];

/** The crypto attributes that a command carried: Local is what the gateway encrypts with, Remote what it decrypts with. */
const keysOnIq = (
  row: LadderRow | undefined,
): { readonly local: readonly string[]; readonly remote: readonly string[] } => {
  const local: string[] = [];
  const remote: string[] = [];
  if (row?.sighting.kind !== "iq") return { local, remote };
  const collect = (text: string | undefined, into: string[]): void => {
    const parsed = text === undefined ? undefined : parseSdp(text);
    if (parsed?.ok === true)
      into.push(...parsed.document.media.flatMap(({ lines }) => attributeValues(lines, "crypto")));
  };
  for (const { descriptors } of commandsIn(row.sighting.message)) {
    for (const descriptor of descriptors) {
      if (descriptor.kind !== "media") continue;
      for (const stream of descriptor.streams) {
        collect(stream.local, local);
        collect(stream.remote, remote);
      }
    }
  }
  return { local, remote };
};

/** Compares two crypto attributes by suite and key, whatever their spelling. */
const sameKey = (one: string | undefined, other: string | undefined): boolean => {
  const [a, b] = [one, other].map((value) => (value === undefined ? undefined : parseCrypto(value)));
  if (a?.ok !== true || b?.ok !== true) return false;
  const [x, y] = [a.crypto.keys[0]?.master, b.crypto.keys[0]?.master];
  return (
    x !== undefined && y !== undefined && x.equals(y) && a.crypto.suite.toLowerCase() === b.crypto.suite.toLowerCase()
  );
};

const clean = (sdp: SdpDocument | undefined): boolean =>
  sdp !== undefined && isAvp(audioOf(sdp)?.protocol ?? "") && cryptosOf(sdp).length === 0 && indicationOf(sdp) === "";

const describe = (sdp: SdpDocument | undefined): string =>
  sdp === undefined
    ? "no such message"
    : `${audioOf(sdp)?.protocol ?? "no audio"}, ${cryptosOf(sdp).length} crypto, indication "${indicationOf(sdp)}"`;

const sameBody = (one: SdpDocument | undefined, other: SdpDocument | undefined): boolean =>
  one !== undefined &&
  other !== undefined &&
  audioOf(one)?.port === audioOf(other)?.port &&
  audioOf(one)?.protocol === audioOf(other)?.protocol;

/** A command of ours was answered before the SDP that depends on it went on (invariant 6). */
const answeredBefore = (
  rows: readonly LadderRow[],
  command: LadderRow | undefined,
  then: LadderRow | undefined,
): boolean => {
  if (command === undefined || then === undefined) return false;
  const reply = rows.findIndex(
    (row, index) =>
      index > rows.indexOf(command) &&
      row.protocol === "iq" &&
      row.label === "reply" &&
      row.from === command.to &&
      row.to === command.from,
  );
  return reply >= 0 && reply < rows.indexOf(then);
};

const judge = (step: number, ok: boolean, why: string): StepJudgement => ({ step, ok, why: ok ? "" : why });

const leadsTo = (sdp: SdpDocument | undefined, other: SdpDocument | undefined): boolean =>
  sdp !== undefined &&
  other !== undefined &&
  (audioOf(sdp)?.port !== audioOf(other)?.port || connectionOf(sdp, 0) !== connectionOf(other, 0));

/** The nine steps of 7.2.1, at the P-CSCF of the calling UE. */
export const originatingSteps = (rows: readonly LadderRow[], media: MediaEvidence): readonly StepJudgement[] => {
  const [offer, coreOffer, forwarded] = [sdpAt(rows, "o1"), sdpAt(rows, "o3"), sdpAt(rows, "o4")];
  const [answer, coreAnswer, ueAnswer] = [sdpAt(rows, "o5"), sdpAt(rows, "o6"), sdpAt(rows, "o8")];
  const [add, modify] = [rowAt(rows, "o2"), rowAt(rows, "o7")];
  const keys = keysOnIq(modify);
  const k11 = keys.remote[0];
  const k12 = keys.local[0];
  return [
    judge(
      1,
      isSavp(audioOf(offer)?.protocol ?? "") && cryptosOf(offer).length > 0 && indicationOf(offer) === "requested",
      `the UE's offer: ${describe(offer)}`,
    ),
    judge(
      2,
      answeredBefore(rows, add, rowAt(rows, "o3")),
      "no gateway reservation was answered before the offer went on",
    ),
    judge(3, clean(coreOffer) && leadsTo(offer, coreOffer), `the offer towards the core: ${describe(coreOffer)}`),
    judge(4, clean(forwarded) && sameBody(coreOffer, forwarded), `the offer behind the core: ${describe(forwarded)}`),
    judge(5, clean(answer), `the answer to the core: ${describe(answer)}`),
    judge(6, clean(coreAnswer) && sameBody(answer, coreAnswer), `the answer behind the core: ${describe(coreAnswer)}`),
    judge(
      7,
      answeredBefore(rows, modify, rowAt(rows, "o8")) &&
        keys.remote.length === 1 &&
        keys.local.length === 1 &&
        cryptosOf(offer).some((value) => sameKey(value, k11)) &&
        !sameKey(k11, k12),
      "K11 and K12 did not both reach the gateway, acknowledged, before the answer went to the UE",
    ),
    judge(
      8,
      isSavp(audioOf(ueAnswer)?.protocol ?? "") &&
        cryptosOf(ueAnswer).length === 1 &&
        sameKey(cryptosOf(ueAnswer)[0], k12) &&
        indicationOf(ueAnswer) === "applied",
      `the answer to the UE: ${describe(ueAnswer)}`,
    ),
    judge(
      9,
      media.bothWays && media.protectedOnAccess,
      media.bothWays ? "unprotected packets on the access side" : "the voices did not arrive whole",
    ),
  ];
};

/** The nine steps of 7.3.1, at the P-CSCF of the called UE. */
export const terminatingSteps = (rows: readonly LadderRow[], media: MediaEvidence): readonly StepJudgement[] => {
  const [offer, coreOffer, ueOffer] = [sdpAt(rows, "t1"), sdpAt(rows, "t2"), sdpAt(rows, "t4")];
  const [ueAnswer, coreAnswer, forwarded] = [sdpAt(rows, "t5"), sdpAt(rows, "t7"), sdpAt(rows, "t8")];
  const [add, modify] = [rowAt(rows, "t3"), rowAt(rows, "t6")];
  const keys = keysOnIq(modify);
  const k21 = keys.local[0];
  const k22 = keys.remote[0];
  return [
    judge(1, clean(offer), `the offer to the core: ${describe(offer)}`),
    judge(2, clean(coreOffer) && sameBody(offer, coreOffer), `the offer to the P-CSCF: ${describe(coreOffer)}`),
    judge(
      3,
      answeredBefore(rows, add, rowAt(rows, "t4")),
      "no gateway reservation was answered before the offer went on",
    ),
    judge(
      4,
      isSavp(audioOf(ueOffer)?.protocol ?? "") &&
        cryptosOf(ueOffer).length > 0 &&
        indicationOf(ueOffer) === "applied" &&
        leadsTo(coreOffer, ueOffer),
      `the offer to the UE: ${describe(ueOffer)}`,
    ),
    judge(
      5,
      isSavp(audioOf(ueAnswer)?.protocol ?? "") && cryptosOf(ueAnswer).length === 1,
      `the UE's answer: ${describe(ueAnswer)}`,
    ),
    judge(
      6,
      answeredBefore(rows, modify, rowAt(rows, "t7")) &&
        sameKey(cryptosOf(ueAnswer)[0], k22) &&
        cryptosOf(ueOffer).some((value) => sameKey(value, k21)) &&
        !sameKey(k21, k22),
      "K21 and K22 did not both reach the gateway, acknowledged, before the answer went to the core",
    ),
    judge(7, clean(coreAnswer) && leadsTo(ueAnswer, coreAnswer), `the answer to the core: ${describe(coreAnswer)}`),
    judge(8, clean(forwarded) && sameBody(coreAnswer, forwarded), `the answer behind the core: ${describe(forwarded)}`),
    judge(
      9,
      media.bothWays && media.protectedOnAccess,
      media.bothWays ? "unprotected packets on the access side" : "the voices did not arrive whole",
    ),
  ];
};
