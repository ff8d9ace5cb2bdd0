import { afterEach, describe, expect, it } from "vitest";
import type { Api } from "../src/index.ts";
import { metricsOf, prometheusText } from "../src/metrics.ts";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge, gateway, plainCall, registration, securedCall, start, type FakeParts } from "./support/edge.ts";

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

const facts = { version: "0.1.0", startedAt: start, cpuSeconds: 1.5, residentOctets: 65_536 };
const text = (parts: FakeParts) => prometheusText(metricsOf(fakeEdge(parts), facts));
const indications = { ueE2ae: false, ueE2eSdes: false, ueE2eKms: false, networkE2ae: false };

describe("metrics", () => {
  it("carry the names that dashboards use, each with HELP and TYPE once", async () => {
    api = await openApi(
      fakeEdge({
        calls: [securedCall(), plainCall(), securedCall({ id: "gone", phase: "ended" })],
        registrations: [registration(), registration({ indications })],
        gateways: [gateway(), gateway({ id: "gw-b", state: "leaving", contexts: 0 })],
        counters: [
          { name: "calls_total", labels: { side: "originating", security: "e2ae", reason: "secured" }, value: 7 },
          { name: "indications_removed_total", labels: { kind: "3ge2ae", from: "core" }, value: 2 },
          {
            name: "calls_total",
            labels: { side: "terminating", security: "none", reason: "ue-not-capable" },
            value: 1,
          },
        ],
      }),
    );
    const answer = await ask(api, "/metrics");
    expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const lines = answer.text.split("\n");
    for (const line of [
      'sallyport_registrations{e2ae="yes"} 1',
      'sallyport_registrations{e2ae="no"} 1',
      'sallyport_calls_active{side="originating",security="e2ae"} 1',
      'sallyport_calls_active{side="terminating",security="none"} 1',
      'sallyport_calls_active{side="terminating",security="mixed"} 0',
      'sallyport_calls_total{side="originating",security="e2ae",reason="secured"} 7',
      'sallyport_calls_total{side="terminating",security="none",reason="ue-not-capable"} 1',
      'sallyport_indications_removed_total{kind="3ge2ae",from="core"} 2',
      'sallyport_gateway_up{gw="gw-b"} 0',
      'sallyport_iq_contexts{gw="gw-a"} 1',
      "# TYPE sallyport_calls_total counter",
      "# TYPE sallyport_calls_active gauge",
    ])
      expect(lines, line).toContain(line);
    const names = lines.flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
    expect(new Set(names).size).toBe(names.length);
  });

  it("every line is well-formed exposition text, and it ends in a line feed", () => {
    const written = text({ calls: [securedCall()], registrations: [registration()] });
    expect(written.endsWith("\n")).toBe(true);
    for (const line of written.trimEnd().split("\n"))
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z0-9_]+="([^"\\\n]|\\.)*"(,[a-z0-9_]+="([^"\\\n]|\\.)*")*\})? -?[0-9.e+-]+)$/,
      );
  });

  it("label values are escaped: no line of its own for whoever names a gateway", () => {
    const written = text({ gateways: [gateway({ id: 'a"\n\\evil_metric 1' })] });
    expect(written).toContain('sallyport_gateway_up{gw="a\\"\\n\\\\evil_metric 1"} 1');
    expect(written).not.toMatch(/^.?evil/m);
  });

  it("a large edge is counted, not walked through, and the sum stays right", () => {
    let walked = 0;
    const edge = {
      ...fakeEdge({ counts: { calls: 5000, registrations: 90_000 } }),
      calls: () => {
        walked += 1;
        return [];
      },
      registrations: () => {
        walked += 1;
        return [];
      },
    };
    const written = prometheusText(metricsOf(edge, facts));
    expect(written).toContain('sallyport_calls_active{side="any",security="any"} 5000');
    expect(written).toContain('sallyport_registrations{e2ae="any"} 90000');
    expect(walked).toBe(0);
  });

  it("never more than 4,096 samples", () => {
    const gateways = Array.from({ length: 9000 }, (_, index) => gateway({ id: `gw-${index}` }));
    expect(
      text({ gateways })
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#")).length,
    ).toBe(4096);
  });
});
