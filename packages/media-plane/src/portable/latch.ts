// Owns where one flow (the RTP or the RTCP of a leg) sends to and whom it hears (H.248.37). Pure.
// Whether a packet may teach anything was decided before: on a protected leg only its verified tag lets it come here.
import { SocketAddress, isIPv6 } from "node:net";
import type { Endpoint } from "@sallyport/kit";
import type { LatchRule } from "../plane.ts";

export interface LatchState {
  readonly rule: LatchRule;
  readonly learned: Endpoint | undefined;
  /** The next packet from a source other than `learned` will be learned. */
  readonly waiting: boolean;
}

export const noLatch: LatchState = { rule: "off", learned: undefined, waiting: false };

/** H.248.37: the signal starts the learning; `latch` on a flow that has learned changes nothing, `off` forgets. */
export const applyLatch = (state: LatchState, rule: LatchRule): LatchState => {
  if (rule === "off") return noLatch;
  if (rule === "relatch") return { rule, learned: state.learned, waiting: true };
  return state.learned === undefined ? { rule, learned: undefined, waiting: true } : { ...state, rule };
};

/** The signalled address changed: the peer moved, so what was learned is void and a latching flow learns anew. */
export const movedRemote = (state: LatchState): LatchState =>
  state.rule === "off" ? state : { rule: state.rule, learned: undefined, waiting: true };

const same = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && a.address === b.address;

/** Whether a flow without protection takes packets from there. `remoteAddress` is the signalled one. */
export const hears = (state: LatchState, remoteAddress: string | undefined, from: Endpoint): boolean => {
  // Not asked to learn: only the signalled address, whatever the port (an endpoint may send from another one).
  if (state.rule === "off") return remoteAddress === from.address;
  return state.waiting || (state.learned !== undefined && same(state.learned, from));
};

/** The state after an acceptable packet; the same object when nothing was learned. */
export const learn = (state: LatchState, from: Endpoint): LatchState => {
  if (!state.waiting || (state.learned !== undefined && same(state.learned, from))) return state;
  return { rule: state.rule, learned: { address: from.address, port: from.port }, waiting: false };
};

/** The form in which the system reports an address, so that comparing text is comparing addresses. */
export const canonicalAddress = (address: string): string => {
  // No regular expression for what is no IPv6 at a glance.
  if (!address.includes(":")) return address;
  const [bare = "", zone] = address.split("%", 2);
  if (!isIPv6(bare)) return address;
  const canonical = new SocketAddress({ address: bare, family: "ipv6" }).address;
  return zone === undefined ? canonical : `${canonical}%${zone}`;
};
