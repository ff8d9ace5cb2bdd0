// Owns how a controller's address becomes a connection (TLS 1.3 with both certificates by default).
import type { H248ConnectSpec, H248Peer } from "@sallyport/h248";
import type { IqControllerAddress } from "./types.ts";

/** `before`: who it was spoken to until now; the gateway's own address stays what it was known by. */
export const connectSpec = async (controller: IqControllerAddress, before?: H248Peer): Promise<H248ConnectSpec> => {
  const tls = typeof controller.tls === "function" ? await controller.tls() : controller.tls;
  return {
    protocol: controller.protocol,
    address: controller.address,
    port: controller.port,
    ...(tls === undefined ? {} : { tls }),
    ...(controller.certificateName === undefined ? {} : { serverName: controller.certificateName }),
    ...(before?.protocol === "udp" ? { from: { protocol: "udp", ...before.local } } : {}),
  };
};
