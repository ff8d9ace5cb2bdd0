// One edge, several gateways, over real sockets: which is chosen, what happens when it refuses, dies, drains or is handed on.
import type { OpenDatagram } from "@sallyport/kit";
import { systemDatagrams } from "@sallyport/kit";
import { refusal, type AddRequest } from "../src/index.ts";
import { afterEach, describe, expect, it } from "vitest";
import type { House } from "./house.ts";
import { failure, fairTime, openHouse, until } from "./house.ts";
import { configuration, must, reservation } from "./plans.ts";

let house: House | undefined;

afterEach(async () => {
  await house?.close();
  house = undefined;
});

const open = async (wire: "tls" | "udp"): Promise<House> => (house = await openHouse(wire));

/** The gateway answers each Add with this error. */
const refusing = (
  handler: { add: (request: AddRequest) => Promise<never> },
  code: number,
): { count: number; stop(): void } => {
  const said = { count: 0, stop: () => undefined as void };
  const before = handler.add;
  handler.add = async () => {
    said.count += 1;
    return refusal(code, "not here") as never;
  };
  said.stop = () => {
    handler.add = before;
  };
  return said;
};

describe("one edge, several gateways", () => {
  it("TS 23.334 8: calls are spread by weight and load, and each command goes to the gateway of its context", async () => {
    const here = await open("tls");
    const edge = await here.edge({
      gateways: [
        { id: "gw-a", mid: "<gw-a.example>", weight: 1 },
        { id: "gw-b", mid: "<gw-b.example>", weight: 3 },
      ],
    });
    const [a, b] = [await here.gateway("gw-a", edge), await here.gateway("gw-b", edge)];
    const added = await Promise.all(Array.from({ length: 8 }, () => edge.controller.add(undefined, reservation)));
    expect([a.handler.held.size, b.handler.held.size]).toEqual([2, 6]);
    expect(edge.status("gw-b")).toMatchObject({ contexts: 6, weight: 3, health: "good", draining: false });
    for (const { context } of added) {
      await edge.controller.modify(context, configuration);
      await edge.controller.subtract(context);
    }
    expect([a.handler.modifies.length, b.handler.modifies.length]).toEqual([4, 12]);
    expect([a.handler.held.size, b.handler.held.size]).toEqual([0, 0]);
  });

  it.each([510, 511, 512, 503])(
    "H.248 error %i: another gateway is asked, and the one that refused comes last for a while",
    async (code) => {
      const here = await open("tls");
      const edge = await here.edge();
      const [a, b] = [await here.gateway("gw-a", edge), await here.gateway("gw-b", edge)];
      const said = refusing(a.handler as never, code);
      for (let call = 0; call < 3; call += 1) {
        const { context } = await edge.controller.add(undefined, reservation);
        expect(context.gateway).toBe("gw-b");
      }
      expect(said.count).toBe(1);
      expect(edge.status("gw-a").health).toBe("refusing");
      expect(b.handler.held.size).toBe(3);
      said.stop();
      await until("gw-a is asked again", () => edge.status("gw-a").health === "good");
      expect((await edge.controller.add(undefined, reservation)).context.gateway).toBe("gw-a");
    },
  );

  it("H.248 error 449: the plan's fault is not carried from gateway to gateway", async () => {
    const here = await open("tls");
    const edge = await here.edge();
    const [a, b] = [await here.gateway("gw-a", edge), await here.gateway("gw-b", edge)];
    const said = [refusing(a.handler as never, 449), refusing(b.handler as never, 449)];
    expect((await failure(edge.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_MEDIA_REFUSED");
    expect(said.map(({ count }) => count)).toEqual([1, 0]);
  });

  it("all refuse: the call is refused with the last word; an emergency call asks even who said busy", async () => {
    const here = await open("tls");
    const edge = await here.edge();
    const [a, b] = [await here.gateway("gw-a", edge), await here.gateway("gw-b", edge)];
    const said = [refusing(a.handler as never, 511), refusing(b.handler as never, 511)];
    expect((await failure(edge.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_BUSY");
    expect((await failure(edge.controller.add(undefined, reservation))).code).toBe("SALLY_IQ_NO_RESOURCES");
    expect(said.map(({ count }) => count)).toEqual([1, 1]);
    must(said[1]).stop();
    const { context } = await edge.controller.add(undefined, reservation, { emergency: true, priority: 15 });
    expect(context.gateway).toBe("gw-b");
    expect(b.handler.adds.at(-1)).toMatchObject({ emergency: true, priority: 15 });
  });

  it("one that does not answer costs tryMs, not the call; what it made after all is subtracted", async () => {
    const here = await open("tls");
    const edge = await here.edge({ tryMs: 100, heartbeat: { intervalMs: 100, misses: 50 } });
    const a = await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    let late: () => void = () => undefined;
    const add = a.handler.add.bind(a.handler);
    a.handler.add = async (request) => {
      await new Promise<void>((resolve) => (late = resolve));
      return add(request);
    };
    const elapsed = fairTime();
    const { context } = await edge.controller.add(undefined, reservation);
    expect(context.gateway).toBe("gw-b");
    expect(elapsed()).toBeLessThan(1000);
    a.handler.add = add;
    late();
    await until("it was made", () => a.handler.adds.length === 2);
    await until("and subtracted", () => a.handler.held.size === 0);
    expect(edge.controller.contexts()).toEqual([context]);
  });

  it("realms and capacity of the configuration decide, and an emergency call is above capacity", async () => {
    const here = await open("tls");
    const realm = (name: string) =>
      reservation.map(({ access, ...rest }) => ({ ...rest, access: { ...must(access), realm: name } }));
    const edge = await here.edge({
      gateways: [
        { id: "gw-a", mid: "<gw-a.example>", realms: ["North"], capacity: 1 },
        { id: "gw-b", mid: "<gw-b.example>", realms: ["south"] },
      ],
    });
    await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    for (const name of ["south", "south"]) {
      expect((await edge.controller.add(undefined, realm(name))).context.gateway).toBe("gw-b");
    }
    expect((await edge.controller.add(undefined, realm("north"))).context.gateway).toBe("gw-a");
    expect(edge.status("gw-a")).toMatchObject({ load: 1, capacity: 1, realms: ["North"] });
    expect((await failure(edge.controller.add(undefined, realm("north")))).code).toBe("SALLY_IQ_NO_RESOURCES");
    expect((await edge.controller.add(undefined, realm("north"), { emergency: true })).context.gateway).toBe("gw-a");
    const nowhere = await failure(edge.controller.add(undefined, realm("west")));
    expect(nowhere).toMatchObject({ code: "SALLY_IQ_NO_GATEWAY", sipStatus: 503 });
    expect(nowhere.message).toContain("west");
  });
});

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a gateway that dies", () => {
  it("invariant 10: noticed at once; with another up its contexts are given up after failoverMs, else waited for", async () => {
    const here = await open("tls");
    const edge = await here.edge({ failoverMs: 100, keepContextsMs: 60_000 });
    const a = await here.gateway("gw-a", edge);
    const { context } = await edge.controller.add("gw-a", reservation);
    const elapsed = fairTime();
    a.cable.cut();
    await until("noticed", () => edge.status("gw-a").state === "down", 9000);
    expect(elapsed()).toBeLessThan(500);
    await wait(250);
    expect(edge.notifications).toEqual([]);
    await here.gateway("gw-b", edge);
    await until("given up", () => edge.notifications.length > 0, 1000);
    expect(edge.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "silence" }]);
    // It comes back with what we gave up: that is subtracted.
    expect(a.handler.held.size).toBe(1);
    a.cable.mend();
    await until("subtracted", () => a.handler.held.size === 0);
  });

  it("invariant 10: one that is back before failoverMs keeps its calls", async () => {
    const here = await open("tls");
    const edge = await here.edge({ failoverMs: 400 });
    const a = await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    const { context } = await edge.controller.add("gw-a", reservation);
    a.cable.cut();
    await until("noticed", () => edge.status("gw-a").state === "down", 9000);
    a.cable.mend();
    await until("back", () => edge.status("gw-a").state === "up", 1000);
    await wait(500);
    expect(edge.notifications).toEqual([]);
    await edge.controller.modify(context, configuration);
  });

  it("a gateway that can not take the calls (other realm, draining) is no reason to give them up", async () => {
    const here = await open("tls");
    const edge = await here.edge({
      failoverMs: 50,
      gateways: [
        { id: "gw-a", mid: "<gw-a.example>", realms: ["north"] },
        { id: "gw-b", mid: "<gw-b.example>", realms: ["south"] },
        { id: "gw-c", mid: "<gw-c.example>" },
      ],
    });
    const a = await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    await here.gateway("gw-c", edge);
    edge.controller.drain("gw-c", true);
    await edge.controller.add("gw-a", reservation);
    a.cable.cut();
    await wait(250);
    expect(edge.notifications).toEqual([]);
    edge.controller.drain("gw-c", false);
    await until("given up", () => edge.notifications.length > 0, 1000);
  });

  it("TS 23.334 8 heartbeat: a process that hangs is noticed within a second where configured", async () => {
    const here = await open("tls");
    const edge = await here.edge({ heartbeat: { intervalMs: 250, timeoutMs: 250, misses: 2 }, failoverMs: 0 });
    const a = await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    const { context } = await edge.controller.add("gw-a", reservation);
    await wait(300);
    const elapsed = fairTime();
    a.cable.stall();
    await until("noticed", () => edge.status("gw-a").state === "down", 9000);
    expect(elapsed()).toBeLessThan(1000);
    await until("given up", () => edge.notifications.length > 0);
    expect(edge.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "silence" }]);
    expect(edge.status("gw-a").reason).toBe("heartbeat unanswered");
  });

  it("TS 23.334 8 heartbeat over UDP: nobody tells of a dead gateway but the heartbeat", async () => {
    const here = await open("udp");
    const edge = await here.edge({ heartbeat: { intervalMs: 200, timeoutMs: 200, misses: 2 }, failoverMs: 0 });
    let muted = false;
    const openDatagram: OpenDatagram = async (binding, handlers) => {
      const socket = await systemDatagrams(binding, handlers);
      return { ...socket, send: (octets, to) => (muted ? undefined : socket.send(octets, to)) };
    };
    await here.gateway("gw-a", edge, { openDatagram, silenceMs: 0 });
    await here.gateway("gw-b", edge);
    await edge.controller.add("gw-a", reservation);
    muted = true;
    await until("noticed", () => edge.notifications.length > 0, 1000);
    expect((await edge.controller.add(undefined, reservation)).context.gateway).toBe("gw-b");
    muted = false;
  });
});

describe("draining", () => {
  it("takes no new calls, keeps those it has, and says when it is empty; undone at any time", async () => {
    const here = await open("tls");
    const edge = await here.edge();
    const a = await here.gateway("gw-a", edge);
    await here.gateway("gw-b", edge);
    const old = await edge.controller.add("gw-a", reservation);
    expect(edge.controller.drain("gw-a", true)).toMatchObject({ draining: true, contexts: 1, state: "up" });
    for (let call = 0; call < 3; call += 1)
      expect((await edge.controller.add(undefined, reservation)).context.gateway).toBe("gw-b");
    await edge.controller.modify(old.context, configuration);
    expect(edge.status("gw-a").reason).toContain("draining");
    await edge.controller.subtract(old.context);
    expect(a.handler.held.size).toBe(0);
    expect(edge.reports.at(-1)).toMatchObject({ id: "gw-a", draining: true, contexts: 0 });
    expect(edge.reports.at(-1)?.reason).toContain("drained");
    edge.controller.drain("gw-a", false);
    expect((await edge.controller.add(undefined, reservation)).context.gateway).toBe("gw-a");
    expect(() => edge.controller.drain("gw-z", true)).toThrow("SALLY_IQ_UNKNOWN_GATEWAY");
  });

  it("outlives a lost connection and a restart of the gateway", async () => {
    const here = await open("tls");
    const edge = await here.edge();
    const a = await here.gateway("gw-a", edge);
    edge.controller.drain("gw-a", true);
    await a.iq.close();
    await here.gateway("gw-a", edge);
    expect(edge.status("gw-a")).toMatchObject({ state: "up", draining: true });
    expect((await failure(edge.controller.add(undefined, reservation))).message).toContain("draining");
  });
});

describe("handing a gateway on", () => {
  it("H.248.1 7.2.8 HandOff: it registers with the other edge; its contexts here are lost at once, and the other knows none", async () => {
    const here = await open("tls");
    const [a, b] = [await here.edge({}, "edge-a"), await here.edge({}, "edge-b")];
    const moving = await here.gateway("gw-a", a, { others: [b] });
    await here.gateway("gw-b", a);
    const { context } = await a.controller.add("gw-a", reservation);
    await a.controller.handOff("gw-a", "<edge-b.example>");
    expect(a.status("gw-a").reason).toContain("edge-b");
    await until("registered there", () => b.status("gw-a").state === "up");
    expect(b.status("gw-a").reason).toContain("HandOff");
    await until("lost here", () => a.notifications.length > 0);
    expect(a.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "handoff" }]);
    expect(a.status("gw-a").state).toBe("down");
    await until("contexts nobody knows are gone", () => moving.handler.held.size === 0);
    expect((await a.controller.add(undefined, reservation)).context.gateway).toBe("gw-b");
    expect((await b.controller.add(undefined, reservation)).context.gateway).toBe("gw-a");
  });

  it("H.248.1 7.2.8 HandOff: to an edge the gateway does not know it does not go, and nothing changes", async () => {
    const here = await open("tls");
    const edge = await here.edge();
    await here.gateway("gw-a", edge);
    expect(await failure(edge.controller.handOff("gw-a", "<edge-z.example>"))).toMatchObject({
      code: "SALLY_IQ_NOT_HANDED_OFF",
      message: expect.stringContaining("<edge-z.example>: H.248 error 449."),
    });
    expect(edge.status("gw-a").state).toBe("up");
    await edge.controller.add(undefined, reservation);
  });
});

describe("what ROOT reports", () => {
  it("H.248.10 and H.248.11: asks for it after each registration, and a gateway that knows none of it is served all the same", async () => {
    const here = await open("tls");
    const edge = await here.edge({ watchRoot: true });
    await here.gateway("gw-a", edge);
    await until("asked", () => edge.sent.some((text) => /chp\/mgcon/.test(text)));
    expect(edge.sent.some((text) => /O-Modify\s*=\s*ROOT|O-MF=ROOT/i.test(text))).toBe(true);
    await edge.controller.add(undefined, reservation);
  });

  it("RFC 3711 9.2: word of a key nearly used up is asked for where the gateway has it, with the first command and kept", async () => {
    const here = await open("tls");
    const edge = await here.edge({ watchRoot: true });
    const { iq } = await here.gateway("gw-a", edge);
    await until("packages asked", () => edge.sent.some((text) => /Packages|PG/.test(text)));
    await wait(50);
    const { context } = await edge.controller.add(undefined, reservation);
    await edge.controller.modify(context, configuration);
    expect(edge.sent.filter((text) => text.includes("xsrtp/kexp")).length).toBe(1);
    await iq.notify({
      context: context.context,
      termination: context.access,
      request: 1,
      name: "xsrtp/kexp",
      stream: 1,
      parameters: { dir: "OUT" },
    });
    expect(edge.notifications).toEqual([
      { kind: "key-expiring", gateway: "gw-a", context, side: "access", stream: 1, direction: "out" },
    ]);
  });
});
