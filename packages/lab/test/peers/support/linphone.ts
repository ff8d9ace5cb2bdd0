// Linphone as a phone without a sound card: its configuration written into a folder, driven by the lines of its console.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeWav, type Sound } from "@sallyport/ue";
import { until } from "../../../src/demo/await.ts";
import { labCertificates } from "../../../src/topology/certificates.ts";
import { linear } from "./baresip.ts";
import { domain, passwordOf } from "./edges.ts";
import { freePort, installed, start, temporaryFolder } from "./program.ts";

export const haveLinphone = installed("linphonec");

export interface Linphone {
  readonly lines: readonly string[];
  readonly output: string;
  /** Types a command. */
  command(text: string): void;
  /** Whether these 16 bit samples stand in a row in what it heard so far. */
  hasHeard(samples: Int16Array): Promise<boolean>;
  /** Settles when a line has come that holds this, after the one that was awaited last. */
  said(what: RegExp): Promise<string>;
  stop(): Promise<void>;
}

export interface LinphoneOptions {
  readonly name: string;
  readonly edgePort: number;
  readonly transport: "tls" | "tcp" | "udp";
  /** SDES, and nothing less. */
  readonly srtp: boolean;
  /** What it says, at 8 kHz; over and over. */
  readonly speech: Sound;
  /** Writes `sips` in its identity and its proxy. */
  readonly sips?: boolean;
  /** Entries of its configuration besides, or instead of, the usual, by section. */
  readonly change?: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
}

const written = (name: string, entries: Readonly<Record<string, string | number>>): string =>
  [`[${name}]`, ...Object.entries(entries).map(([key, value]) => `${key}=${value}`), ""].join("\n");

export const startLinphone = async (options: LinphoneOptions): Promise<Linphone> => {
  const { name, edgePort, transport, srtp, change = {} } = options;
  const scheme = options.sips === true ? "sips" : "sip";
  const section = (title: string, entries: Readonly<Record<string, string | number>>): string =>
    written(title, { ...entries, ...change[title] });
  const folder = await temporaryFolder("linphone");
  const rtpPort = await freePort();
  const speech = join(folder.path, "speech.wav");
  await mkdir(join(folder.path, ".local/share/linphone"), { recursive: true });
  await writeFile(speech, writeWav({ kind: "linear", samples: linear(options.speech) }));
  const heard = join(folder.path, "heard.wav");
  const file = join(folder.path, "linphonerc");
  await writeFile(
    file,
    [
      section("sip", {
        sip_port: transport === "udp" ? -1 : 0,
        sip_tcp_port: transport === "tcp" ? -1 : 0,
        sip_tls_port: transport === "tls" ? -1 : 0,
        use_ipv6: 0,
        bind_address: "127.0.0.1",
        root_ca: labCertificates().ca,
        verify_server_certs: 1,
        verify_server_cn: 0,
        default_proxy: 0,
        register_only_when_network_is_up: 0,
        auto_net_state_mon: 0,
        media_encryption: srtp ? "srtp" : "none",
        media_encryption_mandatory: srtp ? 1 : 0,
        inc_timeout: 30,
      }),
      section("proxy_0", {
        reg_proxy: `<${scheme}:127.0.0.1:${edgePort};transport=${transport}>`,
        reg_route: `<${scheme}:127.0.0.1:${edgePort};transport=${transport};lr>`,
        reg_identity: `"${name}" <${scheme}:${name}@${domain}>`,
        reg_expires: 600,
        reg_sendregister: 1,
        publish: 0,
        dial_escape_plus: 0,
      }),
      section("auth_info_0", {
        username: name,
        userid: `${name}@${domain}`,
        passwd: passwordOf(name),
        realm: domain,
        domain,
      }),
      section("net", { firewall_policy: 0, mtu: 0 }),
      section("rtp", { audio_rtp_port: rtpPort, audio_jitt_comp: 20, audio_adaptive_jitt_comp_enabled: 0 }),
      section("sound", { echocancellation: 0, playback_dev_id: "", capture_dev_id: "" }),
      section("video", { enabled: 0 }),
      section("audio_codec_0", { mime: "PCMA", rate: 8000, channels: 1, enabled: 1 }),
    ].join("\n"),
  );
  const lines: string[] = [];
  let awaited = 0;
  const program = start({
    program: "linphonec",
    args: ["-c", file, "-d", "0"],
    folder: folder.path,
    onLine: (line) => void lines.push(line),
  });
  const stop = async (): Promise<void> => {
    program.write("quit\n");
    await Promise.race([program.ended, new Promise((resolve) => setTimeout(resolve, 2000))]);
    await program.stop();
    await folder.remove();
  };
  const command = (text: string): void => program.write(`${text}\n`);
  const said = async (what: RegExp): Promise<string> => {
    const at = () => lines.findIndex((line, place) => place >= awaited && what.test(line));
    await until(`${what.source} of linphone ${name}`, () => at() >= 0 || program.code !== undefined);
    const found = at();
    if (found < 0) throw new Error(`linphone ended with ${program.code}: ${program.output}`);
    awaited = found + 1;
    return lines[found] ?? "";
  };
  try {
    command("ipv6 disable");
    command("soundcard use files");
    command(`play ${speech}`);
    command(`record ${heard}`);
    // It tells of a registration only when asked.
    const asking = setInterval(() => command("status register"), 200);
    try {
      await said(/registered, identity=/);
    } finally {
      clearInterval(asking);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    lines,
    get output() {
      return program.output;
    },
    command,
    said,
    hasHeard: async (samples) => {
      const wanted = Buffer.alloc(samples.length * 2);
      samples.forEach((sample, at) => wanted.writeInt16LE(sample, at * 2));
      return (await readFile(heard)).includes(wanted);
    },
    stop,
  };
};
