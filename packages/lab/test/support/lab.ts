// Starts labs for tests: both gateways up, every log record kept, media ports of its own, closed when the test is over.
import { memoryLog, type LogRecord } from "@sallyport/kit";
import type { AnswerOptions, CallOptions, UeCall } from "@sallyport/ue";
import { settle, until } from "../../src/demo/await.ts";
import { voiceOf, type Voice } from "../../src/speech.ts";
import { labCertificates } from "../../src/topology/certificates.ts";
import { startLab, type Lab, type LabOptions, type LabSide, type LabUe, type LabUser } from "../../src/topology/lab.ts";

export interface TestLab extends Lab {
  readonly a: LabSide;
  /** The second side; the first again in a lab of one side. */
  readonly b: LabSide;
  /** Every record of every element, all levels. */
  readonly records: readonly LogRecord[];
}

/** Test files run side by side: each worker has its own thousand of media ports, below the system's ephemeral range. */
export const mediaPorts = () => {
  const base = 24_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * 1000;
  return { a: { first: base, last: base + 499 }, b: { first: base + 500, last: base + 999 } };
};

/** A lab whose gateways have registered. */
export const openLab = async (options: Partial<LabOptions> = {}): Promise<TestLab> => {
  const { log, records } = memoryLog();
  const lab = await startLab({
    certificates: labCertificates(),
    logOf: (element) => log.child({ element }),
    mediaPorts: mediaPorts(),
    ...options,
  });
  const { a, b = a } = lab.sides;
  if (a === undefined || b === undefined) throw new TypeError("a lab for tests has side a");
  await until("the registration of the gateways", () =>
    [a, b].every(({ edge }) => edge.gateways().every(({ state }) => state === "up")),
  );
  return { ...lab, a, b, records };
};

/** UEs with these names, registered: alice and dave behind edge A, bob and carol behind edge B where there is one. */
export const registered = async <Name extends LabUser>(
  lab: TestLab,
  changes: Readonly<Record<Name, Parameters<Lab["addUe"]>[2]>>,
): Promise<Readonly<Record<Name, LabUe>>> => {
  const ues: Partial<Record<Name, LabUe>> = {};
  for (const name of Object.keys(changes) as Name[]) {
    const side = lab.sides.b === undefined || name === "alice" || name === "dave" ? "a" : "b";
    const made = await lab.addUe(name, side, changes[name]);
    await made.ue.register();
    ues[name] = made;
  }
  return ues as Readonly<Record<Name, LabUe>>;
};

export interface BothEnds {
  readonly calling: UeCall;
  readonly called: UeCall;
}

/** A call that was answered on both sides. */
export const connect = async (
  from: LabUe,
  to: LabUe,
  options: CallOptions = {},
  answer: AnswerOptions = {},
): Promise<BothEnds> => {
  let called: UeCall | undefined;
  to.ue.onCall((call) => {
    called = call;
    return answer;
  });
  const calling = await from.ue.call(to.ue.impu, options);
  await until("the called side to be answered", () => called?.state === "answered");
  if (called === undefined) throw new TypeError("unreachable: waited for it");
  return { calling, called };
};

/** Both speak at once, for `ms` each; settles when every octet said was heard. */
export const speak = async (
  { calling, called }: BothEnds,
  ms: number,
  voices: readonly [Voice, Voice] = ["alice", "bob"],
): Promise<void> => {
  await Promise.all([calling.play(voiceOf(voices[0], ms)), called.play(voiceOf(voices[1], ms))]);
  await until(
    "every octet to be heard",
    () =>
      calling.sent.octets().equals(called.received.octets()) && called.sent.octets().equals(calling.received.octets()),
  );
  await settle(60);
};

/** What one side holds for calls: everything that has to come back to zero (invariant 10). */
export const held = ({ edge, gateway, tap }: LabSide) => ({
  calls: edge.counts().calls,
  edgeContexts: edge.counts().contexts,
  transactions: edge.counts().transactions,
  contexts: gateway.contexts(),
  terminations: gateway.terminations(),
  mediaPorts: tap.ports.length,
});

export const nothingHeld = {
  calls: 0,
  edgeContexts: 0,
  transactions: 0,
  contexts: 0,
  terminations: 0,
  mediaPorts: 0,
};
