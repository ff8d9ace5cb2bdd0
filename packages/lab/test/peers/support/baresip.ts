// baresip as a phone: its configuration written into a folder, driven over its control socket (JSON in netstrings).
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { decodeG711, writeWav, type Sound } from "@sallyport/ue";
import { until } from "../../../src/demo/await.ts";
import { labCertificates } from "../../../src/topology/certificates.ts";
import { domain, passwordOf } from "./edges.ts";
import { freePort, installed, ready, start, temporaryFolder } from "./program.ts";

const moduleFolder = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"].find((each) => existsSync(each));

export const haveBaresip = installed("baresip") && moduleFolder !== undefined;

interface BaresipEvent {
  readonly type: string;
  readonly param?: string;
}

export interface Baresip {
  readonly events: readonly BaresipEvent[];
  readonly output: string;
  /** A command of its menu. Rejects when it says no. */
  command(command: string, params?: string): Promise<string>;
  /** Settles when an event of that type has come, after the event that was awaited last. */
  happened(type: string): Promise<void>;
  /** Whether these 16 bit samples stand in a row in what it heard in a call that has ended. */
  hasHeard(samples: Int16Array): Promise<boolean>;
  stop(): Promise<void>;
}

export interface BaresipOptions {
  readonly name: string;
  /** Port of the edge's access side. */
  readonly edgePort: number;
  readonly transport: "tls" | "tcp" | "udp";
  /** baresip's word; plain RTP when left out. */
  readonly encryption?: "srtp" | "srtp-mand" | "srtp-mandf";
  /** What it says into its microphone, at 8 kHz; at its end it hangs up. */
  readonly speech: Sound;
  /** Modules besides the usual, in baresip's order. */
  readonly modules?: readonly string[];
  /** Lines of its configuration, before the usual ones. */
  readonly config?: readonly string[];
  /** Parameters of its account, after the usual ones; `audio_codecs` here takes the place of PCMA alone. */
  readonly account?: readonly string[];
}

const octetsOf = (samples: Int16Array): Buffer => {
  const octets = Buffer.alloc(samples.length * 2);
  samples.forEach((sample, at) => octets.writeInt16LE(sample, at * 2));
  return octets;
};

/** A WAV file of 16 bit samples: baresip reads nothing else. */
const linearWav = (sound: Sound): Buffer => writeWav({ kind: "linear", samples: linear(sound) });

/** The samples of a sound. */
export const linear = (sound: Sound): Int16Array =>
  sound.kind === "linear" ? sound.samples : decodeG711(sound.law, sound.octets);

const configOf = (facts: {
  readonly sipPort: number;
  readonly rtpPort: number;
  readonly controlPort: number;
  readonly speech: string;
  readonly dumps: string;
  readonly encryption: boolean;
  readonly modules: readonly string[];
  readonly config: readonly string[];
}): string =>
  [
    // Of a key that is there twice baresip takes the first.
    ...facts.config,
    "poll_method epoll",
    `sip_listen 127.0.0.1:${facts.sipPort}`,
    `sip_cafile ${labCertificates().ca}`,
    "net_interface 127.0.0.1",
    "call_local_timeout 120",
    "call_max_calls 4",
    `audio_source aufile,${facts.speech}`,
    "audio_player aubridge,nowhere",
    "audio_alert aubridge,nowhere",
    "ausrc_srate 8000",
    "auplay_srate 8000",
    "ausrc_channels 1",
    "auplay_channels 1",
    "audio_srate 8000-8000",
    "audio_channels 1-1",
    "rtcp_mux no",
    "jitter_buffer_delay 1-20",
    `rtp_ports ${facts.rtpPort}-${facts.rtpPort + 4}`,
    `snd_path ${facts.dumps}`,
    `ctrl_tcp_listen 127.0.0.1:${facts.controlPort}`,
    `module_path ${moduleFolder}`,
    ...["g711", "aufile", "aubridge", "sndfile", ...(facts.encryption ? ["srtp"] : []), ...facts.modules].map(
      (name) => `module ${name}.so`,
    ),
    ...["account", "menu", "ctrl_tcp"].map((name) => `module_app ${name}.so`),
    "",
  ].join("\n");

/** Netstrings one after the other: `length:octets,`. */
const netstrings = (onText: (text: string) => void) => {
  let pending = Buffer.alloc(0);
  return (octets: Buffer): void => {
    pending = Buffer.concat([pending, octets]);
    for (;;) {
      const colon = pending.indexOf(":");
      const length = colon < 0 ? Number.NaN : Number(pending.subarray(0, colon).toString("latin1"));
      if (Number.isNaN(length) || pending.length < colon + length + 2) return;
      onText(pending.subarray(colon + 1, colon + 1 + length).toString("utf8"));
      pending = pending.subarray(colon + length + 2);
    }
  };
};

interface Said {
  readonly event?: boolean;
  readonly response?: boolean;
  readonly ok?: boolean;
  readonly data?: string;
  readonly token?: string;
  readonly type?: string;
  readonly param?: string;
}

export const startBaresip = async (options: BaresipOptions): Promise<Baresip> => {
  const { name, edgePort, transport, encryption, modules = [], config = [], account: more = [] } = options;
  const folder = await temporaryFolder("baresip");
  const [sipPort, rtpPort, controlPort] = [await freePort(), await freePort(), await freePort()];
  const dumps = join(folder.path, "dumps");
  const speech = join(folder.path, "speech.wav");
  await mkdir(dumps);
  await writeFile(speech, linearWav(options.speech));
  const facts = { sipPort, rtpPort, controlPort, speech, dumps, encryption: encryption !== undefined, modules, config };
  await writeFile(join(folder.path, "config"), configOf(facts));
  const account = [
    `<sip:${name}@${domain};transport=${transport}>`,
    `auth_user=${name}@${domain}`,
    `auth_pass=${passwordOf(name)}`,
    `outbound="sip:127.0.0.1:${edgePort};transport=${transport}"`,
    "regint=600",
    ...(more.some((each) => each.startsWith("audio_codecs=")) ? [] : ["audio_codecs=pcma/8000/1"]),
    ...(encryption === undefined ? [] : [`mediaenc=${encryption}`]),
    ...more,
  ].join(";");
  await writeFile(join(folder.path, "accounts"), `${account}\n`);
  const program = start({ program: "baresip", args: ["-f", folder.path, "-v"], folder: folder.path });
  const events: BaresipEvent[] = [];
  let awaited = 0;
  const waiting = new Map<string, (said: Said) => void>();
  let say: (text: string) => void = () => undefined;
  let hangUpControl = (): void => undefined;
  let count = 0;

  const hasHeard = async (samples: Int16Array): Promise<boolean> => {
    const wanted = octetsOf(samples);
    const files = (await readdir(dumps)).filter((file) => file.endsWith("dec.wav"));
    const chunks = await Promise.all(files.map((file) => readFile(join(dumps, file))));
    return chunks.some((chunk) => chunk.includes(wanted));
  };
  const stop = async (): Promise<void> => {
    hangUpControl();
    await program.stop();
    await folder.remove();
  };
  try {
    await ready(program, "tcp", controlPort);
    // Its registration may be there before anybody listens to its events: its log says so too.
    await until(`the registration of baresip ${name}`, () => /\} 200 OK .*\[1 binding\]/.test(program.output));
    const control = connect(controlPort, "127.0.0.1");
    hangUpControl = () => void control.destroy();
    say = (text) => void control.write(`${Buffer.byteLength(text)}:${text},`);
    control.on("error", () => undefined);
    control.on(
      "data",
      netstrings((text) => {
        const said = JSON.parse(text) as Said;
        if (said.event === true)
          events.push({ type: said.type ?? "", ...(said.param === undefined ? {} : { param: said.param }) });
        else waiting.get(said.token ?? "")?.(said);
      }),
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    events,
    get output() {
      return program.output;
    },
    command: async (command, params) => {
      count += 1;
      const token = String(count);
      const text = JSON.stringify({ command, ...(params === undefined ? {} : { params }), token });
      let said: Said | undefined;
      waiting.set(token, (answer) => (said = answer));
      say(text);
      await until(`an answer of baresip to ${command}`, () => said !== undefined);
      waiting.delete(token);
      if (said?.ok !== true) throw new Error(`baresip refused ${command}: ${said?.data ?? ""}`);
      return said.data ?? "";
    },
    happened: async (type) => {
      const at = () => events.findIndex((event, place) => place >= awaited && event.type === type);
      await until(`${type} of baresip ${name}`, () => at() >= 0);
      awaited = at() + 1;
    },
    hasHeard,
    stop,
  };
};
