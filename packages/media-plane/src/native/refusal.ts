// Owns what the engine's numbers for "no" mean: the errors the portable engine throws for the same.
import { getSystemErrorName } from "node:util";
import { srtpErrors } from "@sallyport/srtp";
import { mediaPlaneErrors } from "../errors.ts";
import { noRoom } from "../socket-error.ts";

const firstRefusal = -1000;

/** In the order of `Refusal` in native/core/ledger.hpp, `none` left out. */
const refusals: readonly ((owner: () => number) => Error)[] = [
  () => srtpErrors("SALLY_SRTP_KEY_LENGTH"),
  () => srtpErrors("SALLY_SRTP_KEYS"),
  () => srtpErrors("SALLY_SRTP_LIFETIME"),
  () => mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", "It is this leg's own receive key."),
  (owner) => mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", `Leg ${owner()} has sent under it.`),
  () => mediaPlaneErrors("SALLY_PLANE_KEY_IN_USE", "A leg that is closed has sent under it."),
  () => mediaPlaneErrors("SALLY_PLANE_REKEYS"),
  () => mediaPlaneErrors("SALLY_PLANE_MEMORY"),
];

/** The error a refused plan or change is thrown with. `owner` tells which leg has the key. */
export const refusal = (code: number, owner: () => number): Error =>
  refusals[firstRefusal - code - 1]?.(owner) ?? mediaPlaneErrors("SALLY_PLANE_REMOTE", "It is no address literal.");

/** Sockets that could not be bound. `code` is -errno. */
export const unbound = (code: number, address: string): Error => {
  const name = code > firstRefusal ? getSystemErrorName(code) : undefined;
  return (
    noRoom(name, address) ?? mediaPlaneErrors("SALLY_PLANE_ADDRESS", name ?? "It is no IP literal.", { where: address })
  );
};
