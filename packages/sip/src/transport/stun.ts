// Owns the answer to STUN keep-alives on a SIP UDP port: binding requests alone, without state. Pure.
// RFC 5626 4.4.2 and 8, RFC 5389 6, 7.3.1, 15.2. Must not know flows nor sockets.
import { isIPv6 } from "node:net";
import type { Endpoint } from "@sallyport/kit";

const headerLength = 20;
const magicCookie = 0x2112_a442;
const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;
const bindingError = 0x0111;
const xorMappedAddress = 0x0020;
const errorCode = 0x0009;
const unknownAttributes = 0x000a;
/** Attributes of RFC 5389 that must be understood; credentials among them are understood and not asked for. */
const understood = new Set([0x0001, 0x0006, 0x0008, 0x0009, 0x000a, 0x0014, 0x0015, 0x0020]);
const maxUnknown = 8;

/** RFC 5389 8: whether a datagram is STUN and not SIP; a SIP message never begins with two zero bits. */
export const isStun = (octets: Buffer): boolean =>
  octets.length >= headerLength && (octets[0] as number) < 4 && octets.readUInt32BE(4) === magicCookie;

/** The types of attributes that must be understood and are not; undefined when the attributes do not fit their message. */
const unknownOf = (request: Buffer): readonly number[] | undefined => {
  const unknown: number[] = [];
  let at = headerLength;
  while (at < request.length) {
    if (at + 4 > request.length) return undefined;
    const type = request.readUInt16BE(at);
    const length = request.readUInt16BE(at + 2);
    at += 4 + length + ((4 - (length % 4)) % 4);
    if (at > request.length) return undefined;
    if (type < 0x8000 && !understood.has(type) && unknown.length < maxUnknown) unknown.push(type);
  }
  return unknown;
};

const message = (type: number, request: Buffer, attribute: number, value: Buffer): Buffer => {
  const padded = value.length + ((4 - (value.length % 4)) % 4);
  const out = Buffer.alloc(headerLength + 4 + padded);
  out.writeUInt16BE(type, 0);
  out.writeUInt16BE(4 + padded, 2);
  // Cookie and transaction id are the request's.
  request.copy(out, 4, 4, headerLength);
  out.writeUInt16BE(attribute, headerLength);
  out.writeUInt16BE(value.length, headerLength + 2);
  value.copy(out, headerLength + 4);
  return out;
};

/** The sixteen octets of an IPv6 literal without zone. */
const ipv6Octets = (address: string): Buffer => {
  const plain = address.replace(/%.*$/, "").replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = "", tail] = plain.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => "0"), ...right];
  const out = Buffer.alloc(16);
  for (const [at, group] of all.entries()) out.writeUInt16BE(Number.parseInt(group, 16), at * 2);
  return out;
};

const mapped = (request: Buffer, from: Endpoint): Buffer => {
  const six = isIPv6(from.address);
  const address = six ? ipv6Octets(from.address) : Buffer.from(from.address.split(".").map(Number));
  const out = Buffer.alloc(4 + address.length);
  out.writeUInt8(six ? 2 : 1, 1);
  out.writeUInt16BE(from.port ^ (magicCookie >>> 16), 2);
  // RFC 5389 15.2: by the cookie, and for IPv6 by the transaction id after it.
  for (const [at, octet] of address.entries()) out[4 + at] = octet ^ (request[4 + at] as number);
  return out;
};

/** What a STUN datagram is answered with; undefined for what is not a binding request, or broken. */
export const answerStun = (request: Buffer, from: Endpoint): Buffer | undefined => {
  const whole = isStun(request) && request.readUInt16BE(2) === request.length - headerLength;
  if (!whole || request.readUInt16BE(0) !== bindingRequest) return undefined;
  const unknown = unknownOf(request);
  if (unknown === undefined) return undefined;
  if (unknown.length === 0) return message(bindingSuccess, request, xorMappedAddress, mapped(request, from));
  // RFC 5389 7.3.1: 420 with what was not understood.
  const error = message(bindingError, request, errorCode, Buffer.from([0, 0, 4, 20]));
  const types = Buffer.alloc(4 + 2 * unknown.length + (unknown.length % 2) * 2);
  types.writeUInt16BE(unknownAttributes, 0);
  types.writeUInt16BE(2 * unknown.length, 2);
  for (const [at, type] of unknown.entries()) types.writeUInt16BE(type, 4 + 2 * at);
  const out = Buffer.concat([error, types]);
  out.writeUInt16BE(out.length - headerLength, 2);
  return out;
};
