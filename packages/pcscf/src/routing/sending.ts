// Sends a request by the best way there is, and by the next when that one fails: servers of the entry points (RFC 3263 4.3,
// TS 24.229 5.2.2), and TCP in the place of UDP (RFC 3261 18.1.1). Owns the tries of one request until they end.
import { SallyportError } from "@sallyport/kit";
import type { Timer } from "@sallyport/kit";
import {
  defaultTimers,
  headerValue,
  isFlow,
  type ClientHandlers,
  type ClientTransaction,
  type Flow,
  type SipRequest,
  type SipResponse,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import { waysTo, type Way } from "./ways.ts";

/**
 * RFC 4320 4.2: after 64*T1 whoever sent a request other than INVITE has given up by itself, so that nothing may be answered
 * any more. One of its copies, T2 apart, brings the answer again if it gets lost.
 */
export const inTimeMs = 64 * defaultTimers.T1 - defaultTimers.T2;

export interface Sending {
  readonly request: SipRequest;
  readonly to: Flow | SipTarget;
  /** Makes a fresh one for each try: a try is a transaction of its own. */
  readonly branch: () => string;
  /** When nobody has answered by then it is over: `onTimeout`. Left to the transaction when left out. */
  readonly withinMs?: number;
}

const retryAfterMs = (value: string | undefined): number | undefined => {
  const digits = /^\s*(\d{1,6})/.exec(value ?? "")?.[1];
  return digits === undefined ? undefined : Number(digits) * 1000;
};

/** Whether another server is to be asked instead. */
const turnsAway = ({ request: { method }, withinMs }: Sending, { status }: SipResponse): boolean =>
  status === 503 ||
  // RFC 4320 4.2: 408 is no answer to such a request.
  (withinMs !== undefined && status === 408) ||
  // TS 24.229 5.2.2: an entry point that sends a REGISTER elsewhere, or is not there for it.
  (method === "REGISTER" && ((status >= 300 && status < 400) || status === 480));

interface Try {
  readonly way: Way;
  client: ClientTransaction | undefined;
  /** It answered at all. */
  heard: boolean;
  /** Another is being asked in its place. */
  left: boolean;
}

/** As `transactions.request`, by each way in turn until one is heard of. */
export const sendRequest = (ctx: EdgeContext, sending: Sending, handlers: ClientHandlers): ClientTransaction => {
  const { request, to, branch, withinMs } = sending;
  const ways = waysTo(ctx, request, to);
  const [only] = ways;
  if (only === undefined || (ways.length === 1 && only.to === to && withinMs === undefined))
    return ctx.transactions.request(request, to, handlers, { branch: branch() });
  const isInvite = request.method === "INVITE";
  const tries: Try[] = [];
  let open = 0;
  /** Somebody is at work on it, or it is cancelled: nobody else is asked. */
  let settled = false;
  /** Its owner has been told how it ended, or is gone. */
  let over = false;
  let refusal: { readonly response: SipResponse; readonly flow: Flow } | undefined;
  let silence: Timer | undefined;
  let deadline: Timer | undefined;

  const failed = ({ to: target }: Way, ms?: number): void => {
    if (!isFlow(target)) ctx.entries.failed(target, ms);
  };
  const finish = (): void => {
    over = true;
    silence?.cancel();
    deadline?.cancel();
  };
  const end = (tell: () => void): void => {
    finish();
    // RFC 3261 16.7 step 6: what somebody said goes before what nobody did.
    if (refusal === undefined) tell();
    else handlers.onResponse(refusal.response, refusal.flow);
  };
  /** Where to go on after a way; `anew`: not to the same server by another transport. */
  const after = (way: Way, anew: boolean): Way | undefined =>
    settled || over
      ? undefined
      : ways.slice(ways.indexOf(way) + 1).find(({ server }) => !anew || server !== way.server);
  const leave = (from: Try, next: Way): void => {
    from.left = true;
    start(next);
  };
  const start = (way: Way): Try => {
    const made: Try = { way, client: undefined, heard: false, left: false };
    tries.push(made);
    open += 1;
    silence?.cancel();
    if (after(way, true) !== undefined) silence = ctx.clock.after(ctx.config.core.tryMs, () => quiet(made));
    made.client = ctx.transactions.request(request, way.to, handlersOf(made), { branch: branch() });
    return made;
  };
  /** TS 24.229 5.2.2: it "does not respond". What it may still answer counts; an INVITE is taken back (RFC 3261 16.7). */
  const quiet = (from: Try): void => {
    const next = after(from.way, true);
    if (over || from.heard || from.left || next === undefined) return;
    failed(from.way);
    if (isInvite) from.client?.cancel();
    leave(from, next);
  };
  const refused = (from: Try, response: SipResponse, flow: Flow): void => {
    if (response.status === 503) failed(from.way, retryAfterMs(headerValue(response, "retry-after")));
    if (from.left) return;
    if (response.status !== 408) refusal = { response, flow };
    const next = after(from.way, true);
    if (next === undefined) end(() => handlers.onTimeout());
    else leave(from, next);
  };
  const handlersOf = (own: Try): ClientHandlers => ({
    onResponse: (response, flow) => {
      const { status } = response;
      own.heard = true;
      // RFC 3261 16.7 step 5: every 2xx to an INVITE passes, also of one that was taken back.
      if (isInvite && status >= 200 && status < 300) {
        settled = true;
        finish();
        return handlers.onResponse(response, flow);
      }
      if (over || (isInvite && own.left)) return undefined;
      if (!settled && turnsAway(sending, response)) return refused(own, response, flow);
      if (status > 100) settled = true;
      if (status >= 200) finish();
      return handlers.onResponse(response, flow);
    },
    onTimeout: () => {
      if (over || own.left) return;
      if (!settled) failed(own.way);
      end(() => handlers.onTimeout());
    },
    onTransportError: (error) => {
      if (over || own.left) return;
      // RFC 3261 18.1.1: by another transport where no connection could be made. One that broke may have brought the request:
      // to that server it is not sent a second time.
      const broke = error instanceof SallyportError && error.code === "SALLY_SIP_FLOW_GONE";
      const next = after(own.way, broke);
      if (next?.server !== own.way.server) failed(own.way);
      if (next === undefined) end(() => handlers.onTransportError(error));
      else leave(own, next);
    },
    onEnd: () => {
      open -= 1;
      if (open === 0) handlers.onEnd?.();
    },
  });
  const forget = (): void => {
    finish();
    for (const { client } of tries) client?.forget();
  };

  if (withinMs !== undefined)
    deadline = ctx.clock.after(withinMs, () => {
      for (const { way, heard, left } of tries) if (!heard && !left) failed(way);
      forget();
      end(() => handlers.onTimeout());
      handlers.onEnd?.();
    });
  const first = start(only);
  const current = (): ClientTransaction | undefined => (tries.at(-1) ?? first).client;
  return {
    id: first.client?.id ?? "",
    get request() {
      return current()?.request ?? request;
    },
    get state() {
      return current()?.state ?? "terminated";
    },
    cancel: (headers) => {
      settled = true;
      silence?.cancel();
      for (const { client } of tries) client?.cancel(headers);
    },
    forget,
  };
};
