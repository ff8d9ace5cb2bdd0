// The Iq profile (TS 29.334): procedures of TS 23.334 as typed commands on H.248, for the IMS-ALG and for the gateway.
export { iqErrors } from "./errors.ts";
export type {
  CallEndPlan,
  IqContext,
  IqProfile,
  IqSide,
  IqStatistics,
  RemoteAddress,
  ReservedEnd,
  ReservedEnds,
  StreamMode,
  StreamPlan,
  TerminationStatistics,
} from "./types.ts";
export type {
  GatewayState,
  GatewayStatus,
  IqController,
  IqControllerConfig,
  IqControllerOptions,
  IqGatewayEntry,
  IqListen,
  IqListening,
  IqNotification,
  IqTlsMaterial,
  IqWireEvent,
} from "./controller/types.ts";
