// REGISTERs of one identity that are under way at the same time: the answer of one that came earlier says nothing any more
// of contacts that a later one has settled. Knows neither messages nor bindings. RFC 3261 10.2.4 and 10.3 step 7.

/** One REGISTER under way. */
export interface Turn {
  /** Whether a REGISTER that came later has settled this contact, named by its binding's key. */
  isOvertaken(key: string): boolean;
  /** It ends, and the registrar has agreed to these contacts, or to the end of all. */
  settles(keys: readonly string[], all: boolean): void;
  /** It ends, and nothing changed. */
  ends(): void;
}

export const createCrossing = (): { begins(aor: string): Turn } => {
  interface Earlier {
    readonly overtaken: Set<string>;
    byAll: boolean;
  }
  /** In the order they came; an identity without any has no entry. */
  const underWay = new Map<string, Earlier[]>();
  return {
    begins: (aor) => {
      const own: Earlier = { overtaken: new Set(), byAll: false };
      const ends = (): void => {
        const left = (underWay.get(aor) ?? []).filter((turn) => turn !== own);
        if (left.length === 0) underWay.delete(aor);
        else underWay.set(aor, left);
      };
      const turns = underWay.get(aor);
      if (turns === undefined) underWay.set(aor, [own]);
      else turns.push(own);
      return {
        isOvertaken: (key) => own.byAll || own.overtaken.has(key),
        settles: (keys, all) => {
          for (const earlier of underWay.get(aor) ?? []) {
            if (earlier === own) break;
            earlier.byAll ||= all;
            for (const key of keys) earlier.overtaken.add(key);
          }
          ends();
        },
        ends,
      };
    },
  };
};
