// Draws a ladder as an SVG picture for the documentation: lanes, numbered arrows, chips, and the media ribbon at the bottom.
import type { Cast, LadderRow } from "./ladder.ts";
import { drawnRows, lanesOf } from "./text.ts";

/** One segment of the media ribbon: between two elements, protected or clear. */
export interface RibbonSegment {
  readonly from: string;
  readonly to: string;
  readonly protected: boolean;
  readonly label: string;
}

const lane = 150;
const left = 110;
const rowHeight = 30;
const chipHeight = 20;
const top = 70;

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const style = `
  text { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; fill: #1c2733; }
  .name { font-weight: bold; font-size: 14px; }
  .lane { stroke: #c3ccd6; stroke-width: 1; }
  .sip { stroke: #24527a; stroke-width: 1.5; }
  .iq { stroke: #8a5a00; stroke-width: 1.5; }
  .iqtext { fill: #8a5a00; }
  .step { font-size: 11px; fill: #5b6875; }
  .chip { fill: #eef4ea; stroke: #7a9b68; }
  .chiptext { font-size: 11px; fill: #33521f; }
  .clear { fill: #e3e7ec; stroke: #8c98a5; }
  .paper { fill: #ffffff; }
  .srtp { fill: #d9efd7; stroke: #3c7d37; }
  @media (prefers-color-scheme: dark) {
    text { fill: #d6dde6; }
    .paper { fill: #0d1117; }
    .lane { stroke: #3a4552; }
    .sip { stroke: #79b0e0; }
    .iq { stroke: #d9a23b; }
    .iqtext { fill: #d9a23b; }
    .step { fill: #93a1b0; }
    .chip { fill: #1d2b1a; stroke: #6d9159; }
    .chiptext { fill: #b7d8a4; }
    .clear { fill: #2a323c; stroke: #76828f; }
    .srtp { fill: #183a1c; stroke: #58a45a; }
  }
`;

/** The picture as SVG text. Contains no times and no ports, so the same call draws the same picture. */
export const ladderPicture = (cast: Cast, rows: readonly LadderRow[], ribbon: readonly RibbonSegment[]): string => {
  const lanes = lanesOf(cast);
  const order = lanes.map(({ element }) => element);
  const x = (element: string): number => left + order.indexOf(element) * lane;
  const shown = drawnRows(cast, rows);
  const parts: string[] = [];
  let y = top;
  for (const row of shown) {
    y += rowHeight;
    const [start, end] = [x(row.from), x(row.to)];
    const head = end > start ? -8 : 8;
    parts.push(
      `<line class="${row.protocol}" x1="${start}" y1="${y}" x2="${end}" y2="${y}"/>`,
      ...(row.protocol === "iq" ? [`<line class="iq" x1="${start}" y1="${y + 3}" x2="${end}" y2="${y + 3}"/>`] : []),
      `<path class="${row.protocol}" fill="none" d="M ${end + head} ${y - 5} L ${end} ${y + (row.protocol === "iq" ? 1.5 : 0)} L ${end + head} ${y + 7}"/>`,
      `<text class="${row.protocol}text" x="${(start + end) / 2}" y="${y - 5}" text-anchor="middle">${escape(row.label)}</text>`,
    );
    if (row.steps.length > 0) parts.push(`<text class="step" x="14" y="${y + 4}">${row.steps.join(" ")}</text>`);
    if (row.chips.length === 0) continue;
    y += chipHeight;
    let at = Math.min(
      start + 8,
      left + lane * (lanes.length - 1) - row.chips.join("").length * 6.8 - row.chips.length * 14,
    );
    for (const chip of row.chips) {
      const width = chip.length * 6.8 + 10;
      parts.push(
        `<rect class="chip" x="${at}" y="${y - 11}" width="${width}" height="16" rx="4"/>`,
        `<text class="chiptext" x="${at + 5}" y="${y + 1}">${escape(chip)}</text>`,
      );
      at += width + 6;
    }
  }
  y += 50;
  for (const segment of ribbon) {
    const [start, end] = [x(segment.from), x(segment.to)];
    parts.push(
      `<rect class="${segment.protected ? "srtp" : "clear"}" x="${start + 2}" y="${y - 14}" width="${end - start - 4}" height="28" rx="5"/>`,
      `<text x="${(start + end) / 2}" y="${y + 4}" text-anchor="middle">${escape(segment.label)}</text>`,
    );
  }
  parts.push(`<text class="step" x="14" y="${y + 4}">o9 t9</text>`);
  const height = y + 40;
  const width = left + lane * (lanes.length - 1) + 80;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Call ladder: ${escape(lanes[0]?.name ?? "")} calls ${escape(lanes.at(-1)?.name ?? "")}">`,
    `<style>${style}</style>`,
    `<rect class="paper" width="100%" height="100%"/>`,
    ...lanes.map(
      ({ element, name }) =>
        `<line class="lane" x1="${x(element)}" y1="${top - 20}" x2="${x(element)}" y2="${y - 18}"/><text class="name" x="${x(element)}" y="${top - 28}" text-anchor="middle">${escape(name)}</text>`,
    ),
    ...parts,
    "</svg>",
    "",
  ].join("\n");
};
