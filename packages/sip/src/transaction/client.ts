// The client transaction of every request but INVITE and ACK: RFC 3261 17.1.2. Pure.
import type { SipResponse } from "../message/index.ts";
import { start, stay, stop, up } from "./machine.ts";
import type { MachineSetting, Step } from "./machine.ts";

export type ClientTimer = "E" | "F" | "K";

export interface ClientState {
  readonly name: "trying" | "proceeding" | "completed" | "terminated";
  readonly setting: MachineSetting;
  /** The current Timer E interval. */
  readonly interval: number;
}

export type ClientInput =
  | { readonly kind: "response"; readonly response: SipResponse }
  | { readonly kind: "timer"; readonly timer: ClientTimer }
  | { readonly kind: "transport-error"; readonly error: Error }
  /** The connection that took the request has closed. */
  | { readonly kind: "connection-lost"; readonly error: Error };

type Next = Step<ClientState, ClientTimer>;

export const startClient = (setting: MachineSetting): Next => {
  const { T1 } = setting.timers;
  const state: ClientState = { name: "trying", setting, interval: T1 };
  return setting.reliable
    ? stay(state, { kind: "send-request" }, start("F", 64 * T1))
    : stay(state, { kind: "send-request" }, start("E", T1), start("F", 64 * T1));
};

const end = (state: ClientState): ClientState => ({ ...state, name: "terminated" });

const lost = (state: ClientState, error: Error): Next => stay(end(state), up({ kind: "transport-error", error }));

/** Trying and Proceeding differ only in how fast they repeat the request. */
const waiting = (state: ClientState, input: ClientInput): Next => {
  const { T2, T4 } = state.setting.timers;
  switch (input.kind) {
    case "response": {
      const tell = up<ClientTimer>(input);
      if (input.response.status < 200) return stay({ ...state, name: "proceeding" }, tell);
      // RFC 3261 17.1.2.2: Timer K takes in the copies of the answer, where there can be any.
      if (state.setting.reliable) return stay(end(state), tell);
      return stay({ ...state, name: "completed" }, stop("E"), stop("F"), start("K", T4), tell);
    }
    case "timer":
      if (input.timer === "E") {
        // RFC 3261 17.1.2.2: doubling up to T2 in Trying, T2 in Proceeding.
        const interval = state.name === "trying" ? Math.min(state.interval * 2, T2) : T2;
        return stay({ ...state, interval }, { kind: "send-request" }, start("E", interval));
      }
      if (input.timer === "F") return stay(end(state), up({ kind: "timeout", timer: "F" }));
      return stay(state);
    case "connection-lost":
      // RFC 3261 17.1.4, 18.4: nothing says that the request arrived. After a provisional answer the server knows where to
      // find us: it opens a connection of its own for the rest (18.2.2), and Timer F bounds the wait.
      return state.name === "trying" ? lost(state, input.error) : stay(state);
    default:
      return stay(end(state), up(input));
  }
};

const completed = (state: ClientState, input: ClientInput): Next =>
  input.kind === "timer" && input.timer === "K" ? stay(end(state)) : stay(state);

const table = {
  trying: waiting,
  proceeding: waiting,
  completed,
  terminated: (state: ClientState): Next => stay(state),
};

export const stepClient = (state: ClientState, input: ClientInput): Next => table[state.name](state, input);
