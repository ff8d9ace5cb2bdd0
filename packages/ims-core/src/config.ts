// The configuration of the lab core. Owns every key, its bounds and its one-line description; knows no socket.
import { isIP } from "node:net";
import { parseSipUri } from "@sallyport/sip";
import * as z from "zod";

const file = (what: string) => z.string().min(1).meta({ path: true }).describe(what);
const seconds = (what: string, fallback: number) => z.int().min(1).max(2_592_000).default(fallback).describe(what);

const tls = z
  .strictObject({
    certificate: file("PEM file with the core's certificate chain."),
    key: file("PEM file with the private key."),
    ca: file("PEM file with the authorities that may have issued a peer's certificate.").optional(),
    requireClientCertificate: z.boolean().default(false).describe("Refuse connections that show no valid certificate."),
  })
  .describe("Certificates of this listening point; needed for tls.");

const listeningPoint = z
  .strictObject({
    name: z.string().min(1).max(32).optional().describe("Name of the listening point in logs and views."),
    protocol: z.enum(["udp", "tcp", "tls"]).describe("SIP transport."),
    address: z
      .string()
      .refine((text) => isIP(text) !== 0, "must be an IP address")
      .describe("IP address to bind."),
    port: z.int().min(0).max(65_535).describe("Port; 0 lets the system choose."),
    advertised: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("Host name or address to write into Via, Service-Route and Record-Route instead of the bound one."),
    tls: tls.optional(),
  })
  .refine(
    (point) => point.protocol !== "tls" || point.tls !== undefined,
    "a tls listening point needs its tls section",
  );

const user = z.strictObject({
  impu: z
    .string()
    .refine((text) => parseSipUri(text) !== undefined || /^tel:\S+$/i.test(text), "must be a sip, sips or tel URI")
    .describe("Public user identity; those that share an impi are registered together."),
  impi: z.string().min(1).max(256).describe("Private user identity, the username of digest."),
  password: z.string().min(1).max(256).describe("Password of the private user identity."),
  algorithms: z
    .array(z.enum(["SHA-256", "MD5"]))
    .min(1)
    .max(2)
    .default(["SHA-256", "MD5"])
    .describe("Digest algorithms this user is challenged with, best first."),
});

const registration = z
  .strictObject({
    minExpires: seconds("Shortest registration granted; a shorter wish gets 423 with Min-Expires.", 60),
    maxExpires: seconds("Longest registration granted; a longer wish is shortened.", 3_600),
    defaultExpires: seconds("Granted where the request names no time.", 3_600),
    maxContacts: z.int().min(1).max(64).default(8).describe("Contacts one user may have registered at a time."),
    requirePathSupport: z
      .boolean()
      .default(false)
      .describe("Refuse with 420 a REGISTER that carries Path from a client that does not say Supported: path."),
    nonceSeconds: seconds("How long a digest nonce is good.", 300),
  })
  .refine((bounds) => bounds.minExpires <= bounds.maxExpires, "minExpires is above maxExpires")
  .prefault({})
  .describe("Bounds of registrations.");

/** A registrar and S-CSCF for the lab: one domain, no interconnection, no charging, no application servers. */
export const coreConfigSchema = z.strictObject({
  domain: z
    .string()
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})$/, "must be a domain name")
    .describe("The home network's domain, also the digest realm."),
  listen: z.array(listeningPoint).min(1).max(8).describe("Listening points; the first is named in Service-Route."),
  users: z.array(user).min(1).max(100_000).describe("Subscribers."),
  registration,
  forking: z
    .enum(["parallel", "sequential"])
    .default("parallel")
    .describe("How several contacts of a user are called: all at once, or one after the other."),
  sequentialSeconds: z
    .int()
    .min(1)
    .max(180)
    .default(20)
    .describe("How long one contact rings before the next is tried, when forking is sequential."),
});

/** As written: keys with a default may be left out. */
export type CoreConfig = z.input<typeof coreConfigSchema>;
/** As used: every key is there. */
export type CoreSettings = z.output<typeof coreConfigSchema>;
export type CoreListener = CoreSettings["listen"][number];
