// Commands about gateways over real HTTP: what they do, who may send them, and what no page of another site can send.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SallyportError } from "@sallyport/kit";
import { errorSchema, gatewayAnswerSchema, statusSchema, type Api } from "../src/index.ts";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge, gateway } from "./support/edge.ts";

let api: Api;
let said: string[];
let draining: boolean;

beforeEach(async () => {
  said = [];
  draining = false;
  const now = () => gateway({ draining, contexts: 2, health: "good" });
  api = await openApi({
    ...fakeEdge(),
    gateways: () => [now()],
    drainGateway: (id, on) => {
      said.push(`${on ? "drain" : "resume"} ${id}`);
      draining = on;
      return now();
    },
    handOffGateway: async (id, mgc) => {
      if (mgc === "<bad>")
        throw new SallyportError("SALLY_IQ_TIMEOUT", { summary: "No answer.", action: "Look." }, "", { where: id });
      said.push(`handoff ${id} ${mgc}`);
    },
  });
});
afterEach(async () => {
  await api.close();
});

const json = { "content-type": "application/json" };
const post = (path: string, body = "{}", headers: Readonly<Record<string, string>> = json) =>
  ask(api, path, { method: "POST", headers, body });
const code = async (answer: ReturnType<typeof post>) => {
  const { status, json: read } = await answer;
  return [status, errorSchema.parse(read()).code];
};

describe("commands about gateways", () => {
  it("drain, resume and handoff answer with the gateway as it is now, and status warns of one that drains", async () => {
    const drained = await post("/v1/gateways/gw-a/drain");
    expect(drained.status).toBe(200);
    expect(gatewayAnswerSchema.parse(drained.json()).gateway).toMatchObject({ id: "gw-a", draining: true });
    expect(statusSchema.parse((await ask(api, "/v1/status")).json()).warnings).toContain(
      "gateway gw-a is draining: 2 to go",
    );
    expect((await post("/v1/gateways/gw-a/resume")).status).toBe(200);
    expect((await post("/v1/gateways/gw-a/handoff", '{"controller":"<edge-b.example>"}')).status).toBe(200);
    expect(said).toEqual(["drain gw-a", "resume gw-a", "handoff gw-a <edge-b.example>"]);
  });

  it("SALLY_API_BODY: a form or text of another site's page does nothing; nor does a command without what it needs", async () => {
    for (const headers of [
      {},
      { "content-type": "text/plain" },
      { "content-type": "application/x-www-form-urlencoded" },
    ])
      expect(await code(post("/v1/gateways/gw-a/drain", "{}", headers))).toEqual([415, "SALLY_API_BODY"]);
    for (const body of ["", "[", '"drain"'])
      expect(await code(post("/v1/gateways/gw-a/drain", body))).toEqual([415, "SALLY_API_BODY"]);
    expect(await code(post("/v1/gateways/gw-a/handoff"))).toEqual([415, "SALLY_API_BODY"]);
    expect(await code(post("/v1/gateways/gw-a/handoff", JSON.stringify({ controller: "x".repeat(5000) })))).toEqual([
      415,
      "SALLY_API_BODY",
    ]);
    expect(said).toEqual([]);
  });

  it("RFC 9112 6.3: without a body, and with one in chunks, a command is refused or done, and is never a defect", async () => {
    const bare = ask(api, "/v1/gateways/gw-a/drain", { method: "POST" });
    expect(await code(bare)).toEqual([415, "SALLY_API_BODY"]);
    const chunked = { ...json, "transfer-encoding": "chunked" };
    expect(await code(post("/v1/gateways/gw-a/drain", "x".repeat(5000), chunked))).toEqual([415, "SALLY_API_BODY"]);
    expect(said).toEqual([]);
    expect((await post("/v1/gateways/gw-a/drain", "{}", chunked)).status).toBe(200);
    expect(said).toEqual(["drain gw-a"]);
  });

  it("SALLY_API_METHOD: a command is never carried out by GET, and nothing else takes POST", async () => {
    const got = await ask(api, "/v1/gateways/gw-a/drain");
    expect([got.status, got.headers.allow]).toEqual([405, "POST"]);
    expect(await code(post("/v1/gateways"))).toEqual([405, "SALLY_API_METHOD"]);
    expect(await code(post("/v1/gateways/gw-a/explode"))).toEqual([405, "SALLY_API_METHOD"]);
    const asked = await ask(api, "/v1/gateways/gw-a/drain", {
      method: "OPTIONS",
      headers: { origin: "http://evil.example" },
    });
    expect(asked.status).toBe(405);
    expect(asked.headers["access-control-allow-origin"]).toBeUndefined();
    expect(said).toEqual([]);
  });

  it("SALLY_API_HOST: not under a foreign name", async () => {
    expect(await code(post("/v1/gateways/gw-a/drain", "{}", { ...json, host: "attacker.example" }))).toEqual([
      403,
      "SALLY_API_HOST",
    ]);
    expect(said).toEqual([]);
  });

  it("SALLY_API_NOT_FOUND and SALLY_API_GATEWAY: no such gateway, and one that does not want to", async () => {
    expect(await code(post("/v1/gateways/gw-z/drain"))).toEqual([404, "SALLY_API_NOT_FOUND"]);
    const { status, json: read } = await post("/v1/gateways/gw-a/handoff", '{"controller":"<bad>"}');
    expect(status).toBe(502);
    expect(errorSchema.parse(read())).toMatchObject({ code: "SALLY_API_GATEWAY" });
    expect(errorSchema.parse(read()).message).toContain("SALLY_IQ_TIMEOUT");
  });
});
