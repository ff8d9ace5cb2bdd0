// `gw drain`, `gw resume`, `gw handoff` against the real management interface over an edge with two gateways.
import type { Api, AskedEdge } from "@sallyport/api";
import { gatewayAnswerSchema } from "@sallyport/api";
import { SallyportError } from "@sallyport/kit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emptyEdge, startNode } from "./support/node.ts";
import { sallyport } from "./support/run.ts";

type Gateway = ReturnType<AskedEdge["gateways"]>[number];

let node: Api;
let gateways: Gateway[];
let handedTo: string[];

const gateway = (id: string, contexts: number, more: Partial<Gateway> = {}): Gateway => ({
  id,
  mid: `<${id}.lab.example>`,
  state: "up",
  protected: true,
  contexts,
  draining: false,
  health: "good",
  weight: 1,
  reason: "Restart 901",
  ...more,
});

const change = (id: string, more: Partial<Gateway>): Gateway => {
  gateways = gateways.map((each) => (each.id === id ? Object.assign({}, each, more) : each));
  return gateways.find((each) => each.id === id) ?? gateway(id, 0);
};

beforeEach(async () => {
  gateways = [gateway("gw-a", 3, { capacity: 4, load: 0.75, realms: ["access"] }), gateway("gw-b", 0)];
  handedTo = [];
  node = await startNode({
    ...emptyEdge,
    gateways: () => gateways,
    drainGateway: (id, on) => change(id, { draining: on }),
    handOffGateway: async (id, mgc) => {
      if (mgc === "<nowhere>")
        throw new SallyportError("SALLY_IQ_MEDIA_REFUSED", { summary: "No.", action: "Look." }, "H.248 error 449.");
      handedTo.push(`${id} ${mgc}`);
      change(id, { state: "leaving", reason: `handed off to ${mgc}` });
    },
  });
});
afterEach(async () => {
  await node.close();
});

const gw = (...args: string[]) => sallyport(["gw", ...args, "--api", node.url]);

describe("gw", () => {
  it("drain says how many calls are left, list shows it, resume takes it back", async () => {
    const drained = await gw("drain", "gw-a");
    expect(drained).toMatchObject({ code: 0, err: "" });
    expect(drained.out).toContain("gateway gw-a takes no new calls; 3 calls to go");
    expect((await gw("list")).out).toMatch(/gw-a +draining +good +yes +3\/4 +75%/);
    const back = await gw("resume", "gw-a");
    expect(back.out).toContain("takes new calls");
    expect(gateways[0]?.draining).toBe(false);
  });

  it("drain of an empty one says that it may be stopped; --json gives the node's answer", async () => {
    expect((await gw("drain", "gw-b")).out).toContain("it may be stopped");
    expect((await gw("list")).out).toMatch(/gw-b +drained/);
    const { out } = await gw("drain", "gw-b", "--json");
    expect(gatewayAnswerSchema.parse(JSON.parse(out)).gateway).toMatchObject({
      id: "gw-b",
      draining: true,
      contexts: 0,
    });
  });

  it("drain --wait returns when the last call has ended", async () => {
    const waiting = gw("drain", "gw-a", "--wait", "10");
    setTimeout(() => change("gw-a", { contexts: 0 }), 200);
    const { code, out } = await waiting;
    expect(code).toBe(0);
    expect(out).toContain("gateway gw-a is empty: it may be stopped");
  });

  it("SALLY_CLI_NOT_EMPTY: it waits no longer than it was told, and the draining stays", async () => {
    const { code, err } = await gw("drain", "gw-a", "--wait", "1");
    expect(code).toBe(1);
    expect(err).toContain("SALLY_CLI_NOT_EMPTY");
    expect(err).toContain("3 left after 1 s");
    expect(gateways[0]?.draining).toBe(true);
  });

  it("SALLY_CLI_HOLDS_CALLS: handoff of a gateway with calls needs --yes", async () => {
    const refused = await gw("handoff", "gw-a", "<edge-b.example>");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("SALLY_CLI_HOLDS_CALLS");
    expect(handedTo).toEqual([]);
    const done = await gw("handoff", "gw-a", "<edge-b.example>", "--yes");
    expect(done).toMatchObject({ code: 0, err: "" });
    expect((await gw("handoff", "gw-b", "<edge-b.example>")).code).toBe(0);
    expect(handedTo).toEqual(["gw-a <edge-b.example>", "gw-b <edge-b.example>"]);
  });

  it("says what the gateway answered, and which gateway there is not", async () => {
    const refused = await gw("handoff", "gw-b", "<nowhere>");
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("449");
    const unknown = await gw("drain", "gw-z");
    expect(unknown.code).toBe(1);
    expect(unknown.err).toContain('no gateway "gw-z"');
    expect((await gw("drain")).code).toBe(2);
    expect((await gw("drain", "gw-a", "--wait", "soon")).code).toBe(2);
  });
});
