// What is left of a registration's flow after a restart. Pure. RFC 5626 3: a flow dies with its connection.
import type { Binding } from "../registration/binding.ts";

/** The binding with a flow that no connection of this process can be taken for; addresses on UDP stay good. */
export const withPastFlow = (binding: Binding): Binding =>
  binding.flow.protocol === "udp" ? binding : { ...binding, flow: { ...binding.flow, id: `past/${binding.id}` } };
