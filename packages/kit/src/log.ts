// The log port. Elements log events by name with fields; where they go is the shell's business.

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

export type LogFields = Readonly<Record<string, unknown>>;

/** Events are short lower-case phrases (`registration stored`); facts go into fields. Never pass a raw SDP body: use `redactKeys`. */
export interface Log {
  trace(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log that adds `fields` to every record. */
  child(fields: LogFields): Log;
}

export interface LogRecord {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

const logTo = (sink: (record: LogRecord) => void, bound: LogFields): Log => {
  const at = (level: LogLevel) => (event: string, fields?: LogFields) =>
    sink({ level, event, fields: { ...bound, ...fields } });
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => logTo(sink, { ...bound, ...fields }),
  };
};

export const silentLog: Log = logTo(() => undefined, {});

/** A log that keeps its records, all levels, for tests and for the lab. */
export const memoryLog = (): { readonly log: Log; readonly records: readonly LogRecord[] } => {
  const records: LogRecord[] = [];
  return { log: logTo((record) => records.push(record), {}), records };
};
