// Owns one stream to a peer: TPKT in and out, and what ends it: a broken frame, one that does not get on, a peer that does
// not read. Knows no H.248.
import { gatherWrites } from "@sallyport/kit";
import type { Clock, Timer } from "@sallyport/kit";
import type { Socket } from "node:net";
import type { H248Peer, H248TransportLimits } from "./peer.ts";
import { createTpktReader, tpktFrame } from "./tpkt.ts";

type EndReason = "closed" | "error" | "framing" | "slow" | "not-reading" | "disconnected";

export interface Connection {
  readonly peer: H248Peer;
  send(message: Uint8Array): boolean;
  end(reason: EndReason): void;
}

/** A buffer the system reads into, and who is told: what Node's streams would do between costs more than the reading. */
export interface Intake {
  readonly buffer: Buffer;
  take: ((chunk: Buffer) => void) | undefined;
}

export interface ConnectionHandlers {
  readonly clock: Clock;
  readonly limits: H248TransportLimits;
  /**
   * Where octets come from that the socket does not emit. Who opens connections, a gateway, answers: what one read asked for
   * leaves together. Who accepts them, a controller, asks for what many others brought in one turn.
   */
  readonly intake: Intake | undefined;
  /** The octets are lent. */
  onMessage(message: Buffer, peer: H248Peer): void;
  onEnd(reason: EndReason, connection: Connection): void;
}

/** Takes a connected (and, for TLS, verified) socket over. `onEnd` is called exactly once. */
export const createConnection = (socket: Socket, peer: H248Peer, handlers: ConnectionHandlers): Connection => {
  const { clock, limits } = handlers;
  const reader = createTpktReader(limits.maxFrame);
  let stalled: Timer | undefined;
  let ended = false;

  const { intake } = handlers;
  const gather =
    intake === undefined ? gatherWrites(socket) : gatherWrites(socket, (release) => process.nextTick(release));

  const connection: Connection = {
    peer,
    send: (message) => {
      const frame = tpktFrame(message);
      if (ended || frame === undefined) return false;
      if (socket.writableLength + frame.length > limits.maxUnsent) {
        connection.end("not-reading");
        return false;
      }
      gather();
      socket.write(frame);
      return true;
    },
    end: (reason) => {
      if (ended) return;
      ended = true;
      stalled?.cancel();
      // An orderly end lets what was written go out; everything else is cut.
      if (reason === "closed" || reason === "disconnected") socket.destroySoon();
      else socket.destroy();
      handlers.onEnd(reason, connection);
    },
  };

  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  const take = (chunk: Buffer): void => {
    if (ended) return;
    const sound = reader.push(chunk, (message) => {
      // The next frame has its own time.
      stalled?.cancel();
      stalled = undefined;
      if (!ended) handlers.onMessage(message, peer);
    });
    if (!sound) connection.end("framing");
    else if (reader.partial) stalled ??= clock.after(limits.progressMs, () => connection.end("slow"));
  };
  if (intake === undefined) socket.on("data", take);
  else intake.take = take;
  socket.on("error", () => connection.end("error"));
  socket.on("end", () => connection.end("closed"));
  socket.on("close", () => connection.end("closed"));
  return connection;
};
