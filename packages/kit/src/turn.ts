// The end of a turn of the event loop: what is done once for all that arrived together. Knows no socket and no message.

let tasks: (() => void)[] = [];

const carryOut = (): void => {
  const due = tasks;
  tasks = [];
  for (const run of due) run();
};

/** Runs `run`, which must not throw, when all that has arrived by now has been worked on: to send a message with others. */
export const atTurnEnd = (run: () => void): void => {
  if (tasks.push(run) === 1) setImmediate(carryOut);
};
