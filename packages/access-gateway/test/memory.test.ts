// Invariant 7 from outside: a key is planted over Iq, used, and released; then the memory of the gateway's process is read for it.
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildProcess } from "node:child_process";
import { createIqController } from "@sallyport/iq";
import { Secret, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { createMediaPlane } from "@sallyport/media-plane";
import type { CryptoAttribute } from "@sallyport/sdp";
import { createSrtpSender, suites } from "@sallyport/srtp";
import { createAuthority } from "@sallyport/test-authority";
import { describe, expect, it } from "vitest";
import { compileProgram } from "./child/program.ts";
import { accessEnd, coreEnd, mediaSocket, must, rtp, until } from "./rig.ts";

const suite = suites.AES_CM_128_HMAC_SHA1_80;

const cryptoFor = (master: Buffer): CryptoAttribute => ({
  tag: 1,
  suite: suite.name,
  keys: [{ master: Secret.copyOf(master) }],
  sessionParams: [],
});

/** RFC 3711 4.3: what the gateway derives, computed here on its own. */
const sessionKeys = (master: Buffer): readonly Buffer[] =>
  [0, 1, 2, 3, 4, 5].map((label) => {
    const block = Buffer.concat([master.subarray(16), Buffer.alloc(2)]);
    block[7] = (block[7] ?? 0) ^ label;
    const length = [16, 20, 14][label % 3] ?? 0;
    return createCipheriv("aes-128-ctr", master.subarray(0, 16), block).update(Buffer.alloc(length));
  });

const chunk = 4 * 1024 * 1024;

/** How often each of these octets stands in the private writable memory of a process. */
const findIn = (pid: number, needles: readonly Buffer[]): readonly number[] => {
  const found = needles.map(() => 0);
  const longest = Math.max(...needles.map(({ length }) => length));
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const octets = Buffer.alloc(chunk + longest);
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) rw.p .*?(\S*)$/.exec(line);
      if (match === null || (match[3] ?? "").startsWith("[v")) continue;
      const [start, end] = [Number.parseInt(match[1] ?? "0", 16), Number.parseInt(match[2] ?? "0", 16)];
      for (let at = start; at < end; at += chunk) {
        let length = 0;
        try {
          length = readSync(memory, octets, 0, Math.min(octets.length, end - at), at);
        } catch {
          // Reserved and never touched: there is nothing to read.
          continue;
        }
        const here = octets.subarray(0, length);
        needles.forEach((needle, index) => {
          let place = here.indexOf(needle);
          while (place >= 0 && place < chunk) {
            found[index] = (found[index] ?? 0) + 1;
            place = here.indexOf(needle, place + 1);
          }
        });
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
};

const readable = (): boolean => {
  try {
    closeSync(openSync("/proc/self/mem", "r"));
    return true;
  } catch {
    return false;
  }
};

const collect = async (child: ChildProcess): Promise<void> => {
  child.send("gc");
  await once(child, "message");
};

/** Whether this machine lets the native engine start, asked of one that ends at once. */
const isBuilt = async (): Promise<boolean> => {
  const portRange = { first: 19_200, last: 19_299 };
  const { native, plane } = createMediaPlane({ clock: systemClock, log: silentLog, engine: "auto", portRange });
  await plane.shutdown();
  return native !== undefined;
};
const engines = (await isBuilt()) ? (["portable", "socket"] as const) : (["portable"] as const);

describe("invariant 7: the memory of a gateway", () => {
  it.skipIf(!existsSync("/proc/self/maps") || !readable()).each(engines)(
    "invariant 7: %s: after the context is released neither the master keys planted over Iq nor what was derived of them is left",
    async (engine) => {
      const authority = await createAuthority();
      const issue = (name: string) => authority.issue([{ type: "dns", value: name }]);
      const [edge, own] = [await issue("edge-a.example"), await issue("gw-a.example")];
      const controller = await createIqController({
        config: {
          mid: "<edge-a.example>",
          listen: [{ protocol: "tls", address: "127.0.0.1", port: 0, tls: edge }],
          gateways: [{ id: "gw-a", mid: "<gw-a.example>" }],
        },
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        onNotify: () => undefined,
        onGateway: () => undefined,
      });
      const folder = await mkdtemp(join(tmpdir(), "gateway-memory-"));
      const tls = { certificate: join(folder, "cert"), key: join(folder, "key"), ca: join(folder, "ca") };
      await Promise.all([writeFile(tls.certificate, own.cert), writeFile(tls.key, own.key), writeFile(tls.ca, own.ca)]);
      const program = compileProgram();
      const child = program.start(
        "gateway",
        JSON.stringify({
          id: "gw-a.example",
          controllers: [
            {
              address: "127.0.0.1",
              port: must(controller.listening[0]).port,
              tls,
              certificateName: "edge-a.example",
            },
          ],
          interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
          ports: { first: 19_000, last: 19_199 },
          media: { engine },
        }),
      );
      const [ue, far] = [await mediaSocket(), await mediaSocket()];
      try {
        await until("gateway up", () => controller.gateways()[0]?.state === "up", 20_000);
        const pid = must(child.pid);
        const masters = [systemRandom.bytes(30), systemRandom.bytes(30)].map((octets) => Buffer.from(octets));
        const [fromUe, towardsUe] = [must(masters[0]), must(masters[1])];
        const needles = [
          ...masters,
          ...masters.map((master) => master.subarray(0, 16)),
          ...masters.flatMap(sessionKeys),
        ];
        expect(findIn(pid, needles).every((count) => count === 0)).toBe(true);

        const remote = { address: "127.0.0.1", port: ue.port };
        const { access, context } = await controller.add(undefined, [
          {
            stream: 1,
            access: accessEnd({ remote, localCrypto: cryptoFor(towardsUe), remoteCrypto: cryptoFor(fromUe) }),
            core: coreEnd({ remote: { address: "127.0.0.1", port: far.port } }),
          },
        ]);
        const sender = createSrtpSender({ suite, key: { master: Secret.copyOf(fromUe) } });
        for (let sequence = 1; sequence <= 20; sequence++) {
          const sealed = sender.protectRtp(rtp(sequence));
          if (sealed.ok) ue.send(sealed.packet, must(access[0]).port);
        }
        await until("media", () => far.received.length >= 10, 10_000);
        // The search finds what is there: both masters, and the session keys of the direction that was used. The native engine
        // keeps of the authentication key only the hash states it leads to (RFC 2104 4).
        const during = findIn(pid, needles);
        expect(during.slice(0, 2).every((count) => count > 0)).toBe(true);
        expect(during.slice(4, engine === "portable" ? 6 : 5).every((count) => count > 0)).toBe(true);

        await controller.subtract(context);
        // node:crypto zeroises what it copied when the key objects are collected.
        await collect(child);
        expect(
          findIn(pid, needles)
            .map((count, index) => (count > 0 ? index : -1))
            .filter((index) => index >= 0),
        ).toEqual([]);
      } finally {
        child.send("stop");
        await once(child, "exit");
        ue.close();
        far.close();
        await controller.close();
        program.remove();
        await rm(folder, { recursive: true });
      }
    },
    180_000,
  );
});
