// The public door: the MediaPlane port and the portable engine.
export { mediaPlaneErrors } from "./errors.ts";
export { createPortablePlane } from "./portable/portable-plane.ts";
export type { PortablePlaneOptions } from "./portable/portable-plane.ts";
export type {
  LatchRule,
  LegChange,
  LegCounters,
  LegPlan,
  LegRemote,
  MediaPlane,
  OpenedLeg,
  PlaneAlarm,
  PlaneEvent,
  PlaneKey,
  PlaneMode,
  Policing,
  Protection,
  SourceFilter,
} from "./plane.ts";
