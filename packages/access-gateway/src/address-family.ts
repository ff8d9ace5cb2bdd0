// Owns which family an address literal is of, and whether it names anybody. It was checked where it was read.

/** The colon is enough, and asked for often. */
export const isIpv6Literal = (address: string): boolean => address.includes(":");

/** RFC 1122 3.2.1.3 (a), RFC 4291 2.5.2: every address of this machine for who listens, nobody for who sends. */
export const isUnspecified = (address: string): boolean => /^[0:.]+$/.test(address);
