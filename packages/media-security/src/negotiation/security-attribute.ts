// Owns which lines of a description may be taken for keys or for an indication, by whoever reads them. TS 33.328 7.2.1 and
// 7.3.1, last sentences; RFC 4568 4, RFC 4567 3.
import { attributeName, type SdpLine } from "@sallyport/sdp";

const names = ["crypto", "3ge2ae", "key-mgmt"] as const;

/** A name counts by how it begins: what stands behind it may be read by others as no part of it. */
export const securityAttribute = (line: SdpLine): (typeof names)[number] | undefined => {
  const name = attributeName(line);
  return name === undefined ? undefined : names.find((each) => name.startsWith(each));
};
