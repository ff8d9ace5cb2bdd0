// More media than the machine can carry, on a real gateway: new calls are answered 510 and running ones go on; when it is over new
// calls are taken again. Needs the native engine, and is skipped by name without it.
import { silentLog, systemClock } from "@sallyport/kit";
import { createMediaPlane } from "@sallyport/media-plane";
import { describe, expect, it } from "vitest";
import { accessEnd, coreEnd, cryptoOf, mediaSocket, must, rtp, startRig, until } from "./rig.ts";

const isBuilt = async (): Promise<boolean> => {
  const portRange = { first: 19_300, last: 19_399 };
  const { native, plane } = createMediaPlane({ clock: systemClock, log: silentLog, engine: "auto", portRange });
  await plane.shutdown();
  return native !== undefined;
};
const built = await isBuilt();

describe("overload of a real gateway", () => {
  it.skipIf(!built)(
    `H.248.1 510: media beyond what the engine can take is lost and told of, new calls are refused, the running one goes on${built ? "" : " (to run: build the native engine)"}`,
    async () => {
      // A receive buffer of a few packets and the slowest batches: any machine can send more than that.
      const rig = await startRig({
        gateway: {
          media: {
            engine: "socket",
            interfaces: [],
            threads: 1,
            batchUs: 2000,
            receiveBuffer: 4096,
            highestLoad: 0.85,
          },
        },
      });
      const [ue, far] = [await mediaSocket(), await mediaSocket()];
      try {
        const streams = [
          {
            stream: 1,
            access: accessEnd({ protocol: "RTP/AVP", remote: { address: "127.0.0.1", port: ue.port } }),
            core: coreEnd({ remote: { address: "127.0.0.1", port: far.port } }),
          },
        ];
        const running = await rig.controller.add(undefined, streams);
        const port = must(running.access[0]).port;
        let sequence = 0;
        const speak = async () => {
          const heard = far.received.length;
          const next = rtp(++sequence);
          // One that falls among the flood may be lost with it: it is said again.
          await until("speech", () => {
            ue.send(next, port);
            return far.received.length > heard;
          });
        };
        await speak();
        const lost = () => rig.gateway.media().threads.reduce((sum, thread) => sum + thread.lost, 0);
        const flood = Buffer.alloc(1200, 0x80);
        await until(
          "loss",
          () => {
            for (let at = 0; at < 300; at++) ue.send(flood, port);
            return lost() > 0;
          },
          15_000,
        );
        await until("shortage", () => rig.gateway.media().shortage === "media packets were lost");
        await expect(rig.controller.add(undefined, streams)).rejects.toMatchObject({ code: "SALLY_IQ_NO_RESOURCES" });
        expect(rig.gateway.refused()).toBe(1);
        expect(rig.gateway.contexts()).toBe(1);
        // An emergency call is taken all the same (TS 23.334 5.18), and the running one was never asked.
        const emergency = await rig.controller.add(undefined, streams, { emergency: true });
        await rig.controller.subtract(emergency.context);
        await speak();
        await until("recovery", () => rig.gateway.media().shortage === undefined, 15_000);
        const later = await rig.controller.add(undefined, [
          {
            stream: 1,
            access: accessEnd({
              remote: { address: "127.0.0.1", port: ue.port },
              localCrypto: cryptoOf(0x31),
              remoteCrypto: cryptoOf(0x32),
            }),
            core: coreEnd({ remote: { address: "127.0.0.1", port: far.port } }),
          },
        ]);
        for (const { context } of [running, later]) await rig.controller.subtract(context);
        expect(rig.gateway.contexts()).toBe(0);
      } finally {
        ue.close();
        far.close();
        await rig.close();
      }
    },
    60_000,
  );
});
