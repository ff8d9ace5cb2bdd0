// Owns what each party was last told of the other: kept for an offer that this edge makes of its own accord. RFC 3264 8.
import { parseSdp, writeSdp, type SdpDocument } from "@sallyport/sdp";
import type { Bodies, HeldDocument, Session } from "./state.ts";

/** A description kept for later, as small as it can be: its text, which no JSON and no inspection shows. */
const packed = (document: SdpDocument): HeldDocument => {
  const text = writeSdp(document).toString("latin1");
  return {
    document: () => {
      const parsed = parseSdp(Buffer.from(text, "latin1"));
      // What our own writer wrote is read again.
      return parsed.ok ? parsed.document : document;
    },
  };
};

export const securedIn = (session: Session | undefined): boolean =>
  session?.lines.some((line) => line.kind === "secured") === true;

/**
 * What each party was last told of the other, once `session` answered what `offer` described; undefined where no stream
 * is ours. `answer` is what the answerer's opposite is to be told of the answerer.
 */
export const bodiesOf = (session: Session, offer: SdpDocument | undefined, answer: SdpDocument): Bodies | undefined => {
  if (offer === undefined || !securedIn(session)) return undefined;
  const [access, core] = session.answerer === "core" ? [answer, offer] : [offer, answer];
  return { branch: session.branch, access: packed(access), core: packed(core) };
};
