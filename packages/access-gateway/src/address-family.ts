// Owns which family an address literal is of. It was checked where it was read: the colon is enough, and asked for often.

export const isIpv6Literal = (address: string): boolean => address.includes(":");
