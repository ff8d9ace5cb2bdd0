// Owns TPKT framing (RFC 1006 section 6, H.248.1 Annex D.2): octets 3 and 0, then a 16-bit length that counts these four.
// Holds at most one frame, copies only what comes in pieces, and refuses what is no TPKT at its first wrong octet.

const header = 4;

/** @returns undefined when the message does not fit a frame. */
export const tpktFrame = (message: Uint8Array): Buffer | undefined => {
  const length = message.length + header;
  if (length > 0xffff) return undefined;
  const frame = Buffer.allocUnsafe(length);
  frame.writeUInt16BE(0x0300, 0);
  frame.writeUInt16BE(length, 2);
  frame.set(message, header);
  return frame;
};

export interface TpktReader {
  /** Takes a chunk in; false when the stream is not TPKT or a frame is too long: it must be closed. Messages are lent. */
  push(chunk: Buffer, onMessage: (message: Buffer) => void): boolean;
  /** A frame was begun and is not complete. */
  readonly partial: boolean;
}

/** Octets of the frame that stands here whole, as nearly all do; 0: it does not, or is none. */
const wholeFrame = (chunk: Buffer, at: number, maxMessage: number): number => {
  if (chunk.length - at <= header || chunk[at] !== 3 || chunk[at + 1] !== 0) return 0;
  const length = ((chunk[at + 2] ?? 0) << 8) | (chunk[at + 3] ?? 0);
  return length > header && length - header <= maxMessage && length <= chunk.length - at ? length : 0;
};

export const createTpktReader = (maxMessage: number): TpktReader => {
  const head = Buffer.alloc(header);
  let headFilled = 0;
  let body: Buffer | undefined;
  let bodyFilled = 0;

  /** False as soon as the octets read cannot begin a frame we take. */
  const headIsSound = (): boolean => {
    if (headFilled > 0 && head[0] !== 3) return false;
    if (headFilled > 1 && head[1] !== 0) return false;
    if (headFilled < header) return true;
    const length = head.readUInt16BE(2);
    return length > header && length - header <= maxMessage;
  };

  return {
    push: (chunk, onMessage) => {
      let at = 0;
      while (at < chunk.length) {
        if (body === undefined) {
          const whole = headFilled === 0 ? wholeFrame(chunk, at, maxMessage) : 0;
          if (whole > 0) {
            const start = at + header;
            at += whole;
            onMessage(chunk.subarray(start, at));
            continue;
          }
          const taken = chunk.copy(head, headFilled, at, at + header - headFilled);
          headFilled += taken;
          at += taken;
          if (!headIsSound()) return false;
          if (headFilled < header) return true;
          body = Buffer.alloc(head.readUInt16BE(2) - header);
          bodyFilled = 0;
        }
        const taken = chunk.copy(body, bodyFilled, at);
        bodyFilled += taken;
        at += taken;
        if (bodyFilled < body.length) continue;
        const message = body;
        body = undefined;
        headFilled = 0;
        onMessage(message);
      }
      return true;
    },
    get partial() {
      return headFilled > 0;
    },
  };
};
