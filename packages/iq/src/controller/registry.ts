// Owns the controller's view of one gateway as a pure table: registration, loss, leaving. Knows no socket and no clock.
// H.248.1 7.2.8 and 11 (ServiceChange), TS 23.334 8 (AGW out of service, restoration, ALG heartbeat).
import type { H248Error } from "@sallyport/h248";
import { h248Error } from "../profile/error-text.ts";
import type { ServiceChange as ServiceChangeSaid } from "../profile/services.ts";
import type { IqProfile } from "../types.ts";
import type { GatewayState } from "./types.ts";

export interface GatewayView {
  readonly state: GatewayState;
  /** The association it registered over. */
  readonly peer?: string;
  readonly version: number;
  readonly missed: number;
  /** It is on its way to another controller, and its contexts with it. */
  readonly handedOff?: true;
  readonly reason: string;
}

export interface RegistryRules {
  readonly version: 1 | 2 | 3;
  readonly profile: IqProfile;
  /** Heartbeats that may stay unanswered. */
  readonly misses: number;
}

export type RegistryInput =
  | ({ readonly kind: "service-change"; readonly peer: string } & ServiceChangeSaid)
  | { readonly kind: "peer-closed"; readonly peer: string }
  | { readonly kind: "heartbeat-answered" }
  | { readonly kind: "heartbeat-missed" }
  /** It agreed to go to another controller. */
  | { readonly kind: "handed-off"; readonly to: string }
  /** It has been down for as long as its contexts are believed in. */
  | { readonly kind: "given-up" };

export type RegistryEffect =
  | { readonly kind: "accept"; readonly version: number; readonly profile: IqProfile }
  | { readonly kind: "refuse"; readonly error: H248Error }
  /** Somebody else holds the registration now. */
  | { readonly kind: "drop-peer"; readonly peer: string }
  | { readonly kind: "lose-contexts"; readonly reason: "restart" | "forced" | "silence" | "handoff" }
  /** Compare contexts: subtract what we do not know, lose what it does not know. */
  | { readonly kind: "resynchronise" }
  | { readonly kind: "start-heartbeat" }
  | { readonly kind: "stop-heartbeat" }
  | { readonly kind: "start-patience" }
  | { readonly kind: "stop-patience" }
  | { readonly kind: "report" };

export interface RegistryStep {
  readonly view: GatewayView;
  readonly effects: readonly RegistryEffect[];
}

export const unregistered: GatewayView = { state: "down", version: 1, missed: 0, reason: "not registered yet" };

const stay = (view: GatewayView): RegistryStep => ({ view, effects: [] });

const toDown = (view: GatewayView, reason: string, more: readonly RegistryEffect[]): RegistryStep => ({
  view: { state: "down", version: view.version, missed: 0, reason },
  effects: [{ kind: "stop-heartbeat" }, ...more, { kind: "report" }],
});

type ServiceChange = Extract<RegistryInput, { kind: "service-change" }>;

const negotiate = (rules: RegistryRules, input: ServiceChange): RegistryEffect => {
  const offered = input.profile;
  // H.248.1 7.2.8: the profile's name must be ours; of its versions the lower one counts.
  if (offered !== undefined && offered.name.toLowerCase() !== rules.profile.name.toLowerCase()) {
    const text = `profile ${offered.name}/${offered.version}, here ${rules.profile.name}/${rules.profile.version}`;
    return { kind: "refuse", error: h248Error(406, text) };
  }
  const profileVersion = Math.min(offered?.version ?? rules.profile.version, rules.profile.version);
  return {
    kind: "accept",
    version: Math.min(input.version ?? 1, rules.version),
    profile: { name: rules.profile.name, version: profileVersion },
  };
};

const register = (view: GatewayView, rules: RegistryRules, input: ServiceChange): RegistryStep => {
  const answer = negotiate(rules, input);
  if (answer.kind !== "accept") return { view, effects: [answer] };
  const replaced: readonly RegistryEffect[] =
    view.peer !== undefined && view.peer !== input.peer ? [{ kind: "drop-peer", peer: view.peer }] : [];
  // Reason 918: a graceful leave was called off, nothing was lost (H.248.1 7.2.8, Restart).
  const kept = input.method !== "Restart" || input.reason === 918;
  return {
    view: {
      state: "up",
      peer: input.peer,
      version: answer.version,
      missed: 0,
      reason: `${input.method} ${input.reason}`,
    },
    effects: [
      answer,
      ...replaced,
      { kind: "stop-patience" },
      // H.248.1 11.5: after Restart its contexts are gone; after Disconnected or Failover both sides compare.
      kept ? { kind: "resynchronise" } : { kind: "lose-contexts", reason: "restart" },
      { kind: "start-heartbeat" },
      { kind: "report" },
    ],
  };
};

const serviceChange = (view: GatewayView, rules: RegistryRules, input: ServiceChange): RegistryStep => {
  const agreed: RegistryEffect = { kind: "accept", version: view.version, profile: rules.profile };
  switch (input.method) {
    case "Restart":
    case "Disconnected":
    case "HandOff":
    case "Failover":
      return register(view, rules, input);
    // H.248.1 7.2.8 Forced: out of service at once, with everything on it.
    case "Forced": {
      const step = toDown(view, `Forced ${input.reason}`, [
        { kind: "lose-contexts", reason: "forced" },
        { kind: "stop-patience" },
      ]);
      return { view: step.view, effects: [agreed, ...step.effects] };
    }
    // H.248.1 7.2.8 Graceful: no new contexts, the old ones stay until they end.
    default:
      if (view.state === "down")
        return { view, effects: [{ kind: "refuse", error: h248Error(505, "not registered") }] };
      return {
        view: { ...view, state: "leaving", reason: `Graceful ${input.reason}` },
        effects: [agreed, { kind: "report" }],
      };
  }
};

/** One event of one gateway. */
export const stepRegistry = (view: GatewayView, rules: RegistryRules, input: RegistryInput): RegistryStep => {
  switch (input.kind) {
    case "service-change":
      return serviceChange(view, rules, input);
    // A broken connection is noticed at once; its contexts may live on until it comes back or we lose patience.
    case "peer-closed":
      if (view.peer !== input.peer) return stay(view);
      // H.248.1 7.2.8 HandOff: whoever has it now has its contexts; ours are to be made elsewhere.
      if (view.handedOff === true) return toDown(view, view.reason, [{ kind: "lose-contexts", reason: "handoff" }]);
      return toDown(view, "connection lost", [{ kind: "start-patience" }]);
    case "heartbeat-answered":
      return view.missed === 0 ? stay(view) : stay({ ...view, missed: 0 });
    case "heartbeat-missed": {
      if (view.state === "down") return stay(view);
      const missed = view.missed + 1;
      if (missed < rules.misses) return stay({ ...view, missed });
      const gone: readonly RegistryEffect[] = view.peer === undefined ? [] : [{ kind: "drop-peer", peer: view.peer }];
      return toDown(view, "heartbeat unanswered", [...gone, { kind: "start-patience" }]);
    }
    case "handed-off":
      if (view.state === "down") return stay(view);
      return {
        view: { ...view, state: "leaving", handedOff: true, reason: `handed off to ${input.to}` },
        effects: [{ kind: "report" }],
      };
    // Given up.
    default:
      if (view.state !== "down") return stay(view);
      return { view, effects: [{ kind: "lose-contexts", reason: "silence" }] };
  }
};
