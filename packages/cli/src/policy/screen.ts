// What `policy test` found, as lines. Pure.
import { meaningOf } from "@sallyport/api";
import { redactKeys } from "@sallyport/kit";
import type { OfferExplanation, PolicyExplanation } from "@sallyport/media-security";
import { decisionLines } from "../ask/call-screens.ts";
import type { Lines } from "../ask/screens.ts";
import { sign } from "../ask/words.ts";
import { tint, toneOf, type Paper } from "../screen/paper.ts";
import { clean, hang, plural } from "../screen/text.ts";
import { nameOf, type factsOf } from "./facts.ts";

type Row = (label: string, text: string) => Lines;

type Facts = ReturnType<typeof factsOf>;

/** Whose word the access type is. */
const accessOf = ({ registration: { accessNetwork }, listener }: Facts): string =>
  accessNetwork === undefined
    ? "not told (no P-Access-Network-Info)"
    : `${accessNetwork}${listener.accessNetworkInfo === undefined ? "" : ", as the listening point says"}`;

const registrationBlock = (facts: Facts, found: PolicyExplanation, row: Row): Lines => {
  const { registration: asked, listener } = facts;
  const { indications: told } = found.registration;
  const reason = found.registration.mode === "none" ? found.registration.reason : undefined;
  const meaning = reason === undefined ? undefined : meaningOf(reason);
  return [
    "registration",
    ...row("over", `${asked.transport}, keys ${asked.confidential ? "may" : "may not"} pass`),
    ...row("arrives at", nameOf(listener)),
    ...row("realm", asked.realm ?? ""),
    ...row("access", accessOf(facts)),
    ...row("user agent", asked.userAgent ?? "not told"),
    ...row("client", asked.securityClient.length === 0 ? "no Security-Client" : asked.securityClient.join(", ")),
    "",
    ...found.inWords.flatMap((line) => row("", line)),
    ...row(
      "",
      `UE e2ae ${sign(told.ueE2ae)}  UE e2e SDES ${sign(told.ueE2eSdes)}  UE e2e KMS ${sign(told.ueE2eKms)}  network e2ae ${sign(told.networkE2ae)}`,
    ),
    ...(meaning === undefined ? [] : row("", meaning.means)),
    ...(asked.securityClient.length > 0
      ? []
      : row("", "For a UE that announces it, add --security-client 'sdes-srtp;mediasec'.")),
  ];
};

const outcome = (offer: OfferExplanation): string =>
  offer.outcome === "sent-on"
    ? "sent on"
    : offer.outcome === "unreadable"
      ? "not readable"
      : `refused with ${offer.status ?? "an error"}`;

/** Of a refused offer: each m-line that was the cause. What the registration lacks has been said above. */
const refusals = ({ registration }: PolicyExplanation, offer: OfferExplanation, row: Row): Lines =>
  offer.evidence.flatMap(({ stream, reason }) => {
    if (stream === undefined || reason === undefined) return [];
    const meaning = meaningOf(reason);
    const advice = registration.mode === "none" ? "" : (meaning?.advice ?? "");
    return row(`m-line ${stream}`, `${reason}. ${meaning?.means ?? ""} ${advice}`);
  });

const offerBlock = (facts: Facts, found: PolicyExplanation, offer: OfferExplanation, row: Row, paper: Paper): Lines => {
  const whose = facts.offer?.from === "core" ? "of the core, to the UE" : "of the UE, to the core";
  const streams = offer.summary?.streams ?? [];
  const body = offer.sdp === undefined ? [] : redactKeys(offer.sdp).trimEnd().split(/\r?\n/);
  return [
    "",
    `offer ${whose}: ${outcome(offer)}`,
    ...offer.inWords.flatMap((line) => row("", line)),
    ...streams.flatMap((stream) =>
      row(
        `m-line ${stream.stream}`,
        `${stream.media}: ${stream.security} (${stream.reason}). ${meaningOf(stream.reason)?.means ?? ""}`,
      ).map((line) => tint(paper, toneOf(stream.security), line)),
    ),
    ...(streams.length > 0 ? [] : refusals(found, offer, row)),
    ...(offer.evidence.length === 0 ? [] : ["", plural(offer.evidence.length, "decision")]),
    ...offer.evidence.flatMap((record, index) =>
      decisionLines({ ...record, changed: [...record.changed] }, index, paper),
    ),
    ...(body.length === 0 ? [] : ["", "what leaves (gateway addresses made up, keys taken out)"]),
    ...body.map((line) => `  ${clean(line)}`),
  ];
};

export const policyScreen = (facts: Facts, found: PolicyExplanation, paper: Paper): Lines => {
  const row: Row = (label, text) => hang(`  ${label.padEnd(label === "" ? 0 : 11)}`, clean(text), paper.columns);
  return [
    ...registrationBlock(facts, found, row),
    ...(found.offer === undefined ? [] : offerBlock(facts, found, found.offer, row, paper)),
  ];
};
