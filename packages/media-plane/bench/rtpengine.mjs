// rtpengine in userspace as the rival: one daemon, calls set up over its ng protocol (bencode over UDP) with SDES towards the UE.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { suites } from "@sallyport/srtp";
import { residentOctets, startChild } from "./child.mjs";

const encode = (value) => {
  if (typeof value === "number") return `i${value}e`;
  if (typeof value === "string") return `${Buffer.byteLength(value)}:${value}`;
  if (Array.isArray(value)) return `l${value.map(encode).join("")}e`;
  return `d${Object.entries(value)
    .map(([name, item]) => encode(name) + encode(item))
    .join("")}e`;
};

/** Gives the value at `at` and where the next one starts. */
const decode = (text, at) => {
  const first = text[at];
  if (first === "i") {
    const end = text.indexOf("e", at);
    return [Number(text.slice(at + 1, end)), end + 1];
  }
  if (first === "l" || first === "d") {
    const items = [];
    let place = at + 1;
    while (text[place] !== "e") {
      const [item, after] = decode(text, place);
      items.push(item);
      place = after;
    }
    if (first === "l") return [items, place + 1];
    const entries = [];
    for (let n = 0; n < items.length; n += 2) entries.push([items[n], items[n + 1]]);
    return [Object.fromEntries(entries), place + 1];
  }
  const colon = text.indexOf(":", at);
  const end = colon + 1 + Number(text.slice(at, colon));
  return [text.slice(colon + 1, end), end];
};

const sdp = (address, port, protocol, crypto) =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio ${port} ${protocol} 8`,
    "a=rtpmap:8 PCMA/8000",
    ...(crypto === undefined ? [] : [`a=crypto:1 ${crypto.suite} inline:${crypto.key.toString("base64")}`]),
    "a=sendrecv",
    "",
  ].join("\r\n");

const portOf = (text) => Number(/^m=audio (\d+)/m.exec(text)?.[1]);

export const findRtpengine = () => spawnSync("rtpengine", ["--version"]).status === 0;

export const startRtpengine = async ({ address, peer, core, threads = 1 }) => {
  const control = 22_999;
  const child = startChild(
    "rtpengine",
    [
      "--foreground",
      "--table=-1",
      `--interface=${address}`,
      `--listen-ng=${address}:${control}`,
      "--port-min=30000",
      "--port-max=59999",
      `--num-threads=${threads}`,
      "--log-level=3",
      "--log-stderr",
      "--delete-delay=0",
    ],
    { core },
  );
  const socket = createSocket("udp4");
  const waiting = new Map();
  socket.on("message", (octets) => {
    const text = octets.toString("latin1");
    const space = text.indexOf(" ");
    waiting.get(text.slice(0, space))?.(decode(text, space + 1)[0]);
  });
  socket.bind(0, address);
  await once(socket, "listening");
  let cookies = 0;
  const ask = (message) =>
    new Promise((resolve, reject) => {
      const cookie = `c${++cookies}`;
      let tries = 0;
      const send = () => {
        if (++tries > 20) {
          clearInterval(timer);
          reject(new Error("rtpengine does not answer"));
          return;
        }
        socket.send(Buffer.from(`${cookie} ${encode(message)}`, "latin1"), control, address);
      };
      const timer = setInterval(send, 250);
      waiting.set(cookie, (answer) => {
        clearInterval(timer);
        waiting.delete(cookie);
        resolve(answer);
      });
      send();
    });
  await ask({ command: "ping" });
  let opened = [];
  const openCall = async (suite, ports, at) => {
    const id = `call-${cookies}-${at}`;
    const fromUe = randomBytes(suites[suite].masterLength);
    const tag = { "call-id": id, "from-tag": "ue", ICE: "remove", DTLS: "off", replace: ["origin"] };
    const offer = await ask({
      ...tag,
      command: "offer",
      "transport-protocol": "RTP/AVP",
      sdp: sdp(peer, ports.ue + 2 * at, "RTP/SAVP", { suite, key: fromUe }),
    });
    const answer = await ask({
      ...tag,
      command: "answer",
      "to-tag": "core",
      "transport-protocol": "RTP/SAVP",
      sdp: sdp(peer, ports.core + 2 * at, "RTP/AVP"),
    });
    if (offer.result !== "ok" || answer.result !== "ok") throw new Error(JSON.stringify([offer, answer]));
    opened.push(id);
    const key = new RegExp(`^a=crypto:\\d+ ${suite} inline:([^|\\r\\n]+)`, "m").exec(answer.sdp)?.[1];
    if (key === undefined) throw new Error(`rtpengine chose no ${suite}`);
    return [portOf(answer.sdp), portOf(offer.sdp), fromUe.toString("hex"), Buffer.from(key, "base64").toString("hex")];
  };
  return {
    name: "rtpengine",
    pid: child.pid,
    open: async ({ suite, calls, ports }) => {
      const all = [];
      for (let at = 0; at < calls; at++) all.push(await openCall(suite, ports, at));
      return all;
    },
    close: async () => {
      for (const id of opened) await ask({ command: "delete", "call-id": id, "from-tag": "ue", "delete-delay": 0 });
      opened = [];
    },
    figures: async () => ({}),
    memory: async () => residentOctets(child.pid),
    stop: async () => {
      socket.close();
      await child.stop();
    },
  };
};
