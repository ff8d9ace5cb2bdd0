// Makes our UE of the draft dialect speak like an Asterisk with `security_negotiation=mediasec`: what peers of that make do
// and standards do not say. Knows no edge.
import {
  headerValue,
  headerValues,
  removeHeader,
  replaceHeader,
  setHeader,
  withBody,
  type SipMessage,
} from "@sallyport/sip";

const line = ";line=kq3vmhd";

/** Its Contact has a URI parameter of its own, by which it finds the line a request is for. */
export const carriesLine = (uri: string): boolean => uri.includes(line);

const withLine = <M extends SipMessage>(message: M): M =>
  replaceHeader(
    message,
    "Contact",
    headerValues(message, "contact").map((value) => (value.includes(line) ? value : value.replace(">", `${line}>`))),
  );

/** `requested` stands in its offers and in its answers, whether or not the network agreed. */
const withIndication = <M extends SipMessage>(message: M): M => {
  const text = message.body.toString("latin1");
  if (!text.includes("m=audio") || text.includes("a=3ge2ae:") || text.includes("RTP/AVP ")) return message;
  return withBody(message, Buffer.from(`${text.replace(/(\r?\n)$/, "")}\r\na=3ge2ae:requested\r\n`, "latin1"));
};

/** To be given to a UE of the draft dialect as `alter`. */
export const likeAsterisk = (message: SipMessage): SipMessage => {
  const said = withIndication(headerValue(message, "contact") === undefined ? message : withLine(message));
  if (said.kind === "response") return said;
  const named = setHeader(said, "User-Agent", "Asterisk PBX");
  switch (named.method) {
    case "REGISTER": {
      const proven = /response="[0-9a-f]+"/.test(headerValue(named, "authorization") ?? "");
      // Each refresh begins without credentials and without Security-Verify.
      if (!proven) return removeHeader(removeHeader(named, "Authorization"), "Security-Verify");
      // One line a mechanism, with its parameters but without q.
      return replaceHeader(
        named,
        "Security-Verify",
        headerValues(named, "security-verify").map((value) => value.replaceAll(/\s*;\s*q=[0-9.]+/gi, "")),
      );
    }
    case "INVITE":
      // It ignores Service-Route.
      return /;tag=/.test(headerValue(named, "to") ?? "") ? named : removeHeader(named, "Route");
    case "ACK":
      return removeHeader(removeHeader(removeHeader(named, "Require"), "Proxy-Require"), "Security-Verify");
    default:
      return named;
  }
};
