// Owns what a REGISTER asks for: which contacts, for how long (RFC 3261 10.2, 10.3 steps 6 and 7). Pure.
import { formatParams, headerList, headerValue, param, parseNameAddr } from "@sallyport/sip";
import type { SipRequest } from "@sallyport/sip";
import type { CoreSettings } from "../config.ts";

export interface Wish {
  readonly contact: string;
  readonly params: string;
  readonly instance?: string;
  readonly q: number;
  /** Granted seconds; 0 removes. */
  readonly seconds: number;
}

export type Wishes =
  | { readonly kind: "query" }
  | { readonly kind: "remove-all" }
  | { readonly kind: "update"; readonly wishes: readonly Wish[] }
  | { readonly kind: "refuse"; readonly status: 400 | 423 };

/** RFC 3261 20.19: a malformed value counts as the default. */
const secondsOf = (text: string | true | undefined): number | undefined =>
  typeof text === "string" && /^\d{1,10}$/.test(text) ? Number(text) : undefined;

const qOf = (text: string | true | undefined): number =>
  typeof text === "string" && /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text)
    ? Math.round(Number(text) * 1000)
    : 1000;

export const readWishes = (request: SipRequest, bounds: CoreSettings["registration"]): Wishes => {
  const contacts = headerList(request, "contact");
  const general = secondsOf(headerValue(request, "expires"));
  if (contacts.length === 0) return { kind: "query" };
  if (contacts.includes("*")) {
    // RFC 3261 10.3 step 6: alone, and with Expires: 0.
    return contacts.length === 1 && general === 0 ? { kind: "remove-all" } : { kind: "refuse", status: 400 };
  }
  const wishes: Wish[] = [];
  for (const element of contacts) {
    const address = parseNameAddr(element);
    if (address === undefined) return { kind: "refuse", status: 400 };
    const wanted = secondsOf(param(address.params, "expires")) ?? general ?? bounds.defaultExpires;
    // RFC 3261 10.3 step 7: 423 only for wishes above zero and below an hour.
    if (wanted > 0 && wanted < bounds.minExpires && wanted < 3_600) return { kind: "refuse", status: 423 };
    const instance = param(address.params, "+sip.instance");
    const regId = param(address.params, "reg-id");
    wishes.push({
      contact: address.uri,
      params: formatParams(address.params.filter(([name]) => name.toLowerCase() !== "expires")),
      ...(typeof instance === "string" ? { instance: `${instance} ${typeof regId === "string" ? regId : ""}` } : {}),
      q: qOf(param(address.params, "q")),
      seconds: Math.min(wanted, bounds.maxExpires),
    });
  }
  return { kind: "update", wishes };
};
