// The verdict of a run: facts in, one row for each claim out. Pure; a claim without its facts fails.
import type { LeakSearch } from "./leaks.ts";
import type { PlainComparison } from "./media.ts";
import type { StepJudgement } from "./steps.ts";

export interface VerdictFacts {
  readonly originating: readonly StepJudgement[];
  readonly terminating: readonly StepJudgement[];
  readonly leaks: LeakSearch;
  readonly plain: PlainComparison;
  readonly attack: { readonly sent: number; readonly dropped: number; readonly delivered: number };
  readonly carol: {
    readonly answered: boolean;
    readonly heard: boolean;
    readonly reason: string;
    readonly protocol: string;
  };
  readonly forged: { readonly sent: boolean; readonly arrived: boolean; readonly removed: boolean };
  readonly contextsLeft: number;
}

export interface VerdictRow {
  readonly claim: string;
  readonly passed: boolean;
  readonly says: string;
}

const steps = (claim: string, judged: readonly StepJudgement[]): VerdictRow => {
  const good = judged.filter(({ ok }) => ok).length;
  const first = judged.find(({ ok }) => !ok);
  const passed = judged.length === 9 && good === 9;
  return {
    claim,
    passed,
    says: `${passed ? "PASS" : "FAIL"}   ${good}/9 steps${first === undefined ? "" : `; step ${first.step}: ${first.why}`}`,
  };
};

const pass = (passed: boolean): string => (passed ? "PASS" : "FAIL");

export const verdictRows = (facts: VerdictFacts): readonly VerdictRow[] => {
  const { leaks, plain, attack, carol, forged, contextsLeft } = facts;
  const noLeak = leaks.found.length === 0 && leaks.messages > 0;
  const allPlain = plain.sent > 0 && plain.equal === plain.sent && plain.foreign === 0;
  const allDropped = attack.sent > 0 && attack.dropped === attack.sent && attack.delivered === 0;
  const carolFine =
    carol.answered && carol.heard && carol.reason === "ue-not-capable" && /^RTP\/AVPF?$/.test(carol.protocol);
  const forgeryGone = forged.sent && forged.arrived && forged.removed;
  return [
    steps("originating e2ae (7.2.1)", facts.originating),
    steps("terminating e2ae (7.3.1)", facts.terminating),
    {
      claim: "keys or indications past P-CSCF",
      passed: noLeak,
      says: `${noLeak ? "NONE" : "FAIL"}   searched ${leaks.messages} messages, ${leaks.legs} core legs${leaks.found.length === 0 ? "" : `; ${leaks.found[0]}`}`,
    },
    {
      claim: "core side is plain RTP",
      passed: allPlain,
      says: `${pass(allPlain)}   ${plain.equal} of alice's ${plain.sent} packets byte-equal${plain.foreign === 0 ? "" : `, ${plain.foreign} others`}`,
    },
    {
      claim: "tampered / replayed / wrong key",
      passed: allDropped,
      says: `${pass(allDropped)}   ${attack.dropped} of ${attack.sent} dropped, ${attack.delivered} delivered`,
    },
    {
      claim: "indication forged in the core",
      passed: forgeryGone,
      says: `${pass(forgeryGone)}   ${forged.removed ? "removed before the UE saw it" : forged.arrived ? "reached the UE" : "the test call did not arrive"}`,
    },
    {
      claim: "UE without e2ae (carol)",
      passed: carolFine,
      says: `${pass(carolFine)}   ${carolFine ? "call as before" : "call not as before"}, reason ${carol.reason}`,
    },
    {
      claim: "gateway contexts left",
      passed: contextsLeft === 0,
      says: `${pass(contextsLeft === 0)}   ${contextsLeft}`,
    },
  ];
};

/** The table as text, at most 80 columns where nothing failed. */
export const verdictText = (rows: readonly VerdictRow[]): readonly string[] =>
  rows.map(({ claim, says }) => `  ${claim.padEnd(34)}${says}`);
