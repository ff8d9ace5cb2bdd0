// An association that hears anything: the messages under test/vectors, bent by a seeded generator. Whatever came, it answers
// the next honest request, sends nothing it would refuse itself, keeps within its bounds, and leaves no timer.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { h248Errors } from "../src/index.ts";
import { alone, audited, peerAt, settle } from "./wire.ts";
import { refused, validNames, validOctets } from "./vectors.ts";

const seeds = [
  ...validNames.flatMap((name) => [validOctets(name, "long"), validOctets(name, "short")]),
  ...refused.map(({ text }) => Buffer.from(text, "latin1")),
];

const edit = fc.tuple(
  fc.nat(),
  fc.nat({ max: 20 }),
  fc.constantFrom("", "{", "}", "=", ",", '"', "P=1{", "T=1{", "K{1-9}", "PN=1{}", "C=$", "0", "4294967295", "\0", "ÿ"),
);

const bent = fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 3 })).map(([seed, edits]) => {
  let text = seed.toString("latin1");
  for (const [where, cut, put] of edits) {
    const at = where % (text.length + 1);
    text = text.slice(0, at) + put + text.slice(at + cut);
  }
  return text;
});

const answers = ["done", "refused", "broken"] as const;

describe("an association that hears anything", () => {
  it("H.248.1 8: whatever came, the next honest request is answered, and nothing stays behind", async () => {
    const script = fc.array(fc.tuple(bent, fc.nat({ max: 3 }), fc.nat({ max: 40_000 })), {
      minLength: 1,
      maxLength: 15,
    });
    const property = fc.asyncProperty(script, fc.constantFrom(...answers), async (came, answer) => {
      const on = alone({
        onRequest: async () => {
          if (answer === "refused") throw h248Errors("SALLY_H248_CLOSED", "");
          if (answer === "broken") throw new Error("with a secret in it");
          return audited;
        },
        limits: { maxRemembered: 20, maxRememberedPerPeer: 8 },
      });
      for (const [text, from, ms] of came) {
        on.come(text, peerAt(`192.0.2.${10 + from}`));
        await settle();
        on.clock.advance(ms);
        expect(on.association.counts().remembered).toBeLessThanOrEqual(20);
      }
      expect(JSON.stringify(on.sent.map(({ octets }) => octets.toString("latin1")))).not.toContain("secret");
      // Everything that was remembered has its time.
      on.clock.advance(600_000);
      on.taken();
      on.come("MEGACO/2 <honest.example> Transaction = 99 { Context = - { AuditValue = ROOT { Audit { } } } }");
      await settle();
      const code = answer === "done" ? "" : / error \d{3}/;
      expect(on.taken()[0]).toMatch(
        answer === "done" ? /^reply 99$/ : new RegExp(`^reply 99${(code as RegExp).source}$`),
      );
      on.association.close();
      expect(on.clock.waiting).toBe(0);
    });
    await fc.assert(property, { seed: 248, numRuns: 120 });
  });

  it("H.248.1 7.1.19: what cannot be read is answered with a code of the registry, or with silence where nobody can be answered", () => {
    fc.assert(
      fc.property(bent, (text) => {
        const on = alone();
        on.come(text);
        for (const { message } of on.sent) {
          const errors =
            message.body.kind === "error"
              ? [message.body.error]
              : message.body.transactions.flatMap((one) =>
                  one.kind === "reply" && one.body.kind === "error" ? [one.body.error] : [],
                );
          for (const { code, text: shown } of errors) {
            expect([400, 401, 403, 406, 410, 443, 444, 447, 448]).toContain(code);
            // Never a piece of what came: it may hold keys.
            expect(shown).toMatch(/^[A-Z][A-Za-z ]*(?:(?:: [a-z-]+)? at octet \d+)?$/);
          }
        }
        on.association.close();
        expect(on.clock.waiting).toBe(0);
      }),
      { seed: 719, numRuns: 600 },
    );
  });
});
