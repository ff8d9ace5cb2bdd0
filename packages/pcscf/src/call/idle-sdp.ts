// SDP that is neither offer nor answer: in 4xx to 6xx, in OPTIONS and its answer, in INFO. Keys and indications in it mean
// nothing and are taken out in both directions. Pure. TS 33.328 7.2.1 and 7.3.1, last sentences; invariants 1 and 2.
import { applyEdits, attributeValues, parseSdp, writeSdp, type SdpEdit, type SdpPlace } from "@sallyport/sdp";
import type { SipMessage } from "@sallyport/sip";
import { sdpBodyOf, withSdpBody } from "./body.ts";

const keying = ["crypto", "3ge2ae", "key-mgmt"] as const;

export type IdleSdp<M extends SipMessage> =
  | { readonly ok: true; readonly message: M; readonly removed: readonly string[] }
  | { readonly ok: false; readonly status: 400 | 415 | 488; readonly reason: string };

/** The message without keys and indications; refused when its body cannot be read. */
export const withoutKeying = <M extends SipMessage>(message: M): IdleSdp<M> => {
  const body = sdpBodyOf(message);
  if (body.kind === "unusable") return { ok: false, status: body.status, reason: body.reason };
  if (body.kind === "none") return { ok: true, message, removed: [] };
  const parsed = parseSdp(body.octets);
  if (!parsed.ok) return { ok: false, status: 400, reason: "Malformed SDP" };
  const { session, media } = parsed.document;
  const sections: readonly (readonly [SdpPlace, typeof session])[] = [
    ["session", session],
    ...media.map((section, index) => [index, section.lines] as const),
  ];
  const removed: string[] = [];
  const edits: SdpEdit[] = [];
  for (const [place, lines] of sections) {
    for (const name of keying) {
      const found = attributeValues(lines, name).length;
      if (found === 0) continue;
      edits.push({ kind: "remove-attribute", place, name });
      removed.push(...Array.from({ length: found }, () => name));
    }
  }
  if (edits.length === 0) return { ok: true, message, removed };
  return { ok: true, message: withSdpBody(message, body, writeSdp(applyEdits(parsed.document, edits))), removed };
};
