// The door of the package: messages, digest, dialogs, transports, transactions.
export { sipErrors } from "./errors.ts";
export * from "./message/index.ts";
export * from "./transport/index.ts";
export * from "./locate/index.ts";
export * from "./digest/index.ts";
export * from "./dialog/index.ts";
export * from "./transaction/index.ts";
