// Owns one Via element. RFC 3261 20.42, 25.1; RFC 5118 4.5 for `received` with and without brackets.
import { recalling } from "./recall.ts";
import { skipSpace, skipToken } from "./chars.ts";
import { formatParams, parseParams } from "./params.ts";
import type { Params } from "./params.ts";
import { formatHost, readHost, readPort } from "./uri.ts";

export interface Via {
  /** Upper case: `UDP`, `TCP`, `TLS`, or whatever the peer wrote. */
  readonly transport: string;
  /** sent-by host, without brackets. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly params: Params;
}

const readVia = (text: string): Via | undefined => {
  const start = skipSpace(text, 0);
  const nameEnd = skipToken(text, start);
  const firstSlash = skipSpace(text, nameEnd);
  if (nameEnd === start || text.charCodeAt(firstSlash) !== 47) return undefined;
  const versionStart = skipSpace(text, firstSlash + 1);
  const versionEnd = skipToken(text, versionStart);
  const secondSlash = skipSpace(text, versionEnd);
  if (versionEnd === versionStart || text.charCodeAt(secondSlash) !== 47) return undefined;
  const transportStart = skipSpace(text, secondSlash + 1);
  const transportEnd = skipToken(text, transportStart);
  const hostStart = skipSpace(text, transportEnd);
  if (transportEnd === transportStart || hostStart === transportEnd) return undefined;

  const host = readHost(text, hostStart);
  if (host === undefined) return undefined;
  const colon = skipSpace(text, host.end);
  const port =
    text.charCodeAt(colon) === 58 ? readPort(text, skipSpace(text, colon + 1)) : { port: undefined, end: colon };
  if (port === undefined) return undefined;
  const params = parseParams(text, port.end);
  if (params === undefined) return undefined;
  const transport = text.slice(transportStart, transportEnd).toUpperCase();
  return { transport, host: host.host, port: port.port, params };
};

/** Reads one element, white space allowed around `/` and `:`; undefined when malformed. The version is not judged. */
export const parseVia: (text: string) => Via | undefined = recalling(readVia, 4);

export const formatVia = (via: Via): string => {
  const port = via.port === undefined ? "" : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${formatHost(via.host)}${port}${formatParams(via.params)}`;
};
