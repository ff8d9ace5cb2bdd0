// Owns order: what concerns one key runs one after the other, what does not runs side by side.

export type InTurn = <T>(key: string | number, run: () => Promise<T>) => Promise<T>;

const settled = async (promise: Promise<unknown>): Promise<void> => {
  await Promise.allSettled([promise]);
};

export const inTurn = (): InTurn => {
  const last = new Map<string | number, Promise<unknown>>();
  return (key, run) => {
    const next = (last.get(key) ?? Promise.resolve()).then(run, run);
    last.set(key, next);
    void settled(next).then(() => {
      if (last.get(key) === next) last.delete(key);
    });
    return next;
  };
};
