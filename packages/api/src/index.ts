// The management interface of an edge: what it knows, over HTTP, as versioned JSON and as metrics. Never a key.
export { apiConfigSchema } from "./config.ts";
export type { ApiConfig, ApiConfigInput } from "./config.ts";
export { apiErrors } from "./errors.ts";
export { createApi, createGatewayApi } from "./server.ts";
export type { Api, ApiDeps } from "./server.ts";
export type { AskedEdge } from "./app.ts";
export type { AskedGateway } from "./gateway-app.ts";
export { certificateWarnings } from "./certificates.ts";
export type { CertificateFacts } from "./certificates.ts";
export { gatewayReason } from "./gateway-reasons.ts";
export { meaningOf, reasonMeanings } from "./reasons.ts";
export type { ReasonMeaning } from "./reasons.ts";
export {
  apiSchemas,
  apiVersion,
  callDetailSchema,
  callsSchema,
  errorSchema,
  explanationsSchema,
  gatewayAnswerSchema,
  gatewaysSchema,
  mediaLoadSchema,
  registrationsSchema,
  statusSchema,
} from "./schema.ts";
export type {
  CallAnswer,
  CallDetail,
  CallRow,
  Calls,
  Counters,
  EvidenceAnswer,
  Explanation,
  Explanations,
  GatewayAnswer,
  Gateways,
  MediaAnswer,
  MediaLoad,
  OneGateway,
  RegistrationAnswer,
  Registrations,
  Removal,
  Status,
  StreamAnswer,
} from "./schema.ts";
