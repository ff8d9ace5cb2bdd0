// Owns the step from two crypto attributes to what the plane shall do with a leg. Pure; the one place that judges suites.
// TS 33.328 6.2.1.3 (two attributes a stream), RFC 4568 6 and 7.1, RFC 3711 9.1. Errors by iq's table: 449, 472, 473.
import type { H248Error } from "@sallyport/h248";
import { conceal, isSecureProtocol, refusal } from "@sallyport/iq";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { PlaneKey, Protection } from "@sallyport/media-plane";
import type { CryptoAttribute, CryptoKey, SessionParam } from "@sallyport/sdp";
import type { Suite } from "@sallyport/srtp";
import { findSuite } from "@sallyport/srtp";

/** Local holds the key the gateway encrypts with (K12, K21), Remote the one it decrypts with (K11, K22). */
export interface Cryptos {
  readonly local?: CryptoAttribute | undefined;
  readonly remote?: CryptoAttribute | undefined;
}

/** A session parameter as the error text names it: never with what it holds. */
const refusedParam = (param: SessionParam): string | undefined => {
  switch (param.kind) {
    // RFC 4568 6.3.2: turning protection off is refused (RFC 4568 6.3).
    case "UNENCRYPTED_SRTP":
    case "UNENCRYPTED_SRTCP":
    case "UNAUTHENTICATED_SRTP":
    case "FEC_KEY":
      return param.kind;
    case "KDR":
      return param.value === 0 ? undefined : `KDR=${param.value}`;
    case "FEC_ORDER":
      return param.value === "FEC_SRTP" ? undefined : `FEC_ORDER=${param.value}`;
    // RFC 4568 6.3.6: a hint on the window; ours is at least as large as any sender needs.
    case "WSH":
      return undefined;
    // RFC 4568 6.3.7: an extension may be passed over only where its sender says so.
    default:
      return param.mayIgnore ? undefined : "unknown session parameter";
  }
};

const judgeKey = (key: CryptoKey, suite: Suite): string | undefined => {
  // The 28 and the 30 octets of AEAD_AES_128_GCM and AES_CM_128 look alike in base64.
  if (key.master.length !== suite.masterLength) {
    return `key length ${key.master.length}, ${suite.name} has ${suite.masterLength}`;
  }
  if (key.lifetime !== undefined && (key.lifetime === 0n || key.lifetime > suite.srtpLifetime)) {
    return `lifetime ${key.lifetime}`;
  }
  return undefined;
};

const judge = (crypto: CryptoAttribute, where: "Local" | "Remote"): Result<Suite, H248Error> => {
  const suite = findSuite(crypto.suite);
  if (suite === undefined) return refusal(449, `${where} a=crypto suite ${conceal(crypto.suite.slice(0, 32))}`);
  for (const param of crypto.sessionParams) {
    const refused = refusedParam(param);
    if (refused !== undefined) return refusal(449, `${where} a=crypto ${refused}`);
  }
  if (crypto.keys.length === 0) return refusal(472, `${where} a=crypto without a key`);
  // One key is sent with; which of several it were, nobody could say.
  if (where === "Local" && crypto.keys.length > 1) return refusal(449, "Local a=crypto with several keys");
  for (const key of crypto.keys) {
    const wrong = judgeKey(key, suite);
    if (wrong !== undefined) return refusal(449, `${where} a=crypto ${wrong}`);
  }
  return ok(suite);
};

const mkiOctets = (mki: { readonly value: bigint; readonly length: number }): Uint8Array =>
  Buffer.from(mki.value.toString(16).padStart(mki.length * 2, "0"), "hex");

const planeKey = (key: CryptoKey): PlaneKey => ({
  master: key.master,
  ...(key.mki === undefined ? {} : { mki: mkiOctets(key.mki) }),
  ...(key.lifetime === undefined ? {} : { lifetime: key.lifetime }),
});

/** What a leg does under this transport and these attributes. A secure leg without both keys drops everything. */
export const protectionOf = (protocol: string, cryptos: Cryptos): Result<Protection, H248Error> => {
  const { local, remote } = cryptos;
  if (!isSecureProtocol(protocol)) {
    if (local !== undefined || remote !== undefined) return refusal(473, `a=crypto under ${protocol}`);
    return ok({ kind: "clear" });
  }
  const ours = local === undefined ? undefined : judge(local, "Local");
  if (ours?.ok === false) return ours;
  const theirs = remote === undefined ? undefined : judge(remote, "Remote");
  if (theirs?.ok === false) return theirs;
  if (local === undefined || remote === undefined || ours === undefined || theirs === undefined) {
    return ok({ kind: "awaiting-keys" });
  }
  // RFC 4568 5.1.2: the answer repeats the suite of what it chose. Its tag belongs to one offer and answer, not to SRTP.
  if (ours.value !== theirs.value) {
    return refusal(473, `a=crypto suites ${ours.value.name} and ${theirs.value.name}`);
  }
  const [send] = local.keys;
  if (send === undefined) return refusal(472, "Local a=crypto without a key");
  // RFC 3711 9.1: one key in both directions is a two-time pad as soon as two SSRCs meet.
  if (remote.keys.some((key) => key.master.equals(send.master))) {
    return refusal(473, "a=crypto keys of Local and Remote are equal");
  }
  return ok({ kind: "srtp", suite: ours.value.name, receive: remote.keys.map(planeKey), send: planeKey(send) });
};
