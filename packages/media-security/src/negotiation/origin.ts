// Owns the version in the o= line of each direction. RFC 3264 8: who sees the same version may take the body as unchanged.
// A re-offer may change what we write towards one side only (a crypto tag, an address) while the author keeps his version.
import { hash } from "node:crypto";
import { applyEdits, originParts, type SdpDocument } from "@sallyport/sdp";
import type { OriginMark } from "./state.ts";

interface Origin {
  readonly session: string;
  readonly version: bigint;
}

const originOf = (document: SdpDocument): Origin | undefined => {
  const line = document.session.find(({ type }) => type === "o");
  const read = line === undefined ? undefined : originParts(line.value);
  const [session, , version] = read?.parts ?? [];
  if (read === undefined || version === undefined || !/^[0-9]{1,30}$/.test(version)) return undefined;
  return { session: read.before + session, version: BigInt(version) };
};

/** A digest of everything but the o= line. */
const digestOf = (document: SdpDocument): string => {
  let text = "";
  for (const line of document.session) if (line.type !== "o") text += line.raw;
  for (const media of document.media) for (const line of media.lines) text += line.raw;
  return hash("sha256", text, "base64url").slice(0, 16);
};

/**
 * The body as it leaves, and what to remember. `own` is false for a call we leave alone: then the version is only noted.
 * An o= line that cannot be read stays as it is.
 */
export const stampOrigin = (
  document: SdpDocument,
  last: OriginMark | undefined,
  own: boolean,
): { readonly document: SdpDocument; readonly mark: OriginMark | undefined } => {
  const origin = originOf(document);
  if (origin === undefined) return { document, mark: last };
  const digest = digestOf(document);
  const before = last?.session === origin.session ? last : undefined;
  const offset = BigInt(before?.offset ?? 0);
  const plain = origin.version + offset;
  const sent = BigInt(before?.version ?? 0);
  if (!own || before === undefined || (before.digest !== digest && plain > sent)) {
    return stamped(document, origin, offset, digest);
  }
  // The very same body again keeps its version; another body never shares one.
  const floor = before.digest === digest ? sent : sent + 1n;
  return stamped(document, origin, plain >= floor ? offset : floor - origin.version, digest);
};

const stamped = (document: SdpDocument, origin: Origin, offset: bigint, digest: string) => {
  const version = origin.version + offset;
  return {
    document: offset === 0n ? document : applyEdits(document, [{ kind: "origin", version: String(version) }]),
    mark: { session: origin.session, version: String(version), offset: String(offset), digest },
  };
};
