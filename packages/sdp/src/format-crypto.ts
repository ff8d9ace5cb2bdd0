// Owns writing a=crypto: the one place in Sallyport that turns a key into text. RFC 4568 section 9.
import type { CryptoAttribute, CryptoKey, SessionParam } from "./crypto.ts";
import { sdpErrors } from "./errors.ts";

/**
 * What stands after `a=crypto:`. Keys are written with base64 padding (RFC 4568 6.1).
 * @throws SALLY_SDP_CRYPTO when a part does not fit the grammar, SALLY_SECRET_RELEASED for a released key.
 */
export const formatCrypto = (crypto: CryptoAttribute): string => {
  const { tag, suite } = crypto;
  if (!Number.isInteger(tag) || tag < 0 || tag > 999_999_999) return fail(`The tag ${tag} is not 1*9DIGIT.`);
  if (!/^[A-Za-z0-9_]+$/.test(suite)) return fail("The suite is not 1*(ALPHA / DIGIT / _).");
  return [tag, suite, formatKeys(crypto.keys), ...crypto.sessionParams.map(formatParam)].join(" ");
};

const fail = (detail: string): never => {
  throw sdpErrors("SALLY_SDP_CRYPTO", detail);
};

const formatKeys = (keys: readonly CryptoKey[]): string =>
  keys.length === 0 ? fail("There is no key.") : keys.map(formatKey).join(";");

const formatKey = ({ master, lifetime, lifetimeText, mki }: CryptoKey): string => {
  const packets = lifetimeText ?? (lifetime === undefined ? undefined : String(lifetime));
  if (packets !== undefined && !/^(2\^)?[0-9]+$/.test(packets)) return fail("The lifetime is not [2^] 1*DIGIT.");
  return [
    `inline:${master.use((octets) => octets.toString("base64"))}`,
    ...(packets === undefined ? [] : [packets]),
    ...(mki === undefined ? [] : [`${mki.value}:${mki.length}`]),
  ].join("|");
};

const formatParam = (param: SessionParam): string => {
  switch (param.kind) {
    case "KDR":
    case "WSH":
    case "FEC_ORDER":
      return `${param.kind}=${param.value}`;
    case "FEC_KEY":
      return `FEC_KEY=${formatKeys(param.keys)}`;
    case "extension":
      // A dash of its own would be read as leave to ignore it.
      if (!/^[!-,.-~][!-~]*$/.test(param.text))
        return fail("A session parameter is not 1*VCHAR, or begins with a dash.");
      return `${param.mayIgnore ? "-" : ""}${param.text}`;
    default:
      return param.kind;
  }
};
