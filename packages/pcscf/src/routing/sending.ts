// Sends a request by the best way there is, and by the next when that one fails: servers of the next hop (RFC 3263 4.3),
// and TCP in the place of UDP for what is too long for a datagram (RFC 3261 18.1.1). Knows no method but by its length.
import { SallyportError } from "@sallyport/kit";
import {
  headerValue,
  isFlow,
  type ClientHandlers,
  type ClientTransaction,
  type Flow,
  type SipRequest,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";

/** RFC 3261 18.1.1: longer ones go by a transport with congestion control, as the path's MTU is not known. */
const maxDatagram = 1300;
/** Our own Via, which is not in the request yet. */
const viaLength = 160;

/** One way to a server; TCP and UDP to the same one are two. */
interface Way {
  readonly to: Flow | SipTarget;
  readonly server: number;
}

const lengthOf = (request: SipRequest): number => {
  let length = request.startLine.length + 4 + request.body.length + viaLength;
  for (const { raw } of request.headers) length += raw.length + 2;
  return length;
};

/** The servers of the next hop as the DNS has them, each from a listening point of its transport. */
const serversOf = ({ config, locator, points }: EdgeContext): readonly SipTarget[] =>
  (locator?.known(config.core.nextHop) ?? []).flatMap((target) => {
    const point = points.ofProtocol("core", target.protocol);
    const serverName = config.core.nextHopName ?? target.serverName;
    return point === undefined
      ? []
      : [{ ...target, listener: point.name, ...(serverName === undefined ? {} : { serverName }) }];
  });

const waysTo = (ctx: EdgeContext, request: SipRequest, to: Flow | SipTarget): readonly Way[] => {
  // A UE's flow is the only way to it: what is too long for one datagram goes in fragments.
  if (isFlow(to)) return [{ to, server: 0 }];
  const located = to === ctx.nextHop && ctx.locator !== undefined ? serversOf(ctx) : [];
  const servers = located.length > 0 ? located : [to];
  return servers.flatMap((target, server): readonly Way[] => {
    const long = target.protocol === "udp" && lengthOf(request) > maxDatagram;
    const point = long ? ctx.points.ofProtocol("core", "tcp") : undefined;
    if (point === undefined) return [{ to: target, server }];
    return [
      { to: { ...target, protocol: "tcp", listener: point.name }, server },
      { to: target, server },
    ];
  });
};

const retryAfterMs = (value: string | undefined): number | undefined => {
  const digits = /^\s*(\d{1,6})/.exec(value ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits) * 1000;
};

/**
 * As `transactions.request`, by each way in turn until one is heard of. `branch` makes a fresh one for each try: a try is a
 * transaction of its own.
 */
export const sendRequest = (
  ctx: EdgeContext,
  request: SipRequest,
  to: Flow | SipTarget,
  handlers: ClientHandlers,
  branch: () => string,
): ClientTransaction => {
  const ways = waysTo(ctx, request, to);
  const [only] = ways;
  if (only === undefined || (ways.length === 1 && only.to === to))
    return ctx.transactions.request(request, to, handlers, { branch: branch() });
  let at = -1;
  let heard = false;
  let cancelled = false;
  let forgotten = false;
  let current: ClientTransaction | undefined;

  const failed = ({ to: target }: Way, ms?: number): void => {
    if (!isFlow(target)) ctx.locator?.failed(target, ms);
  };
  /** Goes on with the next way; false when there is none, or nobody wants it any more. */
  const next = (from: number): boolean => {
    const way = ways[from];
    if (way === undefined || heard || cancelled || forgotten) return false;
    current = open(way, from);
    return true;
  };
  const open = (way: Way, from: number): ClientTransaction => {
    at = from;
    return ctx.transactions.request(request, way.to, of(way, from), { branch: branch() });
  };
  const of = (way: Way, index: number): ClientHandlers => ({
    onResponse: (response, flow) => {
      if (response.status === 503 && !heard) {
        failed(way, retryAfterMs(headerValue(response, "retry-after")));
        // RFC 3263 4.3: another server, not another transport to this one.
        const other = ways.findIndex(({ server }, place) => place > index && server !== way.server);
        if (other >= 0 && next(other)) return;
      }
      if (response.status > 100) heard = true;
      handlers.onResponse(response, flow);
    },
    onTimeout: () => {
      if (at !== index) return;
      if (!heard) failed(way);
      handlers.onTimeout();
    },
    onTransportError: (error) => {
      if (at !== index) return;
      // RFC 3261 18.1.1: by another transport where no connection could be made. One that broke may have brought the request:
      // to that server it is not sent a second time.
      const broke = error instanceof SallyportError && error.code === "SALLY_SIP_FLOW_GONE";
      const other = ways.findIndex(({ server }, place) => place > index && (!broke || server !== way.server));
      if (other < 0 || ways[other]?.server !== way.server) failed(way);
      if (other < 0 || !next(other)) handlers.onTransportError(error);
    },
    onEnd: () => {
      if (at === index) handlers.onEnd?.();
    },
  });
  const first = open(only, 0);
  return {
    id: first.id,
    get request() {
      return (current ?? first).request;
    },
    get state() {
      return (current ?? first).state;
    },
    cancel: (headers) => {
      cancelled = true;
      (current ?? first).cancel(headers);
    },
    forget: () => {
      forgotten = true;
      (current ?? first).forget();
    },
  };
};
