// What may cross an edge and how it looks on the other side, for the flows: descriptions as each end writes them, and what a
// proxy may not have changed. Drives nothing. RFC 3261 16.6 and 16.7, TS 33.328 7.2.1 and 7.3.1.
import { headerList, headerValue, type SipMessage, type SipRequest } from "@sallyport/sip";
import { expect } from "vitest";
import type { Peer } from "./peer.ts";
import { crypto, keyOf, type SdpParts } from "./sdp.ts";

export interface FlowKind {
  readonly mode: "e2ae" | "plain";
  readonly direction: "originating" | "terminating";
  readonly protocol: "tcp" | "udp";
  /** The UE's; the core is on IPv4. */
  readonly family: "IPv4" | "IPv6";
}

/** One of the two ends: the UE or the core. */
export interface End {
  readonly side: "UE" | "core";
  readonly peer: Peer;
  readonly contact: string;
  offer(parts?: SdpParts): string;
  answer(parts?: SdpParts): string;
  /** A whole description, as an offer or, with `answers`, as the answer to one. */
  describe(lines: readonly Line[], parts?: { readonly version?: number; readonly answers?: true }): string;
}

/** One m-line. `port` 0: taken away, or not wanted. */
export interface Line {
  readonly media?: "audio" | "video";
  readonly port: number;
  readonly formats?: string;
  readonly attributes?: readonly string[];
}

export const bodyOf = (message: SipMessage): string => message.body.toString("latin1");
/** Of SDP that has come to an end: its own address, keys and words are those it may see. TS 33.328 7.2.1, 7.3.1. */
export const judge = (flow: FlowKind, to: End, came: string, said: string): void => {
  if (flow.mode === "plain") return expect(came).toBe(said);
  const formats = (body: string) =>
    body.match(/^m=.*$/gm)?.map((line) => line.replace(/^(m=\S+ )(0?)\d* RTP\/\S+/, "$1$2"));
  expect(formats(came)).toEqual(formats(said));
  expect(came.match(/^a=(?:rtpmap|curr|des|conf|sendonly|recvonly|inactive).*$/gm)).toEqual(
    said.match(/^a=(?:rtpmap|curr|des|conf|sendonly|recvonly|inactive).*$/gm),
  );
  const lines = (came.match(/^m=.*$/gm) ?? []).filter((line) => !/^m=\S+ 0 /.test(line));
  const held = /^c=IN IP4 0\.0\.0\.0/m.test(said);
  if (to.side === "core") {
    expect(came).not.toMatch(/crypto|3ge2ae|inline:|SAVP/i);
    if (lines.length > 0 && !held) expect(came).toMatch(/^c=IN IP4 192\.0\.2\.10/m);
  } else if (lines.length > 0) {
    expect(came.match(/^a=3ge2ae:applied/gm)).toHaveLength(lines.length);
    expect(lines.every((line) => line.includes("RTP/SAVP"))).toBe(true);
    if (!held) expect(came).toMatch(/^c=IN IP4 198\.51\.100\.5/m);
    expect(came.match(/^a=crypto:/gm)?.length ?? 0).toBeGreaterThanOrEqual(lines.length);
  }
};

/** As the UE writes it, protected or in the clear, or as the core does. */
export const describe =
  (side: End["side"], protectedMedia: boolean): End["describe"] =>
  (lines, { version = 1, answers } = {}) => {
    const address = side === "UE" ? "10.0.0.7" : "192.0.2.77";
    const secure = side === "UE" && protectedMedia;
    const head = ["v=0", `o=- 4711 ${version} IN IP4 ${address}`, "s=-", `c=IN IP4 ${address}`, "t=0 0"];
    const sections = lines.flatMap(({ media = "audio", port, formats = "8", attributes = [] }, at) => [
      `m=${media} ${port} RTP/${secure ? "SAVP" : "AVP"} ${formats}`,
      ...attributes,
      ...(secure && port !== 0 ? [crypto(keyOf(0x31 + at))] : []),
      ...(secure && port !== 0 && answers !== true ? ["a=3ge2ae:requested"] : []),
    ]);
    return [...head, ...sections, ""].join("\r\n");
  };

const isSdp = (message: SipMessage): boolean => headerValue(message, "content-type") === "application/sdp";

/** What an end made of a message is what the other end gets, save for what belongs to the hop. RFC 3261 16.6, 16.7. */
export const same = (flow: FlowKind, to: End, came: SipMessage, said: SipMessage): void => {
  for (const name of ["from", "to", "call-id", "cseq", "contact", "content-type", "rack", "rseq", "replaces", "reason"])
    if (name !== "to" || said.kind === "request") expect(headerValue(came, name), name).toBe(headerValue(said, name));
  if (isSdp(said) && said.body.length > 0) judge(flow, to, bodyOf(came), bodyOf(said));
  else expect(came.body.equals(said.body)).toBe(true);
};

export const checkHop = (request: SipRequest, to: End, initial: boolean): void => {
  expect(request.uri).toBe(to.contact);
  expect(headerList(request, "route")).toEqual([]);
  expect(headerValue(request, "max-forwards")).toBe("69");
  expect(headerList(request, "via")).toHaveLength(2);
  // RFC 3261 16.6 step 4: a re-INVITE names the way again; RFC 6665 4.3: a NOTIFY may be what makes the dialog.
  const named = request.method === "INVITE" || request.method === "NOTIFY";
  if (!initial) expect(headerList(request, "record-route")).toHaveLength(named ? 2 : 0);
};

/** The lines of RFC 4317's examples. */
export const audio = (port: number, formats = "0 97", ...attributes: readonly string[]): Line => ({
  port,
  formats,
  attributes: ["a=rtpmap:0 PCMU/8000", "a=rtpmap:97 iLBC/8000", ...attributes],
});
export const video = (port: number, formats = "31 32", ...attributes: readonly string[]): Line => ({
  media: "video",
  port,
  formats,
  attributes: ["a=rtpmap:31 H261/90000", "a=rtpmap:32 MPV/90000", ...attributes],
});
