// Owns the choice of the media engine: what was asked for, what this machine lets start, and a sentence that says why.
import { systemDatagrams, type Clock, type Log, type OpenDatagram } from "@sallyport/kit";
import { mediaPlaneErrors } from "./errors.ts";
import { loadAddon, type NativeAddon } from "./native/addon.ts";
import { createNativePlane, type NativePlane, type NativePlaneOptions } from "./native/native-plane.ts";
import type { MediaPlane } from "./plane.ts";
import { createPortablePlane } from "./portable/portable-plane.ts";
import type { PortRange } from "./portable/ports.ts";

export type EngineName = "auto" | "portable" | "socket" | "xdp";

export interface MediaPlaneOptions extends Pick<
  NativePlaneOptions,
  "threads" | "io" | "batchUs" | "receiveBuffer" | "firstCore" | "connectAfter" | "interfaces"
> {
  readonly clock: Clock;
  readonly log: Log;
  readonly engine: EngineName;
  readonly portRange: PortRange;
  readonly quarantineMs?: number;
  /** For the portable engine: the system's sockets when left out. Others than the system's: `auto` is the portable engine. */
  readonly openDatagram?: OpenDatagram;
}

export interface ChosenPlane {
  readonly plane: MediaPlane;
  /** The same plane where it is the native one: its threads have something to say. */
  readonly native?: NativePlane;
  /** What runs and why. */
  readonly reason: string;
  /** `auto` took less than the best there is, or the engine goes without something: what would help. */
  readonly warning?: string;
}

/** @throws SALLY_PLANE_ENGINE when the engine asked for by name cannot start; SALLY_PLANE_RANGE. */
export const createMediaPlane = (options: MediaPlaneOptions): ChosenPlane => {
  const { engine, openDatagram, interfaces = [], ...rest } = options;
  const portable = (reason: string, warning?: string): ChosenPlane => ({
    plane: createPortablePlane({ ...rest, ...(openDatagram === undefined ? {} : { openDatagram }) }),
    reason,
    ...(warning === undefined ? {} : { warning }),
  });
  if (engine === "portable") return portable("portable: the configuration asks for it");
  const ownSockets = openDatagram !== undefined && openDatagram !== systemDatagrams;
  if (engine === "auto" && ownSockets) return portable("portable: sockets are given by the caller");
  const addon = loadAddon();
  const why = engine === "auto" ? "the best that starts on this machine" : "the configuration asks for it";
  const served = (plane: NativePlane, reason: string, without: readonly string[]): ChosenPlane => {
    const warnings = [...without, plane.note].filter((one) => one !== "");
    const warning = warnings.length === 0 ? {} : { warning: warnings.join("; ") };
    return { plane, native: plane, reason: `${reason}: ${why}`, ...warning };
  };
  const missing: string[] = [];
  if (engine === "xdp" || (engine === "auto" && interfaces.length > 0)) {
    const plane = startXdp(addon, { ...rest, interfaces });
    if (typeof plane !== "string") return served(plane, `xdp on ${plane.manner}`, []);
    if (engine === "xdp") throw mediaPlaneErrors("SALLY_PLANE_ENGINE", plane, { where: engine });
    missing.push(`the sockets serve instead of xdp: ${plane}`);
  }
  const plane = typeof addon === "string" ? addon : createNativePlane(addon, rest);
  if (typeof plane !== "string") return served(plane, `socket over ${plane.io}`, missing);
  if (engine === "socket") throw mediaPlaneErrors("SALLY_PLANE_ENGINE", plane, { where: engine });
  return portable(`portable: ${plane}`, `the portable media engine serves, with a fraction of the capacity: ${plane}`);
};

const startXdp = (addon: NativeAddon | string, options: NativePlaneOptions): NativePlane | string => {
  if (options.interfaces?.length === 0) return "name the interfaces that packets come and go by (media.interfaces)";
  return typeof addon === "string" ? addon : createNativePlane(addon, options);
};
