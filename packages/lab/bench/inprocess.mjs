// The edge alone, in this process: datagrams and gateway are functions, so that a profile or a comparison of two versions
// shows signalling and nothing else. With `--gateway` a real gateway is in the process too, Iq between the two through
// memory, and media ports are none. `node packages/lab/bench/inprocess.mjs [--batches 10] [--size 1000] [--only calls]`.
// Processor time per call and per challenged registration, by batch: the first ones are those of a cold process. The
// messages of both ends are made here too, and are in the figures.
import { parseArgs } from "node:util";
import { createGateway, gatewayConfigSchema } from "@sallyport/access-gateway";
import { silentLog, systemClock, systemRandom } from "@sallyport/kit";
import { createEdge, edgeConfigSchema } from "@sallyport/pcscf";
import {
  ack,
  answer,
  bye,
  grant,
  invite,
  learnDialog,
  method,
  register,
  respond,
  ringing,
  value,
} from "./load/messages.mjs";

const { values: options } = parseArgs({
  options: {
    batches: { type: "string", default: "8" },
    size: { type: "string", default: "1000" },
    window: { type: "string", default: "20" },
    only: { type: "string", default: "calls,registrations" },
    gateway: { type: "boolean", default: false },
  },
});
const flows = 200;
const accessPort = 5060;
const corePort = 5070;
const farPort = 5080;
const iqPort = 2944;
const gatewayPort = 2945;
const firstPhone = 40_000;
const address = "127.0.0.1";
const me = (port) => ({ address, port, protocol: "udp", via: "UDP" });

/** By local port: who gets what is sent there. */
const ends = new Map();
const openDatagram = async (binding, handlers) => {
  const local = { address: binding.address, port: binding.port };
  ends.set(local.port, (text, port) =>
    handlers.onMessage(Buffer.from(text, "latin1"), {
      address: port < firstPhone ? address : `10.1.0.${port - firstPhone + 1}`,
      port,
    }),
  );
  return {
    local,
    send: (octets, to) => {
      const text = octets.toString("latin1");
      setImmediate(() => ends.get(to.port)?.(text, local.port));
    },
    close: async () => void ends.delete(local.port),
  };
};

let contexts = 0;
const reply = (context, streams) => {
  const side = (name) =>
    streams.flatMap((stream) =>
      stream[name] === undefined
        ? []
        : [
            {
              stream: stream.stream,
              address,
              port: 20_000 + (context % 5000) * 4,
              rtcpPort: 20_001 + (context % 5000) * 4,
            },
          ],
    );
  return { access: side("access"), core: side("core") };
};
const later = () => new Promise((resolve) => setImmediate(resolve));
const createIq = async () => ({
  listening: [],
  gateways: () => [],
  describe: () => undefined,
  contexts: () => [],
  add: async (_gateway, streams) => {
    await later();
    const context = ++contexts;
    return {
      context: { gateway: "gw-a", context, access: `a/${context}`, core: `c/${context}` },
      ...reply(context, streams),
    };
  },
  modify: async (context, streams) => {
    await later();
    return reply(context.context, streams);
  },
  removeStreams: later,
  subtract: async () => {
    await later();
    return { terminations: [] };
  },
  close: later,
});

const edge = await createEdge(
  edgeConfigSchema.parse({
    name: "edge-a",
    homeNetwork: "bench.example",
    access: [{ protocol: "udp", address, port: accessPort, trusted: true }],
    core: {
      listen: [{ protocol: "udp", address, port: corePort }],
      nextHop: `sip:${address}:${farPort};transport=udp`,
      trusted: { addresses: [address] },
    },
    iq: {
      mid: "<edge-a.lab.example>",
      listen: { protocol: "udp", address, port: iqPort },
      lab: true,
      gateways: [{ id: "gw-a", mid: "<gw-a.lab.example>" }],
    },
    policy: { rules: [{ e2ae: "offered" }] },
    limits: {
      maxRegistersPerMinute: 6_000,
      maxCallsPerBinding: 1_000,
      maxTransactions: 1_000_000,
      overload: { eventLoopMs: 0 },
      sources: { requestsPerSecond: 1e6, burst: 1e6, unregisteredPerSecond: 1e6, unregisteredBurst: 1e6 },
    },
  }),
  { clock: systemClock, random: systemRandom, log: silentLog, openDatagram, ...(options.gateway ? {} : { createIq }) },
);
if (options.gateway) {
  const nowhere = async (binding) => ({ local: binding, send: () => undefined, close: async () => undefined });
  await createGateway(
    gatewayConfigSchema.parse({
      id: "gw-a.lab.example",
      controllers: [{ address, port: iqPort, protocol: "udp" }],
      interfaces: { access: { address }, core: { address } },
      ports: { first: 2_000, last: 64_999 },
      media: { engine: "portable" },
      lab: true,
    }),
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      openDatagram: (binding, handlers) =>
        binding.port === 0 ? openDatagram({ address, port: gatewayPort }, handlers) : nowhere(binding),
    },
  );
  while (edge.gateways()[0]?.state !== "up") await new Promise((resolve) => setTimeout(resolve, 5));
}

const challenge = {
  extra: ['WWW-Authenticate: Digest realm="bench.example", nonce="abc", qop="auth", algorithm=SHA-256'],
};
ends.set(farPort, (text, port) => {
  const send = (message) => setImmediate(() => ends.get(port)(message, farPort));
  if (text.startsWith("INVITE ")) {
    send(respond(text, "100 Trying"));
    send(ringing(text, me(farPort)));
    send(answer(text, me(farPort)));
  } else if (text.startsWith("BYE ")) send(respond(text, "200 OK"));
  else if (text.startsWith("REGISTER "))
    send(
      challenged && value(text, "Authorization") === ""
        ? respond(text, "401 Unauthorized", challenge)
        : grant(text, me(farPort)),
    );
});

const waiting = new Map();
for (let flow = 0; flow < flows; flow += 1) {
  ends.set(firstPhone + flow, (text) => {
    if (text.startsWith("SIP/2.0 1")) return;
    waiting.get(`${value(text, "Call-ID")} ${method(text)}`)?.(text);
  });
}
const exchange = (flow, text) =>
  new Promise((resolve) => {
    const key = `${value(text, "Call-ID")} ${method(text)}`;
    waiting.set(key, (response) => {
      waiting.delete(key);
      resolve(response);
    });
    ends.get(accessPort)(text, firstPhone + flow);
  });

let challenged = false;
let sequence = 0;
const jobs = {
  registrations: async (user) => {
    const phone = me(firstPhone + (user % flows));
    sequence += 2;
    const text = await exchange(user % flows, register(phone, user, sequence, ""));
    if (!text.startsWith("SIP/2.0 401")) throw new Error(text);
    const authorization =
      'Authorization: Digest username="u", realm="bench.example", nonce="abc", uri="sip:bench.example", response="00"';
    const ok = await exchange(user % flows, register(phone, user, sequence + 1, authorization));
    if (!ok.startsWith("SIP/2.0 200")) throw new Error(ok);
  },
  calls: async (number) => {
    const flow = number % flows;
    const phone = me(firstPhone + flow);
    const call = { id: `${number}@bench`, user: flow, tag: `a${number}` };
    const text = await exchange(flow, invite(phone, call));
    if (!text.startsWith("SIP/2.0 200") || !text.includes("RTP/SAVP")) throw new Error(text);
    learnDialog(call, text);
    ends.get(accessPort)(ack(phone, call), firstPhone + flow);
    await exchange(flow, bye(phone, call));
  },
};

let next = 0;
const batch = async (job, size) => {
  const until = next + size;
  const worker = async () => {
    while (next < until) await job(next++);
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: Number(options.window) }, worker));
  const used = process.cpuUsage(before);
  return (used.user + used.system) / 1000 / size;
};

for (let user = 0; user < flows; user += 1) {
  const text = await exchange(user, register(me(firstPhone + user), user, 1, ""));
  if (!text.startsWith("SIP/2.0 200")) throw new Error(text);
}
sequence = 1;
challenged = true;
for (const name of options.only.split(",")) {
  const figures = [];
  next = 0;
  for (let each = 0; each < Number(options.batches); each += 1)
    figures.push(await batch(jobs[name], Number(options.size)));
  const tail = figures.slice(-Math.ceil(figures.length / 2));
  console.log(
    `${name.padEnd(14)} ms each, by batch: ${figures.map((each) => each.toFixed(3)).join(" ")}  least ${Math.min(...tail).toFixed(3)}`,
  );
}
await edge.close();
process.exit(0);
