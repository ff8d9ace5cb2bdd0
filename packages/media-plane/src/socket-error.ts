// Owns what is said of media sockets that could not be had, for every engine.
import type { SallyportError } from "@sallyport/kit";
import { mediaPlaneErrors } from "./errors.ts";

/** The process or the machine has no room for another socket: another port would not help. */
const full: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/** Undefined unless there is no room: SALLY_PLANE_PORTS. `code` is the system's name of the error. */
export const noRoom = (code: string | undefined, address: string, cause?: unknown): SallyportError | undefined =>
  code === undefined || !full.has(code)
    ? undefined
    : mediaPlaneErrors("SALLY_PLANE_PORTS", `${code}: raise the limits of open files and memory.`, {
        where: address,
        cause,
      });
