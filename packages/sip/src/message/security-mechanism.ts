// Owns one element of Security-Client, Security-Server and Security-Verify. RFC 3329 2.2. No mechanism has a meaning here.
import { skipSpace, skipToken } from "./chars.ts";
import { formatParams, parseParams } from "./params.ts";
import type { Params } from "./params.ts";

export interface SecurityMechanism {
  readonly name: string;
  readonly params: Params;
}

export const parseSecurityMechanism = (text: string): SecurityMechanism | undefined => {
  const start = skipSpace(text, 0);
  const end = skipToken(text, start);
  const params = parseParams(text, end);
  return end === start || params === undefined ? undefined : { name: text.slice(start, end), params };
};

export const formatSecurityMechanism = (mechanism: SecurityMechanism): string =>
  `${mechanism.name}${formatParams(mechanism.params)}`;
