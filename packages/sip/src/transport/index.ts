// The door of the transport folder.
export { defaultTransportLimits, defaultPort, hostPort } from "./flow.ts";
export type {
  Flow,
  Listening,
  ListenSpec,
  MalformedInput,
  SipProtocol,
  SipTarget,
  TlsMaterial,
  TransportLimits,
  WireEvent,
} from "./flow.ts";
export { createSipTransport, isFlow } from "./transport.ts";
export type { SipTransport, SipTransportOptions } from "./transport.ts";
export { sourceOf } from "./source.ts";
export { resolveTarget } from "./target.ts";
export type { TargetOptions } from "./target.ts";
export type { Lookup } from "./datagrams.ts";
