// Owns what a destination is, for every engine: a bad one must not wait for the packet path to fail.
import { isIP } from "node:net";
import { mediaPlaneErrors } from "./errors.ts";
import type { LegRemote } from "./plane.ts";

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 0 && port <= 65_535;

/** @throws SALLY_PLANE_REMOTE */
export const checkRemote = ({ address, rtpPort, rtcpPort, rtcpAddress = address }: LegRemote): void => {
  if (isIP(address) !== 0 && isIP(rtcpAddress) !== 0 && isPort(rtpPort) && isPort(rtcpPort)) return;
  throw mediaPlaneErrors("SALLY_PLANE_REMOTE", `It is ${address}, RTP ${rtpPort}, RTCP ${rtcpAddress} ${rtcpPort}.`);
};
