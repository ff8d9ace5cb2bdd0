// Erlang/OTP megaco as the controller of our gateway: registration, Add with CHOOSE, Modify with keys, audits, Subtract,
// over UDP where the path is declared protected and over TLS with both certificates; media through the gateway in between.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createGateway, gatewayConfigSchema, type Gateway } from "@sallyport/access-gateway";
import type { ActionReply, CommandReply, H248Error } from "@sallyport/h248";
import { memoryLog, Secret, systemClock, systemRandom } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, suites } from "@sallyport/srtp";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { settle, until } from "../../src/demo/await.ts";
import { certificate, labCertificates } from "../../src/topology/certificates.ts";
import { haveMegaco, startMegacoController, type MegacoController } from "./support/megaco.ts";
import { freePort, mediaPorts } from "./support/program.ts";

const suite = suites.AES_CM_128_HMAC_SHA1_80;
const domain = "lab.example";

/** 30 octets of key and salt as they stand after `inline:`. */
const inline = (fill: number): string => Buffer.alloc(30, fill).toString("base64");
const secret = (fill: number): Secret => Secret.take(Buffer.alloc(30, fill));

const rtp = (sequence: number, ssrc: number): Buffer => {
  const packet = Buffer.alloc(172, sequence);
  packet[0] = 0x80;
  packet[1] = 8;
  packet.writeUInt16BE(sequence, 2);
  packet.writeUInt32BE(sequence * 160, 4);
  packet.writeUInt32BE(ssrc, 8);
  return packet;
};

interface End {
  readonly port: number;
  readonly heard: readonly Buffer[];
  send(octets: Uint8Array, port: number): void;
  close(): void;
}

const openEnd = async (): Promise<End> => {
  const socket: Socket = createSocket("udp4");
  const heard: Buffer[] = [];
  socket.on("message", (octets) => void heard.push(octets));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: socket.address().port,
    heard,
    send: (octets, port) => socket.send(octets, port, "127.0.0.1"),
    close: () => void socket.close(),
  };
};

const repliesOf = (answer: readonly ActionReply[] | H248Error): readonly ActionReply[] => {
  if (!("code" in answer)) return answer;
  throw new Error(`refused with ${answer.code} ${answer.text}`);
};

/** Error code of whatever was refused. */
const errorOf = (answer: readonly ActionReply[] | H248Error): number | undefined => {
  if ("code" in answer) return answer.code;
  for (const { commands, error } of answer) {
    const inside = commands.flatMap(({ descriptors }) => descriptors).find((each) => each.kind === "error");
    const found = commands.find((command) => command.error !== undefined)?.error?.code ?? inside?.error.code;
    if (found !== undefined) return found;
    if (error !== undefined) return error.code;
  }
  return undefined;
};

const localOf = ({ descriptors }: CommandReply): string =>
  descriptors.flatMap((each) => (each.kind === "media" ? each.streams : []))[0]?.local ?? "";
const portOf = (local: string): number => Number(/m=audio (?<port>\d+) /.exec(local)?.groups?.["port"]);

/** A command's Stream descriptor, in the long form. */
const stream = (parts: { readonly mode?: string; readonly local?: string; readonly remote?: string }): string =>
  [
    "Media { Stream = 1 {",
    [
      ...(parts.mode === undefined ? [] : [`LocalControl { Mode = ${parts.mode} }`]),
      ...(parts.local === undefined ? [] : [`Local {\n${parts.local}\n}`]),
      ...(parts.remote === undefined ? [] : [`Remote {\n${parts.remote}\n}`]),
    ].join(", "),
    "} }",
  ].join(" ");

const sdp = (address: string, port: number | "$", protocol: string, ...lines: readonly string[]): string =>
  ["v=0", `c=IN IP4 ${address}`, `m=audio ${port} ${protocol} 8`, ...lines].join("\n");

const reserve = `Context = $ {
  Add = ip/1/access/$ { ${stream({ mode: "SendReceive", local: sdp("$", "$", "RTP/SAVP") })} },
  Add = ip/1/core/$ { ${stream({ mode: "SendReceive", local: sdp("$", "$", "RTP/AVP") })} } }`;

describe.skipIf(!haveMegaco).each(["udp", "tls"] as const)(
  "Erlang/OTP megaco as controller over %s (Debian packages erlang-base, erlang-megaco, erlang-ssl)",
  (transport) => {
    let controller: MegacoController;
    let gateway: Gateway;
    let port: number;
    const { log, records } = memoryLog();

    /** Context, terminations and ports of a fresh call. */
    const reserved = async () => {
      const [reply] = repliesOf(await controller.request(reserve));
      const [access, core] = reply?.commands ?? [];
      if (reply === undefined || access === undefined || core === undefined) throw new Error("not both were added");
      return {
        context: Number(reply.context),
        access: access.termination,
        core: core.termination,
        ports: { access: portOf(localOf(access)), core: portOf(localOf(core)) },
      };
    };
    const startGateway = (port: number, certificateName = `edge-a.${domain}`): Promise<Gateway> => {
      const certificates = labCertificates();
      const tls = { ...certificate(certificates, "gw-a"), ca: certificates.ca };
      return createGateway(
        gatewayConfigSchema.parse({
          id: `gw-a.${domain}`,
          controllers: [
            {
              address: "127.0.0.1",
              port,
              protocol: transport,
              ...(transport === "tls" ? { tls, certificateName } : { protectedBelow: true }),
            },
          ],
          interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
          ports: certificateName === `edge-a.${domain}` ? mediaPorts.a : mediaPorts.b,
          retry: { firstMs: 50, longestMs: 500 },
        }),
        { clock: systemClock, random: systemRandom, log },
      );
    };

    beforeAll(async () => {
      port = await freePort();
      controller = await startMegacoController(`edge-a.${domain}`, transport, port, "edge-a");
      gateway = await startGateway(port);
      await until("the registration of the gateway", () => gateway.registration().registered);
    });
    afterEach(() => {
      expect(gateway.contexts()).toBe(0);
      expect(controller.lines.filter((line) => /^(syntax-error|message-error|unexpected)/.test(line))).toEqual([]);
    });
    afterAll(async () => {
      await gateway?.close();
      await controller?.stop();
    });

    it("H.248.1 7.2.8: it takes our registration: Restart, cold boot, version 2 and the profile", async () => {
      await until("the registration as it read it", () => controller.asked().length > 0);
      const [registration] = controller.asked();
      expect(registration).toHaveLength(1);
      expect(registration?.[0]).toMatchObject({
        context: "-",
        commands: [
          {
            command: "ServiceChange",
            descriptors: [{ kind: "services", method: "Restart", version: 2, profile: "etsi_bgf/2" }],
          },
        ],
      });
      expect(JSON.stringify(registration)).toContain("901");
    });

    it("TS 23.334 8, RFC 4568: Add with CHOOSE, Modify with keys, media both ways, AuditValue, Subtract with statistics", async () => {
      const { context, access, core, ports } = await reserved();
      expect([access, core]).toEqual([
        expect.stringMatching(/^ip\/1\/access\/\d+$/i),
        expect.stringMatching(/^ip\/1\/core\/\d+$/i),
      ]);
      expect(gateway.contexts()).toBe(1);
      const [ue, far] = [await openEnd(), await openEnd()];
      const keyed = (theirs: number, ours: number) => `Context = ${context} {
        Modify = ${access} { ${stream({
          mode: "SendReceive",
          local: sdp("127.0.0.1", ports.access, "RTP/SAVP", `a=crypto:1 ${suite.name} inline:${inline(ours)}`),
          remote: sdp("127.0.0.1", ue.port, "RTP/SAVP", `a=crypto:1 ${suite.name} inline:${inline(theirs)}`),
        })} },
        Modify = ${core} { ${stream({ remote: sdp("127.0.0.1", far.port, "RTP/AVP") })} } }`;
      const passes = async (first: number, theirs: number, ours: number): Promise<void> => {
        const sender = createSrtpSender({ suite, key: { master: secret(theirs) } });
        const receiver = createSrtpReceiver({ suite, keys: [{ master: secret(ours) }] });
        const before = { ue: ue.heard.length, far: far.heard.length };
        const said = Array.from({ length: 20 }, (_, at) => [rtp(first + at, 7), rtp(first + at, 9)] as const);
        for (const [fromUe, fromFar] of said) {
          const sealed = sender.protectRtp(fromUe);
          if (sealed.ok) ue.send(sealed.packet, ports.access);
          far.send(fromFar, ports.core);
        }
        await until(
          "the packets",
          () => ue.heard.length >= before.ue + 20 && far.heard.length >= before.far + 20,
          5000,
        );
        expect(far.heard.slice(before.far)).toEqual(said.map(([fromUe]) => fromUe));
        const opened = ue.heard.slice(before.ue).map((packet) => receiver.unprotectRtp(packet));
        expect(opened.map((each) => (each.ok ? each.packet : each.code))).toEqual(said.map(([, fromFar]) => fromFar));
        for (const end of [sender, receiver]) end.release();
      };
      try {
        expect(errorOf(await controller.request(keyed(0x11, 0x22)))).toBeUndefined();
        await passes(100, 0x11, 0x22);
        // The same keys again change nothing; new ones replace both.
        expect(errorOf(await controller.request(keyed(0x11, 0x22)))).toBeUndefined();
        expect(errorOf(await controller.request(keyed(0x33, 0x44)))).toBeUndefined();
        await passes(200, 0x33, 0x44);

        const inactive = `Context = ${context} { Modify = ${access} { ${stream({ mode: "Inactive" })} } }`;
        expect(errorOf(await controller.request(inactive))).toBeUndefined();
        far.send(rtp(300, 9), ports.core);
        const audited = repliesOf(
          await controller.request(
            `Context = ${context} { AuditValue = ${access} { Audit { Media, Statistics, Packages } } }`,
          ),
        );
        const said = JSON.stringify(audited);
        expect(said).toMatch(/"mode":"Inactive"/i);
        expect(said).toContain(`audio ${ports.access} RTP/SAVP`);
        expect(audited[0]?.commands[0]?.descriptors.map(({ kind }) => kind)).toEqual(
          expect.arrayContaining(["media", "statistics", "packages"]),
        );
        const all = repliesOf(await controller.request("Context = * { AuditValue = ROOT { Audit { } } }"));
        expect(all.map((reply) => reply.context)).toEqual([context]);

        const [released] = repliesOf(await controller.request(`Context = ${context} { Subtract = * }`));
        const counted = released?.commands.map(({ termination, descriptors }) => {
          const values = descriptors.flatMap((each) => (each.kind === "statistics" ? each.statistics : []));
          const value = (name: string) => values.find((each) => each.name.toLowerCase() === name)?.values[0];
          return [termination.toLowerCase(), value("rtp/pr"), value("rtp/ps")];
        });
        expect(counted).toEqual([
          [access.toLowerCase(), "40", "40"],
          [core.toLowerCase(), expect.stringMatching(/^4[01]$/), "40"],
        ]);
        expect(ue.heard).toHaveLength(40);
      } finally {
        ue.close();
        far.close();
      }
    });

    it("H.248.1 7.2.3, TS 29.334 5.8.3: a wildcarded Subtract is answered once; an empty audit of ROOT is the heartbeat", async () => {
      const { context } = await reserved();
      const [released] = repliesOf(await controller.request(`Context = ${context} { W-Subtract = * { Audit { } } }`));
      expect(released?.commands).toHaveLength(1);
      expect(errorOf(await controller.request("Context = - { AuditValue = ROOT { Audit { } } }"))).toBeUndefined();
    });

    it("H.248.1 8.3, H.248.8: what cannot be done is refused with its code, holds no key and leaves no context", async () => {
      const { context, access } = await reserved();
      const modify = (...lines: readonly string[]) =>
        `Context = ${context} { Modify = ${access} { ${stream({ remote: sdp("127.0.0.1", 4000, "RTP/SAVP", ...lines) })} } }`;
      const refused = async (actions: string) => errorOf(await controller.request(actions));
      expect(await refused(modify(`a=crypto:1 AES_CM_999 inline:${inline(5)}`))).toBe(449);
      expect(await refused(modify(`a=crypto:1 ${suite.name} inline:c2hvcnQ=`))).toBe(449);
      expect(
        await refused(`Context = ${context} { Modify = ip/1/access/4711 { ${stream({ mode: "Inactive" })} } }`),
      ).toBe(430);
      expect(await refused(`Context = 4711 { Subtract = * }`)).toBe(411);
      expect(await refused(`Context = ${context} { Modify = ${access} { Signals { nosuch/thing } } }`)).toBeGreaterThan(
        439,
      );
      expect(
        await refused(
          `Context = $ { Add = ip/1/access/$ { ${stream({ local: sdp("$", "$", "UDP/TLS/RTP/SAVP") })} } }`,
        ),
      ).toBe(449);
      const written = controller.lines.map((line) =>
        Buffer.from(line.split(" ").at(-1) ?? "", "hex").toString("latin1"),
      );
      expect(written.filter((text) => text.includes("Error") && text.includes("inline:"))).toEqual([]);
      await controller.request(`Context = ${context} { Subtract = * }`);
    });

    it.runIf(transport === "tls")(
      "TS 33.328 6.2.1.3: a controller whose certificate carries another name than configured is told nothing",
      async () => {
        const asked = controller.asked().length;
        const wary = await startGateway(port, `edge-b.${domain}`);
        try {
          await until("the refusal", () => wary.registration().reason !== "not started");
          await settle(300);
          expect(wary.registration().registered).toBe(false);
          expect(controller.asked()).toHaveLength(asked);
        } finally {
          await wary.close();
        }
      },
    );

    it("TS 23.334 8: leaving, the gateway tells it with Forced and 905", async () => {
      const from = controller.asked().length;
      await gateway.close();
      await until("the ServiceChange", () => controller.asked().length > from);
      expect(controller.asked()[from]?.[0]?.commands[0]?.descriptors).toMatchObject([
        { kind: "services", method: "Forced" },
      ]);
      expect(JSON.stringify(controller.asked()[from])).toContain("905");
      expect(records.filter(({ level }) => level === "error")).toEqual([]);
    });
  },
);
