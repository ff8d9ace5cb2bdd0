// RFC 3605: both ends want their RTCP at another address than their media. Their P-CSCF tells its gateway so, and the gateway
// sends it there, sealed for the UE and in the clear for the core. Real sockets at addresses of their own.
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, findSuite, type SrtpKey, type Suite } from "@sallyport/srtp";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../src/demo/await.ts";
import { openLab, type TestLab } from "./support/lab.ts";
import { createRawUe, handwrittenSdp, type RawUe } from "./support/raw-ue.ts";
import { readCrypto } from "./support/wires.ts";

const suiteName = "AES_CM_128_HMAC_SHA1_80";

interface Ear {
  readonly socket: Socket;
  readonly port: number;
  readonly heard: Buffer[];
}

const open: (() => unknown)[] = [];
let lab: TestLab | undefined;

afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
  await lab?.close();
  lab = undefined;
});

const listenAt = async (address: string): Promise<Ear> => {
  const socket = createSocket("udp4");
  const heard: Buffer[] = [];
  socket.on("message", (octets) => heard.push(octets));
  socket.bind(0, address);
  await once(socket, "listening");
  open.push(() => socket.close());
  return { socket, port: socket.address().port, heard };
};

/** A receiver report without blocks, of this SSRC (RFC 3550 6.4.2). */
const report = (ssrc: number): Buffer => {
  const packet = Buffer.alloc(8);
  packet.writeUInt32BE(0x80c9_0001, 0);
  packet.writeUInt32BE(ssrc, 4);
  return packet;
};

const keyOf = (base64: string): SrtpKey => ({ master: Secret.take(Buffer.from(base64, "base64")) });

const mediaOf = (sdp: string): { readonly port: number; readonly rtcp: number; readonly address: string } => {
  const port = Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
  const rtcp = Number(/^a=rtcp:(\d+)/m.exec(sdp)?.[1] ?? port + 1);
  return { port, rtcp, address: /^c=IN IP4 (\S+)/m.exec(sdp)?.[1]?.trim() ?? "" };
};

describe("RFC 3605: RTCP at an address of its own", () => {
  it("TS 33.328 7.2.1 step 7: what a=rtcp of the UE and of the core names is told to the gateway, which sends RTCP there", async () => {
    const here = (lab = await openLab({ transport: "open", sides: ["a"] }));
    const ues: RawUe[] = [];
    for (const [name, at] of [
      ["alice", "a"],
      ["bob", "core"],
    ] as const) {
      const ue = await createRawUe(here, name, at);
      open.push(() => ue.close());
      expect((await ue.register(at === "core" ? [] : undefined)).status).toBe(200);
      ues.push(ue);
    }
    const [alice, bob] = ues as [RawUe, RawUe];
    const suite = findSuite(suiteName) as Suite;
    const k11 = randomBytes(30).toString("base64");
    const ears = {
      alice: { rtp: await listenAt("127.0.0.1"), rtcp: await listenAt("127.0.0.2") },
      bob: { rtp: await listenAt("127.0.0.1"), rtcp: await listenAt("127.0.0.3") },
    };
    let towardsBob = "";
    const offered = bob.answerNext((offer) => {
      towardsBob = offer;
      const lines = [`a=rtcp:${ears.bob.rtcp.port} IN IP4 127.0.0.3`];
      return handwrittenSdp({ protocol: "RTP/AVP", port: ears.bob.rtp.port, lines });
    });
    const answer = await alice.invite(
      bob.uri,
      handwrittenSdp({
        port: ears.alice.rtp.port,
        lines: [
          `a=crypto:1 ${suiteName} inline:${k11}`,
          "a=3ge2ae:requested",
          `a=rtcp:${ears.alice.rtcp.port} IN IP4 127.0.0.2`,
        ],
      }),
    );
    await offered;
    expect(answer.status).toBe(200);
    const towardsAlice = answer.body.toString("latin1");
    // Neither hears of the other's address.
    expect(towardsBob).not.toContain("127.0.0.2");
    expect(towardsAlice).not.toContain("127.0.0.3");
    const remotes = here.recorder.sightings.flatMap(({ kind, octets }) =>
      kind === "iq" ? (octets.toString("latin1").match(/a=rtcp:\d+ IN IP4 \S+/g) ?? []) : [],
    );
    expect(new Set(remotes)).toEqual(
      new Set([`a=rtcp:${ears.alice.rtcp.port} IN IP4 127.0.0.2`, `a=rtcp:${ears.bob.rtcp.port} IN IP4 127.0.0.3`]),
    );

    const [access, core] = [mediaOf(towardsAlice), mediaOf(towardsBob)];
    const k12 = readCrypto(/^a=crypto:(.*?)\r?$/m.exec(towardsAlice)?.[1]);
    const sender = createSrtpSender({ suite, key: keyOf(k11) });
    open.push(() => sender.release());
    const sealed = sender.protectRtcp(report(0xa11ce));
    if (!sealed.ok) throw new Error(sealed.code);
    await until("the UE's report at the core", () => {
      if (ears.bob.rtcp.heard.length === 0) ears.alice.rtcp.socket.send(sealed.packet, access.rtcp, access.address);
      return ears.bob.rtcp.heard.length > 0;
    });
    expect(ears.bob.rtcp.heard[0]).toEqual(report(0xa11ce));
    await until("the core's report at the UE", () => {
      ears.bob.rtcp.socket.send(report(0xb0b), core.rtcp, core.address);
      return ears.alice.rtcp.heard.length > 0;
    });
    const key = Secret.take(Buffer.from(k12.key, "hex"));
    const receiver = createSrtpReceiver({ suite, keys: [{ master: key }] });
    open.push(() => receiver.release());
    const opened = receiver.unprotectRtcp(ears.alice.rtcp.heard[0] ?? Buffer.alloc(0));
    expect(opened.ok && opened.packet).toEqual(report(0xb0b));
    // Where the media goes no report came.
    expect([ears.alice.rtp.heard, ears.bob.rtp.heard]).toEqual([[], []]);
  }, 30_000);
});
