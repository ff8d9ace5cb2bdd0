// Attempts to talk the network out of protection: bad answers, indications from elsewhere, clear media at protected ports.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { settle, until } from "../src/demo/await.ts";
import { voiceOf } from "../src/speech.ts";
import type { LabUe } from "../src/topology/lab.ts";
import { connect, held, openLab, registered, speak, type TestLab } from "./support/lab.ts";
import { createRawUe, handwrittenSdp, type RawUe } from "./support/raw-ue.ts";
import { audioIn, named, one, packetsOf, readCrypto } from "./support/wires.ts";

const suite = "AES_CM_128_HMAC_SHA1_80";
const freshKey = (length = 30): string => randomBytes(length).toString("base64");
const crypto = (tag: number, name: string, key: string): string => `a=crypto:${tag} ${name} inline:${key}`;
const offeredKey = (offer: string): string => /inline:([A-Za-z0-9+/=]+)/.exec(offer)?.[1] ?? "";
describe("bob's answer", () => {
  let lab: TestLab;
  let alice: LabUe;
  let bob: RawUe;

  beforeAll(async () => {
    lab = await openLab();
    ({ alice } = await registered(lab, { alice: {} }));
    bob = await createRawUe(lab, "bob", "b");
    expect((await bob.register()).status).toBe(200);
  });
  afterAll(async () => {
    await bob?.close();
    await lab?.close();
  });

  it.each<readonly [string, string | ((offer: string) => string)]>([
    ["in RTP/AVP", handwrittenSdp({ protocol: "RTP/AVP" })],
    [
      "in RTP/AVP with a crypto attribute",
      handwrittenSdp({ protocol: "RTP/AVP", lines: [crypto(1, suite, freshKey())] }),
    ],
    ["in RTP/SAVP without a key", handwrittenSdp({})],
    ["with a suite nobody offered", handwrittenSdp({ lines: [crypto(1, "AEAD_AES_256_GCM", freshKey(44))] })],
    ["with a suite nobody knows", handwrittenSdp({ lines: [crypto(1, "NULL_NULL", freshKey())] })],
    ["with a tag nobody offered", handwrittenSdp({ lines: [crypto(7, suite, freshKey())] })],
    [
      "with two keys",
      handwrittenSdp({ lines: [crypto(1, suite, freshKey()), crypto(2, "AES_CM_128_HMAC_SHA1_32", freshKey())] }),
    ],
    ["with a key that is too short", handwrittenSdp({ lines: [crypto(1, suite, freshKey(16))] })],
    [
      "with the key that was offered to him",
      (offer) => handwrittenSdp({ lines: [crypto(1, suite, offeredKey(offer))] }),
    ],
    ["with UNENCRYPTED_SRTP", handwrittenSdp({ lines: [`${crypto(1, suite, freshKey())} UNENCRYPTED_SRTP`] })],
    ["with UNAUTHENTICATED_SRTP", handwrittenSdp({ lines: [`${crypto(1, suite, freshKey())} UNAUTHENTICATED_SRTP`] })],
  ])("TS 33.328 7.3.1 step 5: %s ends the call; no media flows, nothing is left", async (_, answer) => {
    const heldBefore = lab.recorder.sightings.length;
    const byes = bob.requests.length;
    const answered = bob.answerNext(answer);
    const calling = alice.ue.call(bob.uri);
    const refused = expect(calling).rejects.toMatchObject({ status: 488 });
    await answered;
    await refused;
    await until("the BYE to bob", () => bob.requests.slice(byes).some(({ method }) => method === "BYE"));
    await until("everything to be given back", () =>
      [lab.a, lab.b].every((side) => held(side).contexts + held(side).calls + held(side).mediaPorts === 0),
    );
    const gone = lab.recorder.sightings.slice(heldBefore);
    expect(named(gone, { from: "edge-a", to: "alice" }, "200 INVITE")).toEqual([]);
    expect(named(gone, { from: "edge-b", to: "core" }, "200 INVITE")).toEqual([]);
    expect(packetsOf(alice.tap, { direction: "out", kind: "rtp" })).toEqual([]);
    expect(packetsOf(lab.b.tap, { direction: "out" })).toEqual([]);
  });

  it("a good answer by the same hand is taken", async () => {
    const answered = bob.answerNext(handwrittenSdp({ lines: [crypto(1, suite, freshKey())] }));
    const call = await alice.ue.call(bob.uri);
    await answered;
    expect(call.report().security).toBe("e2ae");
    await call.hangup();
  });
});

describe("the other network", () => {
  let lab: TestLab;
  let alice: LabUe;
  let dave: LabUe;
  let bob: RawUe;

  beforeAll(async () => {
    // Over UDP, so that anybody may speak to the core, as a network we know nothing of.
    lab = await openLab({ transport: "open", sides: ["a"] });
    ({ alice, dave } = await registered(lab, { alice: {}, dave: { security: { e2ae: "off" } } }));
    bob = await createRawUe(lab, "bob", "core");
    expect((await bob.register([])).status).toBe(200);
  });
  afterAll(async () => {
    await bob?.close();
    await lab?.close();
  });

  const foreign = freshKey();
  const pretending = handwrittenSdp({
    protocol: "RTP/AVP",
    lines: [crypto(1, suite, foreign), "a=3ge2ae:applied", "a=3GE2AE: applied", "a=3ge2ae:requested"],
  });

  it("TS 33.328 7.2.1 (b): `applied` and keys it inserts do not reach alice, who gets those of her own P-CSCF", async () => {
    const answered = bob.answerNext(pretending);
    const call = await alice.ue.call(bob.uri);
    expect((await answered).body.toString("latin1")).not.toMatch(/crypto|3ge2ae/i);
    const answer = one(lab.recorder.sightings, { from: "edge-a", to: "alice", callId: call.id }, "200 INVITE");
    const { cryptos, indications, protocol } = audioIn(answer);
    expect({ indications, protocol, keys: cryptos.length }).toEqual({
      indications: ["applied"],
      protocol: "RTP/SAVP",
      keys: 1,
    });
    expect(readCrypto(cryptos[0]).key).not.toBe(Buffer.from(foreign, "base64").toString("hex"));
    expect(answer.octets.toString("latin1").match(/3ge2ae/gi)).toHaveLength(1);
    await call.hangup();
  });

  it("TS 33.328 7.2.1 (b): they do not reach dave either, who asked for nothing", async () => {
    const answered = bob.answerNext(pretending);
    const call = await dave.ue.call(bob.uri);
    await answered;
    const answer = one(lab.recorder.sightings, { from: "edge-a", to: "dave", callId: call.id }, "200 INVITE");
    expect(answer.octets.toString("latin1")).not.toMatch(/3ge2ae/i);
    expect(audioIn(answer).protocol).toBe("RTP/AVP");
    expect(call.report().security).toBe("none");
    await call.hangup();
  });

  it("TS 33.328 7.2.1 step 8: SRTP of its own in the answer to our RTP ends the call: keys of others are not ours to confirm", async () => {
    const answered = bob.answerNext(handwrittenSdp({ lines: [crypto(1, suite, foreign), "a=3ge2ae:applied"] }));
    await expect(alice.ue.call(bob.uri)).rejects.toMatchObject({ code: "SALLY_UE_CALL" });
    await answered;
    await until("everything to be given back", () => held(lab.a).contexts + held(lab.a).terminations === 0);
    expect(packetsOf(alice.tap, { direction: "out", kind: "rtp" })).toEqual([]);
  });
});

describe("clear media", () => {
  const speaking = async () => {
    const lab = await openLab();
    onTestFinished(() => lab.close());
    const ues = await registered(lab, { alice: {}, bob: {} });
    const ends = await connect(ues.alice, ues.bob);
    await speak(ends, 200);
    const access = audioIn(
      one(lab.recorder.sightings, { from: "edge-a", to: "alice", callId: ends.calling.id }, "200 INVITE"),
    ).port;
    const own = packetsOf(ues.alice.tap, { direction: "out", kind: "rtp" }).at(-1);
    if (own === undefined) throw new Error("alice said nothing");
    return { lab, ...ues, ends, access, own };
  };
  const accessCounters = (lab: TestLab) => {
    const view = lab.a.gateway.counters().find(({ side }) => side === "access");
    if (view === undefined) throw new Error("no access termination");
    return view.counters;
  };
  /** RTP that would continue alice's stream, in clear. */
  const clearRtp = (own: { readonly octets: Buffer }, ahead: number): Buffer => {
    const packet = Buffer.alloc(172, 0xd5);
    own.octets.copy(packet, 0, 0, 12);
    packet.writeUInt16BE((own.octets.readUInt16BE(2) + ahead) & 0xffff, 2);
    return packet;
  };

  it("invariant 3: RTP and RTCP in clear at a protected access port, from alice's own address, are dropped and reach nobody", async () => {
    const { lab, alice, ends, access, own } = await speaking();
    const before = {
      counters: accessCounters(lab),
      inside: packetsOf(lab.a.tap, { direction: "out", kind: "rtp" }).length,
      heard: ends.called.received.frames().length,
    };
    const report = Buffer.from("80c9000100000001", "hex");
    for (let ahead = 1; ahead <= 20; ahead += 1)
      alice.tap.inject(own.local.port, clearRtp(own, ahead), { address: "127.0.0.1", port: access });
    for (let sent = 0; sent < 5; sent += 1)
      alice.tap.inject(own.local.port + 1, report, { address: "127.0.0.1", port: access + 1 });
    await until("all to be dropped", () => {
      const { clearDropped, authenticationFailures, malformed } = accessCounters(lab);
      return clearDropped + authenticationFailures + malformed >= before.counters.clearDropped + 25;
    });
    await settle(50);
    expect(accessCounters(lab).rtpIn).toBe(before.counters.rtpIn);
    expect(packetsOf(lab.a.tap, { direction: "out", kind: "rtp" }).length).toBe(before.inside);
    expect(ends.called.received.frames().length).toBe(before.heard);
    // Nothing was learned from them either: the call goes on, in both directions.
    await speak(ends, 200);
    await ends.calling.hangup();
  });

  it("invariant 3: a stranger's clear packets do not turn the stream towards him", async () => {
    const { lab, bob, ends, access, own } = await speaking();
    const [stranger] = packetsOf(bob.tap, { direction: "out", kind: "rtp" });
    bob.tap.inject(stranger?.local.port ?? 0, clearRtp(own, 1), { address: "127.0.0.1", port: access });
    await until(
      "it to be dropped",
      () =>
        accessCounters(lab).clearDropped +
          accessCounters(lab).authenticationFailures +
          accessCounters(lab).sourceDropped >
        0,
    );
    // Alice is silent: nothing of hers would turn the stream back.
    await ends.called.play(voiceOf("bob", 200));
    await until("alice to hear it all", () => ends.calling.received.octets().equals(ends.called.sent.octets()));
    const strayed = packetsOf(lab.a.tap, { direction: "out", port: access, remotePort: stranger?.local.port ?? 0 });
    expect(strayed).toEqual([]);
    await ends.calling.hangup();
  });

  it("invariant 3: clear media towards alice, from the gateway's own address, is not played", async () => {
    const { lab, alice, ends, access, own } = await speaking();
    const from = packetsOf(alice.tap, { direction: "in", kind: "rtp" }).at(-1);
    if (from === undefined) throw new Error("alice heard nothing");
    const before = ends.calling.report().media.counters;
    for (let ahead = 1; ahead <= 10; ahead += 1)
      lab.a.tap.inject(access, clearRtp(from, ahead), { address: "127.0.0.1", port: own.local.port });
    await until("all to be dropped", () => {
      const { authenticationFailures, otherDropped } = ends.calling.report().media.counters;
      return authenticationFailures + otherDropped === before.authenticationFailures + before.otherDropped + 10;
    });
    expect(ends.calling.report().media.counters.rtpReceived).toBe(before.rtpReceived);
    await ends.called.play(voiceOf("bob", 200));
    await until("bob to be heard", () => ends.calling.received.octets().equals(ends.called.sent.octets()));
    await ends.calling.hangup();
  });
});
