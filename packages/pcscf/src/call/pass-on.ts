// Sends a 2xx on whose transaction died with an earlier run of this edge: its Vias still name who waits for it.
// Decides nothing, keeps nothing. RFC 3261 16.7 and 18.2.2; RFC 6026 8.9 forbids it only for what is of no call here.
import { otherSide } from "@sallyport/media-security";
import { headerValue, removeTopListElement } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { coreTarget, countRemoved } from "../routing/outgoing.ts";
import { assertIdentity } from "../routing/identity.ts";
import { scrub } from "../routing/scrub.ts";
import { flowInDialog } from "../routing/ue-flow.ts";
import type { CallEffect } from "./types.ts";

/** Never to an address a UE wrote into it: towards the core to the next element of the dialog, towards the UE by its flow. */
export const passOn = (
  ctx: EdgeContext,
  binding: Binding,
  { towards, response, party }: CallEffect & { readonly kind: "pass-on" },
): void => {
  const scrubbed = scrub(removeTopListElement(response, "via"), towards);
  if (headerValue(scrubbed.message, "via") === undefined) return;
  countRemoved(ctx, scrubbed.removed, otherSide(towards));
  const to = towards === "core" ? coreTarget(ctx, party.routes[0] ?? party.target) : flowInDialog(ctx, binding);
  if (to === undefined) return;
  ctx.transport
    .send(towards === "core" ? assertIdentity(scrubbed.message, []) : scrubbed.message, to)
    .catch((error: unknown) => ctx.log.info("answer not passed on", { error: String(error) }));
};
