// Owns the cutting of a TCP or TLS stream into SIP messages by Content-Length (RFC 3261 18.3, 7.5) and CRLFs (RFC 5626 4.4.1).
// Pure: octets in, frames out; what it holds never exceeds one message. Must not know sockets or header fields other than one.

export type FramingCode = "header-block-too-long" | "length-missing" | "length-invalid" | "message-too-large";

export type Frame =
  | { readonly kind: "message"; readonly octets: Buffer }
  /** A CRLF between messages: half a keep-alive, or the answer to one. */
  | { readonly kind: "crlf" }
  /** The stream can not be cut any further. `head` is the header block, when it was complete. */
  | { readonly kind: "broken"; readonly code: FramingCode; readonly head?: Buffer };

export interface Framer {
  /** Takes what the socket gave (lent: whatever is kept is copied) and hands out every frame completed by it. */
  push(chunk: Buffer, emit: (frame: Frame) => void): void;
  /** Octets of the unfinished message held. */
  readonly held: number;
}

export interface FramerLimits {
  readonly maxMessage: number;
  readonly maxHeaderBlock: number;
}

const CR = 13;
const LF = 10;
const nothing = Buffer.alloc(0);
/** Octets are looked for much faster than text. */
const endOfHead: Buffer = Buffer.from("\r\n\r\n", "latin1");
const lengthField = /^(?:content-length|l)[ \t]*:\s*(\d{1,20})\s*$/i;
const lengthName = /^(?:content-length|l)[ \t]*:/i;

/** Where the next CRLF is, or -1. */
const lineEnd = (octets: Buffer, from: number): number => {
  for (let at = from; at + 1 < octets.length; at += 1) if (octets[at] === CR && octets[at + 1] === LF) return at;
  return -1;
};

/** The Content-Length a header block announces; all fields of that name must agree. */
export const announcedLength = (head: Buffer): number | "length-missing" | "length-invalid" => {
  let found: number | undefined;
  let start = lineEnd(head, 0) + 2;
  while (start > 1 && start < head.length) {
    let end = lineEnd(head, start);
    if (end === -1) break;
    // Folded: the field goes on while the next line starts with white space.
    while (head[end + 2] === 32 || head[end + 2] === 9) {
      const next = lineEnd(head, end + 2);
      if (next === -1) break;
      end = next;
    }
    const first = (head[start] ?? 0) | 32;
    if (first === 99 || first === 108) {
      const field = head.toString("latin1", start, Math.min(end, start + 256));
      if (lengthName.test(field)) {
        const value = lengthField.exec(field)?.[1];
        if (value === undefined || (found !== undefined && found !== Number(value))) return "length-invalid";
        found = Number(value);
      }
    }
    start = end + 2;
  }
  return found ?? "length-missing";
};

export const createFramer = (limits: FramerLimits): Framer => {
  let own = nothing; // storage for an unfinished message; given back when nothing is unfinished
  let held = 0;
  let searched = 0; // how far the end of the header block was searched for, so that a slow sender costs no second look
  let need = 0; // length of the message begun, once its header block is complete
  let broken = false;

  const keep = (rest: Buffer): void => {
    if (own.length < held + rest.length) {
      const grown = Buffer.allocUnsafe(Math.max(1024, own.length * 2, held + rest.length));
      own.copy(grown, 0, 0, held);
      own = grown;
    }
    rest.copy(own, held);
    held += rest.length;
  };

  /** Reads the start of a message; true when its length became known. */
  const measure = (work: Buffer, emit: (frame: Frame) => void): boolean => {
    const end = work.indexOf(endOfHead, Math.max(0, searched - 3));
    const headLength = end === -1 ? work.length : end + 4;
    const fault = (code: FramingCode, head?: Buffer): false => {
      broken = true;
      emit({ kind: "broken", code, ...(head === undefined ? {} : { head: Buffer.from(head) }) });
      return false;
    };
    if (headLength > limits.maxHeaderBlock) return fault("header-block-too-long");
    if (end === -1) {
      searched = work.length;
      return false;
    }
    const head = work.subarray(0, headLength);
    const length = announcedLength(head);
    // RFC 3261 18.3: on a stream there is no other way to find the end of the message.
    if (typeof length === "string") return fault(length, head);
    if (headLength + length > limits.maxMessage) return fault("message-too-large", head);
    need = headLength + length;
    return true;
  };

  return {
    push: (chunk, emit) => {
      if (broken) return;
      const fromOwn = held > 0;
      if (fromOwn) keep(chunk);
      let work = fromOwn ? own.subarray(0, held) : chunk;
      while (work.length > 0) {
        if (need === 0) {
          // RFC 3261 7.5: CRLFs before a start line are not part of it.
          if (work[0] === CR && work.length === 1) break;
          if (work[0] === CR && work[1] === LF) {
            work = work.subarray(2);
            emit({ kind: "crlf" });
            continue;
          }
          if (!measure(work, emit)) break;
        }
        if (work.length < need) break;
        const octets = Buffer.from(work.subarray(0, need));
        work = work.subarray(need);
        need = 0;
        searched = 0;
        emit({ kind: "message", octets });
      }
      if (broken || work.length === 0) {
        own = nothing;
        held = 0;
      } else if (!fromOwn || work.length < held) {
        const rest = Buffer.from(work);
        own = nothing;
        held = 0;
        keep(rest);
      }
    },
    get held() {
      return held;
    },
  };
};
