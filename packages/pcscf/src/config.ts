// The configuration of a P-CSCF (IMS-ALG). Owns every key, its bounds and its one-line description; knows no socket.
import { isIP } from "node:net";
import { isUnspecified } from "@sallyport/kit";
import { parseSipUri } from "@sallyport/sip";
import * as z from "zod";
import { overloadLimits, sourceLimits, transportLimits } from "./admission/config.ts";
import { iqSchema } from "./iq/config.ts";
import { policySchema } from "./policy.ts";
import { storeSchema } from "./state/config.ts";

const file = (what: string) => z.string().min(1).meta({ path: true }).describe(what);
const port = z.int().min(0).max(65_535).describe("Port; 0 lets the system choose.");
const address = z
  .string()
  .refine((text) => isIP(text) !== 0, "must be an IP address")
  .describe("IP address to bind.");
const sipUri = z
  .string()
  .refine((text) => parseSipUri(text) !== undefined, "must be a SIP URI such as sip:core.example:5060;transport=tls");
const duration = (what: string, fallback: number, max = 86_400_000) =>
  z.int().min(0).max(max).default(fallback).describe(what);

const tls = z
  .strictObject({
    certificate: file(
      "PEM file with this element's certificate chain. On the SIP side the files are read again every minute, so that a certificate can be renewed without a restart.",
    ),
    key: file("PEM file with the private key."),
    ca: file("PEM file with the authorities that may have issued the peer's certificate.").optional(),
    requireClientCertificate: z.boolean().default(false).describe("Refuse connections that show no valid certificate."),
  })
  .describe("Certificates of this listening point; needed for tls.");

const listeningPoint = {
  name: z.string().min(1).max(32).optional().describe("Name of the listening point in logs and views."),
  protocol: z.enum(["udp", "tcp", "tls"]).describe("SIP transport."),
  address,
  port,
  advertised: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe(
      "Host name or address to write into Via, Path and Record-Route instead of the bound one; needed where that is 0.0.0.0 or ::.",
    ),
  tls: tls.optional(),
};

const needsTls = (point: { readonly protocol: string; readonly tls?: unknown }): boolean =>
  point.protocol !== "tls" || point.tls !== undefined;
// RFC 3261 18.1.1, RFC 3327: whoever has to find us again needs one address, and all of them are none.
const isNamed = (point: { readonly address: string; readonly advertised?: string | undefined }): boolean =>
  !isUnspecified(point.address) || point.advertised !== undefined;
const unnamed = {
  message: "a listening point on all addresses needs advertised: what Via, Path and Record-Route shall name",
  path: ["advertised"],
};
const tlsMissing = "a tls listening point needs its tls section";

const accessListener = z
  .strictObject({
    ...listeningPoint,
    trusted: z
      .boolean()
      .default(false)
      .describe(
        "The access network itself keeps signalling confidential, so SDES keys may pass without TLS (TS 33.328 6.2.1.2).",
      ),
    accessNetworkInfo: z
      .string()
      .max(256)
      .regex(
        /^[A-Za-z0-9.-]+(?:;[\x21-\x2b\x2d-\x3a\x3c-\x7e ]+)*$/,
        "must be an access type with parameters, such as IEEE-802.3ah;dsl-location=1",
      )
      .optional()
      .describe(
        "What the network knows of this access: written into P-Access-Network-Info as network-provided, and what policy goes by instead of the UE's own word.",
      ),
  })
  .refine(needsTls, tlsMissing)
  .refine(isNamed, unnamed);

const coreListener = z.strictObject(listeningPoint).refine(needsTls, tlsMissing).refine(isNamed, unnamed);

const core = z
  .strictObject({
    listen: z.array(coreListener).min(1).max(8).describe("Listening points towards the IMS core."),
    nextHop: sipUri.describe("Where requests without a Service-Route go: the entry point of the home network."),
    nextHopName: z
      .string()
      .min(1)
      .max(253)
      .optional()
      .describe("Name the next hop's certificate must carry, when it is not the host of nextHop."),
    alternatives: z
      .array(sipUri)
      .max(8)
      .default([])
      .describe(
        "Further entry points, each asked in turn when nextHop does not take a request (TS 24.229 5.2.2); the servers that the DNS has for each are all tried (RFC 3263 4.3).",
      ),
    tryMs: z
      .int()
      .min(500)
      .max(28_000)
      .default(6000)
      .describe("How long one entry point may leave a request without any answer while another can be asked, ms."),
    trusted: z
      .strictObject({
        addresses: z
          .array(z.string().refine((text) => isIP(text) !== 0, "must be an IP address"))
          .max(64)
          .default([])
          .describe("Addresses of core elements that may send requests without a certificate."),
        names: z
          .array(z.string().min(1).max(253))
          .max(64)
          .default([])
          .describe("Certificate names of core elements that may send requests."),
      })
      .prefault({})
      .describe(
        "Who may send requests from the core side. The next hop and its alternatives always may: by its certificate name on tls, else by its literal address.",
      ),
  })
  .describe("The side of the IMS core.");

const iq = iqSchema(
  z
    .strictObject({
      protocol: z.enum(["tls", "tcp", "udp"]).describe("H.248 transport."),
      address,
      port,
      tls: tls.optional(),
    })
    .refine(needsTls, tlsMissing)
    .refine(
      (point) => point.protocol !== "tls" || point.tls?.ca !== undefined,
      "Iq over tls needs the ca of the gateways",
    )
    .describe("Where gateways connect."),
);

const limits = z
  .strictObject({
    maxRegistrations: z.int().min(1).max(1_000_000).default(100_000).describe("Bindings held."),
    maxCalls: z.int().min(1).max(200_000).default(20_000).describe("Call legs held."),
    maxCallsPerBinding: z.int().min(1).max(1000).default(16).describe("Call legs one UE may have at once."),
    maxQueuedPerCall: z
      .int()
      .min(4)
      .max(256)
      .default(32)
      .describe("SIP events of one call that may wait for its gateway."),
    maxRegistersPerMinute: z
      .int()
      .min(1)
      .max(6000)
      .default(60)
      .describe("REGISTER requests one flow may send a minute; more get 503 with Retry-After."),
    sources: sourceLimits,
    transport: transportLimits,
    overload: overloadLimits,
    maxTransactions: z
      .int()
      .min(16)
      .max(1_000_000)
      .default(20_000)
      .describe("Transactions held in each direction; more get 503."),
    maxEvidence: z.int().min(16).max(4096).default(256).describe("Evidence records kept for one call."),
    endedCalls: z.int().min(0).max(10_000).default(100).describe("Ended calls kept for the views."),
    setupMs: duration(
      "A call that is not answered this long after its last provisional response is given up, ms (RFC 3261 timer C).",
      185_000,
    ),
    acknowledgeMs: duration(
      "An answered call without ACK is ended after this, ms (64*T1 by RFC 3261 13.3.1.4).",
      32_000,
    ),
    flowLostMs: duration("How long a call waits for its UE to come back on a new flow, ms.", 5000),
    restartMs: duration(
      "The same after a restart of this edge, when all UEs on TCP and TLS have to come back at once, ms.",
      60_000,
    ),
  })
  .prefault({})
  .describe("Bounds on what strangers can make this element hold.");

const registration = z
  .strictObject({
    requirePath: z
      .boolean()
      .default(false)
      .describe("Add Require: path on our own behalf; only where the registrar understands it."),
    integrityProtected: z
      .boolean()
      .default(true)
      .describe(
        "Write integrity-protected=tls-pending or tls-yes into Authorization for UEs on TLS (TS 24.229 5.2.2).",
      ),
    minExpires: z
      .int()
      .min(0)
      .max(3600)
      .default(60)
      .describe("Shortest registration a UE may ask for, seconds; shorter gets 423."),
    regEvent: z
      .boolean()
      .default(false)
      .describe(
        "Subscribe to the reg event of every registered identity, so that the network can end registrations (RFC 3680, TS 24.229 5.2.3).",
      ),
    keepAlive: z
      .int()
      .min(0)
      .max(3600)
      .default(120)
      .describe("Seconds between keep-alives asked of UEs that offer them (RFC 6223); 0 asks for none."),
    reconnect: z
      .enum(["never", "contact"])
      .default("contact")
      .describe(
        "How a UE on TCP or TLS is reached whose connection is gone: not at all, or by a new connection to its Contact where that names the address it registered from.",
      ),
  })
  .prefault({})
  .describe("Registration.");

const session = z
  .strictObject({
    interval: z
      .union([z.literal(0), z.int().min(90).max(86_400)])
      .default(0)
      .describe(
        "Seconds after which a session has to be refreshed, asked for where the ends ask for nothing or for less often; 0 leaves it to them (RFC 4028 8).",
      ),
    minimum: z
      .int()
      .min(90)
      .max(86_400)
      .default(90)
      .describe("With an interval set: refreshes more often than this many seconds apart are refused with 422."),
  })
  .refine(({ interval, minimum }) => interval === 0 || interval >= minimum, "interval must not be below minimum")
  .prefault({})
  .describe("Session timers, so that calls whose ends are gone come to an end here and at the gateway.");

const emergency = z
  .strictObject({
    unregistered: z
      .boolean()
      .default(false)
      .describe("Take emergency calls (urn:service:sos) of UEs that did not register (TS 24.229 5.2.10)."),
  })
  .prefault({})
  .describe("Emergency calls; they are never refused for lack of media security.");

export const edgeConfigSchema = z.strictObject({
  name: z.string().min(1).max(64).describe("Name of this edge in logs, views and charging identifiers."),
  homeNetwork: z
    .string()
    .min(1)
    .max(253)
    .describe("Domain of the network this edge belongs to, for P-Visited-Network-ID and P-Charging-Vector."),
  access: z.array(accessListener).min(1).max(16).describe("Listening points towards UEs."),
  core,
  iq,
  policy: policySchema,
  limits,
  registration,
  session,
  emergency,
  store: storeSchema
    .optional()
    .describe(
      "What outlives a restart. Left out, `sallyport edge` keeps registrations in lmdb, in .sallyport/state/<name> beside its configuration file.",
    ),
});

/** What `createEdge` takes: the configuration after validation, defaults filled in. */
export type EdgeConfig = z.output<typeof edgeConfigSchema>;
/** The configuration as a person writes it. */
export type EdgeConfigInput = z.input<typeof edgeConfigSchema>;
