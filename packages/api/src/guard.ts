// Who may ask: the Host header against DNS rebinding, the token in constant time. Pure. RFC 9110 7.2, RFC 6750 2.1.
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";

/** The host of a Host header, without port, brackets and a final dot; undefined when it is none. */
const hostOf = (header: string): string | undefined => {
  const found = /^(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9.-]{1,253}))(?::[0-9]{1,5})?$/i.exec(header.trim());
  return (found?.[1] ?? found?.[2])?.replace(/\.$/, "").toLowerCase();
};

/**
 * A page of another site can make a browser ask us only under that site's name. So IP addresses, localhost and the names
 * the operator gave are answered, any other name is not.
 */
export const knownHost = (header: string | undefined, names: readonly string[]): boolean => {
  const host = header === undefined ? undefined : hostOf(header);
  if (host === undefined) return false;
  return isIP(host) !== 0 || host === "localhost" || names.some((name) => name.toLowerCase() === host);
};

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

/** A check of `Authorization` against a token; its time does not depend on where they differ, nor on the token's length. */
export const tokenCheck = (token: string): ((authorization: string | undefined) => boolean) => {
  const expected = digest(token);
  return (authorization) => {
    const [, given = ""] = /^bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
    return timingSafeEqual(digest(given), expected);
  };
};
