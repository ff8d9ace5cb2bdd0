// Errors of the system, the resolver and TLS as an operator reads them.
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { faultOf } from "../src/index.ts";

const errorOf = (code: string, more: object = {}): Error =>
  Object.assign(new Error("in other words."), { code, ...more });

describe("faultOf", () => {
  it("says in words what a code means, and keeps the code", async () => {
    expect(faultOf(await readFile("/no/such/file").catch((error: unknown) => error))).toBe(
      "there is no such file (ENOENT)",
    );
    const refused = await new Promise((resolve) => void connect({ host: "127.0.0.1", port: 1 }).once("error", resolve));
    expect(faultOf(refused)).toBe("nothing listens there (ECONNREFUSED)");
    expect(faultOf("CERT_NOT_YET_VALID")).toBe(
      "the certificate is not valid yet: compare the clocks (CERT_NOT_YET_VALID)",
    );
  });

  it("of OpenSSL only the reason, of a code without words the code, of anything else its message", () => {
    expect(faultOf(errorOf("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", { reason: "no certificate" }))).toBe(
      "no certificate",
    );
    expect(faultOf(errorOf("ESTALE"))).toBe("ESTALE");
    expect(faultOf(new Error("the certificate does not name x.\n"))).toBe("the certificate does not name x");
    expect([faultOf("plain"), faultOf(undefined), faultOf({})]).toEqual(["plain", "undefined", "unknown"]);
  });
});
