// rtpengine as the media relay of the core, in user space, told what to do by Kamailio.
import { freePort, installed, ready, start, temporaryFolder } from "./program.ts";

export const haveRtpengine = installed("rtpengine");

export interface Rtpengine {
  /** UDP port of its control protocol. */
  readonly port: number;
  readonly output: string;
  stop(): Promise<void>;
}

export const startRtpengine = async (): Promise<Rtpengine> => {
  const folder = await temporaryFolder("rtpengine");
  const [port, media] = [await freePort(), await freePort()];
  for (let more = 0; more < 7; more += 1) await freePort();
  const program = start({
    program: "rtpengine",
    args: [
      "--foreground",
      "--log-stderr",
      "--config-file=none",
      "--table=-1",
      "--interface=127.0.0.1",
      `--listen-ng=127.0.0.1:${port}`,
      `--port-min=${media}`,
      `--port-max=${media + 31}`,
      "--num-threads=1",
      "--log-level=4",
    ],
    folder: folder.path,
  });
  const stop = async (): Promise<void> => {
    await program.stop();
    await folder.remove();
  };
  try {
    await ready(program, "udp", port);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    get output() {
      return program.output;
    },
    stop,
  };
};
