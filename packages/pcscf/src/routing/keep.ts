// Tells a UE that offered to send keep-alives how often to. Pure. RFC 6223 4.3 and 4.4.
import { formatVia, headerList, parseVia, prependHeader, removeTopListElement, type SipResponse } from "@sallyport/sip";

/**
 * Gives the bare `keep` of the UE's Via a value in seconds: the keep-alives of streams (RFC 5626 3.5.1) and of UDP, which
 * are STUN, are both answered here. `seconds` 0 asks for none.
 */
export const answerKeep = (response: SipResponse, seconds: number): SipResponse => {
  const top = headerList(response, "via")[0];
  const via = top === undefined ? undefined : parseVia(top);
  if (seconds === 0 || via === undefined) return response;
  const offered = via.params.some(([name, value]) => name.toLowerCase() === "keep" && value === undefined);
  if (!offered) return response;
  const params = via.params.map(([name, value]) =>
    name.toLowerCase() === "keep" ? ([name, String(seconds)] as const) : ([name, value] as const),
  );
  return prependHeader(removeTopListElement(response, "via"), "Via", formatVia({ ...via, params }));
};
