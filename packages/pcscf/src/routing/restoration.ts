// What a UE is told whose request reached nobody in the core: that it should register anew, so that another S-CSCF serves it.
// Pure. TS 24.229 5.2.6.3.2A and 7.6, TS 23.380 4.4.3. Knows no call.
import { createResponse, tagOf, type ServerTransaction, type SipResponse } from "@sallyport/sip";
import type { EdgeContext } from "../context.ts";
import type { Binding } from "../registration/binding.ts";
import { isUnregistered } from "./emergency.ts";
import { pointUri } from "../listening/points.ts";

/** Our URI in Path; undefined where nothing listens towards the next hop. `outbound`: we promise to keep the flow. */
export const pathUri = (
  { points, nextHop, tokens }: Pick<EdgeContext, "points" | "nextHop" | "tokens">,
  pathId: string,
  outbound: boolean,
): string | undefined => {
  const point = points.all.find(({ name }) => name === nextHop.listener);
  // RFC 5626 5.1.
  return point === undefined ? undefined : `${pointUri(point, tokens.seal("path", pathId))}${outbound ? ";ob" : ""}`;
};

const body = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<ims-3gpp version="1"><alternative-service><type>restoration</type>',
  "<reason>The S-CSCF does not answer.</reason><action>initial-registration</action></alternative-service></ims-3gpp>",
  "",
].join("\r\n");

/** 504 with the order to register anew; undefined for who has no registration, and within a dialog. */
export const restoration = (
  ctx: Pick<EdgeContext, "points" | "nextHop" | "tokens">,
  { request, toTag }: Pick<ServerTransaction, "request" | "toTag">,
  binding: Binding,
): SipResponse | undefined => {
  if (isUnregistered(binding) || tagOf(request, "to") !== undefined) return undefined;
  const path = pathUri(ctx, binding.path ?? binding.id, binding.regId !== undefined);
  if (path === undefined) return undefined;
  return createResponse(request, 504, undefined, {
    toTag,
    // The UE believes it only from whoever stands in its Path.
    headers: [
      ["P-Asserted-Identity", `<${path}>`],
      ["Content-Type", "application/3gpp-ims+xml"],
    ],
    body: Buffer.from(body, "latin1"),
  });
};
