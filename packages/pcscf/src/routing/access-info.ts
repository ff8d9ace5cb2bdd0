// What the network itself knows of the access a UE uses. Pure. RFC 7315 4.4, TS 24.229 5.2.6.3.
import { appendHeader, type SipMessage } from "@sallyport/sip";

/** Adds the network's own word beside the UE's, marked as such; the message as it is when the network has none. */
export const withAccessInfo = <M extends SipMessage>(message: M, info: string | undefined): M =>
  info === undefined ? message : appendHeader(message, "p-access-network-info", `${info};network-provided`);
