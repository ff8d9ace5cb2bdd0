// The INVITE client transaction: RFC 3261 17.1.1 as corrected by RFC 6026 7.2 and 8.4, with CANCEL (9.1) and Timer C (16.6).
// Pure. Must not know what the response means beyond its class.
import type { SipResponse } from "../message/index.ts";
import { start, stay, stop, up } from "./machine.ts";
import type { MachineSetting, Step } from "./machine.ts";

export type InviteClientTimer = "A" | "B" | "C" | "D" | "M" | "cancelled";

export interface InviteClientState {
  readonly name: "calling" | "proceeding" | "completed" | "accepted" | "terminated";
  readonly setting: MachineSetting;
  /** The current Timer A interval. */
  readonly interval: number;
  readonly cancel: "no" | "wanted" | "sent";
}

export type InviteClientInput =
  | { readonly kind: "response"; readonly response: SipResponse }
  | { readonly kind: "timer"; readonly timer: InviteClientTimer }
  | { readonly kind: "transport-error"; readonly error: Error }
  /** The connection that took the INVITE has closed. */
  | { readonly kind: "connection-lost"; readonly error: Error }
  | { readonly kind: "cancel" };

type Next = Step<InviteClientState, InviteClientTimer>;

/** RFC 3261 17.1.1.2: sends the INVITE. */
export const startInviteClient = (setting: MachineSetting): Next => {
  const { T1 } = setting.timers;
  const state: InviteClientState = { name: "calling", setting, interval: T1, cancel: "no" };
  // Timer A only where the transport loses messages; Timer B always.
  return setting.reliable
    ? stay(state, { kind: "send-request" }, start("B", 64 * T1))
    : stay(state, { kind: "send-request" }, start("A", T1), start("B", 64 * T1));
};

const end = (state: InviteClientState): InviteClientState => ({ ...state, name: "terminated" });

/** A final response, or the first provisional one, ends what Calling and Proceeding were waiting for. */
const quiet = [stop("A"), stop("B"), stop("C"), stop("cancelled")] as const;

const final = (state: InviteClientState, response: SipResponse): Next => {
  const { timers, reliable } = state.setting;
  const tell = up<InviteClientTimer>({ kind: "response", response });
  // RFC 6026 8.4: a 2xx leads to Accepted, on every transport, so that its copies find their way up.
  if (response.status < 300) {
    return stay({ ...state, name: "accepted" }, ...quiet, start("M", 64 * timers.T1), tell);
  }
  // RFC 3261 17.1.1.2: the ACK is the transaction's own; Timer D is at least 32 s, or nothing on a reliable transport.
  const acknowledge = { kind: "send-ack", response } as const;
  if (reliable) return stay(end(state), acknowledge, tell);
  return stay(
    { ...state, name: "completed" },
    ...quiet,
    acknowledge,
    start("D", Math.max(32_000, 64 * timers.T1)),
    tell,
  );
};

/** RFC 3261 9.1: 64*T1 after the CANCEL the original transaction is over, answered or not. */
const sendCancel = (state: InviteClientState): Next =>
  stay(
    { ...state, cancel: "sent" },
    stop("C"),
    { kind: "send-cancel" },
    start("cancelled", 64 * state.setting.timers.T1),
  );

const calling = (state: InviteClientState, input: InviteClientInput): Next => {
  switch (input.kind) {
    case "response": {
      const { response } = input;
      if (response.status >= 200) return final(state, response);
      const proceeding: InviteClientState = { ...state, name: "proceeding" };
      const tell = up<InviteClientTimer>({ kind: "response", response });
      // RFC 3261 9.1: a CANCEL that waited for the first provisional response goes now.
      const next =
        state.cancel === "wanted" ? sendCancel(proceeding) : stay(proceeding, start("C", state.setting.timers.C));
      return stay(next.state, stop("A"), stop("B"), tell, ...next.effects);
    }
    case "timer":
      // RFC 3261 17.1.1.2: the interval doubles without a ceiling; Timer B is the ceiling.
      if (input.timer === "A") {
        const interval = state.interval * 2;
        return stay({ ...state, interval }, { kind: "send-request" }, start("A", interval));
      }
      if (input.timer === "B") return stay(end(state), up({ kind: "timeout", timer: "B" }));
      return stay(state);
    case "transport-error":
      return stay(end(state), up(input));
    case "connection-lost":
      // RFC 3261 17.1.4, 18.4: nothing says that the INVITE arrived.
      return stay(end(state), up({ kind: "transport-error", error: input.error }));
    default:
      // "cancel". RFC 3261 9.1: no CANCEL before a provisional response.
      return stay({ ...state, cancel: "wanted" });
  }
};

const proceeding = (state: InviteClientState, input: InviteClientInput): Next => {
  switch (input.kind) {
    case "response": {
      const { response } = input;
      if (response.status >= 200) return final(state, response);
      const tell = up<InviteClientTimer>({ kind: "response", response });
      // RFC 3261 16.7 step 2: any provisional response but 100 restarts Timer C.
      return response.status === 100 || state.cancel === "sent"
        ? stay(state, tell)
        : stay(state, start("C", state.setting.timers.C), tell);
    }
    case "timer":
      // RFC 3261 16.8: Timer C after a provisional response means CANCEL.
      if (input.timer === "C") return sendCancel(state);
      if (input.timer === "cancelled") return stay(end(state), up({ kind: "timeout", timer: "cancelled" }));
      return stay(state);
    case "transport-error":
    case "connection-lost":
      // The INVITE arrived, as the provisional response shows. What is left to say comes on a connection of the server's own
      // (RFC 3261 18.2.2); Timer C bounds the wait for it.
      return stay(state);
    default:
      // "cancel"
      return state.cancel === "sent" ? stay(state) : sendCancel(state);
  }
};

const completed = (state: InviteClientState, input: InviteClientInput): Next => {
  // RFC 3261 17.1.1.2: every copy of the final response is acknowledged again and told to nobody.
  if (input.kind === "response" && input.response.status >= 300) {
    return stay(state, { kind: "send-ack", response: input.response });
  }
  if (input.kind === "timer" && input.timer === "D") return stay(end(state));
  if (input.kind === "transport-error") return stay(end(state), up(input));
  return stay(state);
};

const accepted = (state: InviteClientState, input: InviteClientInput): Next => {
  // RFC 6026 8.4: every 2xx goes up, copies and those of other branches of a fork alike.
  if (input.kind === "response" && input.response.status >= 200 && input.response.status < 300) {
    return stay(state, up({ kind: "response", response: input.response }));
  }
  if (input.kind === "timer" && input.timer === "M") return stay(end(state));
  return stay(state);
};

const table = { calling, proceeding, completed, accepted, terminated: (state: InviteClientState): Next => stay(state) };

export const stepInviteClient = (state: InviteClientState, input: InviteClientInput): Next =>
  table[state.name](state, input);
