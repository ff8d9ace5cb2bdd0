// A controller of another make at a gateway whose plane is paper: raw datagrams, every octet as a test writes it.
import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { seededRandom, silentLog, systemClock } from "@sallyport/kit";
import type { Gateway } from "../src/index.ts";
import { createGateway, gatewayConfigSchema } from "../src/index.ts";
import { paperPlane, type PaperPlane } from "./plane.ts";
import { must, until } from "./rig.ts";

export interface ForeignController {
  readonly gateway: Gateway;
  readonly plane: PaperPlane;
  /** Messages of the gateway, its registration excepted, oldest first. */
  readonly heard: string[];
  send(message: string): void;
  /** The next message, taken; fails after three seconds. */
  next(): Promise<string>;
  close(): Promise<void>;
}

const faces = {
  access: { address: "192.0.2.20", realm: "outside" },
  core: { address: "10.0.0.20", realm: "inside" },
  // As somebody may write them.
  more: [
    { side: "access", address: "2001:DB8:0:0::20", realm: "outside" },
    { side: "core", address: "2001:0db8::0021", realm: "six" },
    // Not among this machine's.
    { side: "core", address: "192.0.2.99", realm: "gone" },
  ],
};

const listening = (socket: Socket): Promise<number> =>
  new Promise((resolve) => socket.bind(0, "127.0.0.1", () => resolve(socket.address().port)));

/** Answers the gateway's registration in its own words and keeps everything else for the test. */
export const foreignController = async (version: 1 | 2 | 3 = 2): Promise<ForeignController> => {
  const heard: string[] = [];
  const socket = createSocket("udp4");
  let at: number | undefined;
  socket.on("message", (octets, from) => {
    const text = octets.toString("latin1").replaceAll("\r\n", "\n");
    const id = /T=(\d+)\{C=-\{SC=ROOT\{SV\{MT=/.exec(text)?.[1];
    if (id === undefined) {
      heard.push(text);
      return;
    }
    at = from.port;
    const reply = `MEGACO/1 <mgc.example> Reply = ${id} { Context = - { ServiceChange = ROOT { Services { Version = ${version} } } } }`;
    socket.send(reply, from.port, from.address);
  });
  const port = await listening(socket);
  const plane = paperPlane();
  const gateway = await createGateway(
    gatewayConfigSchema.parse({
      id: "gw-a.example",
      controllers: [{ address: "127.0.0.1", port, protocol: "udp" }],
      interfaces: faces,
      ports: { first: 20_000, last: 20_999 },
      lab: true,
      style: "compact",
      version,
      maxContexts: 4,
      pollMs: 10,
    }),
    {
      clock: systemClock,
      random: seededRandom("procedures"),
      log: silentLog,
      plane,
      addresses: () => new Set(["192.0.2.20", "10.0.0.20", "2001:db8::20", "2001:db8::21"]),
    },
  );
  await until("registered", () => gateway.registration().registered);
  return {
    gateway,
    plane,
    heard,
    send: (message) => socket.send(Buffer.from(message, "latin1"), must(at), "127.0.0.1"),
    next: async () => {
      await until("an answer", () => heard.length > 0);
      return must(heard.shift());
    },
    close: async () => {
      await gateway.close();
      socket.close();
    },
  };
};
