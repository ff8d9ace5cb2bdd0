// Owns one proxied request from its server transaction to its last branch: forking, best response, CANCEL, time limits
// (RFC 3261 16.6 to 16.10, RFC 4320 4.2). Must not know registrations or option tags.
import type { Clock, Timer } from "@sallyport/kit";
import { createResponse } from "@sallyport/sip";
import type { ClientHandlers, ClientTransaction, ServerTransaction, SipResponse } from "@sallyport/sip";
import { bestOutcome } from "./best-response.ts";
import type { Outcome } from "./best-response.ts";
import type { Branch } from "./routing.ts";

export interface ForkOptions {
  readonly server: ServerTransaction;
  readonly branches: readonly Branch[];
  readonly order: "parallel" | "sequential";
  /** How long one contact rings before the next is tried. */
  readonly ringMs: number;
  readonly clock: Clock;
  /** Starts the client transaction; undefined when the next hop can not be reached at all. */
  launch(branch: Branch, handlers: ClientHandlers): ClientTransaction | undefined;
  onEnd(): void;
}

export interface Fork {
  /** Forgets everything and calls nobody. */
  drop(): void;
}

export const startFork = (options: ForkOptions): Fork => {
  const { server, clock } = options;
  const invite = server.request.method === "INVITE";
  const waiting = [...options.branches];
  const running = new Set<{ transaction?: ClientTransaction }>();
  const outcomes: Outcome[] = [];
  let answered = false;
  let cancelled = false;
  let ringTimer: Timer | undefined;

  const stopRinging = (): void => {
    ringTimer?.cancel();
    ringTimer = undefined;
  };

  /** RFC 3261 16.10: nothing new is started, and what rings is told to stop. */
  const cancelAll = (): void => {
    waiting.length = 0;
    for (const { transaction } of running) transaction?.cancel();
  };

  const answerBest = (): void => {
    answered = true;
    // RFC 3261 16.10, 9.2: what the caller gave up ends with 487, unless it was refused everywhere.
    const refused = outcomes.some(({ status }) => status >= 600);
    const best = cancelled && !refused ? { status: 487 } : bestOutcome(outcomes);
    // RFC 4320 4.2: a 408 to a request other than INVITE comes too late for everybody.
    if (best.status === 408 && !invite) return;
    server.respond(best.response ?? createResponse(server.request, best.status, undefined, { toTag: server.toTag }));
  };

  const settle = (branch: { transaction?: ClientTransaction }, outcome: Outcome): void => {
    if (!running.delete(branch)) return;
    stopRinging();
    outcomes.push(outcome);
    // RFC 3261 16.7 step 5: a 6xx ends the search, but is sent only when no branch can answer 2xx any more.
    if (outcome.status >= 600) cancelAll();
    if (!answered && options.order === "sequential") next();
    if (running.size > 0 || waiting.length > 0) return;
    if (!answered) answerBest();
    options.onEnd();
  };

  const take = (branch: { transaction?: ClientTransaction }, response: SipResponse): void => {
    if (response.status === 100) return;
    if (response.status < 200) {
      if (!answered) server.respond(response);
      return;
    }
    if (response.status >= 300) return settle(branch, { status: response.status, response });
    // RFC 3261 16.7 step 5: 2xx to INVITE go on at once, those of other branches and copies too.
    if (invite || !answered) {
      answered = true;
      server.respond(response);
      cancelAll();
    }
    settle(branch, { status: response.status, response });
  };

  const begin = (target: Branch): void => {
    const branch: { transaction?: ClientTransaction } = {};
    running.add(branch);
    const transaction = options.launch(target, {
      onResponse: (response) => take(branch, response),
      // RFC 3261 16.8 and 16.9.
      onTimeout: () => settle(branch, { status: 408 }),
      onTransportError: () => settle(branch, { status: 503 }),
    });
    if (transaction === undefined) return settle(branch, { status: 503 });
    branch.transaction = transaction;
    if (options.order === "sequential" && invite && waiting.length > 0) {
      ringTimer = clock.after(options.ringMs, () => transaction.cancel());
    }
  };

  const next = (): void => {
    const target = waiting.shift();
    if (target !== undefined) begin(target);
  };

  server.onCancel = () => {
    if (answered) return;
    cancelled = true;
    cancelAll();
  };
  if (options.order === "sequential") next();
  else for (const target of waiting.splice(0)) begin(target);

  return {
    drop: () => {
      stopRinging();
      waiting.length = 0;
      running.clear();
    },
  };
};
