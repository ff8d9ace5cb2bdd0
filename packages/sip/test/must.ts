// What a test counts on being there.
export const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("missing");
  return value;
};
