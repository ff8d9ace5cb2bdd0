// Owns DTMF as telephone-event payloads: the four octets, and digits out of what comes in. Knows no socket.
// RFC 4733 2.3 (payload), 2.5.1.2 and 2.5.1.4 (sending), 2.5.2.2 (one event per timestamp, however many packets).

const digits = "0123456789*#ABCD";

export const digitOf = (event: number): string | undefined => digits[event];
export const eventOf = (digit: string): number | undefined => {
  const event = digit.length === 1 ? digits.indexOf(digit.toUpperCase()) : -1;
  return event === -1 ? undefined : event;
};

/** `duration` in timestamp units, `volume` in -dBm0. */
export const writeEvent = (event: number, end: boolean, duration: number, volume = 10): Buffer => {
  const payload = Buffer.alloc(4);
  payload[0] = event;
  payload[1] = (end ? 0x80 : 0) | volume;
  payload.writeUInt16BE(Math.min(duration, 0xffff), 2);
  return payload;
};

export interface ReceivedDigit {
  readonly digit: string;
  /** RTP timestamp at which the event began. */
  readonly timestamp: number;
  /** Milliseconds, as far as the packets that came tell. */
  readonly durationMs: number;
}

export interface DigitReceiver {
  /** Takes one telephone-event payload. True when it began a new digit. */
  take(ssrc: number, timestamp: number, payload: Buffer): boolean;
  readonly received: readonly ReceivedDigit[];
}

const maxDigits = 1024;

/** 8000 Hz clock. Remembers at most 1024 digits. */
export const createDigitReceiver = (): DigitReceiver => {
  const received: ReceivedDigit[] = [];
  let last: { readonly ssrc: number; readonly timestamp: number } | undefined;
  return {
    received,
    take: (ssrc, timestamp, payload) => {
      const digit = payload.length < 4 ? undefined : digitOf(payload[0] as number);
      if (digit === undefined) return false;
      const durationMs = payload.readUInt16BE(2) / 8;
      const known = received.at(-1);
      if (known !== undefined && last?.ssrc === ssrc) {
        // 2.5.2.2: packets of one event share the timestamp; a late one of an earlier event begins nothing.
        if (last.timestamp === timestamp) {
          received[received.length - 1] = { ...known, durationMs: Math.max(known.durationMs, durationMs) };
          return false;
        }
        if (((timestamp - last.timestamp) | 0) < 0) return false;
      }
      if (received.length === maxDigits) return false;
      last = { ssrc, timestamp };
      received.push({ digit, timestamp, durationMs });
      return true;
    },
  };
};
