// The screen of `gw media`. Pure: an answer and a paper in, lines out.
import type { MediaLoad } from "@sallyport/api";
import { tint, type Paper } from "../screen/paper.ts";
import { table } from "../screen/table.ts";
import { clean, hang, plural } from "../screen/text.ts";
import type { Lines } from "./screens.ts";

const percent = (part: number): string => `${Math.round(part * 100)}%`;

export const mediaScreen = (media: MediaLoad, paper: Paper): Lines => {
  const { contexts, engine, id, reason, refused, registered, registration, shortage, threads, warning } = media;
  const row = (label: string, text: string): Lines => hang(label.padEnd(10), clean(text), paper.columns);
  const doubtful = (lines: Lines): Lines => lines.map((line) => tint(paper, "doubtful", line));
  return [
    clean(id),
    ...row("iq", `${registered ? "registered" : "not registered"} (${registration})`),
    ...row("holds", `${plural(contexts, "call")}; ${refused} turned away`),
    ...row("engine", `${engine} (${reason})`),
    ...(warning === undefined ? [] : doubtful(row("warning", warning))),
    ...(shortage === undefined ? [] : doubtful(row("short", `${shortage}: new calls are turned away`))),
    ...(threads.length === 0
      ? []
      : [
          "",
          ...table(
            [
              { title: "THREAD" },
              { title: "LOAD", align: "right" },
              { title: "QUEUE", align: "right" },
              { title: "LEGS", align: "right" },
              { title: "IN", align: "right" },
              { title: "OUT", align: "right" },
              { title: "LOST", align: "right" },
              { title: "NOT SENT", align: "right" },
              { title: "CPU S", align: "right" },
            ],
            threads.map((thread, at) => [
              String(at),
              percent(thread.load),
              String(Math.round(thread.queueDepth)),
              String(thread.legs),
              String(thread.packetsIn),
              String(thread.packetsOut),
              String(thread.lost),
              String(thread.sendErrors),
              thread.cpuSeconds.toFixed(1),
            ]),
            paper.columns,
          ),
        ]),
  ];
};
