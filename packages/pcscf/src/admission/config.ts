// The bounds of admission as an operator writes them. Owns keys, bounds and descriptions; decides nothing.
import * as z from "zod";

const count = (what: string, max: number) => z.int().min(1).max(max).optional().describe(what);

/** The transport's own limits that an operator may set; defaults are the transport's. */
export const transportLimits = z
  .strictObject({
    maxConnections: count(
      "Connections held, both sides; a tenth each is kept for the core and for those opened from here, and strangers make room for newcomers.",
      1_000_000,
    ),
    maxConnectionsPerAddress: count("Connections from one address.", 100_000),
    maxMessage: count("Octets of one message.", 65_536),
    maxHeaderBlock: count("Octets of start line and header fields.", 65_536),
    maxMalformed: count("Malformed messages on one connection before it is closed.", 1000),
    maxUnsent: count("Octets that may wait for a peer that does not read.", 67_108_864),
    connectMs: count("From the first octet to a finished TLS handshake, ms.", 60_000),
    firstMessageMs: count(
      "How long a connection may stay before somebody registers over it, or it shows itself as the core's, ms.",
      600_000,
    ),
    messageMs: count("From the first octet of a message on a stream to its last, ms.", 600_000),
    idleMs: count("How long a connection may stay silent after that, ms.", 86_400_000),
  })
  .prefault({})
  .describe("Bounds on connections and messages, taken before anything is known of a peer.");

export const sourceLimits = z
  .strictObject({
    requestsPerSecond: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(1000)
      .describe("Requests a second from one address (IPv6: one /64) on the access side."),
    burst: z.int().min(1).max(1_000_000).default(2000).describe("How many of them may come at once."),
    unregisteredPerSecond: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(200)
      .describe("Of those, requests a second over flows that nobody has registered on, REGISTER included."),
    unregisteredBurst: z.int().min(1).max(1_000_000).default(1000).describe("How many of them may come at once."),
    strangersPerSecond: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(8000)
      .describe("Requests a second of all together that nobody has registered for, forged sources included."),
    strangersBurst: z.int().min(1).max(10_000_000).default(16_000).describe("How many of them may come at once."),
    max: z
      .int()
      .min(16)
      .max(1_000_000)
      .default(50_000)
      .describe("Addresses remembered; the longest silent goes first."),
  })
  .prefault({})
  .describe(
    "Rates of one source, checked before a transaction is made; requests in dialogs and emergency calls have a reserve.",
  );

export const overloadLimits = z
  .strictObject({
    eventLoopMs: z
      .int()
      .min(0)
      .max(60_000)
      .default(500)
      .describe(
        "Event-loop delay (99th percentile of the last half second) above which new requests get 503, ms; 0 never.",
      ),
    calls: z.int().min(0).max(200_000).default(0).describe("Calls above which new requests get 503; 0 never."),
    retryAfterS: z
      .int()
      .min(1)
      .max(600)
      .default(10)
      .describe("Retry-After of those 503, seconds; up to as much again is added at random."),
  })
  .prefault({})
  .describe("When the element counts as overloaded. Requests in dialogs and emergency calls are served all the same.");
