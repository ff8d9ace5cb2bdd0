// The cable between an element and the listener it connects to: it can be cut, or swallow what one end says.
import { connect, createServer, type Server, type Socket } from "node:net";

export interface Cables {
  /** For `LabOptions.via`. */
  via(from: string, port: number): Promise<number>;
  /** Breaks every connection of `from`, without a word; later ones are refused. */
  cut(from: string): void;
  /** From now on nothing that `from` says arrives; it still hears. */
  mute(from: string): void;
  close(): void;
}

interface Cable {
  readonly server: Server;
  readonly sockets: Set<Socket>;
  muted: boolean;
}

export const createCables = (): Cables => {
  const cables = new Map<string, Cable>();
  const cut = (from: string): void => {
    const cable = cables.get(from);
    cable?.server.close();
    for (const socket of cable?.sockets ?? []) socket.destroy();
  };
  return {
    via: (from, port) =>
      new Promise((resolve, reject) => {
        const sockets = new Set<Socket>();
        const server = createServer((near) => {
          const far = connect(port, "127.0.0.1");
          for (const [one, other] of [
            [near, far],
            [far, near],
          ] as const) {
            sockets.add(one);
            one.setNoDelay(true);
            one.on("error", () => other.destroy());
            one.on("close", () => {
              sockets.delete(one);
              other.destroy();
            });
          }
          near.on("data", (octets) => {
            if (!cable.muted) far.write(octets);
          });
          far.on("data", (octets) => near.write(octets));
        });
        const cable: Cable = { server, sockets, muted: false };
        cables.set(from, cable);
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
          const address = server.address();
          if (address === null || typeof address === "string") reject(new Error("no port"));
          else resolve(address.port);
        });
      }),
    cut,
    mute: (from) => {
      const cable = cables.get(from);
      if (cable !== undefined) cable.muted = true;
    },
    close: () => {
      for (const from of cables.keys()) cut(from);
    },
  };
};
