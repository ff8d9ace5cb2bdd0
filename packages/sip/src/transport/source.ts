// What counts as one sender where places and rates are shared out. Pure. RFC 4291 2.5.4.

/** What one address speaks for: an IPv4 address, or the /64 an IPv6 subscriber has to itself. */
export const sourceOf = (address: string): string => {
  const plain = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
  if (!plain.includes(":")) return plain;
  const [head = ""] = plain.split("::");
  const groups = head === "" ? [] : head.split(":");
  return [...groups, "0", "0", "0", "0"].slice(0, 4).join(":");
};
