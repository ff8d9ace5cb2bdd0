// Owns the two sockets of a leg: finds a pair of ports that binds. Knows nothing of what arrives.
import type { Datagram, DatagramHandlers, OpenDatagram } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";
import { noRoom } from "../socket-error.ts";
import { heldByOthers, type PortPairs } from "./ports.ts";

export interface SocketPair {
  readonly rtp: Datagram;
  readonly rtcp: Datagram;
}

export interface PairHandlers {
  readonly rtp: DatagramHandlers;
  readonly rtcp: DatagramHandlers;
}

const busy = (code: string | undefined): boolean => code === "EADDRINUSE" || code === "EACCES";

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? String(error.code) : undefined;

const openBoth = async (
  openDatagram: OpenDatagram,
  address: string,
  port: number,
  handlers: PairHandlers,
): Promise<SocketPair> => {
  const rtp = await openDatagram({ address, port }, handlers.rtp);
  try {
    return { rtp, rtcp: await openDatagram({ address, port: port + 1 }, handlers.rtcp) };
  } catch (error) {
    await rtp.close();
    throw error;
  }
};

/** Takes a pair from `ports` and binds it. @throws SALLY_PLANE_PORTS, SALLY_PLANE_ADDRESS; nothing is left taken then. */
export const openPair = async (
  openDatagram: OpenDatagram,
  address: string,
  ports: PortPairs,
  handlers: PairHandlers,
): Promise<SocketPair> => {
  let cause: unknown;
  for (let tried = 0; tried < Math.min(heldByOthers, ports.count); tried++) {
    const port = ports.take();
    if (port === undefined) break;
    try {
      return await openBoth(openDatagram, address, port, handlers);
    } catch (error) {
      ports.give(port);
      cause = error;
      const code = codeOf(error);
      const crowded = noRoom(code, address, cause);
      if (crowded !== undefined) throw crowded;
      if (!busy(code)) throw mediaPlaneErrors("SALLY_PLANE_ADDRESS", "", { cause, where: address });
    }
  }
  throw mediaPlaneErrors("SALLY_PLANE_PORTS", "", { cause, where: address });
};
