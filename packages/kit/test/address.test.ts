import { describe, expect, it } from "vitest";
import { isLoopback, isNotUnicast, isUnspecified } from "../src/index.ts";

const judged = (address: string): string =>
  [
    isUnspecified(address) ? "unspecified" : "",
    isLoopback(address) ? "loopback" : "",
    isNotUnicast(address) ? "not unicast" : "",
  ]
    .filter((word) => word !== "")
    .join(", ");

describe("what an address says by itself", () => {
  it.each([
    ["192.0.2.1", ""],
    ["12.70.0.1", ""],
    ["128.0.0.1", ""],
    ["223.255.255.255", ""],
    ["224.0.0.1", "not unicast"],
    ["239.255.255.255", "not unicast"],
    ["240.0.0.1", ""],
    ["255.255.255.255", "not unicast"],
    ["0.0.0.0", "unspecified, not unicast"],
    ["0.1.2.3", "not unicast"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["2001:db8::1", ""],
    ["fe80::1", ""],
    ["::", "unspecified"],
    ["0:0:0:0:0:0:0:0", "unspecified"],
    ["::1", "loopback"],
    ["0:0:0:0:0:0:0:1", "loopback"],
    ["ff02::1", "not unicast"],
    ["FF0E::2:7ffe", "not unicast"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::ffff:239.1.2.3", "not unicast"],
    ["::ffff:192.0.2.1", ""],
  ])("RFC 1122 3.2.1.3, RFC 4291 2: %s is %s", (address, what) => {
    expect(judged(address)).toBe(what);
  });

  it.each(["localhost", "127.attacker.example", "127.0.0.1.example", "::1.example", ""])(
    "the name %j is not this machine, whatever it resolves to",
    (name) => {
      expect(isLoopback(name)).toBe(false);
    },
  );
});
