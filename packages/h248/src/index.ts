// The public door: text codec, association and transports of H.248.1. Nothing here knows IMS or SDES.
export { h248Errors } from "./errors.ts";
export type * from "./text/descriptor.ts";
export type * from "./text/message.ts";
export { sameName, terminationsOf } from "./text/message.ts";
export { defaultH248Limits } from "./text/limits.ts";
export type { H248Limits, H248ParseCode, H248ParseFailure, H248Remains } from "./text/limits.ts";
export { parseH248 } from "./text/parse.ts";
export { writeH248 } from "./text/write.ts";
export { canonicalMid } from "./text/write-mid.ts";
export type { H248Style } from "./text/pen.ts";
export { property, propertyValue } from "./text/properties.ts";
export { defaultH248TransportLimits } from "./transport/peer.ts";
export type * from "./transport/peer.ts";
export { createAssociation } from "./association/association.ts";
export { defaultAssociationLimits, defaultAssociationTimers } from "./association/options.ts";
export type {
  Association,
  AssociationCounts,
  AssociationLimits,
  AssociationOptions,
  AssociationTimers,
  Destination,
  H248Request,
  RequestOptions,
} from "./association/options.ts";
export { stepSender } from "./association/sender.ts";
export { stepReceiver } from "./association/receiver.ts";
export { createH248Transport } from "./transport/transport.ts";
export type { H248TransportOptions } from "./transport/transport.ts";
