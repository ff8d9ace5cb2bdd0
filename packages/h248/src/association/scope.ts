// Owns who counts as the same peer when an answer or a repetition comes: the certificate's names, else the address.
import type { H248Peer } from "../transport/peer.ts";

/** Survives a new connection of the same peer; a peer without certificate names is its connection. */
export const scopeOf = (peer: H248Peer): string => {
  if (peer.protocol !== "tls") return `${peer.protocol} ${peer.remote.address}`;
  return peer.peerNames.length === 0 ? `tls ${peer.id}` : `tls ${peer.peerNames.join(" ")}`;
};
