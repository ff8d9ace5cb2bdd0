// Charging correlation of what enters the network here, and where it is to be charged. Pure.
// RFC 7315 4.5 and 4.6, TS 24.229 5.2.2, 5.2.6.3 and 5.2.7.
import { token, type Random } from "@sallyport/kit";
import {
  formatParams,
  headerList,
  headerValue,
  parseParams,
  quote,
  replaceHeader,
  setHeader,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";

/**
 * Writes a fresh, globally unique icid and our network as the originating one; `functions` are the charging functions the
 * registrar named for this UE.
 */
export const withCharging = (
  request: SipRequest,
  home: string,
  random: Random,
  functions: readonly string[] = [],
): SipRequest => {
  const vector = `icid-value=${quote(token(random, 32))};icid-generated-at=${home};orig-ioi=${quote(home)}`;
  const charged = setHeader(request, "p-charging-vector", vector);
  return functions.length === 0 ? charged : replaceHeader(charged, "p-charging-function-addresses", functions);
};

/** Charging functions a registrar may name for one UE; the length of what is kept of each. */
const maxFunctions = 4;
const maxLength = 512;

/** RFC 7315 4.5: the charging functions a response of the registrar names. */
export const chargingFunctionsOf = (response: SipResponse): readonly string[] =>
  headerList(response, "p-charging-function-addresses")
    .filter((value) => value.length <= maxLength)
    .slice(0, maxFunctions);

/**
 * RFC 7315 4.6: the answer of our UE goes under the icid it was asked under, with our network as the terminating one. A
 * request that had none leaves the answer without.
 */
export const withAnsweredCharging = (response: SipResponse, asked: SipRequest, home: string): SipResponse => {
  const vector = headerValue(asked, "p-charging-vector");
  const params = vector === undefined ? undefined : parseParams(`;${vector}`, 0);
  if (params === undefined || params.length === 0) return response;
  const kept = params.filter(([name]) => /^(?:icid-value|icid-generated-at|orig-ioi)$/i.test(name));
  const text = formatParams([...kept, ["term-ioi", quote(home)]]);
  return setHeader(response, "p-charging-vector", text.replace(/^;/, ""));
};
