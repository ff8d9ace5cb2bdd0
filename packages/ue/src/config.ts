// The configuration of a UE: identity, its P-CSCF, its media security policy. Owns every key, its bounds and description.
import { isIP } from "node:net";
import type { SuiteName } from "@sallyport/srtp";
import * as z from "zod";
import { scriptSchema } from "./script/schema.ts";

const suiteNames = [
  "AES_CM_128_HMAC_SHA1_80",
  "AES_CM_128_HMAC_SHA1_32",
  "AES_192_CM_HMAC_SHA1_80",
  "AES_192_CM_HMAC_SHA1_32",
  "AES_256_CM_HMAC_SHA1_80",
  "AES_256_CM_HMAC_SHA1_32",
  "AEAD_AES_128_GCM",
  "AEAD_AES_256_GCM",
] as const satisfies readonly SuiteName[];

const file = (what: string) => z.string().min(1).meta({ path: true }).describe(what);
const address = (what: string) =>
  z
    .string()
    .refine((text) => isIP(text) !== 0, "must be an IP address")
    .describe(what);
const port = (what: string) => z.int().min(0).max(65_535).describe(what);
const sipUri = (what: string) =>
  z
    .string()
    .regex(/^sips?:[^\s<>@]+@[^\s<>@]+$/, "must be a SIP URI such as sip:alice@home.example")
    .describe(what);

const edge = z
  .strictObject({
    address: z.string().min(1).max(253).describe("IP address or host name of the P-CSCF."),
    port: port("Its port."),
    protocol: z.enum(["udp", "tcp", "tls"]).default("tls").describe("SIP transport."),
    serverName: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("Name the P-CSCF's certificate has to carry; its address when left out."),
    tls: z
      .strictObject({
        ca: file("PEM file with the authorities that may have issued the P-CSCF's certificate.").optional(),
        certificate: file("PEM file with the UE's own certificate, where the P-CSCF asks for one.").optional(),
        key: file("PEM file with the key of that certificate.").optional(),
      })
      .refine((tls) => (tls.certificate === undefined) === (tls.key === undefined), "certificate and key go together")
      .prefault({})
      .describe("Certificates of the TLS connection."),
  })
  .describe("The P-CSCF: everything the UE says goes there, and only what comes from there is heard.");

const security = z
  .strictObject({
    e2ae: z
      .enum(["off", "preferred", "required"])
      .default("preferred")
      .describe("off: not announced; preferred: used where the network offers it; required: never send clear media."),
    dialect: z
      .enum(["3gpp", "draft"])
      .default("3gpp")
      .describe("draft also sends the mediasec option tags and Security-Verify in every request."),
    e2e: z
      .enum(["off", "accepted", "preferred"])
      .default("accepted")
      .describe("End-to-end SDES: refused, accepted when offered, or offered in every call."),
    suites: z
      .array(z.enum(suiteNames))
      .min(1)
      .max(suiteNames.length)
      .default(["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"])
      .describe("Crypto suites, most wanted first."),
    trustedAccess: z
      .boolean()
      .default(false)
      .describe("The access network keeps signalling confidential, so keys may pass without TLS (TS 33.328 6.2.1.2)."),
  })
  .prefault({})
  .describe("Media plane security policy (TS 33.328 7.1).");

const media = z
  .strictObject({
    address: address("IP address for media; that of `local` when left out.").optional(),
    ports: z
      .strictObject({ first: port("First port."), last: port("Last port.") })
      .refine((ports) => ports.last > ports.first, "last must be above first")
      .optional()
      .describe("Ports for RTP and RTCP; chosen by the system when left out."),
    rtcpMux: z.boolean().default(false).describe("Offer and accept RTP and RTCP on one port (RFC 5761)."),
    rtcpIntervalMs: z
      .int()
      .min(20)
      .max(60_000)
      .default(5000)
      .describe("Mean time between RTCP reports, ms (RFC 3550 6.2)."),
    maxRecordedOctets: z
      .int()
      .min(0)
      .max(1_073_741_824)
      .default(16_777_216)
      .describe("How many payload octets of a call are kept, each way."),
  })
  .prefault({})
  .describe("Media of this UE.");

export const ueConfigSchema = z
  .strictObject({
    impu: sipUri("Public identity, such as sip:alice@home.example."),
    impi: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("Private identity; the public one without sip: when left out."),
    password: z.string().min(1).max(256).describe("Password of the private identity, for SIP digest."),
    domain: z.string().min(1).max(253).optional().describe("Home domain; the host of impu when left out."),
    edge,
    local: z
      .strictObject({
        address: address("IP address to send and listen from."),
        port: port("SIP port for udp and tcp; 0 lets the system choose.").default(0),
      })
      .describe("Own side of the signalling."),
    security,
    digest: z
      .array(z.enum(["SHA-256", "MD5"]))
      .min(1)
      .max(2)
      .default(["SHA-256", "MD5"])
      .describe("Digest algorithms the UE is willing to answer."),
    expiresS: z.int().min(10).max(1_000_000).default(600_000).describe("Registration lifetime to ask for, seconds."),
    accessNetwork: z.string().min(1).max(256).optional().describe("P-Access-Network-Info value, such as IEEE-802.11."),
    codecs: z
      .array(z.enum(["PCMA", "PCMU"]))
      .min(1)
      .max(2)
      .default(["PCMA", "PCMU"])
      .describe("Codecs, most wanted first."),
    media,
    maxCalls: z.int().min(1).max(1000).default(8).describe("Calls at one time; more are answered 486."),
    script: scriptSchema.optional().describe("Steps to run after the start."),
  })
  .refine(
    (config) => config.edge.protocol === "tls" || config.security.trustedAccess || config.security.e2ae === "off",
    {
      path: ["security"],
      message: "e2ae without tls needs trustedAccess: true, because keys travel in the signalling",
    },
  );

export type UeConfig = z.output<typeof ueConfigSchema>;
/** As written by a person: defaults may be left out. */
export type UeConfigInput = z.input<typeof ueConfigSchema>;
