// The way to a registered UE: its own flow, and what is left to try when that is gone. RFC 5626 5.3, RFC 3261 18.
// Knows no call. A UDP flow is a pair of addresses and outlives this process; a connection does not.
import { resolveTarget, type Flow, type SipTarget } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { isUnregistered } from "./emergency.ts";

/** The UE's flow while it lives; never one of another listening point, whatever its name. */
const liveFlow = ({ transport }: EdgeContext, { flow }: Binding): Flow | undefined => {
  const found = transport.flow(flow.id);
  return found?.listener === flow.listener ? found : undefined;
};

/**
 * A new connection to where the UE listens: only to the address it registered from, so that no Contact leads elsewhere,
 * and over TLS only to who shows a certificate for it.
 */
const reconnection = (ctx: EdgeContext, { contact, flow, outbound }: Binding): SipTarget | undefined => {
  // RFC 5626 5.3: a flow of outbound is never replaced by another; its UE opens a new one, or has a second.
  if (outbound || ctx.config.registration.reconnect === "never" || flow.protocol === "udp") return undefined;
  const target = resolveTarget(contact, { protocol: flow.protocol, listener: flow.listener });
  return target?.protocol === flow.protocol && target.address === flow.address ? target : undefined;
};

/** Where requests to the UE go: never by its Contact while its flow lives. Undefined when there is no way. */
export const flowTo = (ctx: EdgeContext, binding: Binding): Flow | SipTarget | undefined =>
  liveFlow(ctx, binding) ?? reconnection(ctx, binding);

/** RFC 5626 3.2: another flow that the same device keeps. */
const spareFlow = (ctx: EdgeContext, binding: Binding): Flow | undefined => {
  for (const each of ctx.bindings.ofDevice(binding)) {
    const flow = liveFlow(ctx, each);
    if (flow !== undefined) return flow;
  }
  return undefined;
};

/**
 * The same within a dialog: over another flow of the same device when its own is gone. What is new gets 430 instead, and comes
 * along the Path of the other (RFC 5626 5.3).
 */
export const flowInDialog = (ctx: EdgeContext, binding: Binding): Flow | SipTarget | undefined =>
  liveFlow(ctx, binding) ?? spareFlow(ctx, binding) ?? reconnection(ctx, binding);

/** Whether the UE can be reached over a flow it opened itself. */
export const hasFlow = (ctx: EdgeContext, binding: Binding): boolean =>
  (liveFlow(ctx, binding) ?? spareFlow(ctx, binding)) !== undefined;

/** A connection to the UE was made anew: it is its flow from now on. */
export const noteFlow = (ctx: EdgeContext, binding: Binding, flow: Flow): void => {
  // A flow of outbound is never replaced; this is another of the same device.
  if (binding.outbound) return;
  const { protocol, listener, address } = binding.flow;
  const fits = flow.protocol === protocol && flow.listener === listener && flow.remote.address === address;
  if (!fits || flow.id === binding.flow.id || liveFlow(ctx, binding) !== undefined) return;
  if (ctx.bindings.byId(binding.id) === undefined) return;
  ctx.bindings
    .put({ ...binding, flow: { ...binding.flow, id: flow.id, ours: true } })
    .catch((error: unknown) => ctx.log.warn("store failed", { error: String(error) }));
};

/**
 * Whether what comes on `flow` may be the UE's. A token in Record-Route is no secret, and many UEs share an address: after its
 * connection is gone the UE speaks from a new one once it has registered there, under the same address of record. Whoever
 * made an emergency call without registering speaks on its own flow alone (TS 24.229 5.2.10). RFC 5626 5.3; for UDP a flow is
 * the pair of addresses.
 */
export const isFlowOf = (ctx: Pick<EdgeContext, "bindings">, binding: Binding, flow: Flow): boolean =>
  flow.id === binding.flow.id ||
  (!isUnregistered(binding) && ctx.bindings.onFlow(flow.id).some(({ aor }) => aor === binding.aor));
