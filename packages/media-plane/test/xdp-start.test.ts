// How the xdp engine starts and ends: it leaves nothing behind, also when its process is killed, and says why it cannot start. Run over a
// link between two namespaces; skipped by name where that cannot be.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadAddon } from "../src/native/addon.ts";
import { ground } from "./ground.ts";
import { openInside } from "./xdp/inside.ts";
import { noNamespaces } from "./xdp/namespaces.ts";
import { runWithin } from "./xdp/within.ts";

const addon = loadAddon();
const missing = typeof addon === "string" ? addon : noNamespaces;
const { far } = ground;

const inside = (name: string, namespace: string): void => {
  const { choose, newPlane, until, attached } = openInside(name, namespace);

  describe("start and end of the xdp engine", () => {
    it("a process that is killed leaves no program behind", async () => {
      const holder = fileURLToPath(new URL("xdp/holder.mjs", import.meta.url));
      const child = spawn(process.execPath, [holder, name], { stdio: ["ignore", "pipe", "inherit"] });
      const [said] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
      expect(JSON.parse(said)).toMatchObject({ manner: expect.stringMatching(/^media0 /) });
      expect(attached()).toBe(true);
      // Meanwhile nobody else can have the interface: who asks for it by name is told why, `auto` goes on with sockets.
      expect(() => choose("xdp", [name])).toThrow(
        expect.objectContaining({
          code: "SALLY_PLANE_ENGINE",
          message: expect.stringMatching(/another XDP program is attached to media0/),
        }),
      );
      const { plane, reason, warning } = choose("auto", [name]);
      expect(plane.engine).toBe("socket");
      expect(reason).toMatch(/^socket over /);
      expect(warning).toMatch(/instead of xdp: another XDP program is attached to media0: detach it/);
      child.kill("SIGKILL");
      await once(child, "exit");
      await until(() => !attached());
      expect(choose("auto", [name]).plane.engine).toBe("xdp");
    });

    it("a plane that is shut down leaves no program behind", async () => {
      const plane = newPlane();
      expect(attached()).toBe(true);
      await plane.shutdown();
      await until(() => !attached());
    });

    it("what is asked for and cannot be is said, with what would help", () => {
      const refused = (message: RegExp): unknown =>
        expect.objectContaining({ code: "SALLY_PLANE_ENGINE", message: expect.stringMatching(message) });
      expect(() => choose("xdp", [])).toThrow(refused(/name the interfaces/));
      expect(() => choose("xdp", ["nowhere0"])).toThrow(refused(/there is no interface nowhere0/));
      expect(() => choose("xdp", ["lo"])).toThrow(refused(/lo is not an Ethernet interface/));
      expect(choose("auto", ["nowhere0"]).warning).toMatch(/there is no interface nowhere0/);
      expect(choose("xdp", [name], 4).warning).toMatch(/one packet thread: 4 were asked for/);
    });

    it.skipIf(spawnSync("setpriv", ["--version"]).status !== 0)(
      "without its capabilities the engine names them",
      () => {
        const holder = fileURLToPath(new URL("xdp/holder.mjs", import.meta.url));
        const { stdout } = spawnSync(
          "setpriv",
          ["--bounding-set", "-all,+ipc_lock", "--inh-caps", "-all", process.execPath, holder, name],
          { encoding: "utf8" },
        );
        expect(JSON.parse(stdout)).toMatchObject({
          why: expect.stringMatching(/CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF/),
        });
        expect(attached()).toBe(false);
      },
    );
  });
};

if (far !== undefined && missing === undefined) {
  inside(far.interface, far.namespace);
} else {
  const outcomes = missing === undefined ? await runWithin(fileURLToPath(import.meta.url)) : [];
  describe(`between namespaces${missing === undefined ? "" : ` (${missing})`}`, () => {
    it.skipIf(missing !== undefined)("the tests of its start and end were run", () => {
      expect(outcomes.length).toBeGreaterThan(3);
    });
    it.each(outcomes.filter(({ status }) => status === "passed" || status === "failed"))(
      "$fullName",
      ({ status, failureMessages }) => {
        expect([status, ...failureMessages]).toEqual(["passed"]);
      },
    );
  });
}
