// H.248 reason codes as an operator reads them.
import { describe, expect, it } from "vitest";
import { gatewayReason, statusSchema } from "../src/index.ts";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge, gateway } from "./support/edge.ts";

describe("what a gateway's ServiceChange says (H.248.8)", () => {
  it("in words with its code; anything else as it is", () => {
    expect(gatewayReason("Restart 901")).toBe("cold start (901)");
    expect(gatewayReason("Restart 901; drained, it may be stopped")).toBe(
      "cold start (901); drained, it may be stopped",
    );
    for (const said of ["connection lost", "Restart 999", "not registered yet", "Error 504: no", ""])
      expect(gatewayReason(said)).toBe(said);
  });

  it("status warns in words", async () => {
    const down = gateway({ state: "down", reason: "Forced 905" });
    const api = await openApi({ ...fakeEdge(), gateways: () => [down] });
    try {
      const { warnings } = statusSchema.parse((await ask(api, "/v1/status")).json());
      expect(warnings).toContain("gateway gw-a is down: taken out of service (905)");
    } finally {
      await api.close();
    }
  });
});
