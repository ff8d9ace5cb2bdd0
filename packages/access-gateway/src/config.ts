// Owns the gateway's configuration: what may stand in its file. Contents of key files never stand in it, only paths.
import { isIP, SocketAddress } from "node:net";
import { isMid } from "@sallyport/iq";
import { isNotUnicast, isUnspecified } from "@sallyport/kit";
import type { PortRange } from "@sallyport/media-plane";
import { z } from "zod";

// It is also told to the far end (Local): there 0.0.0.0 is hold (RFC 3264 8.4).
const address = z
  .string()
  .refine((text) => isIP(text) !== 0, { error: "must be an IPv4 or IPv6 literal, without brackets", abort: true })
  .refine(
    (text) => !isUnspecified(text) && !isNotUnicast(text),
    "must be one address of this machine, which far ends send to",
  );
const port = z.number().int().min(0).max(65_535);
const file = (what: string) => z.string().min(1).meta({ path: true }).describe(what);
const milliseconds = (highest: number) => z.number().int().min(0).max(highest);

const tls = z
  .strictObject({
    certificate: file("Path of the gateway's certificate chain, PEM."),
    key: file("Path of its private key, PEM."),
    ca: file("Path of the authorities a controller's certificate may come from, PEM."),
  })
  .describe("TLS 1.3 with both certificates.");

const controller = z
  .strictObject({
    address: z.string().min(1).describe("IP literal or host name of the P-CSCF's Iq."),
    port: port.describe("Its port; 2944 is registered for Iq without TLS."),
    protocol: z
      .enum(["tls", "tcp", "udp"])
      .default("tls")
      .describe("tls; tcp and udp carry no keys unless protectedBelow."),
    tls: tls.optional().describe("Certificates; needed for protocol tls."),
    certificateName: z
      .string()
      .min(1)
      .optional()
      .describe("DNS name the controller's certificate must carry; its address when absent."),
    protectedBelow: z
      .boolean()
      .default(false)
      .describe("You vouch that IPsec or the like protects this path, so that keys may cross it."),
  })
  .refine((value) => value.protocol !== "tls" || value.tls !== undefined, {
    message: "tls needs certificates: give tls.certificate, tls.key and tls.ca",
    path: ["tls"],
  });

const portRange = z
  .strictObject({
    first: z.number().int().min(1).max(65_535).describe("First media port."),
    last: z.number().int().min(1).max(65_535).describe("Last media port."),
  })
  .refine((range) => range.last > range.first, { message: "last must be above first", path: ["last"] });

const face = z.strictObject({
  address: address.describe("Local address media is bound to."),
  realm: z.string().min(1).max(64).optional().describe("IP realm (ipdc/realm) this address is in."),
  ports: portRange.optional().describe("Media ports of its own; those of the gateway when absent."),
});

type Face = z.output<typeof face>;

const extraFace = face.extend({ side: z.enum(["access", "core"]).describe("Which side it looks to.") });

/** RFC 5952: as the system writes it, so that it can be compared. */
export const asWritten = (literal: string): string =>
  isIP(literal) === 6 && !literal.includes("%")
    ? new SocketAddress({ address: literal, family: "ipv6" }).address
    : literal;

interface Placed {
  readonly path: (string | number)[];
  readonly address: string;
  readonly range: PortRange;
}

/** Two interfaces on one address share a range, or have ranges without a port in common. */
const overlaps = (
  { access, core, more }: Readonly<Record<"access" | "core", Face>> & { readonly more: readonly Face[] },
  ports: PortRange,
): readonly { readonly path: (string | number)[]; readonly message: string }[] => {
  const place = (path: (string | number)[], { address: at, ports: range = ports }: Face): Placed => ({
    path: ["interfaces", ...path],
    address: asWritten(at),
    range,
  });
  const all = [
    place(["access"], access),
    place(["core"], core),
    ...more.map((one, index) => place(["more", index], one)),
  ];
  return all.flatMap((one, index) => {
    const other = all.slice(0, index).find((before) => {
      const [a, b] = [before.range, one.range];
      const same = a.first === b.first && a.last === b.last && before.address === one.address;
      return before.address === one.address && !same && a.first <= b.last && b.first <= a.last;
    });
    if (other === undefined) return [];
    const { first, last } = other.range;
    const message = `ports overlap with ${first} to ${last} of ${other.path.join(".")}, which is at the same address`;
    return [{ path: [...one.path, "ports"], message }];
  });
};

const mid = z.string().refine(isMid, "must be a message identifier of H.248, such as <gw-a.example>");

export const gatewayConfigSchema = z
  .strictObject({
    id: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/, "must be a host name")
      .describe("Name of the gateway; its message identifier on Iq is <id>."),
    mid: mid.optional().describe("Message identifier on Iq, when it shall not be <id>."),
    controllers: z.array(controller).min(1).max(16).describe("P-CSCFs to register with, tried in turn."),
    virtual: z
      .array(
        z.strictObject({
          mid: mid.describe("Message identifier on Iq of this virtual gateway, such as <gw-a-2.example>."),
          controllers: z.array(controller).min(1).max(16).describe("P-CSCFs it registers with, tried in turn."),
        }),
      )
      .max(16)
      .default([])
      .describe(
        "Further edges that share this gateway: a virtual gateway for each, with calls of its own that no other edge sees.",
      ),
    interfaces: z
      .strictObject({
        access: face.describe("Towards the UE: SRTP."),
        core: face.describe("Towards the core: RTP."),
        more: z
          .array(extraFace)
          .max(64)
          .default([])
          .describe("Further addresses: chosen by realm, and within a realm by address family."),
      })
      .describe("Where media is received."),
    ports: portRange.describe("Media ports on each interface that has none of its own; a stream takes two."),
    media: z
      .strictObject({
        engine: z
          .enum(["auto", "portable", "socket", "xdp"])
          .default("auto")
          .describe(
            "auto: the best that starts here; socket: threads of its own; xdp: past the kernel's sockets on named interfaces; portable: in JavaScript, anywhere.",
          ),
        interfaces: z
          .array(
            z
              .string()
              .regex(/^[^\s/:]{1,15}$/, "must be the name of a network interface")
              .describe("Name of an Ethernet interface, such as eth0."),
          )
          .max(16)
          .default([])
          .describe(
            "Interfaces whose media goes past the kernel's sockets (AF_XDP), firewall and IPsec included; needed for xdp, tried first by auto. See docs/media-engines.md.",
          ),
        threads: z
          .number()
          .int()
          .min(1)
          .max(64)
          .default(1)
          .describe("Packet threads; calls are spread over them. xdp has one."),
        batchUs: z
          .number()
          .int()
          .min(0)
          .max(2000)
          .default(250)
          .describe("Under load packets are worked off at most this often, microseconds; 0: each at once."),
        receiveBuffer: z
          .number()
          .int()
          .min(4096)
          .max(16_777_216)
          .optional()
          .describe(
            "Octets of each media socket's receive buffer; 524288, or as many as the system allows, when absent.",
          ),
        highestLoad: z
          .number()
          .min(0.1)
          .max(1)
          .default(0.85)
          .describe("Load of every packet thread above which new calls are answered 510, emergency calls excepted."),
      })
      .refine((media) => media.engine !== "xdp" || media.interfaces.length > 0, {
        message: "xdp needs the names of the interfaces that media comes and goes by",
        path: ["interfaces"],
      })
      .prefault({})
      .describe("What moves media."),
    maxContexts: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe("Calls at a time; more are answered 412."),
    emergencyReserve: z
      .number()
      .int()
      .min(0)
      .max(1_000_000)
      .default(50)
      .describe("Calls above maxContexts, for emergency contexts only."),
    memoryBudgetMb: z
      .number()
      .int()
      .min(64)
      .max(1_048_576)
      .optional()
      .describe(
        "Resident memory above which new calls are answered 510, emergency calls excepted; no limit when absent.",
      ),
    maxStreams: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(8)
      .describe("Streams of one termination; more are answered 510."),
    profile: z
      .strictObject({
        name: z.string().min(1).max(64).describe("Name of the H.248 profile."),
        version: z.number().int().min(1).max(99).describe("Its version."),
      })
      .default({ name: "ETSI_BGF", version: 2 })
      .describe("H.248 profile offered at registration."),
    version: z
      .union([z.literal(1), z.literal(2), z.literal(3)])
      .default(2)
      .describe("Highest H.248 version offered."),
    style: z.enum(["pretty", "compact"]).default("compact").describe("Long or short tokens in messages we write."),
    lab: z.boolean().default(false).describe("Loopback without TLS may carry keys. Never in service."),
    restartAvalancheMs: milliseconds(600_000)
      .default(0)
      .describe("Upper bound of the random wait before the first registration."),
    retry: z
      .strictObject({
        firstMs: z.number().int().min(10).max(600_000).default(500).describe("First wait after a failure."),
        longestMs: z.number().int().min(10).max(600_000).default(30_000).describe("Longest wait between attempts."),
      })
      .default({ firstMs: 500, longestMs: 30_000 })
      .describe("Back-off of registration, exponential and half random."),
    keepContextsMs: milliseconds(3_600_000).default(30_000).describe("How long calls live on without a controller."),
    controllerSilenceMs: milliseconds(3_600_000)
      .default(35_000)
      .describe("A controller not heard for so long is lost; 0: only a broken connection tells."),
    pollMs: z
      .number()
      .int()
      .min(10)
      .max(60_000)
      .default(200)
      .describe("How often the media engine is asked for events."),
  })
  .superRefine(({ interfaces, ports }, context) => {
    for (const { path, message } of overlaps(interfaces, ports)) context.addIssue({ code: "custom", path, message });
  })
  .describe("An IMS access gateway.");

export type GatewayConfig = z.output<typeof gatewayConfigSchema>;
