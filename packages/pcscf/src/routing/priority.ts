// Which calls the network wants to go before others. Pure. RFC 4412 (Resource-Priority), TS 23.334 5.2 (multimedia priority
// service): only the core's word counts, which has authorised the caller; what a UE writes is for the core to judge.
import { headerList, type SipRequest } from "@sallyport/sip";

/** H.248.1 6.1.1: the highest priority of a context. */
const highest = 15;
/** RFC 4412 12.1: the namespaces of national emergency preparedness, of which 0 is the highest of five priorities. */
const value = /^(?:ets|wps)\.([0-4])$/i;

/** Priority of a context, 0 to 15, for a call that comes from the core; undefined for one like all others. */
export const contextPriority = (request: SipRequest): number | undefined => {
  const found = headerList(request, "resource-priority").flatMap((each) => value.exec(each.trim())?.[1] ?? []);
  return found.length === 0 ? undefined : highest - Math.min(...found.map(Number));
};
