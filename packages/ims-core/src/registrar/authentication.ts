// Owns the question whether a REGISTER comes from its subscriber (RFC 3261 22, RFC 7616, RFC 8760, TS 24.229 5.4.1.2).
// It asks for digest every time, whatever `integrity-protected` says: no edge can lean on it.
import {
  createChallenge,
  createNonceKeeper,
  headerValues,
  parseCredentials,
  sameUri,
  verifyCredentials,
} from "@sallyport/sip";
import type { SipRequest } from "@sallyport/sip";
import type { Clock, Random } from "@sallyport/kit";
import type { Subscriber, Subscribers } from "../subscribers.ts";

type Verdict =
  | { readonly kind: "ok"; readonly subscriber: Subscriber }
  | { readonly kind: "challenge"; readonly values: readonly string[] }
  | { readonly kind: "refuse"; readonly status: 400 | 403 };

export interface Authentication {
  /** `impu` is the address-of-record of To. */
  check(request: SipRequest, impu: string): Verdict;
}

export const createAuthentication = (options: {
  readonly subscribers: Subscribers;
  readonly realm: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly nonceMs: number;
}): Authentication => {
  const { subscribers, realm, clock, random } = options;
  const nonces = createNonceKeeper({ clock, random, lifetimeMs: options.nonceMs, max: 100_000 });
  const challenge = (subscriber: Subscriber, stale: boolean): Verdict => ({
    kind: "challenge",
    values: createChallenge({ realm, nonce: nonces.issue(), algorithms: subscriber.algorithms, stale }),
  });
  return {
    check: (request, impu) => {
      const subscriber = subscribers.owner(impu);
      if (subscriber === undefined) return { kind: "refuse", status: 403 };
      for (const value of headerValues(request, "authorization")) {
        const read = parseCredentials(value);
        if (!read.ok) {
          if (read.error === "scheme") continue;
          return { kind: "refuse", status: 400 };
        }
        const credentials = read.value;
        if (credentials.realm !== realm) continue;
        // TS 24.229 5.4.1.2.1: the private identity must own the public one.
        if (credentials.username !== subscriber.impi) return { kind: "refuse", status: 403 };
        // TS 24.229 5.1.1.2.2: the first REGISTER names the user and answers nothing.
        if (credentials.response === "") return challenge(subscriber, false);
        // RFC 3261 22.4 step 5: what was signed must be what is asked.
        if (!sameUri(credentials.uri, request.uri)) return { kind: "refuse", status: 400 };
        const secret = { password: subscriber.password };
        const { algorithms } = subscriber;
        if (!verifyCredentials({ credentials, method: "REGISTER", realm, secret, algorithms, body: request.body })) {
          return { kind: "refuse", status: 403 };
        }
        if (nonces.check(credentials.nonce, credentials.nc) === "ok") return { kind: "ok", subscriber };
        return challenge(subscriber, true);
      }
      return challenge(subscriber, false);
    },
  };
};
