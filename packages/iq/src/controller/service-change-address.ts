// Owns where a gateway wants to be spoken to (`ServiceChangeAddress`, H.248.1 7.2.8). Pure. On streams it is the connection that
// it opened; on datagrams it may be another port of the host that the message came from, and no other host.
import type { H248Error, H248Peer } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import { refusal } from "../profile/error-text.ts";

/** The port, or that of `[address]:port` where the address is the peer's own. */
const portOf = (said: string, host: string): number | undefined => {
  const text = said.startsWith(`[${host}]:`) ? said.slice(host.length + 3) : said;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port > 0 && port <= 65_535 ? port : undefined;
};

/** The peer commands go to. */
export const spokenTo = (peer: H248Peer, said: string | undefined): Result<H248Peer, H248Error> => {
  if (said === undefined || peer.protocol !== "udp") return ok(peer);
  const port = portOf(said, peer.remote.address);
  if (port === undefined) return refusal(449, `ServiceChangeAddress=${said}`);
  if (port === peer.remote.port) return ok(peer);
  return ok({ ...peer, id: `${peer.id}>${port}`, remote: { ...peer.remote, port } });
};

/** Both places of one gateway: mid and address were judged before. */
export const isSameHost = (one: H248Peer, other: H248Peer): boolean =>
  one.id === other.id ||
  (one.protocol === "udp" && other.protocol === "udp" && one.remote.address === other.remote.address);
