// The door of the transaction folder.
export { createTransactions, defaultTransactionLimits } from "./transactions.ts";
export type {
  RequestOptions,
  TransactionLimits,
  Transactions,
  TransactionsOptions,
  TransactionTransport,
} from "./transactions.ts";
export type { ClientHandlers, ClientTransaction } from "./client-shell.ts";
export type { ServerTransaction } from "./server-shell.ts";
export { defaultTimers } from "./machine.ts";
export type { TransactionTimers } from "./machine.ts";
