// Opens what the configuration says to listen on. Shell; says nothing of what is done with what arrives.
import type { Side } from "@sallyport/media-security";
import type { SipTransport } from "@sallyport/sip";
import type { EdgeConfig } from "../config.ts";
import { readTls } from "../files.ts";
import type { ListeningPoint } from "./points.ts";

type Listener = EdgeConfig["access"][number] | EdgeConfig["core"]["listen"][number];

const openPoint = async (
  transport: SipTransport,
  side: Side,
  index: number,
  listener: Listener,
): Promise<ListeningPoint> => {
  const name = `${side}/${listener.name ?? index}`;
  const tls = listener.tls === undefined ? undefined : await readTls(listener.tls);
  const bound = await transport.listen({
    name,
    protocol: listener.protocol,
    address: listener.address,
    port: listener.port,
    reserved: side === "core",
    ...(tls === undefined ? {} : { tls }),
    ...(listener.advertised === undefined ? {} : { advertise: listener.advertised }),
  });
  return {
    name,
    side,
    protocol: bound.protocol,
    address: bound.address,
    port: bound.port,
    host: listener.advertised ?? bound.address,
    trusted: "trusted" in listener && listener.trusted,
    ...("accessNetworkInfo" in listener && listener.accessNetworkInfo !== undefined
      ? { accessNetworkInfo: listener.accessNetworkInfo }
      : {}),
  };
};

/** Opens one side's listening points, in order. @throws SALLY_EDGE_FILE, SALLY_SIP_LISTEN, SALLY_SIP_TLS_MATERIAL */
export const openPoints = async (
  transport: SipTransport,
  side: Side,
  listeners: readonly Listener[],
): Promise<readonly ListeningPoint[]> => {
  const points: ListeningPoint[] = [];
  for (const [index, listener] of listeners.entries()) points.push(await openPoint(transport, side, index, listener));
  return points;
};
