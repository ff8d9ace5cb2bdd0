// The management interface of an edge that has no file: on loopback, on a port of the system's choice.
import { createApi, type Api, type AskedEdge } from "@sallyport/api";
import { systemClock, type Log } from "@sallyport/kit";
import { version } from "./version.ts";

/** @throws SALLY_API_LISTEN */
export const openLoopbackApi = (edge: AskedEdge, log: Log): Promise<Api> =>
  createApi({ listen: { address: "127.0.0.1", port: 0 }, hosts: [] }, edge, { clock: systemClock, log, version });
