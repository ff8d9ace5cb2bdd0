// Realms of one gateway on real sockets: each has its own addresses and its own ports on them, IPv4 and IPv6; one that has
// run out is no reason to refuse another (H.248.41, H.248.8 error 510).
import { networkInterfaces } from "node:os";
import type { CallEndPlan } from "@sallyport/iq";
import { SallyportError } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { accessEnd, coreEnd, must, startRig, until, type Rig } from "./rig.ts";

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"));

let rig: Rig | undefined;

afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

const base = 18_000 - (process.pid % 20) * 40;

describe.skipIf(!hasIpv6)("H.248.41: realms on their own addresses", () => {
  it("H.248.41 ipdc/realm, error 510: each realm has its ports; what one has used up another still has, and it recovers", async () => {
    const here = (rig = await startRig({
      gateway: {
        interfaces: {
          access: { address: "127.0.0.1", realm: "phones" },
          core: { address: "127.0.0.2", realm: "core" },
          more: [
            { side: "access", address: "::1", realm: "phones" },
            { side: "access", address: "127.0.0.3", realm: "visitors" },
            { side: "core", address: "::1", realm: "core-6" },
          ],
        },
        // Three pairs on each address.
        ports: { first: base, last: base + 5 },
      },
    }));
    const reserve = async (access: Partial<CallEndPlan>, core: Partial<CallEndPlan>) => {
      try {
        const {
          access: [near],
          core: [far],
          context,
        } = await here.controller.add(undefined, [{ stream: 1, access: accessEnd(access), core: coreEnd(core) }]);
        return { context, at: [must(near).address, must(far).address], ports: [must(near).port, must(far).port] };
      } catch (error) {
        return error instanceof SallyportError ? error.code : "failed";
      }
    };
    const six = { remote: { address: "::1", port: 5000 } };
    const first = await reserve({ realm: "phones" }, { realm: "core" });
    const second = await reserve({ realm: "visitors" }, { realm: "core" });
    const third = await reserve({ realm: "visitors" }, { realm: "core" });
    expect([first, second, third]).toMatchObject([
      { at: ["127.0.0.1", "127.0.0.2"], ports: [base, base] },
      { at: ["127.0.0.3", "127.0.0.2"], ports: [base, base + 2] },
      { at: ["127.0.0.3", "127.0.0.2"], ports: [base + 2, base + 4] },
    ]);
    // The core realm has no pair left; the one of IPv6 has, and IPv4 meets IPv6 in it.
    expect(await reserve({ realm: "phones" }, { realm: "core" })).toBe("SALLY_IQ_NO_RESOURCES");
    const mixed = await reserve({ realm: "phones" }, { realm: "core-6", ...six });
    const whole = await reserve({ realm: "Phones", ...six }, { realm: "core-6", ...six });
    expect([mixed, whole]).toMatchObject([{ at: ["127.0.0.1", "::1"] }, { at: ["::1", "::1"] }]);
    expect(here.gateway.contexts()).toBe(5);
    expect(await reserve({ realm: "moon" }, { realm: "core" })).toBe("SALLY_IQ_MEDIA_REFUSED");
    expect(await reserve({ realm: "visitors", ...six }, { realm: "core-6" })).toBe("SALLY_IQ_MEDIA_REFUSED");
    expect(here.gateway.contexts()).toBe(5);

    // Freed ports rest for five seconds.
    for (const held of [first, second, third])
      if (typeof held !== "string") await here.controller.subtract(held.context);
    await new Promise((resolve) => setTimeout(resolve, 5500));
    const again = await reserve({ realm: "visitors" }, { realm: "core" });
    expect(again).toMatchObject({ at: ["127.0.0.3", "127.0.0.2"] });
  }, 60_000);

  it("H.248.41, error 510: realms with ports of their own, also on one address; one that has used up its own leaves the other's", async () => {
    const own = (from: number) => ({ first: base + from, last: base + from + 3 });
    const here = (rig = await startRig({
      gateway: {
        interfaces: {
          access: { address: "127.0.0.1", realm: "phones", ports: own(10) },
          core: { address: "127.0.0.2" },
          more: [{ side: "access", address: "127.0.0.1", realm: "visitors", ports: own(20) }],
        },
        ports: { first: base, last: base + 9 },
      },
    }));
    const reserve = (realm: string) =>
      here.controller
        .add(undefined, [{ stream: 1, access: accessEnd({ realm }), core: coreEnd() }])
        .then(({ access: [near], core: [far] }) => [must(near).port - base, must(far).port - base])
        .catch((error: unknown) => (error instanceof SallyportError ? error.code : "failed"));
    expect([await reserve("phones"), await reserve("phones")]).toEqual([
      [10, 0],
      [12, 2],
    ]);
    expect(await reserve("phones")).toBe("SALLY_IQ_NO_RESOURCES");
    // Nothing of the refused one is left: the core's third pair was given back, and rests.
    await until("the overload to be over", () => here.controller.gateways()[0]?.health !== "congested", 20_000);
    expect([await reserve("visitors"), await reserve("visitors")]).toMatchObject([
      [20, expect.any(Number)],
      [22, expect.any(Number)],
    ]);
    expect(here.gateway.contexts()).toBe(4);
  }, 60_000);

  it("H.248.8 error 510: past the memory budget a call is refused with 503, an emergency call is not, and it recovers", async () => {
    let used = 0;
    const here = (rig = await startRig({ gateway: { memoryBudgetMb: 64 }, deps: { memory: () => used } }));
    const add = (emergency: boolean) =>
      here.controller.add(undefined, [{ stream: 1, access: accessEnd(), core: coreEnd() }], { emergency });
    await add(false);
    used = 65 * 1_048_576;
    // Looked at once a second.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await expect(add(false)).rejects.toMatchObject({ code: "SALLY_IQ_NO_RESOURCES", sipStatus: 503 });
    await add(true);
    used = 0;
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await add(false);
    expect(here.gateway.contexts()).toBe(3);
  });
});
