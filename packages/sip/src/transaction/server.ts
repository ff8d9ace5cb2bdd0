// The server transaction of every request but INVITE and ACK: RFC 3261 17.2.2, RFC 4320 4.2. Pure.
import type { SipResponse } from "../message/index.ts";
import { start, stay, stop, up } from "./machine.ts";
import type { MachineSetting, Step } from "./machine.ts";

export type ServerTimer = "silent" | "unanswered" | "J";

export interface ServerState {
  readonly name: "trying" | "proceeding" | "completed" | "terminated";
  readonly setting: MachineSetting;
  readonly last: SipResponse | undefined;
}

export type ServerInput =
  | { readonly kind: "request" }
  | { readonly kind: "respond"; readonly response: SipResponse }
  | { readonly kind: "timer"; readonly timer: ServerTimer }
  | { readonly kind: "transport-error"; readonly error: Error };

type Next = Step<ServerState, ServerTimer>;

/** How long the client's Timer E takes to reach T2: T1, 2*T1, 4*T1... */
const untilT2 = ({ T1, T2 }: MachineSetting["timers"]): number => {
  let at = 0;
  for (let interval = T1; interval < T2; interval *= 2) at += interval;
  return Math.min(Math.max(at, T1), 64 * T1);
};

// One timer at a time: most requests are answered before the first of them.
export const startServer = (setting: MachineSetting): Next =>
  stay({ name: "trying", setting, last: undefined }, start("silent", untilT2(setting.timers)));

const end = (state: ServerState): ServerState => ({ ...state, name: "terminated" });

const repeat = (state: ServerState): Next["effects"] => {
  if (state.last !== undefined) return [{ kind: "send-response", response: state.last }];
  return state.name === "proceeding" ? [{ kind: "send-trying" }] : [];
};

/** In Trying there is nothing to repeat yet; otherwise it is Proceeding. */
const open = (state: ServerState, input: ServerInput): Next => {
  switch (input.kind) {
    case "request":
      return stay(state, ...repeat(state));
    case "respond": {
      const { response } = input;
      const send = { kind: "send-response", response } as const;
      if (response.status < 200) return stay({ ...state, name: "proceeding", last: response }, send);
      // RFC 3261 17.2.2: Timer J answers copies of the request, where there can be any.
      if (state.setting.reliable) return stay(end(state), send);
      const ms = 64 * state.setting.timers.T1;
      const done = { ...state, name: "completed", last: response } as const;
      return stay(done, stop("silent"), stop("unanswered"), send, start("J", ms));
    }
    case "timer": {
      if (input.timer === "unanswered") return stay(end(state), up({ kind: "timeout", timer: "unanswered" }));
      if (input.timer !== "silent") return stay(state);
      const { timers } = state.setting;
      // RFC 4320 4.2: after 64*T1 the client has given up, no answer can reach it any more.
      const rest = start<ServerTimer>("unanswered", 64 * timers.T1 - untilT2(timers));
      // RFC 4320 4.1: whoever is not answered by now hears 100, and not earlier.
      return state.name === "proceeding" || timers.trying === Infinity
        ? stay(state, rest)
        : stay({ ...state, name: "proceeding" }, { kind: "send-trying" }, rest);
    }
    default:
      return stay(state, up(input));
  }
};

const completed = (state: ServerState, input: ServerInput): Next => {
  switch (input.kind) {
    case "request":
      return stay(state, ...repeat(state));
    case "respond":
      // RFC 3261 17.2.2: any other final response passed by the TU is discarded.
      return stay(state);
    case "timer":
      return input.timer === "J" ? stay(end(state)) : stay(state);
    default:
      return stay(state, up(input));
  }
};

const table = { trying: open, proceeding: open, completed, terminated: (state: ServerState): Next => stay(state) };

export const stepServer = (state: ServerState, input: ServerInput): Next => table[state.name](state, input);
