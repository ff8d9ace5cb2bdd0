// A call of several lines whose gateway is lost: all are offered again, those that are no streams of ours too.
// TS 33.328 4.2.2, RFC 3264 8.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bodyOf, establishOriginating } from "./support/calls.ts";
import { openScenario, settled, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, ueAnswer, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;

beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  await alice.register();
});
afterEach(async () => {
  await scenario.close();
});

const more = {
  ue: (port: number) => `m=video ${port} RTP/SAVP 31\r\n${crypto(keyOf(0x61))}\r\n`,
  core: (port: number) => `m=video ${port} RTP/AVP 31\r\n`,
  refused: (protocol: string) => `m=video 0 ${protocol} 31\r\n`,
  text: (path: string) => `m=message 2855 TCP/MSRP *\r\na=accept-types:text/plain\r\na=path:msrp://${path};tcp\r\n`,
};
/** Profile and whether the port is 0, of each line. */
const shape = (text: string): readonly string[] =>
  [...text.matchAll(/^m=(\S+) (\d+) (\S+)/gm)].map(([, media, port, protocol]) =>
    [media, ...(port === "0" ? ["off"] : []), protocol].join(" "),
  );

/** Both sides take the edge's offers; what each was offered. */
const moved = async (ue: string, core: string): Promise<{ readonly ue: string; readonly core: string }> => {
  scenario.iq.notify((context) => ({ kind: "context-lost", gateway: context.gateway, context, reason: "silence" }));
  const first = await alice.expect("INVITE");
  alice.respond(first, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ue });
  await alice.acks.next();
  await settled();
  scenario.clock.advance(210);
  const second = await scenario.core.expect("INVITE");
  const contact = `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`;
  scenario.core.respond(second, 200, { headers: [["Contact", contact]], body: core });
  await scenario.core.acks.next();
  await settled();
  return { ue: bodyOf(first.request), core: bodyOf(second.request) };
};

describe("TS 33.328 4.2.2: the gateway of a call of several lines is lost", () => {
  it("audio and video: a new key for each, towards the UE", async () => {
    const video = `${more.ue(40_010)}a=3ge2ae:requested\r\n`;
    const dialog = await establishOriginating(scenario, alice, {
      body: ueOffer() + video,
      answer: coreSdp() + more.core(6010),
    });
    const before = bodyOf(dialog.ok).match(/inline:\S+/g) ?? [];
    const offers = await moved(ueAnswer() + more.ue(40_010), coreSdp({ version: 2 }) + more.core(6010));
    const after = offers.ue.match(/inline:\S+/g) ?? [];
    expect(new Set([...before, ...after]).size).toBe(4);
    expect([shape(offers.ue), shape(offers.core)]).toEqual([
      ["audio RTP/SAVP", "video RTP/SAVP"],
      ["audio RTP/AVP", "video RTP/AVP"],
    ]);
    expect(scenario.edge.calls()[0]?.streams.map(({ security }) => security)).toEqual(["e2ae", "e2ae"]);
    expect([...scenario.iq.open]).toEqual([2]);
  });

  it("RFC 3264 8.2: a refused video keeps its place with port 0", async () => {
    const video = `${more.ue(40_010)}a=3ge2ae:requested\r\n`;
    await establishOriginating(scenario, alice, {
      body: ueOffer() + video,
      answer: coreSdp() + more.refused("RTP/AVP"),
    });
    const offers = await moved(
      ueAnswer() + more.refused("RTP/SAVP"),
      coreSdp({ version: 2 }) + more.refused("RTP/AVP"),
    );
    expect([shape(offers.ue), shape(offers.core)]).toEqual([
      ["audio RTP/SAVP", "video off RTP/SAVP"],
      ["audio RTP/AVP", "video off RTP/AVP"],
    ]);
    expect(scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed", security: "e2ae" });
  });

  it("lines that pass by the gateway are offered as each end said them", async () => {
    await establishOriginating(scenario, alice, {
      body: ueOffer() + more.text("ue.example"),
      answer: coreSdp() + more.text("core.example"),
    });
    const offers = await moved(
      ueAnswer() + more.text("ue.example"),
      coreSdp({ version: 2 }) + more.text("core.example"),
    );
    expect([shape(offers.ue), shape(offers.core)]).toEqual([
      ["audio RTP/SAVP", "message TCP/MSRP"],
      ["audio RTP/AVP", "message TCP/MSRP"],
    ]);
    expect(offers.ue).toContain("a=path:msrp://core.example;tcp");
    expect(offers.core).toContain("a=path:msrp://ue.example;tcp");
    expect(offers.ue.match(/^a=crypto/gm)).toHaveLength(1);
    const [audio, message] = scenario.edge.calls()[0]?.streams ?? [];
    expect([audio?.security, message?.security]).toEqual(["e2ae", "none"]);
  });
});
