// The life of a leg and of the plane (invariant 10).
import { once } from "node:events";
import { createSocket } from "node:dgram";
import { describe, expect, it } from "vitest";
import { host, openPeer, rtp } from "../fixture.ts";
import { counted, refused, tick, type Harness } from "./harness.ts";

export const lifeContract = ({ bothWays, open }: Harness): void => {
  describe("life of a leg", () => {
    it("invariant 10: close gives the last counters, frees both ports and forgets the leg", async () => {
      const world = await open();
      await bothWays(world, 1);
      const { plane, access } = world;
      expect(counted(await plane.close(access.leg))).toMatchObject({ rtpIn: 1, rtcpIn: 1, rtpOut: 1, rtcpOut: 1 });
      expect(plane.legs).toBe(1);
      for (const port of [access.local.rtpPort, access.local.rtpPort + 1]) {
        const socket = createSocket("udp4");
        socket.bind(port, host);
        await once(socket, "listening");
        socket.close();
        await once(socket, "close");
      }
      expect(() => plane.counters(access.leg)).toThrow(refused("SALLY_PLANE_LEG"));
      expect(() => plane.update(access.leg, { mode: "inactive" })).toThrow(refused("SALLY_PLANE_LEG"));
      expect(() => plane.join(access.leg, world.inner.leg)).toThrow(refused("SALLY_PLANE_LEG"));
      expect(() => plane.join(world.inner.leg, world.inner.leg)).toThrow(refused("SALLY_PLANE_LEG"));
      await expect(plane.close(access.leg)).rejects.toThrow(refused("SALLY_PLANE_LEG"));
    });

    it("invariant 7: the plane keeps no master key: the caller may release it at once", async () => {
      const world = await open();
      world.keys.fromUe.master.release();
      world.keys.towardsUe.master.release();
      await bothWays(world, 1);
    });

    it("a leg joined anew is taken from where it was", async () => {
      const world = await open();
      const third = await openPeer();
      const other = await world.plane.open({
        address: host,
        rtcp: "mux",
        protection: { kind: "clear" },
        mode: "send-receive",
        latch: "off",
        remote: third.remote,
      });
      world.plane.join(world.access.leg, other.leg);
      world.ue.send("rtp", world.ue.seal("rtp", rtp(1)), world.port("access", "rtp"));
      expect(await third.next("rtp")).toEqual(rtp(1));
      world.core.send("rtp", rtp(1), world.port("core", "rtp"));
      while (world.plane.counters(world.inner.leg).otherDropped !== 1) await tick();
      await third.close();
    });

    it("after shutdown there are no legs and none is opened", async () => {
      const world = await open();
      const opening = world.plane.open({
        address: host,
        rtcp: "separate",
        protection: { kind: "clear" },
        mode: "inactive",
        latch: "off",
      });
      const outcome = expect(opening).rejects.toThrow(refused("SALLY_PLANE_CLOSED"));
      await world.plane.shutdown();
      await outcome;
      expect(world.plane.legs).toBe(0);
      await expect(
        world.plane.open({
          address: host,
          rtcp: "mux",
          protection: { kind: "clear" },
          mode: "inactive",
          latch: "off",
        }),
      ).rejects.toThrow(refused("SALLY_PLANE_CLOSED"));
    });

    it("RFC 3264 6: a port of 0 is not sent to; what is no address or port is refused", async () => {
      const world = await open();
      const { leg } = world.access;
      const code = refused("SALLY_PLANE_REMOTE");
      for (const wrong of [{ address: "localhost" }, { rtpPort: 65_536 }, { rtcpPort: -1 }, { rtpPort: 1.5 }]) {
        const remote = { ...world.ue.remote, ...wrong };
        expect(() => world.plane.update(leg, { remote, mode: "inactive" })).toThrow(code);
      }
      await bothWays(world, 1);
      world.plane.update(leg, { remote: { ...world.ue.remote, rtpPort: 0 } });
      world.core.send("rtp", rtp(2), world.port("core", "rtp"));
      while (counted(world.plane.counters(leg)).otherDropped !== 1) await tick();
    });

    it("ports in a row that another program holds are passed over, RTP's and RTCP's alike", async () => {
      const { plane } = await open();
      const first = 20_000;
      const held = Array.from({ length: 40 }, () => createSocket("udp4"));
      for (const [at, socket] of held.entries()) {
        socket.bind(first + 2 * at + (at % 2), host);
        await once(socket, "listening");
      }
      const plan = {
        address: host,
        rtcp: "separate",
        protection: { kind: "clear" },
        mode: "inactive",
        latch: "off",
      } as const;
      const { local } = await plane.open({ ...plan, ports: { first, last: first + 99 } });
      expect(local).toEqual({ address: host, rtpPort: first + 80, rtcpPort: first + 81 });
      const none = plane.open({ ...plan, ports: { first, last: first + 79 } });
      await expect(none).rejects.toThrow(refused("SALLY_PLANE_PORTS"));
      for (const socket of held) socket.close();
    });

    it("an address that is not this machine's is refused", async () => {
      const world = await open();
      await expect(
        world.plane.open({
          address: "192.0.2.1",
          rtcp: "mux",
          protection: { kind: "clear" },
          mode: "inactive",
          latch: "off",
        }),
      ).rejects.toThrow(refused("SALLY_PLANE_ADDRESS"));
      expect(world.plane.legs).toBe(2);
    });
  });
};
