// Which certificates a configuration names, wherever it names them.
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { certificatesOf } from "../src/config/certificates.ts";

const file = fileURLToPath(new URL("vectors/edge.crt", import.meta.url));

describe("certificates of a configuration", () => {
  it("are found in every tls section, each file once; what can not be read is the element's to say", () => {
    const config = {
      access: [{ protocol: "tls", tls: { certificate: file, key: "/none.key" } }, { protocol: "udp" }],
      iq: { listen: { tls: { certificate: "/none.crt", ca: file } } },
      certificate: "not of a tls section",
    };
    expect(certificatesOf(config)).toEqual([
      { file, notBefore: Date.UTC(2026, 10, 23, 23, 7, 57), notAfter: Date.UTC(2026, 10, 24, 23, 7, 57) },
    ]);
    expect(certificatesOf({ tls: { certificate: import.meta.filename } })).toEqual([]);
    expect(certificatesOf(null)).toEqual([]);
  });
});
