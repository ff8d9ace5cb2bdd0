// A gateway that has run out of contexts or of ports: the caller hears 503 with a time to try again, nothing is left of the
// refused call, the calls that run go on, and when one ends there is room again (H.248.8 errors 412 and 510).
import { afterEach, describe, expect, it } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { connect, held, mediaPorts, nothingHeld, openLab, registered, speak, type TestLab } from "./support/lab.ts";

let lab: TestLab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

const { a, b } = mediaPorts();

const shortages = [
  // One edge: a call takes a context for each leg.
  { of: "contexts", gateway: { maxContexts: 2, emergencyReserve: 0 }, ports: a, code: 412 },
  // Each leg takes two pairs; a freed pair rests for five seconds.
  { of: "ports", gateway: {}, ports: { first: a.first, last: a.first + 7 }, code: 510 },
] as const;

describe("exhaustion", () => {
  it.each(shortages)(
    "H.248.8 error $code: out of $of, the caller hears 503, running calls go on, and there is room when one ends",
    { timeout: 120_000 },
    async ({ of, gateway, ports }) => {
      const opened = (lab = await openLab({ sides: ["a"], change: { gateway }, mediaPorts: { a: ports, b } }));
      const { alice, bob, carol, dave } = await registered(opened, { alice: {}, bob: {}, carol: {}, dave: {} });
      const running = await connect(alice, bob);
      expect(opened.a.gateway.contexts()).toBe(2);
      carol.ue.onCall(() => ({}));
      await expect(dave.ue.call(carol.ue.impu)).rejects.toMatchObject({ status: 503 });
      await until("nothing of it to be left", () => opened.a.edge.counts().contexts === 2);
      expect(opened.a.gateway.contexts()).toBe(2);
      await speak(running, 200);
      await running.calling.hangup();
      await until("room", () => opened.a.gateway.contexts() === 0);
      // Freed ports rest for five seconds, those of an attempt that fails too; a refused gateway is left alone for a moment.
      let again: Awaited<ReturnType<typeof connect>> | undefined;
      for (let tries = 0; again === undefined && tries < 5; tries += 1) {
        await settle(of === "ports" ? 6000 : 1000);
        again = await connect(dave, carol).catch(() => undefined);
      }
      if (again === undefined) throw new Error("no call gets through again");
      await speak(again, 200);
      await again.calling.hangup();
      await until(
        "nothing to be left",
        () => JSON.stringify({ ...held(opened.a), transactions: 0 }) === JSON.stringify(nothingHeld),
        40_000,
      );
    },
  );
});
