// A controller without gateways: records every command, answers with addresses, fails or waits when told to.
import {
  iqErrors,
  type ContextMarks,
  type GatewayStatus,
  type IqContext,
  type IqController,
  type IqNotification,
  type IqStatistics,
  type ReservedEnd,
  type StreamPlan,
} from "@sallyport/iq";
import type { IqFactory } from "../../src/index.ts";

interface IqCommand {
  readonly kind: "add" | "modify" | "remove" | "subtract";
  readonly streams: readonly StreamPlan[];
  readonly context?: number;
  /** Of the context an Add asks for. */
  readonly marks?: ContextMarks;
}

type FailureCode = "SALLY_IQ_MEDIA_REFUSED" | "SALLY_IQ_NO_GATEWAY" | "SALLY_IQ_NO_RESOURCES";

export interface FakeIq {
  readonly create: IqFactory;
  readonly commands: IqCommand[];
  /** `command` and `done` in the order they happened, among whatever the test notes beside them. */
  readonly timeline: string[];
  /** Contexts that exist now. */
  readonly open: Set<number>;
  /** What each controller made here was told of contexts of an earlier run. */
  readonly known: (readonly number[])[];
  failNext(kind: IqCommand["kind"], code?: FailureCode): void;
  /** Commands wait until released. */
  hold(): void;
  release(): void;
  /** What the gateway counted, told with each Subtract from now on. */
  counted(terminations: IqStatistics["terminations"]): void;
  /** The gateway has registered again. */
  up(): void;
  notify(make: (context: IqContext) => IqNotification): void;
}

export const createFakeIq = (): FakeIq => {
  const commands: IqCommand[] = [];
  const timeline: string[] = [];
  const contexts = new Map<number, { readonly context: IqContext; readonly streams: Map<number, StreamPlan> }>();
  const open = new Set<number>();
  const known: (readonly number[])[] = [];
  const failing: { readonly kind: IqCommand["kind"]; readonly code: FailureCode }[] = [];
  let next = 1;
  let terminations: IqStatistics["terminations"] = [];
  let draining = false;
  let held: Promise<void> | undefined;
  let letGo: () => void = () => undefined;
  let up: () => void = () => undefined;
  let tell: (notification: IqNotification) => void = () => undefined;

  const perform = async (command: IqCommand): Promise<void> => {
    commands.push(command);
    timeline.push(`${command.kind} sent`);
    await (held ?? Promise.resolve());
    await new Promise((resolve) => setImmediate(resolve));
    const at = failing.findIndex(({ kind }) => kind === command.kind);
    const [failure] = at < 0 ? [] : failing.splice(at, 1);
    if (failure !== undefined) {
      timeline.push(`${command.kind} refused`);
      throw iqErrors(failure.code);
    }
    timeline.push(`${command.kind} acknowledged`);
  };

  const ends = (context: number, side: "access" | "core", streams: readonly StreamPlan[]): readonly ReservedEnd[] =>
    streams.flatMap((stream) => {
      const plan = stream[side];
      if (plan === undefined) return [];
      const port = 20_000 + context * 100 + stream.stream * 4 + (side === "access" ? 0 : 2);
      return [
        {
          stream: stream.stream,
          address: side === "access" ? "198.51.100.5" : "192.0.2.10",
          port,
          rtcpPort: plan.rtcpMux === true ? port : port + 1,
        },
      ];
    });

  const reply = (context: number, streams: readonly StreamPlan[]) => ({
    access: ends(context, "access", streams),
    core: ends(context, "core", streams),
  });

  const status = (): GatewayStatus => ({
    id: "gw-a",
    mid: "<gw-a.example>",
    state: "up",
    protected: true,
    contexts: open.size,
    draining,
    health: "good",
    weight: 1,
  });

  const controller: IqController = {
    listening: [{ protocol: "tls", address: "127.0.0.1", port: 2944 }],
    gateways: () => [status()],
    drain: (_gateway, on) => {
      draining = on;
      return status();
    },
    handOff: async () => undefined,
    describe: (context) =>
      contexts.has(context.context)
        ? {
            context,
            streams: [...(contexts.get(context.context)?.streams.keys() ?? [])].map((stream) => [stream, {}] as const),
          }
        : undefined,
    contexts: () => [...contexts.values()].map(({ context }) => context),
    add: async (_gateway, streams, marks = {}) => {
      await perform({ kind: "add", streams, marks });
      const id = next++;
      const context: IqContext = { gateway: "gw-a", context: id, access: `ip/1/${id}`, core: `ip/2/${id}` };
      contexts.set(id, { context, streams: new Map(streams.map((stream) => [stream.stream, stream])) });
      open.add(id);
      return { context, ...reply(id, streams) };
    },
    modify: async (context, streams) => {
      await perform({ kind: "modify", streams, context: context.context });
      if (!open.has(context.context)) throw iqErrors("SALLY_IQ_CONTEXT_GONE");
      return reply(context.context, streams);
    },
    removeStreams: async (context) => perform({ kind: "remove", streams: [], context: context.context }),
    subtract: async (context) => {
      await perform({ kind: "subtract", streams: [], context: context.context });
      contexts.delete(context.context);
      open.delete(context.context);
      return { terminations };
    },
    audit: async () => ({ contexts: [...open] }),
    close: async () => undefined,
  };

  return {
    create: async (options) => {
      draining = false;
      tell = options.onNotify;
      up = () => controller.gateways().forEach(options.onGateway);
      known.push((options.known ?? []).map(({ context }) => context.context));
      return controller;
    },
    commands,
    timeline,
    open,
    known,
    counted: (told) => {
      terminations = told;
    },
    up: () => up(),
    failNext: (kind, code = "SALLY_IQ_NO_RESOURCES") => void failing.push({ kind, code }),
    hold: () => {
      held = new Promise((resolve) => (letGo = resolve));
    },
    release: () => {
      held = undefined;
      letGo();
    },
    notify: (make) => {
      for (const { context } of contexts.values()) {
        const notification = make(context);
        if (notification.kind === "context-lost") open.delete(context.context);
        tell(notification);
      }
    },
  };
};
