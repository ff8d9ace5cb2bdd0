// The branch of an ACK for a 2xx: the same for every copy of that ACK, so that the next hop knows a copy for one.
// Pure. RFC 3261 13.2.2.4 (the ACK goes out again for each copy of the 2xx) and 16.11 (a stateless hop repeats its branch).
import { hash } from "node:crypto";
import { headerValue, parseCSeq, tagOf } from "../message/index.ts";
import type { SipRequest } from "../message/index.ts";

/** `seed`: octets of this element alone, so that its branches are nobody else's. The ACK has no Via of ours yet. */
export const ackBranch = (ack: SipRequest, seed: Uint8Array): string => {
  const parts = [
    // What a proxy got has a Via, different in each ACK; in a user agent the dialog and the INVITE's number name it.
    headerValue(ack, "via"),
    headerValue(ack, "call-id"),
    tagOf(ack, "from"),
    tagOf(ack, "to"),
    parseCSeq(headerValue(ack, "cseq") ?? "")?.seq,
    ack.uri,
  ];
  const octets = Buffer.concat([seed, Buffer.from(JSON.stringify(parts), "latin1")]);
  return `z9hG4bK${hash("sha256", octets, "hex").slice(0, 24)}`;
};
