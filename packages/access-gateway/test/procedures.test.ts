// The procedures of TS 23.334 as controllers of other makes send them, each a file under test/procedures: what is sent, octet for
// octet, and what a whole gateway answers. Where it is installed, Erlang/OTP megaco has to read every message, ours and theirs.
import { readFileSync, readdirSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { foreignController, type ForeignController } from "./foreign-controller.ts";
import { decodeAll, haveDecoder } from "../../h248/test/peers/megaco.ts";

interface Step {
  readonly sent: string;
  /** Each a message; none: silence. */
  readonly answers: readonly string[];
}

interface Procedure {
  readonly title: string;
  readonly version: 1 | 2 | 3;
  readonly steps: readonly Step[];
}

const folder = new URL("procedures/", import.meta.url);

/** `# title`, then for each step `>`, what is sent, and a `<` before each message that is answered. A bare body is wrapped. */
const readProcedure = (name: string): Procedure => {
  const [head = "", ...blocks] = readFileSync(new URL(name, folder), "latin1").split(/^> *\n/m);
  const title = /^# (.*)$/m.exec(head)?.[1] ?? name;
  const version = Number(/^version (\d)$/m.exec(head)?.[1] ?? 2);
  const steps = blocks.map((block, index) => {
    const [sent = "", ...answers] = block.split(/^< *\n/m).map((part) => part.replace(/\n$/, ""));
    const whole = /^\s*(?:;[^\n]*\n\s*)*(?:MEGACO|!)\//i.test(sent);
    return { sent: whole ? sent : `!/${version} <mgc.example> T=${index + 1}{${sent}}`, answers };
  });
  return { title, version: version === 1 ? 1 : version === 3 ? 3 : 2, steps };
};

const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
const procedures = names.map(readProcedure);

/** Time passes in the figures alone. */
const timeless = (message: string): string => message.replaceAll(/nt\/dur=\d+/g, "nt/dur=0").trimEnd();

/** The answer to what could be read: not an error for the whole message or transaction. */
const isReadable = (answer: string): boolean => !/^\S+ \S+ (?:P=\d+\{)?ER=/.test(answer);

let open: ForeignController | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

describe("a controller of another make", () => {
  it("has procedures to play", () => expect(procedures.length).toBeGreaterThan(25));

  it.each(procedures.map((procedure) => [procedure.title, procedure] as const))("%s", async (_, { steps, version }) => {
    const controller = await foreignController(version);
    open = controller;
    for (const { sent, answers } of steps) {
      controller.send(sent);
      const heard: string[] = [];
      while (heard.length < answers.length) heard.push(timeless(await controller.next()));
      expect(heard, sent).toEqual(answers);
    }
    // Whatever was not foreseen would have come by the time this is answered.
    controller.send(`!/${version} <mgc.example> T=999{C=*{O-W-S=*},C=-{AV=ROOT{AT{}}}}`);
    expect(await controller.next()).toContain("C=-{AV=ROOT}");
    expect([controller.gateway.contexts(), controller.plane.legs]).toEqual([0, 0]);
  });

  it("H.248.41 Amd. 1 ipra/ar, RFC 5952: a realm is there if its address is, however the configuration has it written", async () => {
    const controller = await foreignController();
    open = controller;
    let last = 0;
    const reachable = async (): Promise<string> => {
      controller.send(`!/2 <mgc.example> T=${++last}{C=-{AV=ROOT{AT{M{TS{ipra/ar}}}}}}`);
      return /ipra\/ar=\[(.*?)\]/.exec(await controller.next())?.[1] ?? "";
    };
    let realms = await reachable();
    // Looked at once the gateway runs.
    while (realms.includes("gone")) realms = await reachable();
    expect(realms).toBe("outside,inside,six");
  });

  it.skipIf(!haveDecoder)(
    "H.248.1 Annex B: Erlang/OTP megaco reads every message of both, but what no gateway could",
    () => {
      const messages = procedures.flatMap(({ steps, title }) =>
        steps.flatMap(({ sent, answers }) =>
          (answers.some(isReadable) ? [sent, ...answers] : answers).map((text) => ({ title, text })),
        ),
      );
      const verdicts = decodeAll(messages.map(({ text }) => Buffer.from(text, "latin1")));
      const refused = messages.flatMap(({ title, text }, at) =>
        verdicts[at]?.startsWith("ok") ? [] : [`${title}\n${text}\n${verdicts[at]}`],
      );
      expect(refused).toEqual([]);
    },
  );
});
