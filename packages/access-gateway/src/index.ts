// The IMS Access Gateway: H.248 contexts and terminations on Iq, carried out on a media plane.
export { accessGatewayErrors } from "./errors.ts";
export { gatewayConfigSchema } from "./config.ts";
export type { GatewayConfig } from "./config.ts";
export { createGateway } from "./gateway.ts";
export type { Gateway, GatewayDeps, StreamView } from "./gateway.ts";
export type { MediaView } from "./media.ts";
