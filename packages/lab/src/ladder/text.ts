// Draws a ladder in 80 columns of plain text: SIP arrows single, Iq arrows double, what an edge changed below its arrow.
import type { Cast, LadderRow } from "./ladder.ts";

const margin = 7;
const spacing = 11;

/** The lanes from left to right with the names shown above them. */
export const lanesOf = (cast: Cast): readonly { readonly element: string; readonly name: string }[] => [
  { element: cast.ueA, name: cast.ueA },
  { element: cast.edgeA, name: "P-CSCF A" },
  { element: cast.gatewayA, name: "GW A" },
  { element: cast.core, name: "core" },
  { element: cast.gatewayB, name: "GW B" },
  { element: cast.edgeB, name: "P-CSCF B" },
  { element: cast.ueB, name: cast.ueB },
];

/**
 * The rows between elements of the cast, as drawn. Gateways are released while the BYE's response is still on its way: those rows
 * come last, the left gateway first, so that the same call draws the same ladder whichever message was the faster.
 */
export const drawnRows = (cast: Cast, rows: readonly LadderRow[]): readonly LadderRow[] => {
  const order = lanesOf(cast).map(({ element }) => element);
  const shown = rows.filter(({ from, to }) => order.includes(from) && order.includes(to));
  const releasing = new Set<LadderRow>();
  for (const row of shown.filter(({ label }) => label.startsWith("Subtract"))) {
    const reply = shown.find(
      (other) =>
        other.label === "reply" &&
        other.from === row.to &&
        other.to === row.from &&
        shown.indexOf(other) > shown.indexOf(row),
    );
    releasing.add(row);
    if (reply !== undefined) releasing.add(reply);
  }
  const lane = ({ from, to }: LadderRow): number => Math.min(order.indexOf(from), order.indexOf(to));
  return [
    ...shown.filter((row) => !releasing.has(row)),
    ...[...releasing].toSorted((one, other) => lane(one) - lane(other)),
  ];
};

const columnOf = (lane: number): number => margin + lane * spacing;

const put = (line: string[], at: number, text: string): void => {
  for (let index = 0; index < text.length; index += 1) line[at + index] = text[index] ?? " ";
};

const blank = (lanes: number): string[] => {
  const line = Array.from({ length: columnOf(lanes - 1) + 1 }, () => " ");
  for (let lane = 0; lane < lanes; lane += 1) line[columnOf(lane)] = "|";
  return line;
};

const header = (names: readonly string[]): string => {
  const line = Array.from({ length: columnOf(names.length - 1) + 9 }, () => " ");
  names.forEach((name, lane) => put(line, Math.max(0, columnOf(lane) - Math.floor(name.length / 2)), name));
  return line.join("").trimEnd();
};

const arrow = (row: LadderRow, order: readonly string[]): string => {
  const [from, to] = [order.indexOf(row.from), order.indexOf(row.to)];
  const line = blank(order.length);
  const [left, right] = [columnOf(Math.min(from, to)) + 1, columnOf(Math.max(from, to))];
  const stroke = row.protocol === "sip" ? "-" : "=";
  put(line, left, stroke.repeat(right - left));
  const label = row.label.slice(0, right - left - 2);
  put(line, left + Math.floor((right - left - label.length) / 2), label);
  if (to > from) line[right - 1] = ">";
  else line[left] = "<";
  put(line, 0, row.steps.join(" ").padEnd(margin - 1));
  return line.join("").trimEnd();
};

/** Lines of at most 80 columns. Rows between elements outside the cast are left out. */
export const ladderText = (
  cast: Cast,
  rows: readonly LadderRow[],
  media: readonly string[] = [],
): readonly string[] => {
  const lanes = lanesOf(cast);
  const order = lanes.map(({ element }) => element);
  const shown = drawnRows(cast, rows);
  const out = [header(lanes.map(({ name }) => name))];
  let mediaShown = media.length === 0;
  for (const row of shown) {
    if (!mediaShown && row.label === "BYE") {
      out.push(...media);
      mediaShown = true;
    }
    out.push(arrow(row, order));
    if (row.chips.length > 0) {
      const line = blank(order.length);
      const chips = row.chips.map((chip) => `[${chip}]`).join(" ");
      const start = Math.min(columnOf(order.indexOf(row.from)) + 2, 80 - chips.length);
      put(line, Math.max(0, start), chips);
      out.push(line.join("").trimEnd());
    }
  }
  if (!mediaShown) out.push(...media);
  return out;
};
