// The INVITE server transaction: RFC 3261 17.2.1 as corrected by RFC 6026 7.1 and 8.5. Pure.
// The copies of a 2xx are the user agent's business (RFC 3261 13.3.1.4); here they only pass.
import type { SipResponse } from "../message/index.ts";
import { start, stay, stop, up } from "./machine.ts";
import type { MachineSetting, Step } from "./machine.ts";

export type InviteServerTimer = "trying" | "G" | "H" | "I" | "L";

export interface InviteServerState {
  readonly name: "proceeding" | "completed" | "confirmed" | "accepted" | "terminated";
  readonly setting: MachineSetting;
  /** The current Timer G interval. */
  readonly interval: number;
  /** What a repeated INVITE is answered with; `trying` is the transaction's own 100. */
  readonly last: SipResponse | "trying" | undefined;
}

export type InviteServerInput =
  | { readonly kind: "request" }
  | { readonly kind: "ack" }
  | { readonly kind: "respond"; readonly response: SipResponse }
  | { readonly kind: "timer"; readonly timer: InviteServerTimer }
  | { readonly kind: "transport-error"; readonly error: Error };

type Next = Step<InviteServerState, InviteServerTimer>;

export const startInviteServer = (setting: MachineSetting): Next => {
  const { T1, trying } = setting.timers;
  const state: InviteServerState = { name: "proceeding", setting, interval: T1, last: undefined };
  // RFC 3261 17.2.1: a 100 unless somebody answers within 200 ms.
  return trying === Infinity ? stay(state) : stay(state, start("trying", trying));
};

const end = (state: InviteServerState): InviteServerState => ({ ...state, name: "terminated" });

/** What is sent again: the last response, if there is one. */
const repeat = (state: InviteServerState): Next["effects"] => {
  if (state.last === undefined) return [];
  return state.last === "trying" ? [{ kind: "send-trying" }] : [{ kind: "send-response", response: state.last }];
};

const respond = (state: InviteServerState, response: SipResponse): Next => {
  const { timers, reliable } = state.setting;
  const send = { kind: "send-response", response } as const;
  if (response.status < 200) return stay({ ...state, last: response }, stop("trying"), send);
  // RFC 6026 7.1: Accepted, where copies of the INVITE go under and 2xx responses pass.
  if (response.status < 300) {
    return stay({ ...state, name: "accepted", last: response }, stop("trying"), send, start("L", 64 * timers.T1));
  }
  // RFC 3261 17.2.1: repeat until the ACK (G, only where messages get lost), but not for ever (H).
  const completed: InviteServerState = { ...state, name: "completed", last: response };
  const limit = start<InviteServerTimer>("H", 64 * timers.T1);
  return reliable
    ? stay(completed, stop("trying"), send, limit)
    : stay(completed, stop("trying"), send, start("G", timers.T1), limit);
};

const proceeding = (state: InviteServerState, input: InviteServerInput): Next => {
  switch (input.kind) {
    case "request":
      return stay(state, ...repeat(state));
    case "respond":
      return respond(state, input.response);
    case "timer":
      return input.timer === "trying" ? stay({ ...state, last: "trying" }, { kind: "send-trying" }) : stay(state);
    case "transport-error":
      // RFC 6026 8.8: told, and the state is kept.
      return stay(state, up(input));
    default:
      // "ack": there is nothing yet that it could acknowledge.
      return stay(state);
  }
};

const completed = (state: InviteServerState, input: InviteServerInput): Next => {
  const { T2, T4 } = state.setting.timers;
  switch (input.kind) {
    case "request":
      return stay(state, ...repeat(state));
    case "ack":
      // RFC 3261 17.2.1: Confirmed takes in the copies of the ACK.
      if (state.setting.reliable) return stay(end(state), up({ kind: "ack" }));
      return stay({ ...state, name: "confirmed" }, stop("G"), stop("H"), start("I", T4), up({ kind: "ack" }));
    case "timer":
      if (input.timer === "G") {
        const interval = Math.min(state.interval * 2, T2);
        return stay({ ...state, interval }, ...repeat(state), start("G", interval));
      }
      if (input.timer === "H") return stay(end(state), up({ kind: "timeout", timer: "H" }));
      return stay(state);
    case "transport-error":
      return stay(state, up(input));
    default:
      // "respond". RFC 3261 17.2.1: any other final response passed by the TU is discarded.
      return stay(state);
  }
};

const confirmed = (state: InviteServerState, input: InviteServerInput): Next =>
  input.kind === "timer" && input.timer === "I" ? stay(end(state)) : stay(state);

const accepted = (state: InviteServerState, input: InviteServerInput): Next => {
  // RFC 6026 7.1: only 2xx responses pass, those of other branches of a fork too.
  if (input.kind === "respond" && input.response.status >= 200 && input.response.status < 300) {
    return stay(state, { kind: "send-response", response: input.response });
  }
  if (input.kind === "ack") return stay(state, up({ kind: "ack-2xx" }));
  if (input.kind === "timer" && input.timer === "L") return stay(end(state));
  if (input.kind === "transport-error") return stay(state, up(input));
  return stay(state);
};

const table = {
  proceeding,
  completed,
  confirmed,
  accepted,
  terminated: (state: InviteServerState): Next => stay(state),
};

export const stepInviteServer = (state: InviteServerState, input: InviteServerInput): Next =>
  table[state.name](state, input);
