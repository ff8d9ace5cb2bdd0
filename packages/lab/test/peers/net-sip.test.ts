// Net::SIP as a phone of plain RTP behind the edge, of a make that shares nothing with the others: it calls a protected UE, and is called.
import type { UeCall } from "@sallyport/ue";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../src/demo/await.ts";
import { voiceOf } from "../../src/speech.ts";
import type { LabUe } from "../../src/topology/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import { haveKamailio, startKamailio, type Kamailio } from "./support/kamailio.ts";
import { haveNetSip, said, startNetSip, type NetSip } from "./support/net-sip.ts";

const saidMs = 500;

describe.skipIf(!haveNetSip || !haveKamailio).each(["udp", "tcp", "tls"] as const)(
  "Net::SIP over %s (Debian packages libnet-sip-perl and kamailio)",
  (transport) => {
    let kamailio: Kamailio;
    let edges: Edges;
    let carol: LabUe;
    let phone: NetSip | undefined;

    const starting = async (calls?: string): Promise<NetSip> => {
      const edgePort = edges.a.edge.access[0]?.port ?? 0;
      phone = await startNetSip({ name: "dave", edgePort, transport, ...(calls === undefined ? {} : { calls }) });
      return phone;
    };

    beforeEach(async () => {
      kamailio = await startKamailio("MD5");
      edges = await startEdges({ corePort: kamailio.port, access: transport });
      carol = await edges.addUe("carol", "b", { security: { e2ae: "required" }, codecs: ["PCMU"] });
      await carol.ue.register();
    });
    afterEach(async () => {
      await phone?.stop();
      await edges?.close();
      await kamailio?.stop();
    });

    it("TS 33.328 7.3.1: it calls a protected UE, and both hear", async () => {
      let call: UeCall | undefined;
      carol.ue.onCall((incoming) => {
        call = incoming;
        return {};
      });
      const its = await starting(`sip:carol@${domain}`);
      await its.wrote(/^established$/);
      if (call === undefined) throw new Error("no call came");
      expect(call.report().security).toBe("e2ae");
      await call.play(voiceOf("bob", saidMs));
      const heard = () => call?.received.octets() ?? Buffer.alloc(0);
      await until("what it says", () => heard().length > 2000);
      expect(new Set(heard())).toEqual(new Set([said]));
      await call.hangup();
      await its.wrote(/^heard /);
      expect(its.heard).toBeGreaterThan(saidMs / 20 - 5);
      await nothingLeft(edges);
      expect(leaks(edges.crossings)).toEqual([]);
    });

    it("TS 33.328 7.2.1: a protected UE calls it, and hears its own speech again after hold", async () => {
      const its = await starting();
      await its.wrote(/^listening$/);
      const call = await carol.ue.call(`sip:dave@${domain}`);
      expect(call.report().security).toBe("e2ae");
      await call.play(voiceOf("bob", saidMs));
      await until("the echo", () => call.received.octets().length > 2000);
      await call.reinvite("sendonly");
      await call.reinvite("sendrecv");
      const before = call.received.octets().length;
      await call.play(voiceOf("bob", saidMs));
      await until("the echo again", () => call.received.octets().length > before + 2000);
      await call.hangup();
      await its.wrote(/^heard /);
      await nothingLeft(edges);
      expect(leaks(edges.crossings)).toEqual([]);
    });
  },
);
