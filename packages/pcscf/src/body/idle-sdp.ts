// SDP that is neither offer nor answer: in 4xx to 6xx, in OPTIONS and its answer, in INFO. Keys and indications in it mean
// nothing and are taken out in both directions. Pure. TS 33.328 7.2.1 and 7.3.1, last sentences; invariants 1 and 2.
import { securityAttribute } from "@sallyport/media-security";
import { applyEdits, writeSdp, type SdpEdit, type SdpPlace } from "@sallyport/sdp";
import type { SipMessage } from "@sallyport/sip";
import { readSdp, refusalOfSdp, sdpBodyOf, withoutSurroundings, withSdpBody } from "./sdp-body.ts";

export type IdleSdp<M extends SipMessage> =
  | { readonly ok: true; readonly message: M; readonly removed: readonly string[] }
  | { readonly ok: false; readonly status: 400 | 415 | 488; readonly reason: string };

/** The message without keys and indications; refused when its body cannot be read. */
export const withoutKeying = <M extends SipMessage>(arrived: M): IdleSdp<M> => {
  const message = withoutSurroundings(arrived);
  const body = sdpBodyOf(message);
  if (body.kind === "unusable") return { ok: false, status: body.status, reason: body.reason };
  if (body.kind === "none") return { ok: true, message, removed: [] };
  const parsed = readSdp(body.octets);
  if (!parsed.ok) return { ok: false, ...refusalOfSdp(parsed) };
  const { session, media } = parsed.document;
  const sections: readonly (readonly [SdpPlace, typeof session])[] = [
    ["session", session],
    ...media.map((section, index) => [index, section.lines] as const),
  ];
  const removed: string[] = [];
  const edits: SdpEdit[] = [];
  for (const [place, section] of sections) {
    const lines: number[] = [];
    for (const [at, line] of section.entries()) {
      const found = securityAttribute(line);
      if (found === undefined) continue;
      lines.push(at);
      removed.push(found);
    }
    if (lines.length > 0) edits.push({ kind: "remove-lines", place, lines });
  }
  if (edits.length === 0) return { ok: true, message, removed };
  return { ok: true, message: withSdpBody(message, body, writeSdp(applyEdits(parsed.document, edits))), removed };
};
