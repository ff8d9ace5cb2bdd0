// Owns finding and opening an RTP/RTCP pair of sockets. RFC 3550 11: RTP on an even port, RTCP on the next one.
import type { Datagram, DatagramHandlers, OpenDatagram, Random } from "@sallyport/kit";
import { ueErrors } from "../errors.ts";

export interface PortPair {
  readonly rtp: Datagram;
  readonly rtcp: Datagram;
}

const attempts = 64;

/**
 * Opens two neighbouring ports, in the range where one is given.
 * @throws SALLY_UE_PORTS after 64 pairs, at once for an address that cannot be bound.
 */
export const openPortPair = async (
  open: OpenDatagram,
  random: Random,
  address: string,
  range: { readonly first: number; readonly last: number } | undefined,
  handlers: { readonly rtp: DatagramHandlers; readonly rtcp: DatagramHandlers },
): Promise<PortPair> => {
  const first = range === undefined ? 0 : range.first + (range.first & 1);
  const pairs = range === undefined ? 0 : Math.floor((range.last - first + 1) / 2);
  if (range !== undefined && pairs < 1) throw ueErrors("SALLY_UE_PORTS", `${range.first} to ${range.last} holds none.`);
  const start = pairs === 0 ? 0 : random.bytes(4).readUInt32BE(0) % pairs;
  let reason: unknown;
  for (let attempt = 0; attempt < (pairs === 0 ? attempts : Math.min(pairs, 1024)); attempt += 1) {
    const port = pairs === 0 ? 0 : first + 2 * ((start + attempt) % pairs);
    let rtp: Datagram | undefined;
    try {
      rtp = await open({ address, port }, handlers.rtp);
      if (rtp.local.port % 2 === 0) {
        return { rtp, rtcp: await open({ address, port: rtp.local.port + 1 }, handlers.rtcp) };
      }
    } catch (cause) {
      reason = cause;
      if ((cause as NodeJS.ErrnoException).code !== "EADDRINUSE") {
        await rtp?.close();
        throw ueErrors("SALLY_UE_PORTS", `${(cause as Error).message}.`, { cause, where: address });
      }
    }
    await rtp?.close();
  }
  throw ueErrors("SALLY_UE_PORTS", "", { cause: reason, where: address });
};
