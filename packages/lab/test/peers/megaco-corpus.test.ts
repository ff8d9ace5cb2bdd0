// Every H.248 message that our writer emits in the tests of Iq, and in calls of the lab: Erlang/OTP megaco
// reads each as we meant it.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual, promisify } from "node:util";
import { parseH248 } from "@sallyport/h248";
import { describe, expect, it } from "vitest";
import { comparable, decodeAll, haveDecoder } from "../../../h248/test/peers/megaco.ts";
import { connect, openLab, registered, speak } from "../support/lab.ts";
import { temporaryFolder } from "./support/program.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

/** What is wrong with the way it reads these, with the message in question. */
const misread = (messages: readonly Buffer[]): readonly string[] => {
  const answers = decodeAll(messages);
  expect(answers).toHaveLength(messages.length);
  return messages.flatMap((octets, at) => {
    const [verdict, ...written] = (answers[at] ?? "").split(" ");
    const ours = parseH248(octets);
    const shown = octets.toString("latin1");
    if (verdict !== "ok" || !ours.ok) return [`${shown}\n${answers[at]?.slice(0, 300)}`];
    return written.flatMap((hex) => {
      if (hex === "-") return [];
      const again = parseH248(Buffer.from(hex, "hex"));
      const same = again.ok && isDeepStrictEqual(comparable(again.message), comparable(ours.message));
      return same ? [] : [`${shown}\nread as\n${Buffer.from(hex, "hex").toString("latin1")}`];
    });
  });
};

/** What it has no reading or no writing of, and is right or known to err about. */
const known: readonly RegExp[] = [
  // Statistics by stream belong to version 3; a test asks for them, and is answered, in version 2.
  /^!\/2 .*\{ST=\d+\{SA\{/,
  // It writes the long form of EGO as EmergencyOffToken, which annex B does not know.
  /[,{]EGO[,}]/,
];

/** Transaction numbers do not make messages different. */
const distinct = (messages: readonly Buffer[]): readonly Buffer[] => [
  ...new Map(messages.map((octets) => [octets.toString("latin1").replaceAll(/\d{5,}/g, "N"), octets])).values(),
];

describe("what our writer emits (Debian packages erlang-base, erlang-megaco)", () => {
  it.skipIf(!haveDecoder)(
    "H.248.1 annex B: megaco reads what the tests of Iq write",
    async () => {
      const folder = await temporaryFolder("corpus");
      try {
        const file = join(folder.path, "corpus.txt");
        const config = fileURLToPath(new URL("support/corpus.config.ts", import.meta.url));
        const tests = [
          "packages/iq/test",
          "packages/access-gateway/test/contexts",
          "packages/access-gateway/test/media",
        ];
        await promisify(execFile)(process.execPath, [vitest, "run", "--root", root, "--config", config, ...tests], {
          cwd: root,
          env: { ...process.env, H248_CORPUS: file, VITEST_POOL_ID: undefined },
          timeout: 240_000,
          maxBuffer: 1 << 26,
        })
          // Whether those tests pass is theirs to say.
          .catch(() => undefined);
        const lines = (await readFile(file, "latin1")).trim().split("\n");
        const messages = distinct(lines.map((line) => Buffer.from(line, "hex"))).filter(
          (octets) => !known.some((each) => each.test(octets.toString("latin1"))),
        );
        expect(messages.length).toBeGreaterThan(100);
        expect(misread(messages).slice(0, 5)).toEqual([]);
      } finally {
        await folder.remove();
      }
    },
    300_000,
  );

  it.skipIf(!haveDecoder)(
    "H.248.1 annex B: megaco reads what edge and gateway of the lab write through calls",
    { timeout: 120_000 },
    async () => {
      const lab = await openLab();
      try {
        const { alice, bob } = await registered(lab, { alice: {}, bob: { media: { rtcpMux: true } } });
        const ends = await connect(alice, bob);
        await speak(ends, 100);
        await ends.calling.reinvite("sendonly");
        await ends.calling.reinvite("sendrecv");
        await ends.called.reinvite();
        await ends.calling.hangup();
        await ends.called.ended;
        const messages = lab.recorder.sightings.flatMap((sighting) =>
          sighting.kind === "iq" ? [sighting.octets] : [],
        );
        expect(messages.length).toBeGreaterThan(15);
        expect(misread(messages)).toEqual([]);
      } finally {
        await lab.close();
      }
    },
  );
});
