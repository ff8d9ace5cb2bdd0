// One phone's end of a protected stream: numbered SRTP packets at the pace of speech, and the numbers that arrived.
// Knows the keys of its own call and nothing of signalling.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Secret } from "@sallyport/kit";
import { createSrtpReceiver, createSrtpSender, findSuite } from "@sallyport/srtp";

const packetMs = 20;
const suite = findSuite("AES_CM_128_HMAC_SHA1_80");
const address = "127.0.0.1";

const keyOf = (text) => ({ master: Secret.take(Buffer.from(text, "base64")) });

/** `key`: base64, what this end sends with. */
export const createMedia = async (key, ssrc) => {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1_048_576 });
  socket.bind(0, address);
  await once(socket, "listening");
  const sender = createSrtpSender({ suite, key: keyOf(key) });
  let receiver;
  let timer;
  let sent = 0;
  /** When each packet left, ms since the epoch, by its number. */
  const sentAt = [];
  const heard = new Set();
  let refused = 0;
  socket.on("message", (octets) => {
    const opened = receiver?.unprotectRtp(octets);
    if (opened?.ok === true) heard.add(opened.packet.readUInt32BE(12));
    else if (receiver !== undefined) refused += 1;
  });
  socket.on("error", () => undefined);
  const packet = () => {
    const rtp = Buffer.alloc(12 + 160, 0xd5);
    rtp[0] = 0x80;
    rtp[1] = 8;
    rtp.writeUInt16BE(sent & 0xffff, 2);
    rtp.writeUInt32BE((sent * 160) >>> 0, 4);
    rtp.writeUInt32BE(ssrc, 8);
    rtp.writeUInt32BE(sent, 12);
    return rtp;
  };
  return {
    port: socket.address().port,
    sentAt,
    heard,
    get refused() {
      return refused;
    },
    /** `theirs`: the peer's key, base64; `port`: where the gateway wants the stream. */
    listen: (theirs) => {
      receiver = createSrtpReceiver({ suite, keys: [keyOf(theirs)] });
    },
    talk: (port) => {
      const begun = Date.now();
      // What a late timer left out is made up for: the stream has no holes of its own making.
      timer = setInterval(() => {
        for (; sent * packetMs <= Date.now() - begun; sent += 1) {
          const out = sender.protectRtp(packet());
          if (!out.ok) continue;
          sentAt.push(Date.now());
          socket.send(out.packet, port, address);
        }
      }, packetMs);
    },
    quiet: () => clearInterval(timer),
    close: () => {
      clearInterval(timer);
      sender.release();
      receiver?.release();
      socket.close();
    },
  };
};
