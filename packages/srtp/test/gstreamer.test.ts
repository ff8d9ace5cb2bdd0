// Both ways against an SRTP that nobody here wrote: GStreamer's elements on libsrtp.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSrtpReceiver, createSrtpSender, suites, type SuiteName } from "../src/index.ts";
import {
  gstreamerPackages,
  hasGstreamer,
  loopback,
  playOnFreePorts,
  until,
  type Loopback,
  type Playing,
} from "./gstreamer.ts";
import { defaultSsrc, masterFor, packetOf, rtcp, rtp } from "./support.ts";

// GStreamer has no name for AES-192.
const names: readonly (readonly [suite: SuiteName, cipher: string, authentication: string])[] = [
  ["AES_CM_128_HMAC_SHA1_80", "aes-128-icm", "hmac-sha1-80"],
  ["AES_CM_128_HMAC_SHA1_32", "aes-128-icm", "hmac-sha1-32"],
  ["AES_256_CM_HMAC_SHA1_80", "aes-256-icm", "hmac-sha1-80"],
  ["AES_256_CM_HMAC_SHA1_32", "aes-256-icm", "hmac-sha1-32"],
  ["AEAD_AES_128_GCM", "aes-128-gcm", "null"],
  ["AEAD_AES_256_GCM", "aes-256-gcm", "null"],
];
// MKI with a _32 suite is left out: libsrtp before 2.5 looks for the MKI of SRTCP at the distance of the SRTP tag.
const withMki: ReadonlySet<SuiteName> = new Set(["AES_256_CM_HMAC_SHA1_80", "AEAD_AES_128_GCM"]);
const cases = names.flatMap(([suite, cipher, authentication]) =>
  (withMki.has(suite) ? ["", "a1b2c3d4"] : [""]).map((mki) => {
    const title = mki === "" ? suite : `${suite} with MKI`;
    return { suite, cipher, authentication, mki, title };
  }),
);

const missing = !hasGstreamer();
const title = `GStreamer srtpenc and srtpdec${missing ? ` (to run: apt-get install ${gstreamerPackages})` : ""}`;

// Three before a wrap of the sequence number, then on: the ROC is in the tag.
const sequences = [65533, 65534, 65535, 0, 1, 2, 3];
const plain = sequences.map((sequence) => rtp(sequence, Buffer.alloc(160, sequence % 251)));
const reports = ["alice", "bob", "a longer name than those"].map((name) => rtcp(defaultSsrc, name));

describe.each(cases)(`${title}: $title`, ({ suite, cipher, authentication, mki }) => {
  const key = { master: masterFor(suite), ...(mki === "" ? {} : { mki: Buffer.from(mki, "hex") }) };
  const ends: Loopback[] = [];
  let ports: readonly number[] = [];
  let gstreamer: Playing | undefined;

  const pipelineTo = (ports: readonly number[]): string => {
    const hexKey = key.master.use((octets) => octets.toString("hex"));
    // libsrtp takes the SRTCP tag of a _32 suite from the rtcp-auth property: 80 bits.
    const rtcpAuth = authentication === "null" ? "null" : "hmac-sha1-80";
    const caps = (kind: string) =>
      `caps=application/x-${kind},ssrc=(uint)${defaultSsrc},payload=8,srtp-key=(buffer)${hexKey},srtp-cipher=${cipher},` +
      `srtp-auth=${authentication},srtcp-cipher=${cipher},srtcp-auth=${rtcpAuth}${mki === "" ? "" : `,mki=(buffer)${mki}`}`;
    const from = (at: number) => `udpsrc address=127.0.0.1 port=${ports[at]}`;
    const to = (at: number) => `udpsink host=127.0.0.1 port=${ends[at]?.port} sync=false async=false`;
    return `
      srtpenc name=enc key=${hexKey} rtp-cipher=${cipher} rtp-auth=${authentication} rtcp-cipher=${cipher} rtcp-auth=${rtcpAuth}
        ${mki === "" ? "" : `mki=${mki}`}
      srtpdec name=dec
      ${from(0)} caps=application/x-rtp,payload=8,clock-rate=8000,ssrc=(uint)${defaultSsrc} ! enc.rtp_sink_0 enc.rtp_src_0 ! ${to(0)}
      ${from(1)} caps=application/x-rtcp ! enc.rtcp_sink_0 enc.rtcp_src_0 ! ${to(1)}
      ${from(2)} ${caps("srtp")} ! dec.rtp_sink dec.rtp_src ! ${to(2)}
      ${from(3)} ${caps("srtcp")} ! dec.rtcp_sink dec.rtcp_src ! ${to(3)}
    `;
  };

  const start = async (): Promise<void> => {
    ({ playing: gstreamer, ports } = await playOnFreePorts(4, pipelineTo));
  };

  beforeAll(async () => {
    if (missing) return;
    for (let count = 0; count < 4; count++) ends.push(await loopback());
    await start();
  });

  afterAll(async () => {
    if (gstreamer !== undefined) await gstreamer.stop();
    for (const end of ends) end.socket.close();
  });

  const hexOf = (packets: readonly Buffer[]) => packets.map((packet) => packet.toString("hex"));
  const exchange = async (at: number, packets: readonly Buffer[]): Promise<readonly Buffer[]> => {
    const end = ends[at];
    if (end === undefined) throw new Error("no socket");
    // A pipeline whose pads were not linked yet when its first packet came is dead from then on: another is started.
    for (let tries = 1; ; tries += 1) {
      for (const packet of packets) end.socket.send(packet, ports[at] ?? 0, "127.0.0.1");
      await until(() => end.received.length >= packets.length, 6000);
      if (end.received.length > 0 || tries === 3) return end.received;
      await gstreamer?.stop();
      await start();
    }
  };

  it.skipIf(missing)("RFC 3711 3.3: what srtpenc sealed, the receiver opens, over a wrap", async () => {
    const sealed = await exchange(0, plain);
    const receiver = createSrtpReceiver({ suite: suites[suite], keys: [key] });
    expect(hexOf(sealed.map((packet) => packetOf(receiver.unprotectRtp(packet))))).toEqual(hexOf(plain));
  });

  it.skipIf(missing)("RFC 3711 3.4: what srtpenc sealed as SRTCP, the receiver opens", async () => {
    const sealed = await exchange(1, reports);
    const receiver = createSrtpReceiver({ suite: suites[suite], keys: [key] });
    expect(hexOf(sealed.map((packet) => packetOf(receiver.unprotectRtcp(packet))))).toEqual(hexOf(reports));
  });

  it.skipIf(missing)("RFC 3711 3.3: what the sender sealed, srtpdec opens, over a wrap", async () => {
    const sender = createSrtpSender({ suite: suites[suite], key });
    const sealed = plain.map((packet) => packetOf(sender.protectRtp(packet)));
    expect(hexOf(await exchange(2, sealed))).toEqual(hexOf(plain));
  });

  it.skipIf(missing)("RFC 3711 3.4: what the sender sealed as SRTCP, srtpdec opens", async () => {
    const sender = createSrtpSender({ suite: suites[suite], key });
    const sealed = reports.map((packet) => packetOf(sender.protectRtcp(packet)));
    expect(hexOf(await exchange(3, sealed))).toEqual(hexOf(reports));
  });
});
