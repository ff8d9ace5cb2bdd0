// The messages of the load generator as text: what an IMS phone and a far end say in one registration and one call.
// Reading is by search for the spellings that are on these wires; it must cost little, not survive strangers.
import { createHash, randomBytes } from "node:crypto";

const domain = "bench.example";
const aor = (user) => `sip:user${user}@${domain}`;

/** The values of a header, in order. */
const values = (text, name) => {
  const found = [];
  const end = text.indexOf("\r\n\r\n");
  const key = `\r\n${name}: `;
  for (let at = text.indexOf(key); at >= 0 && at < end; at = text.indexOf(key, at + 2)) {
    const start = at + key.length;
    found.push(text.slice(start, text.indexOf("\r\n", start)));
  }
  return found;
};

export const value = (text, name) => {
  const key = `\r\n${name}: `;
  const at = text.indexOf(key);
  return at < 0 ? "" : text.slice(at + key.length, text.indexOf("\r\n", at + key.length));
};

export const method = (text) => {
  const cseq = value(text, "CSeq");
  return cseq.slice(cseq.indexOf(" ") + 1);
};

export const status = (text) => Number(text.slice(8, 11));

const message = (lines, body = "") =>
  `${lines.filter((line) => line !== "").join("\r\n")}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const via = (me) => `Via: SIP/2.0/${me.via} ${me.address}:${me.port};branch=z9hG4bK${randomBytes(9).toString("hex")}`;
const access = "P-Access-Network-Info: IEEE-802.11;i-wlan-node-id=001122334455";

export const register = (me, user, seq, authorization) =>
  message([
    `REGISTER sip:${domain} SIP/2.0`,
    via(me),
    "Max-Forwards: 70",
    `From: <${aor(user)}>;tag=r${user}`,
    `To: <${aor(user)}>`,
    `Call-ID: r${user}@${domain}`,
    `CSeq: ${seq} REGISTER`,
    `Contact: <sip:user${user}@${me.address}:${me.port};transport=${me.protocol}>;+sip.instance="<urn:gsma:imei:35020000-${user}-0>"`,
    "Expires: 3600",
    "Supported: path",
    authorization,
    "Security-Client: sdes-srtp;mediasec",
    access,
  ]);

const quoted = (challenge, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(challenge)?.[1] ?? "";
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** RFC 7616, SHA-256 with qop=auth: the answer to the first such challenge of a 401. */
export const authorize = (text, user) => {
  const challenge = values(text, "WWW-Authenticate").find((each) => each.includes("SHA-256")) ?? "";
  const [realm, nonce] = [quoted(challenge, "realm"), quoted(challenge, "nonce")];
  const uri = `sip:${domain}`;
  const cnonce = randomBytes(8).toString("hex");
  const ha1 = sha256(`user${user}@${domain}:${realm}:password${user}`);
  const response = sha256(`${ha1}:${nonce}:00000001:${cnonce}:auth:${sha256(`REGISTER:${uri}`)}`);
  return (
    `Authorization: Digest username="user${user}@${domain}", realm="${realm}", nonce="${nonce}", uri="${uri}", ` +
    `response="${response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="${cnonce}"`
  );
};

const sdp = (profile, port, extra) =>
  [
    "v=0",
    "o=user1 53655765 2353687637 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    `m=audio ${port} ${profile} 8 0 101`,
    ...extra,
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-16",
    "a=ptime:20",
    "a=sendrecv",
    "",
  ].join("\r\n");

/** A call's INVITE with an e2ae offer, a fresh key in it. `requestUri` is whom it goes to. */
export const invite = (me, call) =>
  message(
    [
      `INVITE sip:bob@${domain} SIP/2.0`,
      via(me),
      "Max-Forwards: 70",
      `From: <${aor(call.user)}>;tag=${call.tag}`,
      `To: <sip:bob@${domain}>`,
      `Call-ID: ${call.id}`,
      "CSeq: 1 INVITE",
      `Contact: <sip:user${call.user}@${me.address}:${me.port};transport=${me.protocol}>`,
      `P-Preferred-Identity: <${aor(call.user)}>`,
      access,
      "Supported: 100rel,timer,path",
      "Allow: INVITE,ACK,CANCEL,BYE,PRACK,UPDATE,INFO,REFER,NOTIFY,MESSAGE,OPTIONS",
      "Content-Type: application/sdp",
    ],
    sdp("RTP/SAVP", 20_000, [
      `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${randomBytes(30).toString("base64")}`,
      "a=3ge2ae:requested",
    ]),
  );

const inDialog = (me, call, word, seq) =>
  message([
    `${word} ${call.target} SIP/2.0`,
    via(me),
    ...call.routes.map((route) => `Route: ${route}`),
    "Max-Forwards: 70",
    `From: <${aor(call.user)}>;tag=${call.tag}`,
    `To: ${call.to}`,
    `Call-ID: ${call.id}`,
    `CSeq: ${seq} ${word}`,
  ]);

export const ack = (me, call) => inDialog(me, call, "ACK", 1);
export const bye = (me, call) => inDialog(me, call, "BYE", 2);

/** What the caller has to keep of the 200 to its INVITE. */
export const learnDialog = (call, text) => {
  call.to = value(text, "To");
  call.target = /<([^>]*)>/.exec(value(text, "Contact"))?.[1] ?? "";
  call.routes = values(text, "Record-Route")
    .flatMap((line) => line.split(/,\s*/))
    .toReversed();
};

/** A far end's response: stateless, so that a repeated request gets the same. */
export const respond = (request, line, { extra = [], body = "" } = {}) => {
  const to = value(request, "To");
  const tagged =
    line.startsWith("100") || to.includes(";tag=") ? to : `${to};tag=b${value(request, "Call-ID").slice(0, 12)}`;
  return message(
    [
      `SIP/2.0 ${line}`,
      ...values(request, "Via").map((each) => `Via: ${each}`),
      ...(line.startsWith("100") ? [] : values(request, "Record-Route").map((each) => `Record-Route: ${each}`)),
      `From: ${value(request, "From")}`,
      `To: ${tagged}`,
      `Call-ID: ${value(request, "Call-ID")}`,
      `CSeq: ${value(request, "CSeq")}`,
      ...extra,
    ],
    body,
  );
};

/** The far end as registrar: grants everything, without a challenge. */
export const grant = (request, me) =>
  respond(request, "200 OK", {
    extra: [
      `Contact: ${value(request, "Contact")};expires=3600`,
      `Path: ${value(request, "Path")}`,
      `Service-Route: <sip:${me.address}:${me.port};transport=${me.protocol};lr>`,
      `P-Associated-URI: ${value(request, "To")}`,
    ],
  });

const contact = (me) => `Contact: <sip:bob@${me.address}:${me.port};transport=${me.protocol}>`;
export const ringing = (request, me) => respond(request, "180 Ringing", { extra: [contact(me)] });
export const answer = (request, me) =>
  respond(request, "200 OK", {
    extra: [contact(me), "Content-Type: application/sdp"],
    body: sdp("RTP/AVP", 21_000, []),
  });
