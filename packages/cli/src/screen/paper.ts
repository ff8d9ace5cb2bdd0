// What a screen is written on: its width, and whether it takes colour. Colour only repeats what a word says.

export interface Paper {
  readonly columns: number;
  readonly colour: boolean;
}

const narrowest = 60;
const usual = 80;

/** The terminal of this process; 80 columns without colour when it is none. https://no-color.org */
export const paperOf = (
  stream: { readonly isTTY?: boolean; readonly columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Paper => {
  const terminal = stream.isTTY === true;
  return {
    columns: terminal ? Math.max(narrowest, stream.columns ?? usual) : usual,
    colour: terminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb",
  };
};

const codes = { good: 32, bad: 31, doubtful: 33, faint: 2, strong: 1 } as const;
export type Tone = keyof typeof codes;

export const tint = (paper: Paper, tone: Tone | undefined, text: string): string =>
  paper.colour && tone !== undefined ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text;

const tones: Readonly<Record<string, Tone>> = {
  e2ae: "good",
  e2e: "good",
  up: "good",
  none: "bad",
  down: "bad",
  mixed: "doubtful",
  leaving: "doubtful",
};

/** The tone of a word that tells a state; undefined for any other. */
export const toneOf = (word: string): Tone | undefined => tones[word];
