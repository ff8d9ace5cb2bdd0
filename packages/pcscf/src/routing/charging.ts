// Charging correlation of requests that enter the network here. Pure. RFC 7315 4.6, TS 24.229 5.2.6.3.
import { token, type Random } from "@sallyport/kit";
import { quote, setHeader, type SipRequest } from "@sallyport/sip";

/** Writes a fresh, globally unique icid and our network as the originating one. */
export const withCharging = (request: SipRequest, home: string, random: Random): SipRequest =>
  setHeader(
    request,
    "p-charging-vector",
    `icid-value=${quote(token(random, 32))};icid-generated-at=${home};orig-ioi=${quote(home)}`,
  );
