// Subscriptions to the reg event: how this edge learns that the network ended a registration. Owns one subscription for
// each registered identity, its refresh and its end. RFC 3680, RFC 6665, TS 24.229 5.2.3. Must not know calls.
import { token, type Timer } from "@sallyport/kit";
import {
  afterRequest,
  createRequest,
  createResponse,
  dialogFromResponse,
  dialogRequest,
  formatHost,
  headerValue,
  tagOf,
  type Dialog,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
  type SipTarget,
} from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import { withCharging } from "../routing/charging.ts";
import { branchFor, coreTarget } from "../routing/outgoing.ts";
import { sendRequest } from "../routing/sending.ts";
import type { Binding } from "./binding.ts";
import { afterRegInfo } from "./network-state.ts";
import { parseRegInfo } from "./reginfo.ts";

export interface RegEvents {
  readonly size: number;
  /** A binding was registered or refreshed. */
  registered(binding: Binding): void;
  /** A binding is gone, for whatever reason. */
  gone(binding: Binding): void;
  /** A NOTIFY whose Request-URI carries our token with this subject. */
  notify(transaction: ServerTransaction, subject: string): void;
  close(): void;
}

interface Subscription {
  readonly id: string;
  readonly aor: string;
  readonly callId: string;
  readonly tag: string;
  readonly since: number;
  readonly bindings: Set<string>;
  dialog: Dialog | undefined;
  version: number;
  /** A document before the last one never came. */
  missed: boolean;
  /** When it was last asked for, ms since the epoch. */
  asked: number;
  ending: boolean;
  /** The notifier has ended or refused it; what it watched is kept for the next one. */
  over: boolean;
  /** Until when the notifier keeps it, ms since the epoch. */
  until: number;
  timer: Timer | undefined;
}

/** Longer than any registration usually is (TS 24.229 5.2.3); the notifier may grant less. */
const expiresS = 7200;
/** A notifier that ends subscriptions at once must not keep us busy. */
const resubscribeMs = 10_000;
/** RFC 6665 4.1.2.2, RFC 5057 5.1: answers to a refresh that end a subscription; after others it goes on until it expires. */
const endsSubscription = new Set([404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604]);
/** How long an ended subscription waits for its last NOTIFY. RFC 6665 4.1.2: timer N. */
const lingerMs = 32_000;

export const createRegEvents = (ctx: EdgeContext): RegEvents => {
  const { clock, log, random, bindings } = ctx;
  const byId = new Map<string, Subscription>();
  const byAor = new Map<string, Subscription>();

  const forget = (subscription: Subscription): void => {
    subscription.timer?.cancel();
    byId.delete(subscription.id);
    if (byAor.get(subscription.aor) === subscription) byAor.delete(subscription.aor);
  };

  /** Nothing more comes of it; whoever registers again makes another. */
  const rest = (subscription: Subscription): void => {
    subscription.over = true;
    subscription.timer?.cancel();
    byId.delete(subscription.id);
  };

  const arm = (subscription: Subscription, ms: number, run: () => void): void => {
    subscription.timer?.cancel();
    subscription.timer = clock.after(ms, run);
  };

  /** Where NOTIFY of a subscription shall come to. */
  const contactOf = ({ id }: Subscription): string | undefined => {
    const point = ctx.points.all.find(({ name }) => name === ctx.nextHop.listener);
    const user = ctx.tokens.seal("watch", id);
    return point === undefined
      ? undefined
      : `<sip:${user}@${formatHost(point.host)}:${point.port};transport=${point.protocol}>`;
  };

  const headersOf = (contact: string, expires: number): readonly (readonly [string, string])[] => [
    ["Contact", contact],
    ["Event", "reg"],
    ["Accept", "application/reginfo+xml"],
    ["Expires", String(expires)],
  ];

  const onResponse = (subscription: Subscription, request: SipRequest, response: SipResponse): void => {
    if (response.status < 200 || byId.get(subscription.id) !== subscription) return;
    if (response.status >= 300) {
      log.info("reg subscription refused", { aor: subscription.aor, status: response.status });
      return notRenewed(subscription, endsSubscription.has(response.status));
    }
    subscription.dialog ??= dialogFromResponse(request, response);
    // The registration ended before this answer came: there was no dialog yet to say so in.
    if (subscription.ending) return headerValue(request, "expires") === "0" ? undefined : renew(subscription, 0);
    const granted = Number(headerValue(response, "expires") ?? expiresS);
    const seconds = Number.isFinite(granted) && granted > 0 ? Math.min(granted, expiresS) : expiresS;
    keep(subscription, seconds);
  };

  /** The notifier keeps it so long: it is refreshed in time. */
  const keep = (subscription: Subscription, seconds: number): void => {
    subscription.until = clock.now() + seconds * 1000;
    const early = seconds > 1200 ? seconds - 600 : seconds / 2;
    arm(subscription, Math.max(early * 1000, resubscribeMs), () => renew(subscription, expiresS));
  };

  const notRenewed = (subscription: Subscription, ended: boolean): void => {
    if (subscription.ending) return;
    const left = subscription.until - clock.now();
    if (!ended && subscription.dialog !== undefined && left > resubscribeMs)
      return arm(subscription, Math.max(left / 2, resubscribeMs), () => renew(subscription, expiresS));
    const established = subscription.dialog !== undefined;
    rest(subscription);
    // One that never stood is tried again with the next refresh of the registration.
    if (established) again(subscription, "");
  };

  const send = (subscription: Subscription, request: SipRequest, to: SipTarget): void => {
    const failed = (): void => {
      log.info("reg subscription not answered", { aor: subscription.aor });
      if (byId.get(subscription.id) === subscription) notRenewed(subscription, false);
    };
    const handlers = {
      onResponse: (response: SipResponse) => onResponse(subscription, request, response),
      onTimeout: failed,
      onTransportError: failed,
    };
    sendRequest(ctx, { request, to, branch: () => branchFor(ctx, request) }, handlers);
  };

  /** Refreshes, or ends with 0, inside the dialog. */
  const renew = (subscription: Subscription, expires: number): void => {
    const contact = contactOf(subscription);
    if (subscription.dialog === undefined || contact === undefined) return;
    const next = dialogRequest(subscription.dialog, "SUBSCRIBE", { headers: headersOf(contact, expires) });
    subscription.dialog = next.dialog;
    subscription.asked = clock.now();
    send(subscription, next.request, coreTarget(ctx, next.nextHopUri));
  };

  const subscribe = (aor: string, ids: Iterable<string>): void => {
    const subscription: Subscription = {
      id: token(random, 24),
      aor,
      callId: token(random, 32),
      tag: token(random, 16),
      since: clock.now(),
      bindings: new Set(ids),
      dialog: undefined,
      version: -1,
      missed: false,
      asked: clock.now(),
      ending: false,
      over: false,
      until: 0,
      timer: undefined,
    };
    const contact = contactOf(subscription);
    if (contact === undefined) return;
    const own = `<sip:${ctx.config.homeNetwork}>`;
    const request = createRequest({
      method: "SUBSCRIBE",
      uri: aor,
      headers: [
        ["Max-Forwards", "70"],
        ["From", `${own};tag=${subscription.tag}`],
        ["To", `<${aor}>`],
        ["Call-ID", subscription.callId],
        ["CSeq", "1 SUBSCRIBE"],
        ["P-Asserted-Identity", own],
        ...headersOf(contact, expiresS),
      ],
    });
    byId.set(subscription.id, subscription);
    byAor.set(aor, subscription);
    send(subscription, withCharging(request, ctx.config.homeNetwork, random), ctx.nextHop);
  };

  const end = (subscription: Subscription): void => {
    subscription.ending = true;
    if (byAor.get(subscription.aor) === subscription) byAor.delete(subscription.aor);
    if (subscription.over) return;
    renew(subscription, 0);
    arm(subscription, lingerMs, () => forget(subscription));
  };

  /** The subscription is over by the notifier's word; as long as somebody is registered we want another. */
  const again = (subscription: Subscription, reason: string): void => {
    const left = [...subscription.bindings].filter((id) => bindings.byId(id) !== undefined);
    const wanted = left.length > 0 && !subscription.ending && !/noresource|rejected|giveup/i.test(reason);
    if (wanted && clock.now() - subscription.since >= resubscribeMs) subscribe(subscription.aor, left);
  };

  const apply = (subscription: Subscription, request: SipRequest): number => {
    const type = (headerValue(request, "content-type") ?? "").split(";")[0]?.trim().toLowerCase();
    if (type !== "application/reginfo+xml") return 415;
    const parsed = parseRegInfo(request.body);
    if (!parsed.ok) {
      log.warn("reginfo unusable", { aor: subscription.aor, code: parsed.code });
      return 400;
    }
    if (parsed.info.version <= subscription.version) return 200;
    // RFC 3680 5.2: what a partial document leaves out may be what was in the one that never came.
    subscription.missed = parsed.info.state === "partial" && parsed.info.version > subscription.version + 1;
    subscription.version = parsed.info.version;
    const failed = (error: unknown): void => log.warn("store failed", { error: String(error) });
    for (const id of subscription.bindings) {
      const binding = bindings.byId(id);
      const after = binding === undefined ? undefined : afterRegInfo(binding, parsed.info, clock.now());
      if (binding === undefined || after === binding) continue;
      log.info(after === undefined ? "registration ended by the network" : "registration changed by the network", {
        aor: binding.aor,
      });
      (after === undefined ? bindings.drop(id) : bindings.put(after)).catch(failed);
    }
    return 200;
  };

  return {
    get size() {
      return byId.size;
    },
    registered: (binding) => {
      const found = byAor.get(binding.aor);
      if (found === undefined) subscribe(binding.aor, [binding.id]);
      else if (found.over) subscribe(binding.aor, [...found.bindings, binding.id]);
      else found.bindings.add(binding.id);
    },
    gone: (binding) => {
      const found = byAor.get(binding.aor);
      if (found?.bindings.delete(binding.id) === true && found.bindings.size === 0) end(found);
    },
    notify: (transaction, subject) => {
      const { request } = transaction;
      const answer = (status: number): void =>
        transaction.respond(createResponse(request, status, undefined, { toTag: transaction.toTag }));
      const subscription = byId.get(subject);
      const known =
        subscription?.callId === headerValue(request, "call-id") && subscription?.tag === tagOf(request, "to");
      if (subscription === undefined || !known) return answer(481);
      // RFC 6665 4.1.2.4: one notifier is enough; each would count its versions by itself.
      const { dialog } = subscription;
      if (dialog !== undefined && dialog.remoteTag !== tagOf(request, "from")) return answer(481);
      if ((headerValue(request, "event") ?? "").split(";")[0]?.trim().toLowerCase() !== "reg") return answer(489);
      const [state = "", ...params] = (headerValue(request, "subscription-state") ?? "").toLowerCase().split(";");
      if (state.trim() === "") return answer(400);
      const order = subscription.dialog === undefined ? undefined : afterRequest(subscription.dialog, request);
      if (order?.ok === false) return answer(order.status);
      subscription.dialog = order?.dialog ?? subscription.dialog;
      const over = state.trim() === "terminated";
      // Before the bindings go: there is nothing left to unsubscribe from.
      if (over) rest(subscription);
      const status = request.body.length === 0 ? 200 : apply(subscription, request);
      answer(status);
      if (over) return again(subscription, params.join(";"));
      // RFC 6665 4.1.2.2: the notifier may shorten it at any time.
      const told = Number(/^expires=(\d{1,9})$/.exec(params.find((param) => param.startsWith("expires")) ?? "")?.[1]);
      if (!subscription.ending && clock.now() + told * 1000 < subscription.until) keep(subscription, told);
      if (!subscription.missed || subscription.ending) return undefined;
      // A refresh brings all of it.
      subscription.missed = false;
      const pause = subscription.asked + resubscribeMs - clock.now();
      return arm(subscription, Math.max(pause, 0), () => renew(subscription, expiresS));
    },
    close: () => {
      for (const subscription of byId.values()) subscription.timer?.cancel();
      byId.clear();
      byAor.clear();
    },
  };
};
