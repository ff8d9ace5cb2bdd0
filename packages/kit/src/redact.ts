// Takes key material out of text that a person may see: traces, log fields, dumps.

// RFC 4568 inline keys, RFC 4567 key-mgmt data and RFC 4566 k= lines are the places where SDP carries keys.
const inlineKey = /(inline\s*:\s*)[^\s|;"'}\\]+/gi;
const keyManagement = /(a=key-mgmt:\s*\S+\s+)\S+/gi;
const keyLine = /^(k=(?:clear|base64):).*$/gim;

/** The text with every SDP key replaced by `<redacted>`; everything else unchanged. */
export const redactKeys = (text: string): string =>
  text.replace(inlineKey, "$1<redacted>").replace(keyManagement, "$1<redacted>").replace(keyLine, "$1<redacted>");
