// What a call costs the gateway's control path: reserve, configure with both keys, release, as a controller would ask for it.
// Iq goes through memory, media ports are real: those of the portable engine, of the native one with `--native`, or none with
// `--no-sockets`. `node bench/control.mjs [calls] [--native|--no-sockets]` after a build; prints microseconds of processor time
// a call, of all threads.
import { silentLog, systemClock, systemDatagrams, systemRandom } from "@sallyport/kit";
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { createMediaPlane } from "@sallyport/media-plane";

const calls = Number(process.argv[2] ?? 2000);
const sockets = !process.argv.includes("--no-sockets");
const native = process.argv.includes("--native");
const ports = { first: 30_000, last: 60_000 };
const controller = { address: "127.0.0.1", port: 2944 };
const nothing = Promise.resolve();

let toGateway;
const waiting = new Map();

const answered = (octets) => {
  const text = octets.toString("latin1");
  const request = /^!\/\d \S+ T=(\d+)/.exec(text);
  if (request !== null) {
    say(`P=${request[1]}{C=-{SC=ROOT{SV{V=2}}}}`);
    return;
  }
  const id = /^!\/\d \S+ P=(\d+)/.exec(text)?.[1];
  waiting.get(id)?.(text);
  waiting.delete(id);
};

const say = (body) => toGateway(Buffer.from(`!/2 <mgc.example> ${body}`, "latin1"), controller);

const openDatagram = (binding, handlers) => {
  if (binding.port !== 0) {
    if (sockets) return systemDatagrams(binding, handlers);
    return Promise.resolve({ local: binding, send: () => undefined, close: () => nothing });
  }
  toGateway = handlers.onMessage;
  return Promise.resolve({
    local: { address: "127.0.0.1", port: 40_000 },
    send: (octets) => setImmediate(answered, Buffer.from(octets)),
    close: () => nothing,
  });
};

let lastId = 0;
const ask = (body) =>
  new Promise((resolve) => {
    const id = String(++lastId);
    waiting.set(id, resolve);
    say(`T=${id}{${body}}`);
  });

const key = () => systemRandom.bytes(30).toString("base64");
const crypto = (text) => `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${text}\r\n`;
const sdp = (address, port, protocol, more = "") =>
  `\r\nv=0\r\nc=IN IP4 ${address}\r\nm=audio ${port} ${protocol} 0 101\r\n${more}`;
const control = "O{MO=SR,rtcph/rsb=ON}";

const call = async () => {
  const reserved = await ask(
    `C=\${A=ip/1/access/\${M{ST=1{O{MO=IN,rtcph/rsb=ON},L{${sdp("$", "$", "RTP/SAVP")}},R{${sdp("127.0.0.1", 5000, "RTP/SAVP")}}}}},` +
      `A=ip/1/core/\${M{ST=1{O{MO=IN,rtcph/rsb=ON},L{${sdp("$", "$", "RTP/AVP")}}}}}}`,
  );
  const context = /C=(\d+)/.exec(reserved)?.[1];
  const [access, core] = Array.from(reserved.matchAll(/A=(ip\/[^{]+)/g), (match) => match[1]);
  if (context === undefined || core === undefined) throw new Error(reserved);
  const configured = await ask(
    `C=${context}{MF=${access}{M{ST=1{${control},L{${sdp("$", "$", "RTP/SAVP", crypto(key()))}},` +
      `R{${sdp("127.0.0.1", 5000, "RTP/SAVP", crypto(key()))}}}}},` +
      `MF=${core}{M{ST=1{${control},R{${sdp("127.0.0.1", 6000, "RTP/AVP")}}}}}}`,
  );
  if (configured.includes("ER=")) throw new Error(configured);
  const released = await ask(`C=${context}{S=*}`);
  if (!released.includes("rtp/ps")) throw new Error(released);
};

const gateway = await createGateway(
  gatewayConfigSchema.parse({
    id: "gw-a.example",
    controllers: [{ ...controller, protocol: "udp" }],
    interfaces: { access: { address: "127.0.0.1" }, core: { address: "127.0.0.1" } },
    ports,
    lab: true,
    style: "compact",
  }),
  {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    openDatagram,
    ...(native
      ? { plane: createMediaPlane({ clock: systemClock, log: silentLog, portRange: ports, engine: "socket" }).plane }
      : {}),
  },
);
while (!gateway.registration().registered) await new Promise((resolve) => setTimeout(resolve, 5));

const round = async (count) => {
  const before = process.cpuUsage();
  const width = 8;
  let left = count;
  const lane = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: width }, lane));
  const { system, user } = process.cpuUsage(before);
  return { user: user / count, all: (user + system) / count };
};

await round(Math.min(1000, calls));
const rounds = [];
for (let index = 0; index < 5; index++) rounds.push(await round(calls / 5));
const best = rounds.toSorted((a, b) => a.all - b.all)[0];
process.stdout.write(
  `${best.all.toFixed(0)} us a call, ${best.user.toFixed(0)} of them user time; ${gateway.contexts()} contexts left\n`,
);
await gateway.close();
process.exit(0);
