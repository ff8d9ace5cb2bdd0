// Test fixture: GStreamer's srtpenc and srtpdec (libsrtp) as the other end, fed and heard over loopback datagrams.
import { spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

/** What must be installed for these tests; Debian names. */
export const gstreamerPackages = "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad";

export const hasGstreamer = (): boolean => {
  const found = spawnSync("gst-inspect-1.0", ["--exists", "srtpenc"], { stdio: "ignore" });
  const udp = spawnSync("gst-inspect-1.0", ["--exists", "udpsrc"], { stdio: "ignore" });
  return found.status === 0 && udp.status === 0;
};

export interface Loopback {
  readonly socket: Socket;
  readonly port: number;
  readonly received: Buffer[];
}

export const loopback = async (): Promise<Loopback> => {
  const socket = createSocket("udp4");
  const received: Buffer[] = [];
  socket.on("message", (octets) => received.push(octets));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { socket, port: socket.address().port, received };
};

/** A port that was free a moment ago; somebody else may have it by now. */
export const freePort = async (): Promise<number> => {
  const { socket, port } = await loopback();
  socket.close();
  await once(socket, "close");
  return port;
};

/** Waits until `done`, looking whenever a datagram arrives and every few milliseconds, at most `ms`. */
export const until = async (done: () => boolean, ms = 8000): Promise<boolean> => {
  const end = Date.now() + ms;
  while (!done()) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  return true;
};

export interface Playing {
  stop(): Promise<void>;
}

const play = async (pipeline: string): Promise<Playing> => {
  const words = pipeline.split(/\s+/).filter((word) => word !== "");
  const child = spawn("gst-launch-1.0", words, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (text: Buffer) => (output += text.toString()));
  child.stderr.on("data", (text: Buffer) => (output += text.toString()));
  // udpsrc is bound before the pipeline is live; the clock line is the last of the start.
  const playing = await until(() => output.includes("New clock") || child.exitCode !== null, 15_000);
  if (!playing || child.exitCode !== null) throw new Error(`gst-launch-1.0 did not start: ${output}`);
  return {
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
};

/** Starts the pipeline on free ports, and on others where somebody else was quicker. */
export const playOnFreePorts = async (
  count: number,
  pipelineTo: (ports: readonly number[]) => string,
): Promise<{ readonly playing: Playing; readonly ports: readonly number[] }> => {
  for (let tries = 1; ; tries++) {
    const ports: number[] = [];
    while (ports.length < count) ports.push(await freePort());
    try {
      return { playing: await play(pipelineTo(ports)), ports };
    } catch (error) {
      if (tries === 5 || !String(error).includes("Address already in use")) throw error;
    }
  }
};
