// Owns the choice of the media engine: what was asked for, what this machine lets start, and a sentence that says why.
import { systemDatagrams, type Clock, type Log, type OpenDatagram } from "@sallyport/kit";
import { mediaPlaneErrors } from "./errors.ts";
import { loadAddon } from "./native/addon.ts";
import { createNativePlane, type NativePlane, type NativePlaneOptions } from "./native/native-plane.ts";
import type { MediaPlane } from "./plane.ts";
import { createPortablePlane } from "./portable/portable-plane.ts";
import type { PortRange } from "./portable/ports.ts";

export type EngineName = "auto" | "portable" | "socket" | "xdp";

export interface MediaPlaneOptions extends Pick<
  NativePlaneOptions,
  "threads" | "io" | "batchUs" | "receiveBuffer" | "firstCore" | "connectAfter"
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
  const { engine, openDatagram, ...rest } = options;
  const portable = (reason: string, warning?: string): ChosenPlane => ({
    plane: createPortablePlane({ ...rest, ...(openDatagram === undefined ? {} : { openDatagram }) }),
    reason,
    ...(warning === undefined ? {} : { warning }),
  });
  if (engine === "portable") return portable("portable: the configuration asks for it");
  if (engine === "xdp") {
    throw mediaPlaneErrors("SALLY_PLANE_ENGINE", "The xdp engine is not part of this build.", { where: engine });
  }
  const ownSockets = openDatagram !== undefined && openDatagram !== systemDatagrams;
  if (engine === "auto" && ownSockets) return portable("portable: sockets are given by the caller");
  const addon = loadAddon();
  const plane = typeof addon === "string" ? addon : createNativePlane(addon, rest);
  if (typeof plane !== "string") {
    const why = engine === "auto" ? "the best that starts on this machine" : "the configuration asks for it";
    const warning = plane.note === "" ? {} : { warning: plane.note };
    return { plane, native: plane, reason: `socket over ${plane.io}: ${why}`, ...warning };
  }
  if (engine === "socket") throw mediaPlaneErrors("SALLY_PLANE_ENGINE", plane, { where: engine });
  return portable(`portable: ${plane}`, `the portable media engine serves, with a fraction of the capacity: ${plane}`);
};
