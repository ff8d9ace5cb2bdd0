// Erlang/OTP megaco and replies in segments (H.248.1 version 3, E.14), live: what our gateway cuts megaco gathers, and what
// megaco cuts our controller gathers, acknowledging each part, over UDP and over TLS.
import { readFileSync } from "node:fs";
import {
  createIqController,
  createIqGateway,
  type ContextView,
  type IqController,
  type IqGateway,
  type IqGatewayHandler,
} from "@sallyport/iq";
import { memoryLog, silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { certificate, labCertificates } from "../../src/topology/certificates.ts";
import { haveMegaco, startMegacoSegments, type MegacoSegments } from "./support/megaco.ts";
import { freePort } from "./support/program.ts";

const domain = "lab.example";

const tlsOf = (element: string) => {
  const certificates = labCertificates();
  const own = certificate(certificates, element);
  const read = (path: string): string => readFileSync(path, "utf8");
  return { cert: read(own.certificate), key: read(own.key), ca: read(certificates.ca) };
};

/** Contexts that say much: some 700 octets each. */
const contexts: readonly ContextView[] = Array.from({ length: 400 }, (_, at) => ({
  context: at + 1,
  terminations: (["access", "core"] as const).map((side) => ({
    termination: `ip/1/${side}/${at + 1}`,
    streams: [
      {
        stream: 1,
        mode: "send-receive",
        local: {
          address: { kind: "given", value: "192.0.2.20" },
          port: { kind: "given", value: 20_000 + 2 * at },
          media: "audio",
          protocol: side === "access" ? "RTP/SAVP" : "RTP/AVP",
          formats: ["0", "8", "101"],
          rtcpMux: false,
        },
        counts: { stream: 1, values: { "rtp/ps": "1", "rtp/pr": "2" } },
      },
    ],
  })),
}));

const full: IqGatewayHandler = {
  add: () => Promise.reject(new Error("nobody adds here")),
  modify: () => Promise.reject(new Error("nobody modifies here")),
  subtract: () => Promise.reject(new Error("nobody subtracts here")),
  contexts: (only) => (only === undefined ? contexts : contexts.filter(({ context }) => context === only)),
  clear: async () => undefined,
};

let peer: MegacoSegments | undefined;
const open: (IqGateway | IqController)[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  await peer?.stop();
  peer = undefined;
});

describe.skipIf(!haveMegaco).each(["udp", "tls"] as const)(
  "Erlang/OTP megaco and segments over %s (Debian packages erlang-base, erlang-megaco, erlang-ssl)",
  (transport) => {
    it("H.248.1 E.14: megaco as controller gathers the segments of our gateway's reply and acknowledges each", async () => {
      const port = await freePort();
      peer = await startMegacoSegments(
        "controller",
        { most: 60_000, contexts: 0, name: `edge-a.${domain}`, transport, port },
        "edge-a",
      );
      const sent: string[] = [];
      const heard: string[] = [];
      const gateway = await createIqGateway({
        config: {
          mid: `<gw-a.${domain}>`,
          lab: true,
          version: 3,
          controllers: [
            {
              protocol: transport,
              address: "127.0.0.1",
              port,
              ...(transport === "tls" ? { tls: tlsOf("gw-a"), certificateName: `edge-a.${domain}` } : {}),
            },
          ],
        },
        clock: systemClock,
        log: silentLog,
        random: systemRandom,
        observe: ({ direction, octets }) => (direction === "out" ? sent : heard).push(octets.toString("latin1")),
        handler: full,
      });
      open.push(gateway);
      await until("the gateway to register", () => gateway.state().registered);
      const reply = await peer.request("Context = * { AuditValue = * { Audit { Media } } }");
      expect(reply.version).toBe(3);
      expect(reply.contexts.toSorted((a, b) => a - b)).toEqual(contexts.map(({ context }) => context));
      expect(reply.commands).toBe(2 * contexts.length);
      const numbers = reply.numbers.toSorted((a, b) => a - b);
      expect(numbers.length).toBeGreaterThan(1);
      expect(numbers).toEqual(numbers.map((_, at) => at + 1));
      // As our own records have it: the last one says so, each came back acknowledged. A slow megaco may ask twice.
      const cut = new Set(sent.flatMap((text) => /Reply = \d+\/(\d+(?:\/END)?)/.exec(text)?.[1] ?? []));
      expect([...cut]).toEqual(numbers.map((number) => (number === numbers.length ? `${number}/END` : `${number}`)));
      const acknowledged = () =>
        new Set(heard.flatMap((text) => /Segment ?= ?\d+\/(\d+)/.exec(text)?.[1] ?? []).map(Number));
      await until("acknowledgements", () => acknowledged().size === numbers.length);
      expect([...acknowledged()].toSorted((a, b) => a - b)).toEqual(numbers);
      // A small reply is still one message.
      expect((await peer.request("Context = - { AuditValue = ROOT { Audit { } } }")).numbers).toEqual([0]);
      // What it asked for twice it hears twice, the second time unexpected.
      const told = sent.flatMap((text) => /Reply = (\d+(?:\/\d+)?)/.exec(text)?.[1] ?? []);
      const twice = new Set(told.filter((one, at) => told.indexOf(one) !== at).map((one) => one.split("/")[0]));
      const complaints = peer.lines.filter((line) => {
        const transaction = /^unexpected {'TransactionReply',(\d+),/.exec(line)?.[1];
        return /error|unexpected/.test(line) && !(transaction !== undefined && twice.has(transaction));
      });
      expect(complaints).toEqual([]);
    }, 60_000);

    it("H.248.1 E.14: our controller gathers the segments of megaco's reply, three on their way, and acknowledges each", async () => {
      const { log, records } = memoryLog();
      const controller = await createIqController({
        config: {
          mid: `<edge-a.${domain}>`,
          lab: true,
          version: 3,
          listen: [
            {
              protocol: transport,
              address: "127.0.0.1",
              port: 0,
              ...(transport === "tls" ? { tls: tlsOf("edge-a") } : {}),
            },
          ],
          gateways: [{ id: "gw-a", mid: `<gw-a.${domain}>`, certificateName: `gw-a.${domain}` }],
          heartbeat: { intervalMs: 60_000, misses: 5 },
        },
        clock: systemClock,
        log,
        random: systemRandom,
        onGateway: () => undefined,
        onNotify: () => undefined,
      });
      open.push(controller);
      const port = controller.listening[0]?.port ?? 0;
      peer = await startMegacoSegments(
        "gateway",
        { most: 400, contexts: 120, name: `gw-a.${domain}`, transport, port },
        "gw-a",
      );
      expect(await peer.register()).toContain("ok");
      await until("the gateway to be up", () => controller.gateways()[0]?.state === "up");
      const listed = await controller.audit("gw-a");
      expect(listed.contexts).toEqual(Array.from({ length: 120 }, (_, at) => at + 1));
      const acknowledged = () => peer?.lines.filter((line) => line.startsWith("acknowledged")) ?? [];
      await until("every acknowledgement", () => new Set(acknowledged()).size === 120);
      expect(peer.lines.filter((line) => /error|unexpected/.test(line))).toEqual([]);
      expect(records.filter(({ level }) => level === "error")).toEqual([]);
    }, 60_000);
  },
);
