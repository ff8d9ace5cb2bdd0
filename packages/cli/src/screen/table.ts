// Tables that fit the width they are given: what can shrink shrinks first, the widest before the others. Pure.
import { clean, cut } from "./text.ts";

export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut down to this many characters; never cut when left out. */
  readonly least?: number;
}

const gap = "  ";

const widthsOf = (columns: readonly Column[], rows: readonly (readonly string[])[], width: number): number[] => {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((widest, row) => Math.max(widest, row[at]?.length ?? 0), title.length),
  );
  let surplus = widths.reduce((sum, each) => sum + each, gap.length * (columns.length - 1)) - width;
  while (surplus > 0) {
    let widest = -1;
    for (const [at, { least }] of columns.entries()) {
      const own = widths[at] ?? 0;
      if (least !== undefined && own > least && own > (widths[widest] ?? 0)) widest = at;
    }
    if (widest === -1) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    surplus -= 1;
  }
  return widths;
};

/** `paint` colours a cell after it got its width; it must not change how wide the cell looks. */
export const table = (
  columns: readonly Column[],
  cells: readonly (readonly string[])[],
  width: number,
  paint: (text: string, cell: string) => string = (text) => text,
): readonly string[] => {
  const rows = cells.map((row) => row.map(clean));
  const widths = widthsOf(columns, rows, width);
  const line = (row: readonly string[], dress: (text: string, cell: string) => string): string =>
    row
      .map((cell, at) => {
        const room = widths[at] ?? 0;
        const text = cut(cell, room);
        // The last column is not padded: no blanks at the end of a line.
        const padded =
          columns[at]?.align === "right" ? text.padStart(room) : at === row.length - 1 ? text : text.padEnd(room);
        return dress(padded, cell);
      })
      .join(gap)
      .trimEnd();
  return [
    line(
      columns.map(({ title }) => title),
      (text) => text,
    ),
    ...rows.map((row) => line(row, paint)),
  ];
};
