import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  callDetailSchema,
  callsSchema,
  explanationsSchema,
  gatewaysSchema,
  registrationsSchema,
  statusSchema,
  type Api,
} from "@sallyport/api";
import { silentLog } from "@sallyport/kit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyEdge, sampleEdge, startNode } from "./support/node.ts";
import { openLoopbackApi } from "../src/index.ts";
import { sallyport } from "./support/run.ts";

let node: Api;
let empty: Api;
beforeAll(async () => {
  node = await startNode(sampleEdge);
  empty = await startNode(emptyEdge);
});
afterAll(async () => {
  await node.close();
  await empty.close();
});

const ask = (...args: string[]) => sallyport([...args, "--api", node.url]);

/** What differs from run to run. */
const steady = (text: string): string =>
  text.replace(/Node \d+\.\d+\.\d+, pid \d+, \d+ MiB/, "Node 20.20.2, pid 4711, 80 MiB");

const screens = {
  status: ["status"],
  "reg-list": ["reg", "list"],
  "reg-show": ["reg", "show", "alice"],
  "reg-show-plain": ["reg", "show", "carol"],
  "call-list": ["call", "list"],
  "call-show": ["call", "show"],
  "call-show-plain": ["call", "show", "carol1"],
  "call-explain": ["call", "explain"],
  "call-explain-plain": ["call", "explain", "0c44@ue.lab.example"],
  "gw-list": ["gw", "list"],
} as const;

describe("the screens", () => {
  it.each(Object.entries(screens))(
    "%s: golden, no line wider than 80, none steers the terminal",
    async (name, args) => {
      const { code, out, err } = await ask(...args);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      for (const line of out.split("\n")) {
        expect(line.length, line).toBeLessThanOrEqual(80);
        expect(line).toBe(line.trimEnd());
      }
      // oxlint-disable-next-line no-control-regex
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      await expect(steady(out)).toMatchFileSnapshot(`golden/${name}.txt`);
    },
  );

  it("with colour the words are the same, and colour goes with its word only", async () => {
    for (const args of Object.values(screens)) {
      const { out: plain } = await ask(...args);
      const { out } = await sallyport([...args, "--api", node.url], { columns: 80, colour: true });
      // oxlint-disable-next-line no-control-regex
      expect(
        // oxlint-disable-next-line no-control-regex
        steady(out.replaceAll(/\u001b\[\d+m/g, ""))
          .split("\n")
          .map((line) => line.trimEnd()),
      ).toEqual(steady(plain).split("\n"));
    }
    const { out } = await sallyport(["gw", "list", "--api", node.url], { columns: 80, colour: true });
    expect(out).toContain("\u001b[32mup");
    expect(out).toContain("\u001b[31mdown");
  });

  it("a wider terminal shows more", async () => {
    const { out } = await sallyport(["reg", "list", "--api", node.url], { columns: 120, colour: false });
    expect(out).toContain("carol@a-rather-long-domain.of-the-lab.example");
  });

  it("an empty node says so, and the latest of nothing is not found", async () => {
    for (const [args, says] of [
      [["reg", "list"], "no registrations\n"],
      [["call", "list"], "no calls\n"],
      [["gw", "list"], "no gateways\n"],
    ] as const)
      expect(await sallyport([...args, "--api", empty.url])).toEqual({ code: 0, out: says, err: "" });
    const { code, err } = await sallyport(["call", "explain", "--api", empty.url]);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("(SALLY_API_NOT_FOUND)\n") });
  });

  it("of a call that has ended both screens still name the gateway its media went through", async () => {
    const ended = sampleEdge.calls().map((call) => {
      const { gateway, ...rest } = call;
      return gateway === undefined ? call : rest;
    });
    const later = await startNode({ ...sampleEdge, calls: () => ended });
    try {
      const { out } = await sallyport(["call", "show", "--api", later.url]);
      expect(out).toContain("  gateway   gw-a, context 17\n");
      for (const verb of ["show", "explain"])
        expect((await sallyport(["call", verb, "--api", later.url])).out).toContain("_80== gw-a --RTP-- core\n");
    } finally {
      await later.close();
    }
  });

  it("a list that is not whole says what is missing", async () => {
    expect((await ask("call", "list", "--limit", "1")).out).toContain("1 to 1 of 2; --limit and --offset");
    expect((await ask("reg", "list", "--offset", "5")).out).toBe("no more than 2 registrations\n");
  });
});

describe("--json", () => {
  it.each([
    [["status"], statusSchema],
    [["reg", "list"], registrationsSchema],
    [["reg", "show", "carol"], registrationsSchema],
    [["call", "list"], callsSchema],
    [["call", "show"], callDetailSchema],
    [["call", "explain"], explanationsSchema],
    [["gw", "list"], gatewaysSchema],
  ] as const)("%j gives the API's schema, and nothing in it steers the terminal", async (args, schema) => {
    const { code, out } = await ask(...args, "--json");
    expect(code).toBe(0);
    expect(schema.parse(JSON.parse(out))).toHaveProperty("apiVersion", 1);
    // oxlint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("when the node does not answer", () => {
  let server: Server;
  let answer: { status: number; text: string | undefined; chunk?: string } = { status: 200, text: "" };
  let url = "";
  beforeAll(async () => {
    server = createServer((_, response) => {
      response.statusCode = answer.status;
      if (answer.text === undefined) return void response.socket?.destroy();
      if (answer.chunk === undefined) return void response.end(answer.text);
      const { chunk } = answer;
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once("drain", more);
      };
      return more();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it("SALLY_CLI_UNREACHABLE: exit 3, with the address and what to do", async () => {
    const gone = await startNode(emptyEdge);
    await gone.close();
    for (const args of [["status"], ["reg", "list"], ["call", "show"], ["gw", "list"]]) {
      const { code, out, err } = await sallyport([...args, "--api", gone.url]);
      expect({ code, out }).toEqual({ code: 3, out: "" });
      expect(err).toContain(`${gone.url}: The node can not be reached: nothing listens there (ECONNREFUSED).`);
      expect(err).toMatch(/Start it with an api section.*--api or SALLYPORT_API\. \(SALLY_CLI_UNREACHABLE\)\n$/);
    }
    answer = { status: 200, text: undefined };
    const reset = await sallyport(["status", "--api", url]);
    expect(reset).toMatchObject({
      code: 3,
      err: expect.stringContaining("the other side closed the connection (ECONNRESET)"),
    });
  });

  it.each([
    ["another service", 200, "<html>hello</html>", "HTTP 200, not JSON."],
    ["another API", 200, "{}", "apiVersion"],
    ["a later version", 200, '{"apiVersion":2,"now":0,"gateways":[]}', "apiVersion"],
    ["an error of another kind", 500, "{}", "HTTP 500."],
    ["a redirection", 302, "{}", "HTTP 302."],
  ])("SALLY_CLI_ANSWER: %s", async (_, status, text, says) => {
    answer = { status, text };
    const { code, err } = await sallyport(["gw", "list", "--api", url]);
    expect(code).toBe(1);
    expect(err).toContain("SALLY_CLI_ANSWER");
    expect(err).toContain(says);
  });

  it("SALLY_CLI_ANSWER: an answer without end is given up at 16 MiB", async () => {
    answer = { status: 200, text: "", chunk: "x".repeat(65_536) };
    const { code, err } = await sallyport(["gw", "list", "--api", url]);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("larger than 16 MiB") });
  });

  it("an error that a node sends cannot steer the terminal", async () => {
    answer = {
      status: 404,
      text: JSON.stringify({ code: "SALLY_X\u001b[2J", message: "a\u0007", action: "\u009b2J" }),
    };
    const { code, err } = await sallyport(["gw", "list", "--api", url]);
    // oxlint-disable-next-line no-control-regex
    expect({ code, steers: /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(err) }).toEqual({ code: 1, steers: false });
  });
});

describe("tokens and addresses", () => {
  const folder = mkdtempSync(join(tmpdir(), "sallyport-cli-"));
  const token = join(folder, "token");
  writeFileSync(token, "correct-horse-battery-staple\n");
  afterAll(() => rmSync(folder, { recursive: true }));

  it("SALLY_API_UNAUTHORIZED without the token; with it, the answer", async () => {
    const guarded = await startNode(sampleEdge, token);
    try {
      const { code, err } = await sallyport(["gw", "list", "--api", guarded.url]);
      expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("SALLY_API_UNAUTHORIZED") });
      expect(err).toContain("--token-file");
      expect((await sallyport(["gw", "list", "--api", guarded.url, "--token-file", token])).code).toBe(0);
    } finally {
      await guarded.close();
    }
  });

  it("SALLY_CLI_FILE: a token file that is empty or holds something else is not sent, and not taken for a node that is away", async () => {
    for (const [name, text, says] of [
      ["empty", "\n", "It is empty."],
      ["key.pem", "-----BEGIN\nabcd\n", "no token"],
    ] as const) {
      writeFileSync(join(folder, name), text);
      const { code, err } = await ask("status", "--token-file", join(folder, name));
      expect({ code, err }).toMatchObject({
        code: 1,
        err: expect.stringContaining(`${name}: The file can not be used.`),
      });
      expect(err).toContain(says);
      expect(err).not.toContain("abcd");
    }
  });

  it("SALLY_CLI_FILE: a token file that is not there", async () => {
    const { code, err } = await ask("status", "--token-file", join(folder, "nowhere"));
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringMatching(/nowhere: .*ENOENT.*SALLY_CLI_FILE/) });
  });

  it("an edge of the lab, which has no file, answers on a loopback port of its own", async () => {
    const api = await openLoopbackApi(sampleEdge, silentLog);
    try {
      expect(api.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]/);
      expect(await sallyport(["call", "explain", "--api", api.url])).toMatchObject({ code: 0, err: "" });
    } finally {
      await api.close();
    }
  });

  it("the address may leave out http:// and end in a slash, and comes from SALLYPORT_API too", async () => {
    expect((await sallyport(["gw", "list", "--api", node.url.replace("http://", "")])).code).toBe(0);
    expect((await sallyport(["gw", "list", "--api", `${node.url}/`])).code).toBe(0);
    process.env["SALLYPORT_API"] = node.url;
    try {
      expect((await sallyport(["gw", "list"])).code).toBe(0);
    } finally {
      delete process.env["SALLYPORT_API"];
    }
  });

  it.each(["ftp://x", "http://", "127.0.0.1:x", "http://user:secret@127.0.0.1:1", "http://127.0.0.1:1/?a=b"])(
    "usage: --api %s",
    async (url) => {
      const { code, err } = await sallyport(["status", "--api", url]);
      expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("http://127.0.0.1:15080") });
    },
  );
});
