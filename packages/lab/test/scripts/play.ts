// Plays a script in a world of its own and says what was wrong at its end. Owns nothing longer than that.
import type { WireEvent } from "@sallyport/sip";
import type { Script } from "./script.ts";
import { openWorld } from "./world.ts";

export interface Verdict {
  /** Empty when all is well. */
  readonly wrong: readonly string[];
  /** How call legs ended: shows that a run was worth something. */
  readonly ends: ReadonlyMap<string, number>;
  readonly messages: number;
  readonly applied: number;
}

/** Every call has said its last by then; the rest of the time passes without accidents. */
const dayMs = 130_000;
/** Timer C (185 s), 64*T1 after it, the longest registration, and a while. */
const afterwardsMs = 700_000;

/** Timers that an edge and a gateway without anything to do keep running. */
export const learnIdle = async (): Promise<number> => {
  const world = await openWorld({ seed: 1, loss: 0, double: 0, slowestMs: 5 });
  await world.clock.pass(dayMs);
  const idle = await world.idleTimers();
  await world.close();
  return idle;
};

/** `observe` sees each message at the edge: to look at one script closely. */
export const play = async (script: Script, idle: number, observe?: (event: WireEvent) => void): Promise<Verdict> => {
  const world = await openWorld(script.weather, observe);
  const { clock, network, watch } = world;
  const ues: Awaited<ReturnType<typeof world.addUe>>[] = [];
  for (const { dialect } of script.ues) ues.push(await world.addUe(dialect));
  for (const [index, { registers }] of script.ues.entries()) {
    // The day begins with everybody registered; what follows are refreshes, failures and farewells.
    for (const { atMs, expiresS, accepted } of [{ atMs: 1_000, expiresS: 90, accepted: true }, ...registers])
      clock.after(atMs, () => ues[index]?.register(expiresS, accepted));
  }
  for (const [index, call] of script.calls.entries()) {
    const ue = ues[call.ue]?.ue;
    if (ue !== undefined) clock.after(call.atMs, () => world.call(index, ue, call));
  }
  if (script.gatewayDiesMs !== undefined) clock.after(script.gatewayDiesMs, () => world.replaceGateway());
  if (script.edgeDiesMs !== undefined) clock.after(script.edgeDiesMs, () => world.killEdge());
  await clock.pass(dayMs);
  network.calm();
  await clock.pass(afterwardsMs);
  const timers = await world.idleTimers();
  const ends = new Map<string, number>();
  for (const { ended, direction, security } of world.edge.calls()) {
    const how = `${direction} ${security} ${ended?.reason ?? "alive"}`;
    ends.set(how, (ends.get(how) ?? 0) + 1);
  }
  const wrong = [
    ...world.left(),
    ...(timers === idle ? [] : [`${timers} timers run where ${idle} do when idle`]),
    ...watch.found,
  ];
  wrong.push(...(await world.close()));
  return { wrong, ends, messages: watch.seen.messages, applied: watch.seen.applied };
};
