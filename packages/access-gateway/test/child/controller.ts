// A controller in a process of its own, that sends what its parent writes and shows what is answered. It takes every gateway.
// Told by its parent: `{ mid, actions }`, a request as text for the gateway of that mid; `stop` to end.
import type { H248Message, H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport, parseH248, writeH248 } from "@sallyport/h248";
import { SallyportError, silentLog, systemClock, systemRandom } from "@sallyport/kit";

const name = process.argv[2] ?? "";
const peers = new Map<string, H248Peer>();

const transport: H248Transport = createH248Transport({
  clock: systemClock,
  log: silentLog,
  onMessage: (octets, peer) => association.receive(octets, peer),
  onPeerClosed: (peer) => association.peerClosed(peer),
});

const association = createAssociation({
  mid: `<${name}>`,
  transport,
  clock: systemClock,
  log: silentLog,
  random: systemRandom,
  onRequest: async ({ actions, mid, peer }) => {
    const command = actions[0]?.commands[0];
    const descriptor = command?.descriptors[0];
    if (descriptor?.kind === "services") {
      peers.set(mid, peer);
      process.send?.({ registered: mid, method: descriptor.method });
    } else
      process.send?.({ asked: mid, event: descriptor?.kind === "observedEvents" ? descriptor.events[0]?.name : "" });
    const services = { kind: "services" as const, version: 2, extensions: [] };
    return [
      {
        context: actions[0]?.context ?? "-",
        commands: [
          {
            command: command?.command ?? "ServiceChange",
            termination: command?.termination ?? "ROOT",
            descriptors: descriptor?.kind === "services" ? [services] : [],
          },
        ],
      },
    ];
  },
});

const ask = async (mid: string, text: string): Promise<string> => {
  const parsed = parseH248(Buffer.from(`MEGACO/2 <x> Transaction = 1 { ${text} }`, "latin1"));
  const body = parsed.ok ? parsed.message.body : undefined;
  const [request] = body?.kind === "transactions" ? body.transactions : [];
  const peer = peers.get(mid);
  if (request?.kind !== "request" || peer === undefined) return `cannot be asked: ${text}`;
  try {
    const actions = await association.request(request.actions, { peer }, { version: 2, timeoutMs: 8000 });
    const transaction = { kind: "reply", id: 1, body: { kind: "actions", actions } } as const;
    const message: H248Message = {
      version: 2,
      mid: "<x>",
      body: { kind: "transactions", transactions: [transaction] },
    };
    return writeH248(message, "compact")
      .toString("latin1")
      .replace(/^!\/2 <x> P=1\{(.*)\}$/s, "$1");
  } catch (error) {
    return error instanceof SallyportError ? `${error.code} ${error.h248Error ?? ""}` : "failed";
  }
};

const { port } = await transport.listen({ protocol: "tcp", address: "127.0.0.1", port: 0 });

process.on("message", (message: unknown) => {
  if (message === "stop") {
    association.close();
    void transport.close().then(() => process.exit(0));
  }
  if (typeof message !== "object" || message === null || !("mid" in message) || !("actions" in message)) return;
  void ask(String(message.mid), String(message.actions)).then((answer) => process.send?.({ answer }));
});
process.send?.({ port });
