// Owns order: what concerns one key runs one after the other, what does not runs side by side.

export type InTurn = <T>(key: string | number, run: () => Promise<T>) => Promise<T>;

export const inTurn = (): InTurn => {
  const last = new Map<string | number, Promise<unknown>>();

  return (key, run) => {
    const before = last.get(key);
    // Nothing to wait for is nearly always: then it starts at once.
    const next = before === undefined ? run() : before.then(run, run);
    last.set(key, next);
    const forget = (): void => {
      if (last.get(key) === next) last.delete(key);
    };
    // Whoever asked for it is told of its failure.
    next.then(forget, forget);
    return next;
  };
};
