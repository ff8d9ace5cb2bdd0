// Binds the log port to pino: one JSON object a line on standard error.
import type { Log, LogFields } from "@sallyport/kit";
import { pino, type Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

const bind = (logger: Logger): Log => ({
  trace: (event: string, fields: LogFields = {}) => logger.trace(fields, event),
  debug: (event: string, fields: LogFields = {}) => logger.debug(fields, event),
  info: (event: string, fields: LogFields = {}) => logger.info(fields, event),
  warn: (event: string, fields: LogFields = {}) => logger.warn(fields, event),
  error: (event: string, fields: LogFields = {}) => logger.error(fields, event),
  child: (fields) => bind(logger.child(fields)),
});

/** A log of one element. Secrets print as fingerprints by themselves; raw SDP must pass `redactKeys` before it gets here. */
export const elementLog = (element: string, level: (typeof logLevels)[number]): Log =>
  bind(
    pino(
      {
        level,
        base: { element },
        messageKey: "event",
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      pino.destination({ fd: 2, sync: true }),
    ),
  );
