// The branch of an ACK for a 2xx: the same for every copy of that ACK, so that the next hop knows a copy for one.
// Pure. RFC 3261 13.2.2.4 (the ACK goes out again for each copy of the 2xx) and 16.11 (a stateless hop repeats its branch).
import { hash } from "node:crypto";
import { headerValue, parseCSeq, tagOf } from "../message/index.ts";
import type { SipRequest } from "../message/index.ts";

/** `seed`: text of this element alone, so that its branches are nobody else's. The ACK has no Via of ours yet. */
export const ackBranch = (ack: SipRequest, seed: string): string => {
  // What a proxy got has a Via, different in each ACK; in a user agent the dialog and the INVITE's number name it. No value
  // has a line end in it, so that none can be taken for two.
  let text = `${seed}\n${headerValue(ack, "via")}\n${headerValue(ack, "call-id")}\n${tagOf(ack, "from")}\n`;
  text += `${tagOf(ack, "to")}\n${parseCSeq(headerValue(ack, "cseq") ?? "")?.seq}\n${ack.uri}`;
  return `z9hG4bK${hash("sha256", text, "hex").slice(0, 24)}`;
};
