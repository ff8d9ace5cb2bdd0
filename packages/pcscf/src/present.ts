// A left out key and one whose value is undefined are the same to whoever writes YAML; not to exact types.
type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Without the keys whose value is undefined. */
export const present = <T extends object>(value: T): Present<T> =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Present<T>;

/** The same at every depth: a store refuses values that JSON would change. */
export const presentWithin = <T>(value: T): T => {
  if (Array.isArray(value)) return value.map(presentWithin) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(present(value)).map(([name, inner]) => [name, presentWithin(inner)])) as T;
};
