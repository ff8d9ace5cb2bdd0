// Dates of this node's own certificates: told before peers refuse them.
import { silentLog, VirtualClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { apiConfigSchema, certificateWarnings, createApi, statusSchema, type Api } from "../src/index.ts";
import { ask } from "./support/ask.ts";
import { fakeEdge, gateway } from "./support/edge.ts";

const day = 86_400_000;
const now = Date.UTC(2026, 10, 24, 3);
const good = { file: "edge.crt", notBefore: now - day, notAfter: now + 90 * day };

let api: Api | undefined;
afterEach(() => api?.close());

describe("certificates (RFC 5280 4.1.2.5)", () => {
  it("one that is good for more than two weeks is not spoken of", () => {
    expect(certificateWarnings([good], now)).toEqual([]);
    expect(certificateWarnings([{ ...good, notAfter: now + 14 * day + 1 }], now)).toEqual([]);
  });

  it("one that expires soon, has expired or is not valid yet is, with what to do", () => {
    const dates = [
      { ...good, notAfter: now + 3.5 * day },
      { ...good, notAfter: now - 1 },
      { ...good, notBefore: now + 60_000 },
    ];
    expect(certificateWarnings(dates, now)).toEqual([
      "certificate edge.crt expires on 2026-11-27 15:00 UTC, in 3 days: renew it",
      "certificate edge.crt expired on 2026-11-24 02:59 UTC: peers refuse it",
      "certificate edge.crt is not valid before 2026-11-24 03:01 UTC: peers refuse it; compare the clocks",
    ]);
  });

  it("status warns of it and /metrics gives the date, also of a file whose path is long and unbroken", async () => {
    const file = `/etc/sallyport/${"deep/".repeat(10)}edge.crt`;
    const deps = { clock: new VirtualClock(now), log: silentLog, version: "0.1.0" };
    const edge = { ...fakeEdge(), gateways: () => [gateway()] };
    api = await createApi(apiConfigSchema.parse({ listen: { port: 0 } }), edge, {
      ...deps,
      certificates: () => [{ ...good, file, notAfter: now - day }],
    });
    const { warnings } = statusSchema.parse((await ask(api, "/v1/status")).json());
    expect(warnings).toContain(`certificate ${file} expired on 2026-11-23 03:00 UTC: peers refuse it`);
    const { text } = await ask(api, "/metrics");
    expect(text).toContain(`sallyport_certificate_not_after_seconds{file="${file}"} ${(now - day) / 1000}\n`);
  });
});
