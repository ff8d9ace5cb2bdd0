// The iq section of an edge's configuration: its gateways, what each may serve, and how soon a lost one is noticed.
import { isMid } from "@sallyport/iq";
import * as z from "zod";

const ms = (what: string, fallback: number, least: number, most: number) =>
  z.int().min(least).max(most).default(fallback).describe(`${what}, ms.`);

const mid = z
  .string()
  .min(1)
  .max(128)
  .refine(isMid, "must be a message identifier of H.248, such as <gw-a.example> or [192.0.2.1]:2944");

const realm = z.string().min(1).max(64);

const gateway = z.strictObject({
  id: z.string().min(1).max(64).describe("Name of the gateway in logs and views."),
  mid: mid.describe("Its H.248 message identifier, such as <gw-a.example> or [192.0.2.1]:2944."),
  certificateName: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe("Name its certificate must carry; the host of mid when left out."),
  address: z
    .union([z.ipv4(), z.ipv6()])
    .optional()
    .describe("Address it connects from; any when left out. Without TLS nothing else tells one gateway from another."),
  protectedBelow: z
    .boolean()
    .default(false)
    .describe(
      "Iq to this gateway is protected by a lower layer (IPsec), so keys may pass without TLS (TS 33.328 6.2.1.3). Say its address too: who else reaches the port could take its name.",
    ),
  realms: z
    .array(realm)
    .min(1)
    .max(64)
    .optional()
    .describe("IP realms it serves (ipdc/realm); all when left out. A call goes where both its realms are served."),
  weight: z.int().min(1).max(1000).default(1).describe("Its share of new calls against other gateways."),
  capacity: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe(
      "Calls it may hold for this edge; emergency calls are above it. Without it the gateway itself says when it is full.",
    ),
});

const heartbeat = z
  .strictObject({
    intervalMs: ms("Time between two empty audits of a gateway", 10_000, 50, 3_600_000),
    timeoutMs: z
      .int()
      .min(50)
      .max(60_000)
      .optional()
      .describe(
        "How long one may stay unanswered, ms; the interval or commandTimeoutMs, whichever is less, when left out.",
      ),
    misses: z.int().min(1).max(10).default(2).describe("Unanswered ones in a row after which a gateway is down."),
  })
  .prefault({})
  .describe(
    "How a gateway that hangs, or one on UDP, is noticed: within intervalMs + misses * timeoutMs. A broken TLS or TCP connection is noticed at once.",
  );

/** `listen` is where gateways connect. */
export const iqSchema = <L extends z.ZodType>(listen: L) =>
  z
    .strictObject({
      mid: mid.describe("Our H.248 message identifier, such as <edge-a.example>."),
      listen,
      gateways: z
        .array(gateway)
        .min(1)
        .max(64)
        .superRefine((gateways, ctx) => {
          for (const key of ["id", "mid"] as const) {
            const seen = new Set<string>();
            for (const [at, each] of gateways.entries()) {
              if (seen.has(each[key]))
                ctx.addIssue({ code: "custom", path: [at, key], message: `another gateway has this ${key}` });
              seen.add(each[key]);
            }
          }
        })
        .describe("Gateways that may serve this edge; nobody else may register."),
      style: z
        .enum(["pretty", "compact"])
        .default("pretty")
        .describe("Long tokens in messages we write, which people read too, or short ones."),
      lab: z.boolean().default(false).describe("Unprotected loopback may carry keys. For the lab only."),
      accessRealm: realm.optional().describe("IP realm of the access side (ipdc/realm)."),
      coreRealm: realm.optional().describe("IP realm of the core side (ipdc/realm)."),
      latch: z
        .boolean()
        .default(true)
        .describe(
          "Let the gateway send a UE's media to where its first authenticated packet came from (NAT, H.248.37 LATCH), until the UE names another address.",
        ),
      inactivityMs: ms("End a call whose secured media is silent this long; 0 never", 0, 0, 3_600_000),
      commandTimeoutMs: ms("How long a gateway command may take", 4000, 100, 60_000),
      tryMs: ms("How long one gateway may take for a new call while others can still be asked", 1500, 50, 60_000),
      addBudgetMs: ms("How long all gateways together may take for a new call", 8000, 100, 30_000),
      heartbeat,
      failoverMs: ms(
        "How long a gateway whose connection is lost may take to come back with its calls, where another can take them",
        600,
        0,
        60_000,
      ),
      keepContextsMs: ms("The same where no other gateway can take them", 30_000, 0, 3_600_000),
    })
    .describe("The Iq interface to the access gateways (H.248).");
