// A gateway's inside for tests of Iq alone: contexts in memory, ports counted up, and a record of what was asked.
import type {
  AddRequest,
  ChosenStream,
  ContextView,
  IqGatewayHandler,
  ModifyRequest,
  SessionText,
  TerminationOrder,
  TerminationView,
} from "../src/index.ts";
import { matchesName, refusal, terminationName } from "../src/index.ts";

export interface RecordingHandler extends IqGatewayHandler {
  readonly adds: readonly AddRequest[];
  readonly modifies: readonly ModifyRequest[];
  subtract: IqGatewayHandler["subtract"];
  readonly held: ReadonlyMap<number, readonly string[]>;
  /** The next Add of this side fails with 510. */
  failNext(side: "access" | "core"): void;
  /** Puts a context there that no controller asked for. */
  plant(context: number): void;
}

const chosenOf = (order: TerminationOrder, port: () => number): readonly ChosenStream[] =>
  order.streams.flatMap((stream) => {
    if (stream.local?.kind !== "describe" || stream.local.text.port.kind !== "choose") return [];
    const local: SessionText = {
      ...stream.local.text,
      address: { kind: "given", value: "192.0.2.20" },
      port: { kind: "given", value: port() },
    };
    return [{ stream: stream.stream, local }];
  });

export const recordingHandler = (): RecordingHandler => {
  const adds: AddRequest[] = [];
  const modifies: ModifyRequest[] = [];
  const held = new Map<number, string[]>();
  let failing: string | undefined;
  let lastContext = 0;
  let lastTermination = 0;
  let lastPort = 40_000;
  const port = (): number => (lastPort += 2);

  return {
    adds,
    modifies,
    held,
    failNext: (side) => {
      failing = side;
    },
    plant: (context) => void held.set(context, [`ip/1/access/${context}00`]),

    add: async (request) => {
      adds.push(request);
      if (failing === request.name.side) {
        failing = undefined;
        return refusal(510, "no ports");
      }
      const context = request.context === "new" ? ++lastContext : request.context;
      const names = held.get(context);
      if (request.context !== "new" && names === undefined) return refusal(411, String(context));
      const termination = terminationName(request.name, ++lastTermination);
      held.set(context, [...(names ?? []), termination]);
      return { ok: true, value: { context, termination, chosen: chosenOf(request, port) } };
    },

    modify: async (request) => {
      modifies.push(request);
      const names = held.get(request.context);
      if (names === undefined) return refusal(411, String(request.context));
      if (!names.includes(request.termination.toLowerCase())) return refusal(430, request.termination);
      return { ok: true, value: chosenOf(request, port) };
    },

    subtract: async ({ context, termination }) => {
      const names = held.get(context);
      if (names === undefined) return refusal(411, String(context));
      const gone = names.filter((name) => matchesName(termination, name));
      if (gone.length === 0) return refusal(termination.includes("*") ? 431 : 430, termination);
      const left = names.filter((name) => !gone.includes(name));
      if (left.length === 0) held.delete(context);
      else held.set(context, left);
      return {
        ok: true,
        value: gone.map((name) => ({
          termination: name,
          counts: [
            { stream: 1, values: { "nt/dur": "1000", "rtp/ps": "7" } },
            { stream: 2, values: { "nt/dur": "900", "rtp/ps": "5" } },
          ],
        })),
      };
    },

    contexts: (): readonly ContextView[] =>
      [...held].map(([context, names]) => ({
        context,
        terminations: names.map((termination): TerminationView => ({
          termination,
          streams: [
            {
              stream: 1,
              mode: "send-receive",
              local: {
                address: { kind: "given", value: "192.0.2.20" },
                port: { kind: "given", value: 40_000 },
                media: "audio",
                protocol: "RTP/SAVP",
                formats: [],
                rtcpMux: false,
              },
              counts: { stream: 1, values: { "rtp/ps": "7" } },
            },
          ],
        })),
      })),

    clear: async () => held.clear(),
  };
};
