// Owns the way back to octets. A message that was parsed and not edited gives the octets it was parsed from,
// but for a version in small letters.
import type { SipMessage } from "./message.ts";

/** The message on the wire: start line, fields and body exactly as the message holds them. */
export const writeMessage = (message: SipMessage): Buffer => {
  let head = `${message.startLine}\r\n`;
  for (const field of message.headers) head += `${field.raw}\r\n`;
  head += "\r\n";
  const octets = Buffer.allocUnsafe(head.length + message.body.length);
  octets.write(head, 0, "latin1");
  octets.set(message.body, head.length);
  return octets;
};
