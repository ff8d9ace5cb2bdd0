// Owns the S-CSCF as a stateful proxy: decisions become transactions (RFC 3261 16, TS 24.229 5.4.3). Record-Route on both
// sides where they differ (RFC 5658 3.1). Must not know how registrations come about.
import type { Clock, Log } from "@sallyport/kit";
import { createResponse, prependHeader, resolveTarget } from "@sallyport/sip";
import type { Flow, ServerTransaction, SipRequest, SipTarget, Transactions } from "@sallyport/sip";
import type { CoreSettings } from "../config.ts";
import { startFork } from "./fork.ts";
import type { Fork } from "./fork.ts";
import type { OwnAddress } from "./own-address.ts";
import { route } from "./routing.ts";
import type { Branch, RoutingPort } from "./routing.ts";

export interface Proxy {
  receive(server: ServerTransaction): void;
  /** An ACK for a 2xx: passed on without state. */
  receiveAck(ack: SipRequest, flow: Flow): void;
  readonly running: number;
  close(): void;
}

export const createProxy = (options: {
  readonly settings: CoreSettings;
  readonly routing: RoutingPort;
  readonly own: OwnAddress;
  readonly clock: Clock;
  readonly log: Log;
  transactions(): Transactions;
}): Proxy => {
  const { settings, own, clock, log } = options;
  const forks = new Set<Fork>();

  const targetOf = (branch: Branch): SipTarget | undefined => {
    const target = resolveTarget(branch.nextHopUri);
    const point = target === undefined ? undefined : own.point(target.protocol);
    return target === undefined || point === undefined ? undefined : { ...target, listener: point.name };
  };

  /** Towards the callee the upper element counts, towards the caller the lower one. */
  const recordRoute = (request: SipRequest, from: Flow, to: SipTarget): SipRequest => {
    const inbound = own.point(from.protocol, from.listener);
    const outbound = own.point(to.protocol, to.listener);
    let routed = request;
    if (inbound !== undefined) routed = prependHeader(routed, "Record-Route", own.recordRoute(inbound));
    if (outbound !== undefined && outbound !== inbound) {
      routed = prependHeader(routed, "Record-Route", own.recordRoute(outbound));
    }
    return routed;
  };

  return {
    receive: (server) => {
      const { request } = server;
      const decision = route(request, options.routing);
      if (decision.kind === "refuse") {
        log.debug("request refused", { method: request.method, status: decision.status });
        const { toTag } = server;
        server.respond(createResponse(request, decision.status, undefined, { toTag, headers: decision.headers }));
        return;
      }
      // RFC 3261 16.2: at once, since looking further may take longer than 200 ms.
      if (request.method === "INVITE") server.respond(createResponse(request, 100));
      // A fork may be over before it is returned, when no next hop can be reached.
      const held: { fork?: Fork; over: boolean } = { over: false };
      held.fork = startFork({
        server,
        branches: decision.branches,
        order: settings.forking,
        ringMs: settings.sequentialSeconds * 1000,
        clock,
        launch: (branch, handlers) => {
          const target = targetOf(branch);
          if (target === undefined) return undefined;
          const sent = decision.recordRoute ? recordRoute(branch.request, server.flow, target) : branch.request;
          return options.transactions().request(sent, target, handlers);
        },
        onEnd: () => {
          held.over = true;
          if (held.fork !== undefined) forks.delete(held.fork);
        },
      });
      if (!held.over) forks.add(held.fork);
    },
    receiveAck: (ack) => {
      const decision = route(ack, options.routing);
      const [branch] = decision.kind === "forward" ? decision.branches : [];
      const target = branch === undefined ? undefined : targetOf(branch);
      if (branch === undefined || target === undefined) return log.debug("ack dropped");
      options
        .transactions()
        .sendAck(branch.request, target)
        .catch((error: Error) => log.debug("ack not sent", { error: error.message }));
    },
    get running() {
      return forks.size;
    },
    close: () => {
      for (const fork of forks) fork.drop();
      forks.clear();
    },
  };
};
