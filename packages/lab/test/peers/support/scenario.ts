// Writes SIPp scenarios: a list of steps as the XML that SIPp reads. Knows the spelling of SIPp, no socket and no process.

export type Step = string;

export interface Body {
  /** One of the SDP texts below. */
  readonly sdp?: string;
  /** Lines between Contact and the body. */
  readonly headers?: readonly string[];
}

/** A description with plain RTP on SIPp's echo port. RFC 4566. */
export const plainSdp = (
  change: {
    readonly direction?: string;
    readonly version?: number;
    readonly protocol?: string;
    readonly lines?: readonly string[];
  } = {},
): string =>
  [
    "v=0",
    `o=sipp 20518 ${change.version ?? 1} IN IP4 [local_ip]`,
    "s=-",
    "c=IN IP4 [local_ip]",
    "t=0 0",
    `m=audio [@echo] ${change.protocol ?? "RTP/AVP"} 8 101`,
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    `a=${change.direction ?? "sendrecv"}`,
    ...(change.lines ?? []),
  ].join("\n");

const localTag = "[pid]sipp[call_number]";
const contact = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>";

/** A message: its lines, then headers and body. */
export const message = (lines: readonly string[], { sdp, headers = [] }: Body): string =>
  [
    ...lines,
    ...headers,
    ...(sdp === undefined
      ? ["Content-Length: 0", "", ""]
      : ["Content-Type: application/sdp", "Content-Length: [len]", "", sdp, ""]),
  ].join("\n");

const send = (attributes: string, text: string): Step => `<send${attributes}><![CDATA[\n${text}]]></send>`;
const again = ` retrans="500"`;
const repetition = (line: string): string => (line.startsWith("1") ? "" : again);

export const pause = (ms: number): Step => `<pause milliseconds="${ms}"/>`;

export interface Expect {
  readonly optional?: boolean;
  /** A regular expression that the body has to hold. */
  readonly body?: string;
  /** Patterns that must stand nowhere in the message. */
  readonly without?: string;
}

const expectations = ({ body, without }: Expect): string =>
  [
    ...(body === undefined ? [] : [`<ereg regexp="${body}" search_in="body" check_it="true" assign_to="matched"/>`]),
    ...(without === undefined
      ? []
      : [`<ereg regexp="${without}" search_in="msg" check_it_inverse="true" assign_to="matched"/>`]),
  ].join("");

/** Every message SIPp gets is judged by SIPp itself: nothing of the access side may stand in it. TS 33.328 7.1. */
const foreign = "3ge2ae|mediasec|a=crypto|RTP/SAVP|[Ss]ecurity-";

const seen = (attributes: string, expect: Expect, more = ""): Step =>
  `<recv ${attributes}${expect.optional === true ? ` optional="true"` : ""}><action>${expectations({
    without: foreign,
    ...expect,
  })}${more}</action></recv>`;

const capture = (header: string, name: string, occurrence = 1): string =>
  `<ereg regexp="[^ ].*" search_in="hdr" header="${header}:" occurrence="${occurrence}" check_it="true" assign_to="${name}"/>`;

/** The first INVITE of a call: its dialog is remembered. */
export const invited = (expect: Expect = {}): Step =>
  seen(
    `request="INVITE" rrs="true"`,
    expect,
    [
      capture("From", "theirs"),
      capture("To", "ours"),
      capture("CSeq", "cseq"),
      // The edge's own, and that of the UE below it.
      ...["Via", "Record-Route"].flatMap((header, at) =>
        [1, 2].map((occurrence) => capture(header, `${at === 0 ? "via" : "recorded"}${occurrence}`, occurrence)),
      ),
    ].join(""),
  );

export const recvRequest = (method: string, expect: Expect = {}): Step => seen(`request="${method}"`, expect);
export const recvResponse = (status: number, expect: Expect & { readonly dialog?: boolean } = {}): Step =>
  seen(`response="${status}"${expect.dialog === true ? ` rrs="true"` : ""}`, expect);

/** An answer to the request that came last. `tag`: in the first request of a dialog. `contact`: another Contact than SIPp's. `once`: never repeated. */
export const respond = (
  line: string,
  options: Body & { readonly tag?: boolean; readonly contact?: string; readonly once?: boolean } = {},
): Step =>
  send(
    // RFC 3261 13.3.1.4 and 17.2.1: only a final answer to an INVITE is repeated until its ACK.
    options.once === true || (options.sdp === undefined && line.startsWith("2")) ? "" : repetition(line),
    message(
      [
        `SIP/2.0 ${line}`,
        "[last_Via:]",
        "[last_Record-Route:]",
        "[last_From:]",
        `[last_To:]${options.tag === true ? `;tag=${localTag}` : ""}`,
        "[last_Call-ID:]",
        "[last_CSeq:]",
        options.contact ?? contact,
      ],
      options,
    ),
  );

/** An answer to the INVITE of `invited`, whatever came in between. `once`: not repeated when no ACK comes. */
export const respondInvite = (line: string, options: Body & { readonly once?: boolean } = {}): Step =>
  send(
    options.once === true ? "" : repetition(line),
    message(
      [
        `SIP/2.0 ${line}`,
        "Via: [$via1]",
        "Via: [$via2]",
        "Record-Route: [$recorded1]",
        "Record-Route: [$recorded2]",
        "From: [$theirs]",
        `To: [$ours];tag=${localTag}`,
        "[last_Call-ID:]",
        "CSeq: [$cseq]",
        contact,
      ],
      options,
    ),
  );

/** A request inside the dialog that `invited` began. */
export const requestBack = (method: string, seq: number, options: Body = {}): Step =>
  send(
    method === "ACK" ? "" : again,
    message(
      [
        `${method} [next_url] SIP/2.0`,
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "[routes]",
        `From: [$ours];tag=${localTag}`,
        "To: [$theirs]",
        "[last_Call-ID:]",
        `CSeq: ${seq} ${method}`,
        "Max-Forwards: 70",
        contact,
      ],
      options,
    ),
  );

/** From and To of a call that SIPp makes. */
const called = (inDialog: boolean): readonly string[] => [
  `From: <sip:far@far.example>;tag=${localTag}`,
  `To: <sip:[@user]@[@domain]>${inDialog ? "[peer_tag_param]" : ""}`,
  "Call-ID: [call_id]",
];

/** An INVITE along the Path of a registered UE, as an S-CSCF sends it. RFC 3327 5.3. */
export const invite = (options: Body = {}): Step =>
  send(
    again,
    message(
      [
        "INVITE [@contact] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "Route: [@path]",
        ...called(false),
        "CSeq: 1 INVITE",
        "Max-Forwards: 70",
        contact,
        "P-Asserted-Identity: <sip:far@far.example>",
        "P-Called-Party-ID: <sip:[@user]@[@domain]>",
      ],
      options,
    ),
  );

/** CANCEL of that INVITE, which was the first step: SIPp counts branches by step. RFC 3261 9.1. */
export const cancel = (): Step =>
  send(
    again,
    message(
      [
        "CANCEL [@contact] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-0",
        "Route: [@path]",
        ...called(false),
        "CSeq: 1 CANCEL",
        "Max-Forwards: 70",
      ],
      {},
    ),
  );

/** A request inside the dialog of that INVITE. */
export const requestOn = (method: string, seq: number, options: Body = {}): Step =>
  send(
    method === "ACK" ? "" : again,
    message(
      [
        `${method} [next_url] SIP/2.0`,
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "[routes]",
        ...called(true),
        `CSeq: ${seq} ${method}`,
        "Max-Forwards: 70",
        contact,
      ],
      options,
    ),
  );

/** ACK of a final response that was no 2xx: the transaction's own, with its branch. RFC 3261 17.1.1.3. */
export const ackFailure = (): Step =>
  send(
    "",
    message(
      [
        "ACK [@contact] SIP/2.0",
        "[last_Via:]",
        "Route: [@path]",
        "[last_From:]",
        "[last_To:]",
        "[last_Call-ID:]",
        "CSeq: 1 ACK",
        "Max-Forwards: 70",
      ],
      {},
    ),
  );

/** Any request or answer as it stands, for what has no word here. */
export const raw = (text: string, repeated = false): Step => send(repeated ? again : "", text);
export const rawRecv = (attributes: string, action = ""): Step =>
  action === "" ? `<recv ${attributes}/>` : `<recv ${attributes}><action>${action}</action></recv>`;

/** The file. `[@name]` is replaced by `values`. */
export const scenario = (steps: readonly Step[], values: Readonly<Record<string, string>>): string => {
  const text = steps.join("\n");
  // SIPp ends with a warning when a variable is set and never read.
  const names = ["matched", "theirs", "ours", "cseq", "recorded1", "recorded2", "via1", "via2"].filter((name) =>
    text.includes(`assign_to="${name}"`),
  );
  const reference = names.length === 0 ? "" : `<Reference variables="${names.join(",")}"/>`;
  return `<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="peer">\n${text}\n${reference}\n</scenario>\n`.replaceAll(
    /\[@(\w+)\]/g,
    (whole, name: string) => values[name] ?? whole,
  );
};
