// Contexts on a plane without sockets, and the orders tests give them.
import type { H248Error } from "@sallyport/h248";
import type { AddRequest, SessionText, StreamOrder, WatchOrder } from "@sallyport/iq";
import { readSessionText } from "@sallyport/iq";
import type { Result } from "@sallyport/kit";
import { VirtualClock } from "@sallyport/kit";
import type { Contexts, ContextsOptions } from "../src/contexts.ts";
import { createContexts } from "../src/contexts.ts";
import type { PaperPlane } from "./plane.ts";
import { paperPlane } from "./plane.ts";

export interface Desk {
  readonly contexts: Contexts;
  readonly plane: PaperPlane;
  readonly clock: VirtualClock;
}

export const makeDesk = (more: Partial<ContextsOptions> = {}): Desk => {
  const plane = paperPlane();
  const clock = new VirtualClock(1000);
  const contexts = createContexts({
    plane,
    clock,
    interfaces: { access: [{ address: "192.0.2.20", realm: "outside" }], core: [{ address: "10.0.0.20" }] },
    maxContexts: 10,
    maxStreams: 4,
    ...more,
  });
  return { contexts, plane, clock };
};

export const watching = (more: Partial<WatchOrder>): WatchOrder => ({
  request: 5,
  inactivity: [],
  bearer: false,
  keyExpiring: false,
  clearMedia: false,
  events: [],
  ...more,
});

const text = (lines: string): SessionText => {
  const read = readSessionText(lines);
  if (!read.ok) throw new Error(read.error.text);
  return read.value;
};

export const local = (protocol: string, extra = "", family = 4): SessionText =>
  text(`v=0\nc=IN IP${family} $\nm=audio $ ${protocol} -\n${extra}`);

export const remote = (protocol: string, extra = "", address = "198.51.100.7", port = 5000): SessionText =>
  text(`v=0\nc=IN IP${address.includes(":") ? 6 : 4} ${address}\nm=audio ${port} ${protocol} -\n${extra}`);

export const stream = (protocol: string, more: Partial<StreamOrder> = {}): StreamOrder => ({
  stream: 1,
  local: { kind: "describe", text: local(protocol) },
  ...more,
});

export const addTo = (
  side: "access" | "core",
  context: number | "new",
  streams: readonly StreamOrder[],
  more: Partial<AddRequest> = {},
): AddRequest => ({
  context,
  emergency: false,
  name: { side, group: 1 },
  streams,
  latch: [],
  ...more,
});

export const code = (result: Result<unknown, H248Error>): number | undefined =>
  result.ok ? undefined : result.error.code;

export interface Pair {
  readonly context: number;
  readonly access: string;
  readonly core: string;
}

/** One context with both sides. */
export const pairOn = async (
  { contexts }: Pick<Desk, "contexts">,
  access: StreamOrder = stream("RTP/SAVP"),
  core: StreamOrder = stream("RTP/AVP"),
): Promise<Pair> => {
  const one = await contexts.handler.add(addTo("access", "new", [access]));
  if (!one.ok) throw new Error(one.error.text);
  const other = await contexts.handler.add(addTo("core", one.value.context, [core]));
  if (!other.ok) throw new Error(other.error.text);
  return { context: one.value.context, access: one.value.termination, core: other.value.termination };
};
