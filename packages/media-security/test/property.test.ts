// Whatever strangers send: no throw, no leak, no foreign indication, untouched lines untouched.
import { seededRandom } from "@sallyport/kit";
import { attributeName, formatCrypto, parseSdp } from "@sallyport/sdp";
import type { SuiteName } from "@sallyport/srtp";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkAnswer,
  checkSecurityVerify,
  createAnswer,
  createOffer,
  readMechanisms,
  sameKeys,
  selectCrypto,
} from "../src/index.ts";
import { inline } from "./support/bodies.ts";
import { body, both, facts, openCall, sdp } from "./support/call.ts";

const runs = { numRuns: 300, seed: 568 };
const suites: readonly SuiteName[] = facts.policy.suites;

const attribute = fc.oneof(
  fc.constantFrom(
    "a=3ge2ae:requested",
    "a=3ge2ae:applied",
    "a=3GE2AE: applied ",
    "a=3ge2ae",
    "a=sendonly",
    "a=inactive",
    "a=rtcp-mux",
    "a=rtcp:0",
    "a=rtcp:70000 IN IP4 x",
    "a=fingerprint:sha-1 AA",
    "a=key-mgmt:mikey AAAA",
    "a=candidate:x",
    "a=ptime:20",
    "a=rtpmap:0 PCMU/8000",
    "b=AS:1",
    "k=clear:x",
    "c=IN IP4 192.0.2.5",
    "c=IN IP4 0.0.0.0",
    "c=IN IP6 ::1",
    "c=IN IP4 host.example",
    "a=crypto",
    "a=crypto:",
    "a=crypto:1",
  ),
  fc
    .tuple(
      fc.nat(12),
      fc.constantFrom(...suites, "aes_cm_128_hmac_sha1_80", "F8_128_HMAC_SHA1_80"),
      fc.nat(255),
      fc.constantFrom(28, 30),
      fc.constantFrom("", "|2^20", "|1:4", " UNENCRYPTED_SRTP", " KDR=0", " -x", "|0"),
    )
    .map(([tag, suite, octet, length, rest]) => `a=crypto:${tag} ${suite} ${inline(octet, length)}${rest}`),
);

const line = fc
  .tuple(
    fc.constantFrom("audio", "video", "image"),
    fc.constantFrom("0", "9", "40000", "40000/2"),
    fc.constantFrom(
      "RTP/AVP",
      "RTP/SAVP",
      "RTP/AVPF",
      "RTP/SAVPF",
      "rtp/savp",
      "UDP/TLS/RTP/SAVPF",
      "udptl",
      "TCP/MSRP",
    ),
    fc.array(attribute, { maxLength: 7 }),
  )
  .map(([media, port, protocol, attributes]) =>
    [`m=${media} ${port} ${protocol} 0`, "c=IN IP4 10.0.0.7"].concat(attributes),
  );

const description = fc
  .tuple(
    fc.nat(5),
    fc.subarray(["c=IN IP4 10.0.0.7", "a=3ge2ae:applied", "a=group:BUNDLE 0 1", "a=crypto:1 x y", "a=ice-lite"]),
    fc.array(line, { maxLength: 4 }),
  )
  .map(([version, session, lines]) =>
    ["v=0", `o=- 1 ${version} IN IP4 10.0.0.7`, "s=-", "t=0 0"].concat(session, lines.flat()),
  );

const keyed = /^a=(crypto|key-mgmt|acap|tcap|pcfg)|^k=/i;

describe("hostile and random descriptions", () => {
  it("invariants 1, 2, 9: offer and answer of any content, from either side", () => {
    const registrations = fc.constantFrom(both, { ...both, ueE2ae: false }, { ...both, networkE2ae: false });
    fc.assert(
      fc.property(
        registrations,
        fc.boolean(),
        fc.constantFrom("access", "core"),
        fc.array(description, { minLength: 2, maxLength: 5 }),
        (registration, emergency, first, bodies) => {
          const call = openCall({ registration, emergency });
          for (const [at, text] of bodies.entries()) {
            const from = (first === "access") === (at % 2 === 0) ? ("access" as const) : ("core" as const);
            const effects = at % 2 === 0 ? call.offer(from, text) : call.answer(from, text);
            for (const effect of effects) {
              if (effect.kind !== "forward") continue;
              const written = body(effect.sdp);
              expect(parseSdp(written).ok).toBe(true);
              const source = sdp(text);
              for (const [index, media] of effect.sdp.media.entries()) {
                const lines = media.lines.map((each) => each.raw.trim());
                const marks = media.lines.filter((each) => attributeName(each) === "3ge2ae");
                const ours =
                  effect.towards === "access" ? media.port === 30_000 + 2 * index : media.port === 20_000 + 2 * index;
                expect(marks.length).toBe(ours && effect.towards === "access" ? 1 : 0);
                if (ours && effect.towards === "core") expect(lines.some((each) => keyed.test(each))).toBe(false);
                if (media.protocol.toUpperCase() === "RTP/AVP")
                  expect(lines.some((each) => /crypto/i.test(each))).toBe(false);
                if (ours || media.port === 0) continue;
                // What passes is the sender's lines, some taken out, none changed, none added.
                const sent = (source.media[index]?.lines ?? []).map((each) => each.raw.trim());
                let place = 0;
                for (const each of lines) {
                  place = sent.indexOf(each, place) + 1;
                  expect(place).toBeGreaterThan(0);
                }
              }
              expect(effect.sdp.session.some((each) => attributeName(each) === "3ge2ae")).toBe(false);
            }
          }
          call.feed({ kind: "ended" });
          expect(new Set(call.zeroised).size).toBe(call.zeroised.length);
          expect(call.zeroised.every((key) => key.released)).toBe(true);
        },
      ),
      runs,
    );
  });

  it("policy e2ae required: whatever is offered and answered, no clear voice or picture is sent on, phone or not", () => {
    const clear = /^RTP\/AVPF?$/i;
    fc.assert(
      fc.property(
        fc.constantFrom(both, { ...both, ueE2ae: false, networkE2ae: false }),
        fc.constantFrom("off", "terminate", "offer"),
        fc.constantFrom("access", "core"),
        fc.array(description, { minLength: 2, maxLength: 6 }),
        (registration, sdesPhone, first, bodies) => {
          const call = openCall({ registration, policy: { ...facts.policy, e2ae: "required", sdesPhone } });
          for (const [at, text] of bodies.entries()) {
            const from = (first === "access") === (at % 2 === 0) ? ("access" as const) : ("core" as const);
            const effects = at % 2 === 0 ? call.offer(from, text) : call.answer(from, text);
            for (const effect of effects) {
              if (effect.kind !== "forward") continue;
              for (const [index, media] of effect.sdp.media.entries()) {
                const ours = media.port === 20_000 + 2 * index && effect.towards === "core";
                if (ours) expect(media.lines.some((each) => /crypto|3ge2ae/i.test(each.raw))).toBe(false);
                else expect(media.port !== 0 && clear.test(media.protocol), body(effect.sdp)).toBe(false);
              }
            }
            // A description is an offer; when it was not answered the next one starts anew.
            call.feed({ kind: "exchange-failed" });
          }
        },
      ),
      runs,
    );
  });

  it("invariant 7: no key text in evidence, state or plans, whatever was sent", () => {
    fc.assert(
      fc.property(fc.array(description, { minLength: 1, maxLength: 4 }), (bodies) => {
        const call = openCall();
        for (const [at, text] of bodies.entries()) {
          if (at % 2 === 0) call.offer("access", text);
          else call.answer("core", text);
        }
        const plain = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
        const printed = JSON.stringify(
          [call.evidence, call.state, call.effects.filter((each) => each.kind !== "forward")],
          plain,
        );
        expect(printed).not.toContain("inline");
        for (let octet = 0; octet < 256; octet += 1) {
          expect(printed.includes(Buffer.alloc(9, octet).toString("base64"))).toBe(false);
        }
      }),
      { ...runs, numRuns: 60 },
    );
  });

  it("SDES rules and Security headers take any text without throwing", () => {
    const offered = createOffer(suites, seededRandom(4));
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 80 }), { maxLength: 40 }), (values) => {
        selectCrypto(values, suites);
        checkAnswer(offered, values);
        readMechanisms(values);
        checkSecurityVerify({
          sent: values,
          received: [...values].reverse(),
          draftDialect: true,
          hasCredentials: true,
        });
      }),
      runs,
    );
  });

  it("RFC 4568 5.1.3: what one end offers and the other answers always fits, each direction with its own key", () => {
    fc.assert(
      fc.property(fc.integer(), fc.shuffledSubarray([...suites], { minLength: 1 }), (seed, wish) => {
        const random = seededRandom(seed);
        const offer = createOffer(wish, random);
        const chosen = selectCrypto(
          offer.map((each) => formatCrypto(each)),
          suites,
        );
        if (!chosen.ok) throw new Error("nothing chosen");
        const checked = checkAnswer(offer, [formatCrypto(createAnswer(chosen.crypto, random))]);
        if (!checked.ok) throw new Error(checked.why);
        expect(sameKeys(checked.ours, chosen.crypto)).toBe(true);
        expect(sameKeys(checked.ours, checked.theirs)).toBe(false);
      }),
      { ...runs, numRuns: 50 },
    );
  });
});
