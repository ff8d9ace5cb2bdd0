// Owns how a controller's address becomes a connection (TLS 1.3 with both certificates by default).
import type { H248ConnectSpec } from "@sallyport/h248";
import type { IqControllerAddress } from "./types.ts";

export const connectSpec = (controller: IqControllerAddress): H248ConnectSpec => ({
  protocol: controller.protocol,
  address: controller.address,
  port: controller.port,
  ...(controller.tls === undefined ? {} : { tls: controller.tls }),
  ...(controller.certificateName === undefined ? {} : { serverName: controller.certificateName }),
});
