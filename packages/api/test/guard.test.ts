import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { apiConfigSchema, createApi, type Api } from "../src/index.ts";
import { knownHost, tokenCheck } from "../src/guard.ts";
import { silentLog, systemClock } from "@sallyport/kit";
import { ask, openApi } from "./support/ask.ts";
import { fakeEdge } from "./support/edge.ts";

const folder = mkdtempSync(join(tmpdir(), "sallyport-api-"));
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
afterAll(() => rmSync(folder, { recursive: true }));

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

const token = "correct-horse-battery-staple";

describe("who may ask", () => {
  it("SALLY_API_TOKEN: off loopback only with a token, in the configuration and again at start", async () => {
    const config = { listen: { address: "0.0.0.0", port: 0 }, hosts: [] };
    expect(apiConfigSchema.safeParse(config).error?.issues).toMatchObject([{ path: ["token"] }]);
    const deps = { clock: systemClock, log: silentLog, version: "0" };
    await expect(createApi(config, fakeEdge(), deps)).rejects.toMatchObject({ code: "SALLY_API_TOKEN" });
    expect(apiConfigSchema.safeParse({ ...config, token: "t" }).success).toBe(true);
    expect(apiConfigSchema.parse({ listen: { port: 1 } }).listen.address).toBe("127.0.0.1");
  });

  it.each([
    ["missing", join(folder, "nowhere"), "ENOENT"],
    ["short", file("short", "123456789012345\n"), "15 characters"],
    ["long", file("long", "x".repeat(4097)), "4097 characters"],
    ["blank inside", file("blank", "1234567890 1234567890"), "a blank inside"],
  ])("SALLY_API_TOKEN: a token file that is %s", async (_, path, says) => {
    await expect(openApi(fakeEdge(), { token: path })).rejects.toMatchObject({
      code: "SALLY_API_TOKEN",
      where: path,
      message: expect.stringContaining(says),
    });
  });

  it("SALLY_API_UNAUTHORIZED: with a token, every path wants it, and only the whole of it", async () => {
    api = await openApi(fakeEdge(), { token: file("token", `${token}\n`) });
    for (const path of ["/v1/status", "/metrics", "/v1", "/nowhere"]) {
      const answer = await ask(api, path);
      expect(answer.status, path).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
      expect(answer.json()).toMatchObject({ code: "SALLY_API_UNAUTHORIZED" });
    }
    for (const wrong of [token.slice(0, -1), `${token}x`, token.toUpperCase(), ""]) {
      expect((await ask(api, "/v1/status", { headers: { authorization: `Bearer ${wrong}` } })).status).toBe(401);
    }
    expect((await ask(api, "/v1/status", { headers: { authorization: `Basic ${token}` } })).status).toBe(401);
    expect((await ask(api, "/v1/status", { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await ask(api, "/metrics", { headers: { authorization: `bearer ${token}` } })).status).toBe(200);
  });

  it("the comparison is of digests: no length and no prefix shows", () => {
    const check = tokenCheck(token);
    expect(check(`Bearer ${token}`)).toBe(true);
    for (const wrong of [undefined, "", "Bearer", "Bearer ", token, `Bearer ${token} x`])
      expect(check(wrong)).toBe(false);
  });

  it("RFC 9110 7.2: a name nobody gave is refused, whatever it resolves to", async () => {
    api = await openApi(fakeEdge(), { hosts: ["Ops.lab.example"] });
    const status = async (host: string) => (await ask(api as Api, "/v1/status", { headers: { host } })).status;
    for (const good of ["127.0.0.1:15080", "localhost", "LOCALHOST:1", "[::1]:80", "10.1.2.3", "ops.lab.example:443"])
      expect(await status(good), good).toBe(200);
    for (const bad of ["attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example"])
      expect(await status(bad), bad).toBe(403);
    for (const broken of [
      undefined,
      "",
      "a b",
      "[::1",
      "x:y:z",
      "localhost:",
      "@localhost",
      "attacker.example/localhost",
    ])
      expect(knownHost(broken, []), broken).toBe(false);
    const refused = await ask(api, "/v1/status", { headers: { host: "attacker.example" } });
    expect(refused.json()).toMatchObject({ code: "SALLY_API_HOST" });
    expect(refused.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("SALLY_API_METHOD: it only answers questions", async () => {
    api = await openApi(fakeEdge());
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const answer = await ask(api, "/v1/status", { method });
      expect(answer.status, method).toBe(405);
      expect(answer.headers.allow).toBe("GET, HEAD");
    }
    expect((await ask(api, "/v1/status", { method: "HEAD" })).status).toBe(200);
  });
});

describe("the listener", () => {
  it("SALLY_API_LISTEN names the place when the port is taken", async () => {
    api = await openApi(fakeEdge());
    await expect(openApi(fakeEdge(), { listen: { port: api.port } })).rejects.toMatchObject({
      code: "SALLY_API_LISTEN",
      where: `127.0.0.1:${api.port}`,
      message: expect.stringContaining("EADDRINUSE"),
    });
  });

  it("answers headers of more than 8 KiB with 431 and goes on", async () => {
    api = await openApi(fakeEdge());
    const answer = await ask(api, "/v1/status", { headers: { "x-padding": "x".repeat(9000) } });
    expect(answer.status).toBe(431);
    expect((await ask(api, "/v1/status")).status).toBe(200);
  });

  it("RFC 9112 9.3.2: who sends requests without end and waits for no answer is cut off after a hundred", async () => {
    let asked = 0;
    const edge = fakeEdge();
    api = await openApi({ ...edge, gateways: () => ((asked += 1), edge.gateways()) });
    const socket = connect(api.port, api.address);
    socket.on("error", () => undefined);
    socket.resume();
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write("GET /v1/gateways HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5000));
    await closed;
    expect(asked).toBeLessThanOrEqual(100);
    expect((await ask(api, "/v1/status")).status).toBe(200);
  });

  it("close ends connections that were left open, and gives the port back", async () => {
    const first = await openApi(fakeEdge());
    const socket = connect(first.port, first.address);
    await new Promise((resolve) => socket.once("connect", resolve));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    await first.close();
    await closed;
    api = await openApi(fakeEdge(), { listen: { port: first.port } });
    expect((await ask(api, "/v1/status")).status).toBe(200);
  });
});
