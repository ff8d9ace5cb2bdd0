// The door of the package: messages, digest, dialogs, transports, transactions.
export { sipErrors } from "./errors.ts";
export * from "./message/index.ts";
export * from "./transport/index.ts";
