// Owns the two sockets of a leg: finds a pair of ports that binds. Knows nothing of what arrives.
import type { Datagram, DatagramHandlers, OpenDatagram } from "@sallyport/kit";
import { mediaPlaneErrors } from "../errors.ts";
import type { PortPairs } from "./ports.ts";

export interface SocketPair {
  readonly rtp: Datagram;
  readonly rtcp: Datagram;
}

export interface PairHandlers {
  readonly rtp: DatagramHandlers;
  readonly rtcp: DatagramHandlers;
}

// Ports of the range that other programs hold are passed over, but not the whole range in one `open`.
const attempts = 32;

const busy = (error: unknown): boolean =>
  error instanceof Error && "code" in error && (error.code === "EADDRINUSE" || error.code === "EACCES");

/** The process or the machine has no room for another socket: another port would not help. */
const full: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

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
  for (let tried = 0; tried < Math.min(attempts, ports.count); tried++) {
    const port = ports.take();
    if (port === undefined) break;
    try {
      return await openBoth(openDatagram, address, port, handlers);
    } catch (error) {
      ports.give(port);
      cause = error;
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (full.has(code))
        throw mediaPlaneErrors("SALLY_PLANE_PORTS", `${String(code)}: raise the limits of open files and memory.`, {
          cause,
          where: address,
        });
      if (!busy(error)) throw mediaPlaneErrors("SALLY_PLANE_ADDRESS", "", { cause, where: address });
    }
  }
  throw mediaPlaneErrors("SALLY_PLANE_PORTS", "", { cause, where: address });
};
