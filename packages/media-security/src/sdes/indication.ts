// Owns reading a=3ge2ae. TS 24.229 7.5.2: "requested", "applied", any other token means nothing.

export type Indication = "requested" | "applied" | "other";

/** The value after `a=3ge2ae:`, blanks around it dropped. */
export const parse3ge2ae = (value: string): Indication => {
  const word = value.trim().toLowerCase();
  return word === "requested" || word === "applied" ? word : "other";
};
