// The public door: the MediaPlane port, its engines, and the choice among them.
export { createMediaPlane } from "./auto.ts";
export type { ChosenPlane, EngineName, MediaPlaneOptions } from "./auto.ts";
export { mediaPlaneErrors } from "./errors.ts";
export type { NativePlane } from "./native/native-plane.ts";
export type { ThreadLoad } from "./native/threads.ts";
export { createPortablePlane } from "./portable/portable-plane.ts";
export type { PortablePlaneOptions } from "./portable/portable-plane.ts";
export type { PortRange } from "./portable/ports.ts";
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
