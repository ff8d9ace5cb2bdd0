// Owns running a script: one step after the other, and which of them failed and why. Knows no SIP and no media.
import { SallyportError, type Timer } from "@sallyport/kit";
import type { UeCall } from "../call/model.ts";
import { ueErrors } from "../errors.ts";
import type { Ue } from "../ue.ts";
import { scriptSchema, type Expectation, type Step, type StepInput } from "./schema.ts";

export interface ScriptOptions {
  /** Runs before each step: for a screen. `index` from 0. */
  onStep?(index: number, what: string): void;
}

/** A step as a person would say it. */
export const describeStep = (step: Step): string => {
  const entry = Object.entries(step).find(([, value]) => value !== undefined);
  const [name, value] = entry ?? ["nothing", true];
  return value === true ? name : `${name} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`;
};

/**
 * Runs the steps. Rejects SALLY_UE_STEP, whose message names the step by number and text and gives the reason; the error
 * of the step itself is its `cause`.
 */
export const runScript = async (ue: Ue, steps: readonly StepInput[], options: ScriptOptions = {}): Promise<void> => {
  const checked = scriptSchema.safeParse(steps);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    const place = issue?.path.map(String).join(".") ?? "";
    throw ueErrors("SALLY_UE_STEP", `${issue?.message ?? "It cannot be read"}.`, { where: `step ${place}` });
  }
  const incoming = createInbox(ue);
  let latest: UeCall | undefined;
  try {
    for (const [index, step] of checked.data.entries()) {
      options.onStep?.(index, describeStep(step));
      try {
        latest = (await runStep(ue, step, latest, incoming)) ?? latest;
      } catch (cause) {
        throw ueErrors("SALLY_UE_STEP", reasonOf(cause), { where: `step ${index + 1} (${describeStep(step)})`, cause });
      }
    }
  } finally {
    incoming.close();
  }
};

/** Of an expectation that did not hold what was found; of any other error all it says. */
const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof SallyportError)) return String(cause);
  return cause.code === "SALLY_UE_STEP" ? cause.detail : cause.message;
};

interface Answering {
  /** Answers the next call by these wishes; resolves with the call. */
  next(step: NonNullable<Step["answer"]>): Promise<UeCall>;
  close(): void;
}

/** Calls that come before their `answer` step ring until it is reached. */
const createInbox = (ue: Ue): Answering => {
  const ringing: {
    readonly call: UeCall;
    decide(wish: { accept: boolean; status?: number; ringMs?: number }): void;
  }[] = [];
  let arrived: (() => void) | undefined;
  ue.onCall(
    (call) =>
      new Promise((decide) => {
        const entry = { call, decide };
        ringing.push(entry);
        void call.ended.then(() => {
          if (ringing.includes(entry)) ringing.splice(ringing.indexOf(entry), 1);
          decide({ accept: false });
        });
        arrived?.();
      }),
  );
  return {
    next: async ({ timeoutMs, ringMs, status }) => {
      const here = new Promise<void>((resolve) => {
        if (ringing.length > 0) resolve();
        else arrived = resolve;
      });
      await within(ue, timeoutMs, "No call came", here).finally(() => {
        arrived = undefined;
      });
      const entry = ringing.shift();
      if (entry === undefined) throw ueErrors("SALLY_UE_NO_CALL", "It ended before it was answered.");
      if (status !== undefined) {
        entry.decide({ accept: false, status, ringMs });
        await entry.call.ended;
      } else {
        entry.decide({ accept: true, ringMs });
        await entry.call.answered;
      }
      return entry.call;
    },
    close: () => {
      for (const entry of ringing.splice(0)) entry.decide({ accept: false, status: 480 });
      ue.onCall(undefined);
    },
  };
};

/** The same promise, for so long. */
const within = async <T>(ue: Ue, ms: number, why: string, what: Promise<T>): Promise<T> => {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = ue.deps.clock.after(ms, () => reject(ueErrors("SALLY_UE_NO_CALL", `${why} within ${ms} ms.`)));
  });
  return Promise.race([what, late]).finally(() => timer?.cancel());
};

const runStep = async (
  ue: Ue,
  step: Step,
  latest: UeCall | undefined,
  incoming: Answering,
): Promise<UeCall | undefined> => {
  const call = (): UeCall => {
    if (latest === undefined) throw ueErrors("SALLY_UE_NO_CALL", "No step before this one made or answered a call.");
    return latest;
  };
  if (step.register !== undefined) await ue.register();
  else if (step.deregister !== undefined) await ue.deregister();
  else if (step.call !== undefined) return callStep(ue, step.call);
  else if (step.answer !== undefined) return incoming.next(step.answer);
  else if (step.play !== undefined) await call().play(step.play);
  else if (step.dtmf !== undefined) await call().sendDigits(step.dtmf);
  else if (step.record !== undefined) await call().writeRecording(step.record);
  else if (step.hold !== undefined) await call().reinvite("sendonly");
  else if (step.resume !== undefined) await call().reinvite("sendrecv");
  else if (step.hangup !== undefined) await call().hangup();
  else if (step.wait !== undefined) {
    const ms = step.wait;
    await new Promise<void>((resolve) => void ue.deps.clock.after(ms, resolve));
  } else if (step.waitForEnd !== undefined) {
    await within(ue, step.waitForEnd.timeoutMs, "The call did not end", call().ended);
  } else if (step.waitForDigits !== undefined) {
    const { digits, timeoutMs } = step.waitForDigits;
    await within(ue, timeoutMs, `The digits ${digits} did not come`, call().digitsReceived(digits));
  } else if (step.expect !== undefined) check(ue, latest, step.expect);
  return undefined;
};

const callStep = async (ue: Ue, step: NonNullable<Step["call"]>): Promise<UeCall> => {
  const call = await ue.dial(step.to, { security: step.security, timeoutMs: step.timeoutMs });
  if (step.expectStatus === undefined) {
    await call.answered;
    return call;
  }
  await Promise.race([call.answered.catch(() => undefined), call.ended]);
  const { status } = call.report();
  if (status === step.expectStatus) return call;
  throw ueErrors("SALLY_UE_CALL", `Status ${step.expectStatus} was expected, ${status ?? "none"} came.`);
};

const check = (ue: Ue, call: UeCall | undefined, wanted: Expectation): void => {
  const report = call?.report();
  const media = report?.media;
  const facts: Record<keyof Expectation, unknown> = {
    registered: ue.registration !== undefined,
    networkE2ae: ue.registration?.networkE2ae ?? false,
    state: report?.state,
    security: report?.security,
    suite: report?.suite,
    status: report?.status,
    digits: media?.digits.map(({ digit }) => digit).join(""),
    packetsReceived: media?.counters.rtpReceived,
    packetsSent: media?.counters.rtpSent,
    lost: media?.sources.reduce((sum, source) => sum + source.lost, 0),
    refusedPackets:
      media === undefined
        ? undefined
        : media.counters.authenticationFailures + media.counters.replays + media.counters.otherDropped,
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined) continue;
    const fact = facts[name as keyof Expectation];
    if (!holds(fact, value)) {
      throw ueErrors("SALLY_UE_STEP", `${name} is ${String(fact)}, ${JSON.stringify(value)} was expected.`);
    }
  }
};

const holds = (fact: unknown, wanted: unknown): boolean => {
  if (typeof wanted !== "object" || wanted === null) return fact === wanted;
  const { min = -Infinity, max = Infinity } = wanted as { readonly min?: number; readonly max?: number };
  return typeof fact === "number" && fact >= min && fact <= max;
};
