// Owns how a gateway finds and keeps a controller, as a pure table. Knows no socket, no clock, no randomness.
// H.248.1 7.2.8 and 11.2 (cold start), 11.5 (lost controller), 9.2 (restart avalanche).
import type { IqProfile } from "../types.ts";

export interface RegistrationRules {
  /** How many controllers are configured; they are tried in turn. */
  readonly controllers: number;
  /** The random wait before the first registration is below this, ms. */
  readonly avalancheMs: number;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  readonly version: 1 | 2 | 3;
  readonly profile: IqProfile;
}

type RegistrationState = "idle" | "waiting" | "connecting" | "registering" | "registered" | "leaving" | "closed";

export interface Registration {
  readonly state: RegistrationState;
  /** Index of the controller we talk or will talk to. */
  readonly controller: number;
  /** Failures in a row. */
  readonly failures: number;
  /** The controller that made the contexts we still hold; undefined when we hold none of anybody's. */
  readonly owner?: number;
  /** How we shall present ourselves next. With `HandOff` and `Failover` our contexts go with us. */
  readonly method: "Restart" | "Disconnected" | "HandOff" | "Failover";
  /** Controllers that sent us on, in a row. */
  readonly sentOn: number;
  /** No controller has accepted us since we started. */
  readonly cold: boolean;
  readonly reason: string;
}

export type RegistrationInput =
  /** `jitter` is a fresh random number in [0, 1). */
  | { readonly kind: "start"; readonly jitter: number }
  | { readonly kind: "waited" }
  | { readonly kind: "connected" }
  | { readonly kind: "failed"; readonly why: string; readonly jitter: number }
  | { readonly kind: "accepted"; readonly version?: number; readonly profile?: IqProfile; readonly jitter: number }
  /** The reply to our registration named another controller (`MgcIdToTry`). */
  | { readonly kind: "sent-on"; readonly controller: number; readonly jitter: number }
  /** Our controller gave us to another one: our contexts go with us (903, 909). */
  | { readonly kind: "handed-over"; readonly controller: number; readonly method: "HandOff" | "Failover" }
  | { readonly kind: "lost"; readonly why: string; readonly jitter: number }
  /**
   * The controller told us to register anew (TS 23.334: ALG restoration, AGW re-registration ordered by ALG).
   * `fresh`: it has lost its contexts.
   */
  | { readonly kind: "ordered"; readonly fresh: boolean }
  /** Contexts without a controller have been kept for as long as configured. */
  | { readonly kind: "expired" }
  | { readonly kind: "leave" }
  | { readonly kind: "left" };

export type RegistrationEffect =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "connect"; readonly controller: number }
  | {
      readonly kind: "register";
      readonly method: "Restart" | "Disconnected" | "Forced" | "HandOff" | "Failover";
      /** Reason code and its text, H.248.8. */
      readonly reason:
        | "900 Service Restored"
        | "901 Cold Boot"
        | "902 Warm Boot"
        | "903 MGC Directed Change"
        | "909 MGC Impending Failure"
        | "905 Termination taken out of service";
    }
  | { readonly kind: "disconnect" }
  /** Contexts live without a controller from now on: start counting. */
  | { readonly kind: "keep-contexts" }
  | { readonly kind: "contexts-owned" }
  | { readonly kind: "drop-contexts" }
  | { readonly kind: "report" };

export interface RegistrationStep {
  readonly registration: Registration;
  readonly effects: readonly RegistrationEffect[];
}

export const unstarted: Registration = {
  state: "idle",
  controller: 0,
  failures: 0,
  sentOn: 0,
  method: "Restart",
  cold: true,
  reason: "not started",
};

/** Exponential, with the upper half random, so that gateways that failed together do not return together. */
const backOff = (rules: RegistrationRules, failures: number, jitter: number): number => {
  const full = Math.min(rules.longestRetryMs, rules.firstRetryMs * 2 ** Math.min(failures, 20));
  return full / 2 + (full / 2) * jitter;
};

const carriesOver = (from: Registration): boolean => from.method === "HandOff" || from.method === "Failover";

const retry = (from: Registration, rules: RegistrationRules, why: string, jitter: number): RegistrationStep => {
  // H.248.1 11.5: who was handed over in vain goes back to where its contexts are known.
  const home = carriesOver(from) && from.owner !== undefined ? from.owner : undefined;
  return {
    registration: {
      ...from,
      state: "waiting",
      controller: home ?? (from.controller + 1) % rules.controllers,
      method: home === undefined ? from.method : "Disconnected",
      failures: from.failures + 1,
      sentOn: 0,
      reason: why,
    },
    effects: [{ kind: "disconnect" }, { kind: "wait", ms: backOff(rules, from.failures, jitter) }, { kind: "report" }],
  };
};

const reasonOf = (
  method: Registration["method"],
  cold: boolean,
): Extract<RegistrationEffect, { kind: "register" }>["reason"] => {
  switch (method) {
    case "Disconnected":
      return "900 Service Restored";
    case "HandOff":
      return "903 MGC Directed Change";
    case "Failover":
      return "909 MGC Impending Failure";
    // Restart.
    default:
      return cold ? "901 Cold Boot" : "902 Warm Boot";
  }
};

const registerNow = (from: Registration): RegistrationStep => {
  // Another controller knows nothing of our contexts: they go, and what starts is a warm boot (H.248.1 11.5).
  // Unless it was told that we come with them.
  const foreign = from.owner !== undefined && from.owner !== from.controller && !carriesOver(from);
  const { owner: _owner, ...rest } = from;
  const method = foreign ? "Restart" : from.method;
  const reason = reasonOf(method, from.cold);
  return {
    registration: { ...(foreign ? rest : from), state: "registering", method },
    effects: [...(foreign ? [{ kind: "drop-contexts" } as const] : []), { kind: "register", method, reason }],
  };
};

const registerAgain = (from: Registration, fresh: boolean): RegistrationStep => {
  if (!fresh) return registerNow(from);
  const { owner: _owner, ...rest } = from;
  const step = registerNow({ ...rest, method: "Restart" });
  return { registration: step.registration, effects: [{ kind: "drop-contexts" }, ...step.effects] };
};

const accepted = (
  from: Registration,
  rules: RegistrationRules,
  input: Extract<RegistrationInput, { kind: "accepted" }>,
): RegistrationStep => {
  // H.248.1 7.2.8: the reply carries the version and profile to use; one we can not speak ends the attempt.
  const profile = input.profile;
  if ((input.version ?? 1) > rules.version) return retry(from, rules, `version ${input.version} asked`, input.jitter);
  if (profile !== undefined && profile.name.toLowerCase() !== rules.profile.name.toLowerCase()) {
    return retry(from, rules, `profile ${profile.name} asked`, input.jitter);
  }
  return {
    registration: {
      ...from,
      state: "registered",
      failures: 0,
      sentOn: 0,
      owner: from.controller,
      method: "Disconnected",
      cold: false,
      reason: "registered",
    },
    effects: [{ kind: "contexts-owned" }, { kind: "report" }],
  };
};

const lost = (from: Registration, rules: RegistrationRules, why: string, jitter: number): RegistrationStep => {
  // The same controller first: it may only have lost the connection.
  const wait = backOff(rules, 0, jitter);
  return {
    registration: { ...from, state: "waiting", failures: 1, reason: why },
    effects: [{ kind: "disconnect" }, { kind: "keep-contexts" }, { kind: "wait", ms: wait }, { kind: "report" }],
  };
};

/** H.248.1 7.2.8: `MgcIdToTry` in the reply. A ring of controllers that send us on ends in the ordinary retry. */
const sentOn = (
  from: Registration,
  rules: RegistrationRules,
  input: Extract<RegistrationInput, { kind: "sent-on" }>,
): RegistrationStep => {
  if (from.sentOn >= rules.controllers) return retry(from, rules, "controllers send us in a ring", input.jitter);
  return {
    registration: {
      ...from,
      state: "connecting",
      controller: input.controller,
      sentOn: from.sentOn + 1,
      reason: "sent on by a controller",
    },
    effects: [{ kind: "disconnect" }, { kind: "connect", controller: input.controller }],
  };
};

/** H.248.1 7.2.8, methods HandOff and Failover from the controller. Contexts wait for the other one as for a lost one. */
const handedOver = (
  from: Registration,
  input: Extract<RegistrationInput, { kind: "handed-over" }>,
): RegistrationStep => ({
  registration: {
    ...from,
    state: "connecting",
    controller: input.controller,
    method: input.method,
    failures: 0,
    sentOn: 0,
    reason: "handed over",
  },
  effects: [
    { kind: "disconnect" },
    { kind: "keep-contexts" },
    { kind: "connect", controller: input.controller },
    { kind: "report" },
  ],
});

const leave = (from: Registration): RegistrationStep => {
  if (from.state === "registered") {
    return {
      registration: { ...from, state: "leaving", reason: "leaving" },
      effects: [{ kind: "register", method: "Forced", reason: "905 Termination taken out of service" }],
    };
  }
  return {
    registration: { ...from, state: "closed", reason: "closed" },
    effects: [{ kind: "disconnect" }, { kind: "drop-contexts" }],
  };
};

/** One event of the registration. Inputs that do not fit the state change nothing. */
export const stepRegistration = (
  from: Registration,
  rules: RegistrationRules,
  input: RegistrationInput,
): RegistrationStep => {
  const nothing: RegistrationStep = { registration: from, effects: [] };
  if (from.state === "closed") return nothing;
  switch (input.kind) {
    case "start":
      if (from.state !== "idle") return nothing;
      // H.248.1 9.2: many gateways powered up together must not all register at once.
      return {
        registration: { ...from, state: "waiting" },
        effects: [{ kind: "wait", ms: rules.avalancheMs * input.jitter }],
      };
    case "waited":
      if (from.state !== "waiting") return nothing;
      return {
        registration: { ...from, state: "connecting" },
        effects: [{ kind: "connect", controller: from.controller }],
      };
    case "connected":
      return from.state === "connecting" ? registerNow(from) : nothing;
    case "failed":
      return from.state === "connecting" || from.state === "registering"
        ? retry(from, rules, input.why, input.jitter)
        : nothing;
    case "accepted":
      return from.state === "registering" ? accepted(from, rules, input) : nothing;
    case "sent-on":
      return from.state === "registering" ? sentOn(from, rules, input) : nothing;
    case "handed-over":
      return from.state === "registered" ? handedOver(from, input) : nothing;
    case "lost":
      if (from.state === "registered") return lost(from, rules, input.why, input.jitter);
      if (from.state === "connecting" || from.state === "registering")
        return retry(from, rules, input.why, input.jitter);
      return nothing;
    case "ordered":
      return from.state === "registered" ? registerAgain(from, input.fresh) : nothing;
    case "expired": {
      if (from.state === "registered" || from.owner === undefined) return nothing;
      const { owner: _gone, ...rest } = from;
      return { registration: { ...rest, method: "Restart" }, effects: [{ kind: "drop-contexts" }, { kind: "report" }] };
    }
    case "leave":
      return leave(from);
    // Left.
    default:
      return from.state === "leaving"
        ? {
            registration: { ...from, state: "closed", reason: "closed" },
            effects: [{ kind: "disconnect" }, { kind: "drop-contexts" }],
          }
        : nothing;
  }
};
