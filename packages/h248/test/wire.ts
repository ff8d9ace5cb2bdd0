// Two associations over a simulated wire with a clock turned by hand.
import { VirtualClock, memoryLog, seededRandom } from "@sallyport/kit";
import { createAssociation, parseH248 } from "../src/index.ts";
import type {
  ActionReply,
  ActionRequest,
  Association,
  AssociationOptions,
  H248Message,
  H248Peer,
  H248Protocol,
} from "../src/index.ts";

export const peerAt = (address: string, protocol: H248Protocol = "udp", names: readonly string[] = []): H248Peer => ({
  id: `${protocol}:${address}`,
  protocol,
  local: { address: "127.0.0.1", port: 2944 },
  remote: { address, port: 2944 },
  peerNames: names,
  protected: protocol === "tls",
});

/** A promise's state without waiting for it on the wall clock. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

export const audit: readonly ActionRequest[] = [
  {
    context: "-",
    commands: [{ command: "AuditValue", termination: "ROOT", descriptors: [{ kind: "audit", items: [] }] }],
  },
];
export const audited: readonly ActionReply[] = [
  { context: "-", commands: [{ command: "AuditValue", termination: "ROOT", descriptors: [] }] },
];

interface Sent {
  readonly octets: Buffer;
  readonly message: H248Message;
  readonly peer: H248Peer;
}

/** One association whose sent messages are kept, and to which the test says what comes. */
export const alone = (options: Partial<AssociationOptions> = {}) => {
  const clock = new VirtualClock(1_000_000);
  const { log, records } = memoryLog();
  const sent: Sent[] = [];
  let open = true;
  const association = createAssociation({
    mid: "[127.0.0.1]:2944",
    clock,
    log,
    random: seededRandom("ids"),
    onRequest: () => Promise.resolve(audited),
    ...options,
    transport: {
      send: (octets, peer) => {
        const parsed = parseH248(octets);
        // Told outside: what a transport throws is caught.
        if (!parsed.ok) {
          queueMicrotask(() => {
            throw new Error(`we sent what we refuse: ${parsed.code} at ${parsed.offset}`);
          });
          return false;
        }
        if (open) sent.push({ octets: Buffer.from(octets), message: parsed.message, peer });
        return open;
      },
      maxMessage: () => 65_507,
      ...options.transport,
    },
  });
  return {
    association,
    clock,
    records,
    sent,
    cut: () => {
      open = false;
    },
    come: (text: string, peer: H248Peer = peerAt("192.0.2.2")) =>
      association.receive(Buffer.from(text, "latin1"), peer),
    /** What was sent since the last call, as compact text without the header. */
    taken: () => sent.splice(0).map(({ message }) => describe(message)),
  };
};

const describe = (message: H248Message): string => {
  if (message.body.kind === "error") return `error ${message.body.error.code}`;
  return message.body.transactions
    .map((transaction) => {
      switch (transaction.kind) {
        case "reply": {
          const body = transaction.body.kind === "error" ? ` error ${transaction.body.error.code}` : "";
          return `reply ${transaction.id}${transaction.immAckRequired === true ? " ack!" : ""}${body}`;
        }
        case "ack":
          return `ack ${transaction.ranges.map((range) => range.join("-")).join()}`;
        case "request":
        case "pending":
        case "segment":
          return `${transaction.kind} ${transaction.id}`;
        default:
          return "?";
      }
    })
    .join(" + ");
};

/** Two associations joined by a wire that the test may bend. */
export const pair = (
  bend: (octets: Buffer, deliver: (octets: Buffer, afterMs: number) => void) => void,
  onRequest: AssociationOptions["onRequest"],
  maxMessage = 65_507,
) => {
  const clock = new VirtualClock(1_000_000);
  const { log } = memoryLog();
  const ends: { a?: Association; b?: Association } = {};
  const wire = (to: "a" | "b", from: H248Peer) => ({
    send: (octets: Uint8Array) => {
      bend(Buffer.from(octets), (copy, afterMs) => void clock.after(afterMs, () => ends[to]?.receive(copy, from)));
      return true;
    },
    maxMessage: () => maxMessage,
  });
  const aAddress = peerAt("192.0.2.1");
  const bAddress = peerAt("192.0.2.2");
  const common = { clock, log, style: "compact" as const };
  const a = createAssociation({
    ...common,
    mid: "<a.example>",
    random: seededRandom("a"),
    transport: wire("b", aAddress),
    onRequest,
  });
  const b = createAssociation({
    ...common,
    mid: "<b.example>",
    random: seededRandom("b"),
    transport: wire("a", bAddress),
    onRequest,
  });
  ends.a = a;
  ends.b = b;
  return { clock, a, b, aAddress, bAddress };
};
