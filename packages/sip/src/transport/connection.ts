// Owns one open TCP or TLS connection: framing, keep-alives, time limits and the bound on what waits to be sent
// (RFC 3261 18.3, RFC 5626 4.4.1). Must not know what a message says.
import type { Socket } from "node:net";
import { gatherWrites } from "@sallyport/kit";
import type { Clock, Timer } from "@sallyport/kit";
import { sipErrors } from "../errors.ts";
import type { Flow, TransportLimits } from "./flow.ts";
import { hostPort } from "./flow.ts";
import { createFramer } from "./framing.ts";
import type { FramingCode } from "./framing.ts";

export interface Connection {
  readonly flow: Flow;
  readonly open: boolean;
  /** Nothing has come for 64*T1 since a request was written: its peer may be gone without a word. */
  readonly mute: boolean;
  /** Resolves to `flow` when the octets are with the kernel. Rejects SALLY_SIP_FLOW_GONE, SALLY_SIP_BACKLOG. */
  write(octets: Buffer): Promise<Flow>;
  /** RFC 5626 4.4.1: CRLF CRLF; resolves with the answering CRLF, else the connection is closed and it rejects. */
  ping(): Promise<void>;
  /** Sends what is still to be sent, then closes. */
  close(): void;
  destroy(): void;
}

export interface ConnectionHandlers {
  onMessage(octets: Buffer): void;
  onBroken(code: FramingCode, head: Buffer | undefined): void;
  onClose(): void;
}

/** RFC 3261 17.1: as long as a request waits for any answer. */
const muteMs = 32_000;

/** Responses and ACK are answered by nobody. */
const wantsAnswer = (octets: Buffer): boolean => {
  const start = octets.toString("latin1", 0, 4);
  return start !== "SIP/" && start !== "ACK ";
};

export const createConnection = (
  socket: Socket,
  flow: Flow,
  options: {
    readonly clock: Clock;
    readonly limits: TransportLimits;
    /** We opened it. */
    readonly ours: boolean;
    readonly isProven?: ((flow: Flow) => boolean) | undefined;
  },
  handlers: ConnectionHandlers,
): Connection => {
  const { clock, limits } = options;
  const framer = createFramer(limits);
  let open = true;
  /** We are done with it: what still arrives is not looked at. */
  let leaving = false;
  let crlfs = 0;
  let delivered = false;
  /** A stranger has to show who it is before it may be silent for long: by what its owner asks for, else by a message. */
  let proven = options.ours;
  /** Whoever once was no stranger may be silent as long as others: its registration may have run out meanwhile. */
  const isProven = (): boolean => (proven ||= options.isProven?.(flow) ?? delivered);
  const since = clock.now();
  let lastUse = since;
  let messageTimer: Timer | undefined;
  let closeTimer: Timer | undefined;
  /** When the first request was written after what came last. */
  let unheardSince: number | undefined;
  let waiting: { resolve(): void; reject(error: Error): void; timer: Timer } | undefined;

  const gone = (): Error =>
    sipErrors("SALLY_SIP_FLOW_GONE", `${flow.protocol} ${hostPort(flow.remote.address, flow.remote.port)}.`);

  // One lazy timer: it looks at the last use when it fires, so that a message costs no timer.
  const idleLeft = (): number => {
    const until = isProven() ? lastUse + limits.idleMs : since + limits.firstMessageMs;
    return until - clock.now();
  };
  const watch = (left = idleLeft()): Timer =>
    clock.after(Math.max(1, left), () => {
      const now = idleLeft();
      if (now <= 0) socket.destroy();
      else idleTimer = watch(now);
    });
  let idleTimer = watch();

  const gather = gatherWrites(socket);

  const settlePong = (): void => {
    waiting?.timer.cancel();
    waiting?.resolve();
    waiting = undefined;
  };

  const onData = (chunk: Buffer): void => {
    unheardSince = undefined;
    if (leaving) return;
    let completed = false;
    let pings = 0;
    framer.push(chunk, (frame) => {
      if (!open || leaving) return;
      if (frame.kind === "crlf") {
        lastUse = clock.now();
        // RFC 5626 4.4.1: a single CRLF is a pong, two are a ping.
        if (waiting !== undefined) settlePong();
        else if (++crlfs === 2) {
          crlfs = 0;
          pings++;
        }
        return;
      }
      crlfs = 0;
      completed = true;
      if (frame.kind === "broken") return handlers.onBroken(frame.code, frame.head);
      delivered = true;
      lastUse = clock.now();
      handlers.onMessage(frame.octets);
    });
    if (!open) return;
    // One answer for all pings of a chunk, and none to a peer that does not read them.
    if (pings > 0 && socket.writableLength === 0) socket.write("\r\n");
    if (completed || framer.held === 0) {
      messageTimer?.cancel();
      messageTimer = undefined;
    }
    if (framer.held > 0) messageTimer ??= clock.after(limits.messageMs, () => socket.destroy());
  };

  const onClose = (): void => {
    if (!open) return;
    open = false;
    idleTimer.cancel();
    messageTimer?.cancel();
    closeTimer?.cancel();
    waiting?.timer.cancel();
    waiting?.reject(gone());
    waiting = undefined;
    handlers.onClose();
  };

  socket.setNoDelay(true);
  socket.on("data", onData);
  // The error of a broken connection is told by its close; writes in flight get it through their callbacks.
  socket.on("error", () => undefined);
  socket.on("close", onClose);
  // A socket that ended before we listened tells nobody any more.
  if (socket.destroyed) queueMicrotask(onClose);

  const connection: Connection = {
    flow,
    get open() {
      return open && !socket.destroyed && socket.writable;
    },
    get mute() {
      return unheardSince !== undefined && clock.now() - unheardSince > muteMs;
    },
    write: (octets) =>
      new Promise((resolve, reject) => {
        if (!connection.open) return reject(gone());
        if (socket.writableLength + octets.length > limits.maxUnsent) {
          socket.destroy();
          return reject(sipErrors("SALLY_SIP_BACKLOG", `${hostPort(flow.remote.address, flow.remote.port)}.`));
        }
        lastUse = clock.now();
        if (wantsAnswer(octets)) unheardSince ??= lastUse;
        // The answer to a REGISTER is where a stranger ceases to be one.
        isProven();
        gather();
        socket.write(octets, (error) => (error === null || error === undefined ? resolve(flow) : reject(gone())));
      }),
    ping: () =>
      new Promise((resolve, reject) => {
        if (!connection.open) return reject(gone());
        if (waiting !== undefined) return resolve();
        waiting = { resolve, reject, timer: clock.after(limits.pongMs, () => socket.destroy()) };
        socket.write("\r\n\r\n");
      }),
    close: () => {
      if (!open) return;
      leaving = true;
      socket.destroySoon();
      closeTimer ??= clock.after(1_000, () => socket.destroy());
    },
    destroy: () => void socket.destroy(),
  };
  return connection;
};
