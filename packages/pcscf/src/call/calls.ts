// All call legs of this edge. Owns their table, its bounds and the short memory of ended calls.
// A leg is found by the token of our Record-Route, never by Call-ID: the same Call-ID may cross twice.
import { token } from "@sallyport/kit";
import type { IqNotification } from "@sallyport/iq";
import type { Side } from "@sallyport/media-security";
import { headerValue, type Flow, type ServerTransaction, type SipRequest } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { GatewayPort } from "../iq/gateway-port.ts";
import type { Binding } from "../registration/binding.ts";
import { isEmergencyUri, unregisteredId } from "../routing/emergency.ts";
import { createLeg, type Leg } from "./leg.ts";
import type { CallView } from "./view.ts";

export interface Calls {
  /** Legs that have not ended. */
  readonly live: number;
  /** Gateway contexts held by legs. */
  readonly contexts: number;
  byId(id: string): Leg | undefined;
  /** Opens a leg for an initial INVITE; false when a limit is reached. */
  start(transaction: ServerTransaction, arrived: SipRequest, binding: Binding, from: Side): boolean;
  notify(notification: IqNotification): void;
  /** A connection is gone: the calls of the UEs behind it wait a while for them to come back. */
  flowClosed(flow: Flow): void;
  /** The UE of a binding registered (again). */
  flowBack(binding: Binding): void;
  /** Live legs, then ended ones, newest first. */
  views(): readonly CallView[];
  /** Ends every call on both sides; resolves when the gateways have everything back. */
  close(): Promise<void>;
}

export const createCalls = (ctx: EdgeContext, gateway: GatewayPort): Calls => {
  const legs = new Map<string, Leg>();
  const perBinding = new Map<string, Set<Leg>>();
  const unsettled = new Set<Promise<void>>();
  let ended: readonly CallView[] = [];
  const { limits } = ctx.config;

  const finished = (leg: Leg, view: CallView): void => {
    legs.delete(leg.id);
    const siblings = perBinding.get(leg.bindingId);
    siblings?.delete(leg);
    if (siblings?.size === 0) perBinding.delete(leg.bindingId);
    ended = [view, ...ended].slice(0, limits.endedCalls);
    ctx.counters.count("calls_total", { side: view.direction, security: view.security, reason: view.reason });
    const settling = leg.settled();
    unsettled.add(settling);
    settling.then(
      () => unsettled.delete(settling),
      () => unsettled.delete(settling),
    );
  };

  const ofBinding = (id: string): readonly Leg[] => [...(perBinding.get(id) ?? [])];

  return {
    get live() {
      let count = 0;
      for (const leg of legs.values()) if (!leg.ended) count += 1;
      return count;
    },
    get contexts() {
      let count = 0;
      for (const leg of legs.values()) if (leg.context !== undefined) count += 1;
      return count;
    },
    byId: (id) => legs.get(id),
    start: (transaction, arrived, binding, from) => {
      const siblings = perBinding.get(binding.id) ?? new Set<Leg>();
      if (legs.size >= limits.maxCalls || siblings.size >= limits.maxCallsPerBinding) return false;
      const id = token(ctx.random, 24);
      const leg: Leg = createLeg({
        ctx,
        gateway,
        binding,
        facts: {
          id,
          token: ctx.tokens.seal("call", id),
          direction: from === "access" ? "originating" : "terminating",
          callId: headerValue(arrived, "call-id") ?? "",
          bindingId: binding.id,
          media: {
            registration: binding.indications,
            policy: binding.policy,
            confidential: binding.confidential,
            ueRole: from === "access" ? "originating" : "terminating",
            // RFC 5031: an emergency call is never refused for lack of media security.
            ...(isEmergencyUri(arrived.uri) || binding.emergency === true ? { emergency: true } : {}),
          },
        },
        onFinished: (view) => finished(leg, view),
      });
      legs.set(id, leg);
      perBinding.set(binding.id, siblings.add(leg));
      leg.request(transaction, from, arrived);
      return true;
    },
    notify: (notification) => {
      for (const leg of legs.values()) {
        const held = leg.context;
        if (held?.gateway === notification.gateway && held.context === notification.context.context)
          return leg.notify(notification);
      }
      ctx.log.info("notification for no call", { kind: notification.kind, gateway: notification.gateway });
    },
    flowClosed: (flow) => {
      const here = [...ctx.bindings.onFlow(flow.id).map(({ id }) => id), unregisteredId(flow.id)];
      for (const id of here) for (const leg of ofBinding(id)) leg.feed({ kind: "flow-lost" });
    },
    flowBack: (binding) => {
      for (const leg of ofBinding(binding.id)) leg.feed({ kind: "flow-back" });
    },
    views: () => [...[...legs.values()].map((leg) => leg.view()), ...ended],
    close: async () => {
      for (const leg of legs.values()) {
        leg.feed({ kind: "end", reason: "closing", status: 503, detail: "the edge is closing" });
      }
      await Promise.allSettled([...[...legs.values()].map((leg) => leg.settled()), ...unsettled]);
    },
  };
};
