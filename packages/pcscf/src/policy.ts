// The media policy as an operator writes it, and as media-security reads it. Owns keys, bounds and descriptions of the
// rules; decides nothing. TS 33.328 7.1 NOTE 2.
import { quirks, type MediaPolicy, type MediaPolicyRule, type QuirkId } from "@sallyport/media-security";
import * as z from "zod";
import { present } from "./present.ts";

const suiteNames = [
  "AES_CM_128_HMAC_SHA1_80",
  "AES_CM_128_HMAC_SHA1_32",
  "AES_192_CM_HMAC_SHA1_80",
  "AES_192_CM_HMAC_SHA1_32",
  "AES_256_CM_HMAC_SHA1_80",
  "AES_256_CM_HMAC_SHA1_32",
  "AEAD_AES_128_GCM",
  "AEAD_AES_256_GCM",
] as const satisfies MediaPolicyRule["suites"];

const suiteList = z.array(z.enum(suiteNames)).min(1).max(suiteNames.length);
const patterns = (what: string) => z.array(z.string().min(1).max(128)).min(1).max(32).optional().describe(what);

const quirkIds = quirks.map(({ id }) => id) as [QuirkId, ...QuirkId[]];
const quirkModeName = z.enum(["strict", "tolerant", "observe"]);

const quirkModes = z
  .strictObject({
    mode: quirkModeName
      .optional()
      .describe("For all deviations that are not strict by default; observe tolerates and logs loudly."),
    each: z
      .partialRecord(z.enum(quirkIds), quirkModeName)
      .optional()
      .describe("For single deviations, by their names."),
  })
  .optional();

const match = z
  .strictObject({
    accessNetwork: patterns(
      "Access types of P-Access-Network-Info; * stands for any run of characters, case is ignored. What the listening point's accessNetworkInfo says; where it says nothing, the UE's own word, which nobody vouches for (RFC 7315 4.4, TS 24.229 7.2A.4): let no protection hang on it alone.",
    ),
    transport: z
      .array(z.enum(["udp", "tcp", "tls"]))
      .min(1)
      .max(3)
      .optional()
      .describe("SIP transports of the registration."),
    userAgent: patterns(
      "User-Agent of the REGISTER, with *. The UE's own word: never a protection against a hostile UE.",
    ),
    realm: patterns("Home domain of the registered identity, with *."),
  })
  .optional()
  .describe("When the rule applies: every list that is there must match. Always, when left out.");

const policyRule = z.strictObject({
  match,
  e2ae: z
    .enum(["off", "offered", "required"])
    .describe(
      "Whether the network announces e2ae security (TS 33.328 7.1); required also refuses clear media, emergency calls excepted.",
    ),
  suites: suiteList
    .default(["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])
    .describe("Suites offered, best first; also those accepted, unless accept says otherwise."),
  accept: suiteList.optional().describe("Suites accepted in a UE's offer; the UE's order decides (RFC 4568 5.1.2)."),
  announceUnasked: z
    .union([z.boolean(), z.enum(["never", "unannounced", "always"])])
    .default(false)
    .describe(
      "Who is told of our support without having announced sdes-srtp: never (false), unannounced (UEs that listed no media mechanism and may wait for our list), always (true).",
    ),
  downgrade: z
    .enum(["refuse", "allow"])
    .optional()
    .describe("A protected line that the UE offers again in the clear: refuse (488, the default) or allow."),
  sdesPhone: z
    .enum(["off", "terminate", "offer"])
    .optional()
    .describe(
      "Phones that know SDES but not mediasec: off (the default), terminate their SAVP offers at the gateway, or offer SAVP to them as well.",
    ),
  bestEffortCrypto: z
    .enum(["strip", "pass"])
    .optional()
    .describe("Crypto attributes on AVP lines: strip (the default) or pass untouched."),
  t38: z
    .enum(["pass", "refuse"])
    .optional()
    .describe("Clear T.38; passes by default, is refused by default under required."),
  quirks: quirkModes.describe("How deviations of UEs are treated under this rule."),
});

export const policySchema = z
  .strictObject({
    rules: z.array(policyRule).max(64).describe("First match wins; no match means off."),
    quirks: quirkModes.describe("How deviations of UEs are treated; a rule's own word goes before."),
  })
  .describe("Media plane security by kind of registration (TS 33.328 7.1 NOTE 2).");

/** The policy in the words of media-security. */
export const mediaPolicy = ({ policy }: { readonly policy: z.output<typeof policySchema> }): MediaPolicy => ({
  rules: policy.rules.map((rule) => {
    const { match: wanted, quirks: modes, ...rest } = rule;
    return {
      ...present(rest),
      ...(wanted === undefined ? {} : { match: present(wanted) }),
      ...(modes === undefined ? {} : { quirks: quirkModesOf(modes) }),
    };
  }),
  ...(policy.quirks === undefined ? {} : { quirks: quirkModesOf(policy.quirks) }),
});

const quirkModesOf = (modes: NonNullable<z.output<typeof quirkModes>>) => {
  const { mode, each } = modes;
  return { ...(mode === undefined ? {} : { mode }), ...(each === undefined ? {} : { each: present(each) }) };
};
