// Owns which lines of a description may be taken for keys or for an indication, by whoever reads them. TS 33.328 7.2.1 and
// 7.3.1, last sentences; RFC 4568 4, RFC 4567 3, RFC 5939 3.4.2.
import { attributeName, type SdpLine } from "@sallyport/sdp";

const names = ["crypto", "3ge2ae", "key-mgmt"] as const;

/**
 * A name counts by how it begins: what stands behind it may be read by others as no part of it. One inside the value of
 * another attribute counts as well: a capability (RFC 5939 3.4.2, RFC 3407 3) becomes the attribute when it is chosen.
 */
export const securityAttribute = (line: SdpLine): (typeof names)[number] | undefined => {
  const name = attributeName(line);
  if (name === undefined) return undefined;
  const named = names.find((each) => name.startsWith(each));
  if (named !== undefined) return named;
  if (/3ge2ae/i.test(line.value)) return "3ge2ae";
  return /inline:/i.test(line.value) ? "crypto" : undefined;
};
