// Owns what is refused before the engine sees it: values that are no address, port, rule or code point.
import { isIP } from "node:net";
import { mediaPlaneErrors } from "../errors.ts";
import type { LegChange, LegRemote } from "../plane.ts";
import { checkPolicing, checkSourceFilter } from "../portable/rules.ts";

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535;

const checkRemote = ({ address, rtpPort, rtcpPort }: LegRemote): void => {
  if (isIP(address) !== 0 && isPort(rtpPort) && isPort(rtcpPort)) return;
  throw mediaPlaneErrors("SALLY_PLANE_REMOTE", `It is ${address}, RTP ${rtpPort}, RTCP ${rtcpPort}.`);
};

/** @throws SALLY_PLANE_REMOTE, SALLY_PLANE_RULE, SALLY_PLANE_DSCP. */
export const checkChange = (change: LegChange): void => {
  if (change.remote !== undefined) checkRemote(change.remote);
  if (change.sourceFilter !== undefined) checkSourceFilter(change.sourceFilter);
  if (change.policing !== undefined) checkPolicing(change.policing);
  const { dscp = 0 } = change;
  if (!Number.isInteger(dscp) || dscp < 0 || dscp > 63) throw mediaPlaneErrors("SALLY_PLANE_DSCP", `It is ${dscp}.`);
};
