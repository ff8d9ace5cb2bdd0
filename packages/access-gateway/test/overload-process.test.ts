// A gateway of small capacity, a process of its own, under several times the calls it can hold: it says so, its edge sends
// it fewer (H.248.10, H.248.11), emergency calls pass, and when the calls are over all is as before.
import { once } from "node:events";
import type { ChildProcess } from "node:child_process";
import { createIqController, type GatewayStatus, type IqContext, type IqController } from "@sallyport/iq";
import { SallyportError, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileProgram, type Program } from "./child/program.ts";
import { accessEnd, coreEnd, must, until } from "./rig.ts";

let program: Program;
const running: ChildProcess[] = [];

beforeAll(() => {
  program = compileProgram();
}, 120_000);

afterAll(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  program.remove();
});

const capacity = 20;
const plan = [{ stream: 1, access: accessEnd({ mode: "inactive" }), core: coreEnd({ mode: "inactive" }) }];

const edge = {
  config: {
    mid: "<edge-a.example>",
    listen: [{ protocol: "tcp", address: "127.0.0.1", port: 0 }],
    gateways: [{ id: "gw-a", mid: "<gw-a.example>", protectedBelow: true }],
    watchRoot: true,
  },
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
} as const;

/** A gateway as a process of its own, which is the controller's. */
const startGateway = ({ listening }: IqController, config: Readonly<Record<string, unknown>>): ChildProcess => {
  const controllers = [{ address: "127.0.0.1", port: must(listening[0]).port, protocol: "tcp", protectedBelow: true }];
  const interfaces = { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } };
  const gateway = program.start("gateway", JSON.stringify({ id: "gw-a.example", controllers, interfaces, ...config }));
  running.push(gateway);
  return gateway;
};

describe("H.248.10 and H.248.11: a gateway that is offered too much", () => {
  it("gets fewer new contexts, all emergency calls, and everything again when there is room", async () => {
    const reports: GatewayStatus[] = [];
    let adds = 0;
    const controller = await createIqController({
      ...edge,
      observe: ({ direction, octets }) => {
        if (direction === "out" && octets.toString("latin1").includes("Context = $")) adds += 1;
      },
      onNotify: () => undefined,
      onGateway: (status) => reports.push(status),
    });
    const gateway = startGateway(controller, {
      ports: { first: 18_000, last: 18_999 },
      maxContexts: capacity,
      emergencyReserve: 200,
    });
    try {
      await until("the gateway", () => controller.gateways()[0]?.state === "up", 30_000);
      const held: IqContext[] = [];
      const counts = { offered: 0, taken: 0, refused: 0, emergency: 0, emergencyTaken: 0 };
      const call = async (emergency: boolean): Promise<void> => {
        counts[emergency ? "emergency" : "offered"] += 1;
        try {
          const { context } = await controller.add(undefined, plan, { emergency });
          counts[emergency ? "emergencyTaken" : "taken"] += 1;
          held.push(context);
        } catch (error) {
          if (!(error instanceof SallyportError) || error.sipStatus !== 503) throw error;
          counts.refused += 1;
        }
      };
      // Three times what it can hold, none of which ends.
      for (let at = 0; at < 3 * capacity; at++) await call(false);
      expect(counts.taken).toBe(capacity);
      await until("the gateway to say so", () => controller.gateways()[0]?.health === "congested", 10_000);

      const [addsBefore, offeredBefore] = [adds, counts.offered];
      for (let at = 0; at < 300; at++) {
        await call(false);
        if (at % 10 === 0) await call(true);
      }
      const [offered, sent] = [counts.offered - offeredBefore, adds - addsBefore - counts.emergency];
      // What was kept away never came near the gateway; of emergency calls none was refused.
      expect(offered).toBe(300);
      expect(sent).toBeLessThan(offered / 4);
      expect(counts.emergencyTaken).toBe(counts.emergency);
      expect(counts.taken).toBe(capacity);

      for (const context of held) await controller.subtract(context);
      await until("room again", () => controller.gateways()[0]?.health !== "congested", 20_000);
      const before = counts.taken;
      for (let at = 0; at < capacity / 2; at++) await call(false);
      expect(counts.taken - before).toBe(capacity / 2);
      expect(reports.some(({ health }) => health === "congested")).toBe(true);
    } finally {
      await controller.close();
    }
    gateway.send("stop");
    const [code] = (await once(gateway, "exit")) as [number];
    expect(code).toBe(0);
  }, 120_000);

  it("H.248.8 error 510: past its memory budget it refuses with 503, tells its edge, takes emergency calls, and recovers", async () => {
    const controller = await createIqController({
      ...edge,
      onNotify: () => undefined,
      onGateway: () => undefined,
    });
    const budget = 256;
    const gateway = startGateway(controller, { ports: { first: 17_000, last: 17_999 }, memoryBudgetMb: budget });
    const residentAfter = async (order: string): Promise<number> => {
      gateway.send(order);
      const [{ rss }] = (await once(gateway, "message")) as [{ rss: number }];
      return rss;
    };
    const outcome = (emergency: boolean) =>
      controller.add(undefined, plan, { emergency }).then(
        () => "taken",
        (error: unknown) => (error instanceof SallyportError ? `${error.code} ${error.sipStatus}` : "failed"),
      );
    try {
      await until("the gateway", () => controller.gateways()[0]?.state === "up", 30_000);
      expect(await residentAfter("unload")).toBeLessThan(budget);
      expect(await outcome(false)).toBe("taken");
      expect(await residentAfter(`load ${budget}`)).toBeGreaterThan(budget);
      let refused = "";
      let trying = Promise.resolve();
      // It looks once a second.
      await until(
        "a refusal",
        () => {
          trying = trying.then(async () => {
            if (refused === "") refused = (await outcome(false)).replace("taken", "");
          });
          return refused !== "";
        },
        10_000,
      );
      expect(refused).toBe("SALLY_IQ_NO_RESOURCES 503");
      expect(await outcome(true)).toBe("taken");
      await until("the edge to know", () => controller.gateways()[0]?.health === "congested", 5000);
      const held = controller.contexts().length;

      // What was let go goes back to the system in its own time.
      for (let tries = 0; tries < 50 && (await residentAfter("unload")) >= budget; tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await residentAfter("unload")).toBeLessThan(budget);
      await until("room again", () => controller.gateways()[0]?.health !== "congested", 20_000);
      expect(await outcome(false)).toBe("taken");
      // What was refused has left nothing.
      expect((await controller.audit("gw-a")).contexts).toHaveLength(held + 1);
    } finally {
      await controller.close();
    }
    gateway.send("stop");
    const [code] = (await once(gateway, "exit")) as [number];
    expect(code).toBe(0);
  }, 120_000);
});
