// The working copy of one step: the next state being built and the effects collected. Owns small edits of the state.
import type { Random } from "@sallyport/kit";
import type { EdgeConfig } from "../config.ts";
import type { CallDialog, CallEffect, CallState, Exchange } from "./types.ts";

export interface CallEnvironment {
  readonly random: Random;
  readonly limits: Pick<
    EdgeConfig["limits"],
    "maxQueuedPerCall" | "maxEvidence" | "setupMs" | "acknowledgeMs" | "flowLostMs"
  >;
}

export interface Work {
  call: CallState;
  readonly effects: CallEffect[];
  readonly env: CallEnvironment;
}

export const putExchange = (work: Work, exchange: Exchange): void => {
  work.call = { ...work.call, exchanges: new Map(work.call.exchanges).set(exchange.id, exchange) };
};

export const putDialog = (work: Work, dialog: CallDialog): void => {
  work.call = { ...work.call, dialogs: new Map(work.call.dialogs).set(dialog.tag, dialog) };
};

export const withoutOffer = (call: CallState): CallState => {
  const { offer: _, ...rest } = call;
  return rest;
};

export const withoutCarried = (call: CallState): CallState => {
  const { carried: _, ...rest } = call;
  return rest;
};

/** Answers an exchange ourselves, once. */
export const refuse = (work: Work, exchange: Exchange, status: number, reason?: string): void => {
  if (exchange.final !== "none") return;
  putExchange(work, { ...exchange, final: "failure" });
  work.effects.push({ kind: "refuse", exchange: exchange.id, status, ...(reason === undefined ? {} : { reason }) });
};
