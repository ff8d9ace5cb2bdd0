// Binds the log port to pino: one JSON object a line on standard error, or one line of text where a person looks on.
import type { Log, LogFields } from "@sallyport/kit";
import { pino, type DestinationStream, type Logger } from "pino";
import { clean } from "./screen/text.ts";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export const logFormats = ["json", "text"] as const;

export interface LogWay {
  readonly level: (typeof logLevels)[number];
  /** Text on a terminal and JSON elsewhere when left out. */
  readonly format?: (typeof logFormats)[number] | undefined;
}

// The event stands before its fields: what happened is read first.
const bind = (logger: Logger): Log => ({
  trace: (event: string, fields: LogFields = {}) => logger.trace({ event, ...fields }),
  debug: (event: string, fields: LogFields = {}) => logger.debug({ event, ...fields }),
  info: (event: string, fields: LogFields = {}) => logger.info({ event, ...fields }),
  warn: (event: string, fields: LogFields = {}) => logger.warn({ event, ...fields }),
  error: (event: string, fields: LogFields = {}) => logger.error({ event, ...fields }),
  child: (fields) => bind(logger.child(fields)),
});

const word = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
};

/** `22:28:30.746 info  edge  registration stored  aor=sip:alice@lab.example`: a record of pino as a line that fits an eye. */
export const textLine = (json: string): string => {
  const { level, time, element, event, ...fields } = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${word(value)}`);
  const at = String(time).slice(11, 23);
  return `${clean([at, String(level).padEnd(5), String(element), String(event), ...rest].join("  "))}\n`;
};

const onTerminal: DestinationStream = { write: (line) => void process.stderr.write(textLine(line)) };

/** A log of one element. Secrets print as fingerprints by themselves; raw SDP must pass `redactKeys` before it gets here. */
export const elementLog = (element: string, { level, format }: LogWay): Log => {
  const wanted = format ?? (process.stderr.isTTY ? "text" : "json");
  return bind(
    pino(
      {
        level,
        base: { element },
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      wanted === "text" ? onTerminal : pino.destination({ fd: 2, sync: true }),
    ),
  );
};
