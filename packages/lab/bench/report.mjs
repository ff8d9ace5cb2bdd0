// What a run found, as a table for people.
const round = (value, digits = 2) => (value === undefined ? "-" : value.toFixed(digits));

export const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length === 0 ? undefined : sorted[Math.floor((sorted.length - 1) / 2)];
};

const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ");
  return rows.map((row) => `  ${line(row)}`).join("\n");
};

const callRows = ({ protocol, calls, yardstick }) => {
  const { cpu } = calls;
  const rows = [
    [
      `calls, ${protocol}`,
      `${round(cpu.edge + cpu.gateway)}`,
      `edge ${round(cpu.edge)} + gateway ${round(cpu.gateway)}`,
    ],
  ];
  const theirs = yardstick?.cpu;
  if (yardstick !== undefined && theirs === undefined) {
    const lost = yardstick.runs.map(({ failed, total }) => `${failed} of ${total}`);
    rows.push([
      "  Kamailio with rtpengine",
      "-",
      `lost calls at ${calls.rate} calls/s in every round: ${lost.join(", ")}`,
    ]);
  } else if (theirs !== undefined) {
    rows.push([
      "  Kamailio with rtpengine",
      `${round(theirs.kamailio + theirs.rtpengine)}`,
      `Kamailio ${round(theirs.kamailio)} + rtpengine ${round(theirs.rtpengine)}`,
    ]);
    rows.push(["  ratio", round(yardstick.ratio), `each at ${calls.rate} calls/s, medians of ${calls.rounds} rounds`]);
  }
  return rows;
};

export const report = ({ transports, registrations }) => {
  const lines = [];
  const section = (title, rows, note) => {
    if (rows.length > 1) lines.push(title, table(rows), ...(note === undefined ? [] : [`  ${note}`]), "");
  };
  section("Processor time per call, ms (user and system, all threads)", [
    ["", "ms/call", ""],
    ...transports.filter(({ calls }) => calls !== undefined).flatMap(callRows),
  ]);
  section(
    "Capacity and event-loop delay of the edge",
    [
      ["", "calls/s", "p50 ms", "p99 ms", "max ms", "failed"],
      ...transports
        .filter(({ capacity }) => capacity !== undefined)
        .map(({ protocol, capacity, loaded }) => [
          protocol,
          round(capacity.perSecond, 0),
          round(loaded.delayMs.p50, 1),
          round(loaded.delayMs.p99, 1),
          round(loaded.delayMs.max, 1),
          `${capacity.failed + loaded.failed} of ${capacity.total + loaded.total}`,
        ]),
    ],
    "calls/s with 48 calls being set up at a time; delay at 80 % of that",
  );
  section("Memory of one standing call, KiB (heap and buffers after collection)", [
    ["", "edge", "gateway"],
    ...transports
      .filter(({ memory }) => memory !== undefined)
      .map(({ protocol, memory }) => [protocol, round(memory.edge, 1), round(memory.gateway, 1)]),
  ]);
  section(
    "Registrations, each challenged (401, then 200)",
    [
      ["", "edge ms", "core ms", "per s", "one edge", "KiB/contact", "p99 ms", "failed"],
      ...registrations.map((row) => [
        row.protocol,
        round(row.cpu.edge, 3),
        round(row.cpu.core, 3),
        round(row.perSecond, 0),
        round(1_000 / row.cpu.edge, 0),
        round(row.kibPerContact),
        round(row.delayMs.p99, 1),
        `${row.failed} of ${row.total}`,
      ]),
    ],
    "per s: as measured, all processes sharing the machine; one edge: what one process could do with a core of its own",
  );
  return lines.join("\n");
};
