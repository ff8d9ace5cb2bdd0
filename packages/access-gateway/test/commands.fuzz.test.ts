// A controller that sends anything: the commands and session descriptions under test/corpus, bent by a seeded generator, over
// Iq to a whole gateway. A clear error with a code of the registry, nothing lost, no key in any answer, no context left.
import { readFileSync, readdirSync } from "node:fs";
import type { ActionReply, Association, H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport, parseH248 } from "@sallyport/h248";
import { SallyportError, seededRandom, silentLog, systemClock } from "@sallyport/kit";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createGateway, gatewayConfigSchema } from "../src/index.ts";
import { paperPlane } from "./plane.ts";
import { must, until } from "./rig.ts";

const folder = new URL("corpus/", import.meta.url);
const corpus = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "latin1"));

// Pieces that mean something where they land.
const pieces = [
  "", "$", "-", "*", "0", "65536", "99999999999", "ON", "OFF", "IP6", "::1", "256.1.1.1", "RTP/AVP", "RTP/SAVP", "TCP/MSRP",
  "UDP/TLS/RTP/SAVPF", "a=crypto:", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:ERERERERERERERERERERERERERERERERERERERER\n",
  "ERERERERERERERERERERERERERERERERERERERER", "a=crypto:1 ERERERERERERERERERERERERERERERERERERERER X\n",
  "m=audio ERERERERERERERERERERERERERERERERERERERER RTP/SAVP 0\n", "a=rtcp:ERERERERERERERERERERERERERERERERERERERER\n",
  "c=IN IP4 ERERERERERERERERERERERERERERERERERERERER\n", "AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80", "inline:", "|2^99", "|1:1", "UNENCRYPTED_SRTP", "KDR=3", "v=0\n", "m=audio 0 RTP/AVP 0\n",
  "c=IN IP4 0.0.0.0\n", "a=rtcp:70000\n", "a=rtcp-mux\n", "Mode = LoopBack", "Stream = 2", "\r\n", "\\}", '"', "ÿ", "\t",
] as const; // prettier-ignore

const edit = fc.tuple(fc.nat(), fc.nat({ max: 24 }), fc.constantFrom(...pieces));

const bent = fc
  .tuple(fc.constantFrom(...corpus), fc.array(edit, { minLength: 1, maxLength: 3 }))
  .map(([seed, edits]) => {
    let text = seed;
    for (const [where, cut, put] of edits) {
      const at = where % (text.length + 1);
      text = text.slice(0, at) + put + text.slice(at + cut);
    }
    return text;
  });

// Of H.248.8 and the IANA registry, as far as a gateway has reason to use them.
const registered = new Set([
  400, 401, 403, 406, 411, 412, 421, 422, 430, 431, 432, 433, 434, 435, 440, 441, 442, 443, 444, 445, 447, 448, 449,
  450, 451, 452, 453, 454, 455, 456, 457, 459, 472, 473, 474, 500, 501, 503, 510, 512, 513, 515, 517, 533, 534,
]);

interface Controller {
  readonly association: Association;
  readonly transport: H248Transport;
  readonly port: number;
  peer: H248Peer | undefined;
  /** Everything the gateway sent. */
  heard: string;
}

const listen = async (): Promise<Controller> => {
  const transport: H248Transport = createH248Transport({
    clock: systemClock,
    log: silentLog,
    onMessage: (octets, peer) => {
      self.heard += octets.toString("latin1");
      association.receive(octets, peer);
    },
    onPeerClosed: () => undefined,
  });
  const association = createAssociation({
    mid: "<mgc.example>",
    transport,
    clock: systemClock,
    log: silentLog,
    random: seededRandom("fuzz"),
    onRequest: async ({ peer }) => {
      self.peer = peer;
      const services = { kind: "services" as const, version: 2, extensions: [] };
      return [{ context: "-", commands: [{ command: "ServiceChange", termination: "ROOT", descriptors: [services] }] }];
    },
  });
  const { port } = await transport.listen({ protocol: "udp", address: "127.0.0.1", port: 0 });
  const self: Controller = { association, transport, port, peer: undefined, heard: "" };
  return self;
};

const codesOf = (replies: readonly ActionReply[]): readonly number[] =>
  replies
    .flatMap(({ commands, error }) => [...commands.map((command) => command.error), error])
    .flatMap((error) => error?.code ?? []);

describe("a controller that sends anything", () => {
  it("TS 29.334 5.17.1, invariants 7 and 10: clear errors, no key in any answer, no context and no leg left", async () => {
    const controller = await listen();
    const plane = paperPlane();
    const gateway = await createGateway(
      gatewayConfigSchema.parse({
        id: "gw-a.example",
        controllers: [{ address: "127.0.0.1", port: controller.port, protocol: "udp" }],
        interfaces: { access: { address: "192.0.2.20" }, core: { address: "10.0.0.20", realm: "inside" } },
        ports: { first: 20_000, last: 20_999 },
        lab: true,
        style: "compact",
      }),
      { clock: systemClock, random: seededRandom("fuzzed"), log: silentLog, plane },
    );
    await until("registered", () => gateway.registration().registered);
    let done = 0;
    let sent = 0;
    const send = async (text: string): Promise<readonly number[] | undefined> => {
      const parsed = parseH248(Buffer.from(`MEGACO/2 <mgc.example> Transaction = 1 { ${text} }`, "latin1"));
      // What is no message at all is the codec's own matter, and fuzzed there.
      if (!parsed.ok || parsed.message.body.kind !== "transactions") return undefined;
      const [transaction] = parsed.message.body.transactions;
      if (transaction?.kind !== "request" || parsed.message.body.transactions.length > 1) return undefined;
      sent += 1;
      try {
        const replies = await controller.association.request(
          transaction.actions,
          { peer: must(controller.peer) },
          { version: 2, timeoutMs: 3000 },
        );
        return codesOf(replies);
      } catch (error) {
        if (!(error instanceof SallyportError) || error.code === "SALLY_H248_TIMEOUT") throw error;
        // What our own writer will not send, and an error for the whole transaction.
        return error.h248Error === undefined ? [] : [error.h248Error];
      }
    };
    for (const whole of corpus) {
      const codes = await send(whole);
      expect([whole, codes?.filter((code) => code !== 411 && code !== 431)]).toEqual([whole, []]);
    }
    const property = fc.asyncProperty(bent, async (text) => {
      const codes = await send(text);
      for (const code of codes ?? []) expect(registered).toContain(code);
      if (codes?.length === 0) done += 1;
    });
    await fc.assert(property, { seed: 29_334, numRuns: 1600 });
    // The generator reaches both: orders that are carried out, and orders that are not.
    expect(sent).toBeGreaterThan(300);
    expect(done).toBeGreaterThan(20);
    expect(sent - done).toBeGreaterThan(20);
    // The name a command gave its termination is repeated as it was (H.248.1 8.2.2): it is no text of ours.
    const said = controller.heard.replaceAll(/(?<=[{,](?:A|MF|S|AV|AC|MV|N|SC)=)[^{},]*/g, "");
    expect(said).not.toMatch(/ERERERERERERERER|EhISEhISEhISEhIS/);
    expect(await send("Context = * { W-Subtract = * { Audit { } } }")).toEqual([]);
    expect([gateway.contexts(), gateway.terminations(), plane.legs]).toEqual([0, 0, 0]);
    await gateway.close();
    controller.association.close();
    await controller.transport.close();
  }, 60_000);
});
