// Test fixture: the ground that packets are tried on. Loopback, where plane and peers share their addresses; or a link into another
// network namespace, whose sockets a process there holds, where SALLYPORT_MEDIA_GROUND says so.
import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Ground {
  /** Of the plane. */
  readonly host: string;
  readonly host6: string;
  /** Of its peers. */
  readonly peer: string;
  readonly peer6: string;
  /** Another one of the peers'. */
  readonly stranger: string;
  /** With a prefix of 28 it covers the peers' addresses. */
  readonly nearby: string;
  /** Where the peers' sockets are, when not here; and the interface of the plane that leads there. */
  readonly far?: { readonly namespace: string; readonly interface: string };
}

const loopback: Ground = {
  host: "127.0.0.1",
  host6: "::1",
  peer: "127.0.0.1",
  peer6: "::1",
  stranger: "127.0.0.2",
  nearby: "127.0.0.9",
};

const told = process.env.SALLYPORT_MEDIA_GROUND;
export const ground: Ground = told === undefined ? loopback : (JSON.parse(told) as Ground);
export const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === ground.host6),
);

/** Where the peers of the plane's address are. */
export const peerOf = (address: string | undefined): string =>
  address === undefined || address === ground.host ? ground.peer : address === ground.host6 ? ground.peer6 : address;

/** A bound UDP socket. */
export interface Udp {
  readonly port: number;
  send(octets: Uint8Array, port: number, to: string): void;
  close(): Promise<void>;
}

const openNear = async (address: string, heard: (octets: Buffer) => void): Promise<Udp> => {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", heard);
  socket.bind(0, address);
  await once(socket, "listening");
  return {
    port: socket.address().port,
    send: (octets, port, to) => socket.send(octets, port, to),
    close: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
};

interface FarWord {
  readonly id: number;
  readonly port?: number;
  readonly octets?: string;
  readonly closed?: boolean;
  readonly error?: string;
  readonly flowed?: number;
  readonly heard?: number;
  readonly text?: string;
}

/** A socket of the far end, which can send more than a test could say one by one. */
export interface FarUdp extends Udp {
  readonly id: number;
  /** Sends `count` datagrams, `each` of them a millisecond; gives how many the socket `echo` has heard in all. */
  flow(octets: Uint8Array, port: number, to: string, count: number, each: number, echo: number): Promise<number>;
}

/** The process in the other namespace. */
export class FarEnd {
  readonly #child: ChildProcess;
  readonly #listeners = new Map<number, (word: FarWord) => void>();
  #lastId = 0;

  constructor(namespace: string) {
    const program = fileURLToPath(new URL("xdp/far.mjs", import.meta.url));
    this.#child = spawn("ip", ["netns", "exec", namespace, process.execPath, program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (this.#child.stdout === null) throw new Error("no pipe");
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const word = JSON.parse(line) as FarWord;
      this.#listeners.get(word.id)?.(word);
    });
    this.#child.unref();
  }

  #say(ask: string, values: object): void {
    this.#child.stdin?.write(`${JSON.stringify({ ask, ...values })}\n`);
  }

  async open(address: string, heard: (octets: Buffer) => void): Promise<FarUdp> {
    const id = ++this.#lastId;
    let answered: ((word: FarWord) => void) | undefined;
    const answer = (): Promise<FarWord> =>
      new Promise((resolve, reject) => {
        answered = (word) => (word.error === undefined ? resolve(word) : reject(new Error(word.error)));
      });
    this.#listeners.set(id, (word) => {
      if (word.octets === undefined) answered?.(word);
      else heard(Buffer.from(word.octets, "base64"));
    });
    const opened = answer();
    this.#say("open", { id, address });
    const { port: own = 0 } = await opened;
    return {
      id,
      port: own,
      send: (octets, port, to) => this.#say("send", { id, octets: Buffer.from(octets).toString("base64"), port, to }),
      flow: async (octets, port, to, count, each, echo) => {
        const flowed = answer();
        this.#say("quiet", { id: echo });
        this.#say("flow", { id, octets: Buffer.from(octets).toString("base64"), port, to, count, each, echo });
        return (await flowed).heard ?? 0;
      },
      close: async () => {
        const closed = answer();
        this.#say("close", { id });
        await closed;
        this.#listeners.delete(id);
      },
    };
  }

  /** What a TCP server says. */
  async dial(to: string, port: number): Promise<string> {
    const id = ++this.#lastId;
    const said = new Promise<FarWord>((resolve) => {
      this.#listeners.set(id, resolve);
    });
    this.#say("dial", { id, to, port });
    const { text = "", error } = await said;
    this.#listeners.delete(id);
    return error ?? text;
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

let far: FarEnd | undefined;

/** A socket of a peer's, wherever peers are. */
export const openUdp = (address: string, heard: (octets: Buffer) => void): Promise<Udp> => {
  if (ground.far === undefined) return openNear(address, heard);
  far ??= new FarEnd(ground.far.namespace);
  return far.open(address, heard);
};
