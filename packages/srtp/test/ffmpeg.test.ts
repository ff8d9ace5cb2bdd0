// Both ways against FFmpeg's own SRTP: its muxer seals a tone, its SDP demuxer opens what the sender sealed.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { createSrtpReceiver, createSrtpSender, parseRtpHeader, suites } from "../src/index.ts";
import { freePort, loopback, until } from "./gstreamer.ts";
import { masterFor, packetOf, rtp } from "./support.ts";

const missing = spawnSync("ffmpeg", ["-version"], { stdio: "ignore" }).status !== 0;
const title = `ffmpeg srtp${missing ? " (to run: apt-get install ffmpeg)" : ""}`;

// The suites FFmpeg knows. Under the SDES name of the _32 suite it cuts the SRTCP tag to 32 bits too, against RFC 4568
// 6.2.2; under the DTLS-SRTP name it does not.
const names = [
  ["AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_HMAC_SHA1_80"],
  ["AES_CM_128_HMAC_SHA1_32", "SRTP_AES128_CM_HMAC_SHA1_32"],
] as const;

const run = (words: string, input?: string) => {
  const child = spawn("ffmpeg", ["-hide_banner", "-loglevel", "error", ...words.split(" ")], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output: Buffer[] = [];
  let errors = "";
  child.stdout.on("data", (octets: Buffer) => output.push(octets));
  child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
  child.stdin.end(input ?? "");
  return { child, ended: once(child, "exit"), output: () => Buffer.concat(output), errors: () => errors };
};

describe.each(names)(`${title}: %s`, (suite, muxerName) => {
  const key = { master: masterFor(suite) };
  const inline = key.master.use((octets) => octets.toString("base64"));

  it.skipIf(missing)("RFC 3711 3.3, 3.4: the receiver opens SRTP and SRTCP of ffmpeg, octet for octet", async () => {
    const media = await loopback();
    const control = await loopback();
    const params = `-srtp_out_suite ${muxerName} -srtp_out_params ${inline}`;
    const source = "-f lavfi -i sine=frequency=440:sample_rate=8000:duration=2";
    const url = `srtp://127.0.0.1:${media.port}?rtcpport=${control.port}`;
    const tone = run(`${source} -map 0 -c:a pcm_alaw -f rtp ${params} ${url} -map 0 -c:a pcm_alaw -f alaw pipe:1`);
    await tone.ended;
    const octets = () =>
      media.received.reduce((sum, packet) => sum + packet.length - 12 - suites[suite].srtpTagLength, 0);
    expect(await until(() => octets() >= tone.output().length && control.received.length > 0), tone.errors()).toBe(
      true,
    );
    media.socket.close();
    control.socket.close();

    const receiver = createSrtpReceiver({ suite: suites[suite], keys: [key] });
    const payloads = media.received.map((packet) => {
      const opened = packetOf(receiver.unprotectRtp(packet));
      const header = parseRtpHeader(opened);
      return header.ok ? opened.subarray(header.headerLength) : Buffer.alloc(0);
    });
    expect(Buffer.concat(payloads).equals(tone.output())).toBe(true);
    expect(tone.output().length).toBe(16_000);
    for (const packet of control.received) {
      const opened = packetOf(receiver.unprotectRtcp(packet));
      expect([opened[0], opened[1], opened.readUInt16BE(2)]).toEqual([0x80, 200, 6]);
    }
  });

  it.skipIf(missing)("RFC 3711 3.3: ffmpeg opens what the sender sealed, octet for octet", async () => {
    const { socket } = await loopback();
    const port = await freePort();
    const sdp = [
      "v=0",
      "o=- 0 0 IN IP4 127.0.0.1",
      "s=-",
      "c=IN IP4 127.0.0.1",
      "t=0 0",
      `m=audio ${port} RTP/SAVP 8`,
      "a=rtpmap:8 PCMA/8000",
      `a=crypto:1 ${suite} inline:${inline}`,
      "",
    ].join("\r\n");
    const player = run("-protocol_whitelist pipe,udp,rtp,srtp -f sdp -i pipe:0 -c copy -f alaw -t 1 pipe:1", sdp);
    const sender = createSrtpSender({ suite: suites[suite], key });
    const sent: Buffer[] = [];
    // Its demuxer has no sign that it listens: keep on until it has had enough.
    while (player.child.exitCode === null && sent.length < 1500) {
      const payload = Buffer.alloc(160, sent.length % 251);
      sent.push(payload);
      socket.send(packetOf(sender.protectRtp(rtp(sent.length, payload))), port, "127.0.0.1");
      await new Promise((resolve) => {
        setTimeout(resolve, 4);
      });
    }
    socket.close();
    player.child.kill("SIGKILL");
    await player.ended;
    const heard = player.output();
    expect(heard.length, player.errors()).toBeGreaterThanOrEqual(8000 - 160);
    expect(Buffer.concat(sent).includes(heard)).toBe(true);
  });
});
