// Owns the answer to a REGISTER: RFC 3261 10.3, Path (RFC 3327 5.3), Service-Route (RFC 3608 6.3), P-Associated-URI
// (RFC 7315 4.1), option tags (RFC 3261 8.2.2.3). Must not know sockets or calls.
import type { Clock, Log } from "@sallyport/kit";
import { createResponse, headerList, headerValue, parseCSeq, parseNameAddr, parseSipUri } from "@sallyport/sip";
import { unsupportedOptionTags } from "@sallyport/sip";
import type { SipRequest, SipResponse } from "@sallyport/sip";
import type { CoreSettings } from "../config.ts";
import type { Subscriber } from "../subscribers.ts";
import type { Authentication } from "./authentication.ts";
import { readWishes } from "./contacts.ts";
import type { Wish } from "./contacts.ts";
import { sameBinding } from "./location.ts";
import type { Binding, Location } from "./location.ts";

type Headers = readonly (readonly [name: string, value: string])[];

/** What this registrar knows of; `mediasec` and `sec-agree` are not among them, as in any core behind a P-CSCF. */
const knownOptionTags = ["path"];

export interface Registrar {
  answer(request: SipRequest, toTag: string): SipResponse;
}

export const createRegistrar = (options: {
  readonly settings: CoreSettings;
  readonly location: Location;
  readonly authentication: Authentication;
  readonly clock: Clock;
  readonly log: Log;
  /** The URI of RFC 3608, for the P-CSCF to put into Route. */
  serviceRoute(): string;
}): Registrar => {
  const { settings, location, authentication, clock, log } = options;

  const granted = (request: SipRequest, subscriber: Subscriber): Headers => {
    const now = clock.now();
    const contacts = location
      .of(subscriber.impi)
      .map(
        ({ contact, params, expiresAt }) =>
          ["Contact", `<${contact}>${params};expires=${Math.max(1, Math.round((expiresAt - now) / 1000))}`] as const,
      );
    // RFC 3327 5.3: the path is told back to a client that understands it.
    const path = headerList(request, "path").map((element) => ["Path", element] as const);
    const told = supportsPath(request) ? path : [];
    return [
      ...contacts,
      ...told,
      ["Service-Route", `<${options.serviceRoute()}>`],
      ...subscriber.impus.map((impu) => ["P-Associated-URI", `<${impu}>`] as const),
    ];
  };

  const bind = (wish: Wish, request: SipRequest, callId: string, cseq: number): Binding => ({
    contact: wish.contact,
    params: wish.params,
    ...(wish.instance === undefined ? {} : { instance: wish.instance }),
    q: wish.q,
    path: headerList(request, "path"),
    callId,
    cseq,
    expiresAt: clock.now() + wish.seconds * 1000,
  });

  /** RFC 3261 10.3 step 7, all or nothing; undefined when an older request comes late. */
  const update = (
    request: SipRequest,
    subscriber: Subscriber,
    wishes: readonly Wish[],
  ): readonly Binding[] | undefined => {
    const callId = headerValue(request, "call-id") ?? "";
    const cseq = parseCSeq(headerValue(request, "cseq") ?? "")?.seq ?? 0;
    let bindings = location.of(subscriber.impi);
    for (const wish of wishes) {
      const old = bindings.filter((binding) => sameBinding(binding, wish));
      if (old.some((binding) => binding.callId === callId && binding.cseq >= cseq)) return undefined;
      bindings = bindings.filter((binding) => !old.includes(binding));
      if (wish.seconds > 0) bindings = [...bindings, bind(wish, request, callId, cseq)];
    }
    return bindings;
  };

  const decide = (request: SipRequest): readonly [status: number, headers: Headers] => {
    const unknown = [
      ...unsupportedOptionTags(request, "proxy-require", []),
      ...unsupportedOptionTags(request, "require", knownOptionTags),
    ];
    if (unknown.length > 0) return [420, [["Unsupported", [...new Set(unknown)].join(", ")]]];
    if (parseSipUri(request.uri)?.host.toLowerCase() !== settings.domain.toLowerCase()) return [404, []];
    const impu = parseNameAddr(headerValue(request, "to") ?? "")?.uri ?? "";
    const verdict = authentication.check(request, impu);
    if (verdict.kind === "refuse") return [verdict.status, []];
    if (verdict.kind === "challenge") return [401, verdict.values.map((value) => ["WWW-Authenticate", value] as const)];
    if (settings.registration.requirePathSupport && headerList(request, "path").length > 0 && !supportsPath(request)) {
      return [420, [["Unsupported", "path"]]];
    }
    const { subscriber } = verdict;
    const wishes = readWishes(request, settings.registration);
    if (wishes.kind === "refuse") {
      return wishes.status === 423 ? [423, [["Min-Expires", String(settings.registration.minExpires)]]] : [400, []];
    }
    if (wishes.kind === "update") {
      const bindings = update(request, subscriber, wishes.wishes);
      if (bindings === undefined) return [500, []];
      if (bindings.length > settings.registration.maxContacts) return [403, []];
      location.replace(subscriber.impi, bindings);
    } else if (wishes.kind === "remove-all") location.replace(subscriber.impi, []);
    log.info("registration updated", { impi: subscriber.impi, contacts: location.of(subscriber.impi).length });
    return [200, granted(request, subscriber)];
  };

  return {
    answer: (request, toTag) => {
      const [status, headers] = decide(request);
      return createResponse(request, status, undefined, { toTag, headers });
    },
  };
};

const supportsPath = (request: SipRequest): boolean =>
  [...headerList(request, "supported"), ...headerList(request, "require")].some((tag) => tag.toLowerCase() === "path");
