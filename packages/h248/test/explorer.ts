// Explores one transaction between the two machines over a network that loses, doubles and reorders, in every order.
// Time is discrete: a message lives at most `delay` ticks, timers fire when due, the execution ends whenever it likes.
import { stepReceiver, stepSender } from "../src/index.ts";
import type { ReceiverRules, ReceiverState } from "../src/association/receiver.ts";
import type { SenderRules, SenderState } from "../src/association/sender.ts";

type Packet = {
  readonly what: "request" | "pending" | "reply" | "ack";
  readonly content: string;
  readonly sentAt: number;
};

interface World {
  readonly now: number;
  readonly sender: SenderState;
  readonly senderTimer?: number;
  readonly receiver: ReceiverState;
  readonly receiverTimer?: number;
  /** What the execution brought is not told to the machine yet. */
  readonly executing: boolean;
  readonly network: readonly Packet[];
  readonly doubles: number;
  readonly lost: boolean;
  readonly executions: number;
  readonly outcomes: readonly string[];
  readonly answers: readonly string[];
}

export interface Exploration {
  readonly sender: SenderRules;
  readonly receiver: ReceiverRules;
  /** Ticks a message may be under way. */
  readonly delay: number;
  /** How many messages the network may double. */
  readonly doubles: number;
  /** May the network lose messages at all? */
  readonly loss: boolean;
  /** Ticks after which the execution has ended at the latest. */
  readonly patience: number;
}

export interface Explored {
  readonly states: number;
  readonly ends: ReadonlySet<string>;
  /** The first rule that does not hold. */
  readonly broken: readonly string[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const transmit = (world: Mutable<World>, what: Packet["what"], content = ""): void => {
  world.network = [...world.network, { what, content, sentAt: world.now }];
};

const runSender = (given: World, rules: SenderRules, input: Parameters<typeof stepSender>[2], content = ""): World => {
  const world: Mutable<World> = { ...given };
  const { state, effects } = stepSender(rules, world.sender, input);
  world.sender = state;
  for (const effect of effects) {
    if (effect.kind === "send") transmit(world, "request");
    else if (effect.kind === "timer") world.senderTimer = world.now + effect.ms;
    else if (effect.kind === "stop-timer") delete world.senderTimer;
    else if (effect.kind === "acknowledge") transmit(world, "ack");
    else world.outcomes = [...world.outcomes, effect.kind === "fail" ? effect.why : content];
  }
  return world;
};

const runReceiver = (given: World, rules: ReceiverRules, input: Parameters<typeof stepReceiver>[2]): World => {
  const world: Mutable<World> = { ...given };
  // A forgotten transaction is not in memory: a copy of its request would be a new one.
  const before: ReceiverState = world.receiver.kind === "forgotten" ? { kind: "new" } : world.receiver;
  const { state, effects } = stepReceiver(rules, before, input);
  world.receiver = state;
  for (const effect of effects) {
    if (effect.kind === "execute") {
      world.executing = true;
      world.executions++;
    } else if (effect.kind === "send-pending") transmit(world, "pending");
    else if (effect.kind === "answer") {
      world.answers = [...world.answers, `${effect.with}${effect.ackRequired ? "!" : ""}`];
      transmit(world, "reply", world.answers.at(-1));
    } else if (effect.kind === "send-stored") transmit(world, "reply", world.answers.at(-1));
    else if (effect.kind === "timer") world.receiverTimer = world.now + effect.ms;
    else if (effect.kind === "forget") delete world.receiverTimer;
  }
  return world;
};

const deliver = (world: World, { what, content }: Packet, at: Exploration): World => {
  if (what === "request") return runReceiver(world, at.receiver, { kind: "request" });
  if (what === "ack") return runReceiver(world, at.receiver, { kind: "acknowledged", now: world.now });
  if (what === "pending") return runSender(world, at.sender, { kind: "pending", now: world.now });
  return runSender(world, at.sender, { kind: "reply", ackRequired: content.endsWith("!") }, content);
};

const without = (packets: readonly Packet[], index: number): Packet[] => packets.filter((_, at) => at !== index);

/** Every world that can come next. */
const next = (world: World, at: Exploration): World[] => {
  const worlds: World[] = [];
  const due = (timer: number | undefined): boolean => timer !== undefined && timer <= world.now;
  world.network.forEach((packet, index) => {
    const taken = { ...world, network: without(world.network, index) };
    worlds.push(deliver(taken, packet, at));
    if (at.loss) worlds.push({ ...taken, lost: true });
    if (world.doubles > 0) worlds.push(deliver({ ...world, doubles: world.doubles - 1 }, packet, at));
  });
  if (due(world.senderTimer)) {
    const { senderTimer: _fired, ...rest } = world;
    worlds.push(runSender(rest, at.sender, { kind: "timer", now: world.now }));
  }
  if (due(world.receiverTimer)) {
    const { receiverTimer: _fired, ...rest } = world;
    worlds.push(runReceiver(rest, at.receiver, { kind: "timer", now: world.now }));
  }
  if (world.executing) {
    worlds.push(runReceiver({ ...world, executing: false }, at.receiver, { kind: "executed", now: world.now }));
  }
  const urgent =
    due(world.senderTimer) ||
    due(world.receiverTimer) ||
    world.network.some((packet) => world.now - packet.sentAt >= at.delay) ||
    (world.executing && world.now >= at.patience);
  const waiting = world.senderTimer !== undefined || world.receiverTimer !== undefined;
  if (!urgent && (waiting || world.network.length > 0 || world.executing))
    worlds.push({ ...world, now: world.now + 1 });
  return worlds;
};

/** What must hold in every world; the first rule that does not. */
const brokenRule = (world: World): string | undefined => {
  if (world.executions > 1) return "executed twice";
  if (world.outcomes.length > 1) return "two outcomes";
  if (world.answers.length > 1) return "two answers";
  const [outcome] = world.outcomes;
  const answered = outcome !== undefined && !["timeout", "pendings", "closed"].includes(outcome);
  if (answered && !world.answers.includes(outcome)) return "an outcome that was not answered";
  if (outcome === "timeout" && !world.lost) return "timeout though nothing was lost";
  if (world.receiver.kind === "confirmed" && world.sender.kind !== "done") return "confirmed while the requester waits";
  if (world.receiver.kind === "forgotten" && world.sender.kind !== "done") return "forgotten while the requester waits";
  return undefined;
};

/** The same world, whatever the clock says. */
const keyOf = (world: World): string => {
  const ago = (time: number | undefined): number | undefined => (time === undefined ? undefined : time - world.now);
  const packets = world.network.map((packet) => `${packet.what}${packet.content}${ago(packet.sentAt)}`).toSorted();
  const { sender, receiver } = world;
  return JSON.stringify([
    sender.kind === "waiting" ? { ...sender, endsAt: ago(sender.endsAt) } : sender.kind,
    receiver.kind === "answered" || receiver.kind === "confirmed"
      ? { ...receiver, expiresAt: ago(receiver.expiresAt) }
      : receiver,
    ago(world.senderTimer),
    ago(world.receiverTimer),
    world.executing ? world.now : -1,
    packets,
    world.doubles,
    world.lost,
    world.executions,
    world.outcomes,
    world.answers,
  ]);
};

export const explore = (at: Exploration): Explored => {
  const empty: World = {
    now: 0,
    sender: { kind: "idle" },
    receiver: { kind: "new" },
    executing: false,
    network: [],
    doubles: at.doubles,
    lost: false,
    executions: 0,
    outcomes: [],
    answers: [],
  };
  const open = [runSender(empty, at.sender, { kind: "start", now: 0 })];
  const seen = new Set<string>();
  const ends = new Set<string>();
  const broken = new Set<string>();
  for (let world = open.pop(); world !== undefined && broken.size === 0; world = open.pop()) {
    const key = keyOf(world);
    if (seen.has(key)) continue;
    seen.add(key);
    const rule = brokenRule(world);
    if (rule !== undefined) {
      broken.add(rule);
      continue;
    }
    const worlds = next(world, at);
    if (worlds.length === 0) ends.add(`${world.outcomes.join()} ${world.sender.kind} ${world.receiver.kind}`);
    open.push(...worlds);
  }
  return { states: seen.size, ends, broken: [...broken] };
};
