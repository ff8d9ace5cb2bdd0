// All call legs of this edge. Owns their table, its bounds and the short memory of ended calls.
// A leg is found by the token of our Record-Route, never by Call-ID: the same Call-ID may cross twice.
import { token } from "@sallyport/kit";
import type { IqContext, IqNotification } from "@sallyport/iq";
import type { Side } from "@sallyport/media-security";
import { headerValue, type Flow, type ServerTransaction, type SipRequest, type SipResponse } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { GatewayPort } from "../iq/gateway-port.ts";
import type { Binding } from "../registration/binding.ts";
import { ruleTowards } from "../registration/learned.ts";
import { isEmergencyUri, unregisteredId } from "../routing/emergency.ts";
import { hasFlow } from "../routing/ue-flow.ts";
import { contextPriority } from "../routing/priority.ts";
import type { KeptCalls, LoadedCall } from "../state/kept-calls.ts";
import type { Leg } from "./leg-port.ts";
import { createLeg } from "./leg.ts";
import { createLosses } from "./losses.ts";
import { droppedOf } from "./media-counts.ts";
import { recordOf, type CallView } from "./view.ts";
import type { CallEnvironment } from "./work.ts";

export interface Calls {
  /** Legs that have not ended. */
  readonly live: number;
  /** Gateway contexts held by legs. */
  readonly contexts: number;
  byId(id: string): Leg | undefined;
  /** Opens a leg for an initial INVITE; false when a limit is reached. */
  start(transaction: ServerTransaction, arrived: SipRequest, binding: Binding, from: Side): boolean;
  notify(notification: IqNotification): void;
  /** Whether somebody is in a call over the flow, registered or not any more. */
  isOnFlow(flow: Flow): boolean;
  /** A connection is gone: the calls of the UEs behind it wait a while for them to come back. */
  flowClosed(flow: Flow): void;
  /** The UE of a binding registered (again). */
  flowBack(binding: Binding): void;
  /** Live legs, then ended ones, newest first. */
  views(): readonly CallView[];
  /** A gateway has registered (again). */
  gatewayBack(gateway: string): void;
  /** A 2xx to an INVITE that no transaction knows; `call` is the token's subject. */
  stray(call: string, from: Side, response: SipResponse, flow: Flow): void;
  /**
   * Ends every call on both sides; resolves when the gateways have everything back. `keepCalls`: those a successor can
   * take up go on without us.
   */
  close(how?: { readonly keepCalls?: boolean }): Promise<void>;
}

/** What calls need to outlive this process. */
export interface CallMemory {
  readonly keep: KeptCalls;
  /** The calls of an earlier run, taken up at once. */
  readonly loaded: readonly LoadedCall[];
}

export const createCalls = (ctx: EdgeContext, gateway: GatewayPort, memory?: CallMemory): Calls => {
  const legs = new Map<string, Leg>();
  const perBinding = new Map<string, Set<Leg>>();
  const unsettled = new Set<Promise<void>>();
  /** The last calls that ended, newest last; the oldest of them go in one swoop. */
  const ended: CallView[] = [];
  const { limits } = ctx.config;
  const env: CallEnvironment = { random: ctx.random, limits, now: () => ctx.clock.now() };

  const finished = (leg: Leg, view: CallView): void => {
    legs.delete(leg.id);
    const siblings = perBinding.get(leg.bindingId);
    siblings?.delete(leg);
    if (siblings?.size === 0) perBinding.delete(leg.bindingId);
    ended.push(view);
    if (ended.length >= 2 * limits.endedCalls) ended.splice(0, ended.length - limits.endedCalls);
    ctx.counters.count("calls_total", { side: view.direction, security: view.security, reason: view.reason });
    const settling = leg.settled();
    unsettled.add(settling);
    void settling.then(() => {
      unsettled.delete(settling);
      // What the gateway counted comes with its last answer.
      const whole = { ...view, media: leg.counted };
      for (const counted of leg.counted)
        for (const [kind, dropped] of droppedOf(counted)) ctx.counters.count("media_dropped_total", { kind }, dropped);
      const at = ended.lastIndexOf(view);
      if (at !== -1) ended[at] = whole;
      ctx.log.info("call ended", recordOf(whole));
    });
  };

  const put = (leg: Leg): void => {
    legs.set(leg.id, leg);
    perBinding.set(leg.bindingId, (perBinding.get(leg.bindingId) ?? new Set<Leg>()).add(leg));
  };

  const restore = (restored: LoadedCall): void => {
    const { id, direction, callId, negotiation } = restored;
    const binding = ctx.bindings.byId(restored.binding.id) ?? restored.binding;
    const facts = { id, token: ctx.tokens.seal("call", id), direction, callId, bindingId: binding.id };
    const leg = createLeg({
      ctx,
      gateway,
      binding,
      facts: { ...facts, media: negotiation.facts, priority: restored.priority },
      keep: memory?.keep,
      restored,
      env,
      onFinished: finished,
    });
    put(leg);
    // Connections are gone; a UE that has one comes back on another.
    if (ctx.transport.flow(binding.flow.id) === undefined) leg.feed({ kind: "flow-lost", ms: limits.restartMs });
  };

  const placeOf = ({ gateway: id, context }: IqContext): string => `${id}/${context}`;
  /** Legs by context, for as long as nothing but notifications happens: a gateway that is lost gives one for each call. */
  let places: Map<string, Leg> | undefined;
  const legAt = (context: IqContext): Leg | undefined => {
    if (places === undefined) {
      places = new Map();
      for (const leg of legs.values()) if (leg.context !== undefined) places.set(placeOf(leg.context), leg);
      queueMicrotask(() => (places = undefined));
    }
    return places.get(placeOf(context));
  };

  /** Flows on which UEs of live legs are, for as long as one look at the connections takes. */
  let flows: Set<string> | undefined;
  const speaking = (): ReadonlySet<string> => {
    if (flows === undefined) {
      flows = new Set();
      for (const leg of legs.values()) if (!leg.ended) flows.add(leg.flowId);
      queueMicrotask(() => (flows = undefined));
    }
    return flows;
  };

  const losses = createLosses<{ readonly leg: Leg; readonly notification: IqNotification }>(
    ctx.clock,
    ({ leg, notification }) => leg.notify(notification),
  );

  /** Calls that are over do not count, whatever is still to be said in their dialogs. */
  const isBusy = ({ id }: Binding): boolean => {
    const siblings = perBinding.get(id);
    if (siblings === undefined || siblings.size < limits.maxCallsPerBinding) return false;
    let live = 0;
    for (const { ended: over } of siblings) if (!over) live += 1;
    return live >= limits.maxCallsPerBinding;
  };

  const ofBinding = (id: string): readonly Leg[] => [...(perBinding.get(id) ?? [])];

  for (const call of memory?.loaded ?? []) restore(call);

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
      if (legs.size >= limits.maxCalls || isBusy(binding)) return false;
      const id = token(ctx.random, 24);
      const { rule, evidence } = from === "core" ? ruleTowards(binding) : { rule: binding.policy, evidence: [] };
      const leg = createLeg({
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
            policy: rule,
            confidential: binding.confidential,
            ueRole: from === "access" ? "originating" : "terminating",
            // RFC 5031: an emergency call is never refused for lack of media security.
            ...(isEmergencyUri(arrived.uri) || binding.emergency === true ? { emergency: true } : {}),
          },
          priority: from === "core" ? contextPriority(arrived) : undefined,
          evidence: evidence.map((entry) => Object.assign({ at: ctx.clock.now() }, entry)),
        },
        keep: memory?.keep,
        env,
        onFinished: finished,
      });
      put(leg);
      leg.request(transaction, from, arrived);
      return true;
    },
    notify: (notification) => {
      const leg = legAt(notification.context);
      if (leg === undefined)
        return ctx.log.info("notification for no call", { kind: notification.kind, gateway: notification.gateway });
      if (notification.kind === "context-lost") losses.add({ leg, notification });
      else leg.notify(notification);
    },
    isOnFlow: (flow) => speaking().has(flow.id),
    flowClosed: (flow) => {
      for (const leg of ofBinding(unregisteredId(flow.id))) leg.feed({ kind: "flow-lost" });
      for (const binding of ctx.bindings.onFlow(flow.id)) {
        // RFC 5626 3.2: a device that has another flow is not lost.
        if (hasFlow(ctx, binding)) continue;
        for (const { id } of ctx.bindings.ofDevice(binding))
          for (const leg of ofBinding(id)) leg.feed({ kind: "flow-lost" });
      }
    },
    flowBack: (binding) => {
      for (const { id } of ctx.bindings.ofDevice(binding))
        for (const leg of ofBinding(id)) leg.feed({ kind: "flow-back" });
    },
    views: () => [
      ...Array.from(legs.values(), (leg) => leg.view()),
      ...(limits.endedCalls === 0 ? [] : ended.slice(-limits.endedCalls).toReversed()),
    ],
    gatewayBack: (id) => {
      for (const leg of legs.values()) leg.gatewayBack(id);
    },
    stray: (call, from, response, flow) => {
      const leg = legs.get(call);
      if (leg === undefined || (from === "access" && !leg.isUe(flow))) return;
      leg.feed({ kind: "stray", from, response });
    },
    close: async ({ keepCalls = false } = {}) => {
      losses.close();
      for (const leg of legs.values()) {
        if (keepCalls && leg.kept) leg.abandon();
        else leg.feed({ kind: "end", reason: "closing", status: 503, detail: "the edge is closing" });
      }
      await Promise.allSettled([...[...legs.values()].map((leg) => leg.settled()), ...unsettled]);
    },
  };
};
