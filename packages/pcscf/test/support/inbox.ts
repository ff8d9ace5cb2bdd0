// Things that arrive, for tests that wait for one of them.
export interface Inbox<T> {
  readonly all: readonly T[];
  push(item: T): void;
  /** The first item not yet taken that fits; rejects after `ms` of real time. */
  next(fits?: (item: T) => boolean, ms?: number): Promise<T>;
}

export const createInbox = <T>(name: string, show: (item: T) => string): Inbox<T> => {
  const all: T[] = [];
  const untaken: T[] = [];
  const waiters: { readonly fits: (item: T) => boolean; readonly give: (item: T) => void }[] = [];
  return {
    all,
    push: (item) => {
      all.push(item);
      const at = waiters.findIndex((waiter) => waiter.fits(item));
      if (at < 0) untaken.push(item);
      else waiters.splice(at, 1)[0]?.give(item);
    },
    next: (fits = () => true, ms = 20_000) => {
      const at = untaken.findIndex(fits);
      const [ready] = at < 0 ? [] : untaken.splice(at, 1);
      if (ready !== undefined) return Promise.resolve(ready);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${name}: nothing that fits came; got ${all.map(show).join(" | ") || "nothing"}`)),
          ms,
        );
        waiters.push({
          fits,
          give: (item) => {
            clearTimeout(timer);
            resolve(item);
          },
        });
      });
    },
  };
};
