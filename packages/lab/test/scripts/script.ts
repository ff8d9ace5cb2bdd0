// What may happen in a scripted day: plain values, made and shrunk by fast-check. No behaviour here.
import * as fc from "fast-check";
import type { BodyKind } from "./bodies.ts";
import type { Weather } from "./network.ts";

export type Who = "caller" | "called";

/** A response before the final one, of one of the called side's forks. */
export interface Early {
  readonly afterMs: number;
  readonly fork: number;
  readonly status: number;
  readonly reliable: boolean;
  readonly body: BodyKind;
}

export interface Final {
  readonly afterMs: number;
  readonly fork: number;
  /** 0: never. */
  readonly status: number;
  readonly body: BodyKind;
}

export interface InDialog {
  readonly afterMs: number;
  readonly by: Who;
  readonly method: "INVITE" | "UPDATE" | "INFO" | "OPTIONS" | "REFER" | "NOTIFY";
  /** From the first reliable provisional response of a fork on, in its early dialog; else when the call is answered. */
  readonly early: boolean;
  /** Of a NOTIFY: the last of its subscription. */
  readonly last: boolean;
  readonly body: BodyKind;
  readonly answer: { readonly status: number; readonly afterMs: number; readonly body: BodyKind };
}

export interface CallScript {
  readonly ue: number;
  readonly callsOut: boolean;
  readonly atMs: number;
  readonly offer: BodyKind;
  readonly sessionS: number;
  readonly early: readonly Early[];
  readonly final: Final;
  /** A second fork that answers too. */
  readonly second: Final | undefined;
  readonly cancelAfterMs: number | undefined;
  readonly ack: "yes" | "never" | { readonly lateMs: number };
  /** What an ACK or PRACK carries where it has to answer. */
  readonly answer: BodyKind;
  readonly during: readonly InDialog[];
  readonly byeAfterMs: number;
  readonly byeBy: readonly Who[];
  /** From then on this end neither hears nor says anything of the call. */
  readonly silent: { readonly who: Who; readonly afterMs: number } | undefined;
}

export interface UeScript {
  /** When it registers, and for how long; 0 takes the registration back. */
  readonly registers: readonly { readonly atMs: number; readonly expiresS: number; readonly accepted: boolean }[];
  readonly dialect: "3gpp" | "draft" | "none";
}

export interface Script {
  readonly weather: Weather;
  readonly ues: readonly UeScript[];
  readonly calls: readonly CallScript[];
  /** The gateway dies without a word, and another start of it takes its place. */
  readonly gatewayDiesMs: number | undefined;
  /** The edge is killed, and another start of it finds what the store kept. */
  readonly edgeDiesMs: number | undefined;
}

const ms = (max: number): fc.Arbitrary<number> => fc.nat({ max });
/** Mostly `usual`, sometimes one of the others. */
const mostly = <T>(usual: readonly T[], others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq });

const offer = mostly<BodyKind>(
  ["secured", "secured", "secured", "plain", "none"],
  ["two-lines", "end-to-end", "forged", "no-port", "garbage"],
);
const answer = mostly<BodyKind>(
  ["secured", "secured", "secured", "secured"],
  ["plain", "none", "two-lines", "end-to-end", "forged", "no-port", "garbage"],
);
const later = mostly<BodyKind>(
  ["held", "resumed", "rekeyed", "none", "secured"],
  ["plain", "two-lines", "forged", "no-port", "garbage"],
);
const who = fc.constantFrom<Who>("caller", "called");

const early: fc.Arbitrary<Early> = fc.record({
  afterMs: ms(4_000),
  fork: fc.nat({ max: 2 }),
  status: fc.constantFrom(180, 183, 183, 199),
  reliable: fc.boolean(),
  body: mostly<BodyKind>(["none", "secured"], ["plain", "forged", "garbage"]),
});

const final = (statuses: readonly number[]): fc.Arbitrary<Final> =>
  fc.record({ afterMs: ms(8_000), fork: fc.nat({ max: 2 }), status: fc.constantFrom(...statuses), body: answer });

const inDialog: fc.Arbitrary<InDialog> = fc.record({
  afterMs: ms(20_000),
  by: who,
  method: fc.constantFrom("INVITE", "INVITE", "INVITE", "UPDATE", "UPDATE", "INFO", "OPTIONS", "REFER", "NOTIFY"),
  early: mostly([false], [true]),
  last: fc.boolean(),
  body: later,
  answer: fc.record({
    status: mostly([200, 200, 200], [488, 491, 500, 481, 0]),
    afterMs: ms(3_000),
    body: answer,
  }),
});

const call = (ues: number): fc.Arbitrary<CallScript> =>
  fc.record({
    ue: fc.nat({ max: ues - 1 }),
    callsOut: fc.boolean(),
    atMs: fc.integer({ min: 3_000, max: 60_000 }),
    offer,
    sessionS: mostly([0, 0], [90, 120]),
    early: fc.array(early, { maxLength: 4 }),
    final: final([200, 200, 200, 200, 200, 200, 302, 486, 603, 500, 0]),
    second: sometimes(final([200, 200, 486]), 8),
    cancelAfterMs: sometimes(ms(9_000), 6),
    ack: fc.oneof(
      { weight: 8, arbitrary: fc.constant<CallScript["ack"]>("yes") },
      { weight: 1, arbitrary: fc.constant<CallScript["ack"]>("never") },
      { weight: 1, arbitrary: fc.record({ lateMs: ms(20_000) }) },
    ),
    answer,
    during: fc.array(inDialog, { maxLength: 4 }),
    byeAfterMs: ms(30_000),
    byeBy: fc.constantFrom<readonly Who[]>(["caller"], ["called"], ["caller", "called"]),
    silent: sometimes(fc.record({ who, afterMs: ms(30_000) }), 5),
  });

const ue: fc.Arbitrary<UeScript> = fc.record({
  registers: fc.array(
    fc.record({
      atMs: ms(120_000),
      expiresS: mostly([60, 90, 200], [0, 30]),
      accepted: mostly([true], [false]),
    }),
    { maxLength: 3 },
  ),
  dialect: fc.constantFrom("3gpp", "3gpp", "draft", "none"),
});

const weather: fc.Arbitrary<Weather> = fc.record({
  seed: fc.nat(),
  loss: fc.constantFrom(0, 0, 0.02, 0.1, 0.25),
  double: fc.constantFrom(0, 0, 0.05, 0.2),
  slowestMs: fc.constantFrom(5, 50, 400, 1_500),
});

const ueCount = 3;

/** A short stretch of a day: some UEs, `calls` calls at most. */
export const scripts = (calls: { readonly min: number; readonly max: number }): fc.Arbitrary<Script> =>
  fc.record({
    weather,
    ues: fc.array(ue, { minLength: ueCount, maxLength: ueCount }),
    calls: fc.array(call(ueCount), { minLength: calls.min, maxLength: calls.max }),
    gatewayDiesMs: sometimes(fc.integer({ min: 4_000, max: 80_000 }), 12),
    edgeDiesMs: sometimes(fc.integer({ min: 4_000, max: 80_000 }), 4),
  });
