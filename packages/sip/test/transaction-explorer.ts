// Walks a transaction table through every order of inputs and timers to a depth, with real due times.
import type { Effect, Step } from "../src/transaction/machine.ts";

export interface Node<S, T extends string> {
  readonly state: S;
  readonly now: number;
  /** Timer to due time. */
  readonly timers: ReadonlyMap<T, number>;
  readonly log: readonly Effect<T>[];
  /** What was done to get here, for the message of a failing check. */
  readonly path: readonly string[];
}

export const applyStep = <S extends { readonly name: string }, T extends string>(
  before: Omit<Node<S, T>, "state">,
  step: Step<S, T>,
  label: string,
): Node<S, T> => {
  const timers = new Map(before.timers);
  for (const effect of step.effects) {
    if (effect.kind === "start") timers.set(effect.timer, before.now + effect.ms);
    if (effect.kind === "stop") timers.delete(effect.timer);
  }
  if (step.state.name === "terminated") timers.clear();
  return {
    state: step.state,
    now: before.now,
    timers,
    log: [...before.log, ...step.effects],
    path: [...before.path, label],
  };
};

export interface Machine<S extends { readonly name: string }, T extends string, I> {
  readonly first: Step<S, T>;
  step(state: S, input: I): Step<S, T>;
  timer(timer: T): I;
  readonly inputs: readonly (readonly [label: string, input: I])[];
}

/** Lets time pass to the next timer; undefined when none runs. */
const wait = <S extends { readonly name: string }, T extends string, I>(
  machine: Machine<S, T, I>,
  node: Node<S, T>,
): Node<S, T> | undefined => {
  let due: T | undefined;
  for (const [timer, at] of node.timers) if (due === undefined || at < (node.timers.get(due) ?? 0)) due = timer;
  if (due === undefined) return undefined;
  const timers = new Map(node.timers);
  const now = timers.get(due) ?? node.now;
  timers.delete(due);
  return applyStep({ ...node, now, timers }, machine.step(node.state, machine.timer(due)), `timer ${due}`);
};

/** Visits every node within `depth` inputs; `check` throws where an invariant is broken. Gives how many were visited. */
export const explore = <S extends { readonly name: string }, T extends string, I>(
  machine: Machine<S, T, I>,
  depth: number,
  check: (node: Node<S, T>) => void,
): number => {
  let visited = 0;
  const begin = applyStep<S, T>({ now: 0, timers: new Map(), log: [], path: [] }, machine.first, "start");
  const visit = (node: Node<S, T>, left: number): void => {
    visited += 1;
    check(node);
    if (left === 0) return;
    for (const [label, input] of machine.inputs) {
      visit(applyStep(node, machine.step(node.state, input), label), left - 1);
    }
    const later = wait(machine, node);
    if (later !== undefined) visit(later, left - 1);
  };
  visit(begin, depth);
  return visited;
};

/** Only time passes from here: the node in which nothing is left to happen. */
export const settle = <S extends { readonly name: string }, T extends string, I>(
  machine: Machine<S, T, I>,
  node: Node<S, T>,
): Node<S, T> => {
  let here = node;
  for (let round = 0; round < 60; round += 1) {
    const next = wait(machine, here);
    if (next === undefined) return here;
    here = next;
  }
  throw new Error(`time alone never ends this: ${node.path.join(", ")}`);
};
