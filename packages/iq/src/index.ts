// The Iq profile (TS 29.334): procedures of TS 23.334 as typed commands on H.248, for the IMS-ALG and for the gateway.
export { iqErrors } from "./errors.ts";
export { isMid } from "./profile/mid.ts";
export type {
  AddressFamily,
  CallEndPlan,
  ContextMarks,
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
  GatewayHealth,
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
  LossReason,
} from "./controller/types.ts";
export type { HeldEnd, HeldStream, IqContextState } from "./controller/held.ts";
export { refusalTable, sipRefusal } from "./controller/refusals.ts";
export type { Refusal } from "./controller/refusals.ts";
export { createIqController } from "./controller/controller.ts";
export { createIqGateway } from "./gateway/gateway.ts";
export { scopeHandler } from "./gateway/scope.ts";
export type { HandlerScope } from "./gateway/scope.ts";
export type {
  AddRequest,
  AddedTermination,
  ChosenStream,
  ContextView,
  DescriptionOrder,
  FilterOrder,
  GatewayCapabilities,
  InactivityOrder,
  IqControllerAddress,
  IqGateway,
  IqGatewayConfig,
  IqGatewayEvent,
  IqGatewayHandler,
  IqGatewayOptions,
  IqGatewayState,
  IqRootEvent,
  LatchOrder,
  ModifyRequest,
  PoliceOrder,
  StreamCounts,
  StreamOrder,
  SubtractedTermination,
  TerminationOrder,
  TerminationView,
  WatchOrder,
} from "./gateway/types.ts";
export { lossShare } from "./gateway/encode.ts";
export { conceal, errorText, h248Error, refusal } from "./profile/error-text.ts";
export { matchesName, readChoosePattern, terminationName } from "./profile/names.ts";
export type { NamePattern } from "./profile/names.ts";
export { isSecureProtocol, readSessionText, writeSessionText } from "./profile/session-text.ts";
export type { Chosen, SessionText } from "./profile/session-text.ts";
