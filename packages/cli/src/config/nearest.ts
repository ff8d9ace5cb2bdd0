// Which known word a misspelt one was meant to be. Pure.

/** Insertions, deletions, replacements and swaps of neighbours that make one word of the other (optimal string alignment). */
const distance = (one: string, other: string): number => {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const best = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      next.push(swapped ? Math.min(best, (before[j - 2] ?? 0) + 1) : best);
    }
    [before, row] = [row, next];
  }
  return row[other.length] ?? 0;
};

/** The nearest of the known words, when at most a third of the word is wrong; letter case is forgiven. */
export const nearest = (word: string, known: readonly string[]): string | undefined => {
  if (word.length > 64) return undefined;
  const lower = word.toLowerCase();
  const [best] = known
    .map((each) => ({ each, wrong: distance(lower, each.toLowerCase()) }))
    .filter(({ each, wrong }) => wrong <= Math.max(1, Math.floor(Math.max(each.length, word.length) / 3)))
    .toSorted((a, b) => a.wrong - b.wrong);
  return best?.each;
};
