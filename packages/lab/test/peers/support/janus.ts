// Janus as a SIP phone (its stack is Sofia-SIP): the gateway a browser calls through, driven over HTTP as a browser's page would.
// The browser itself is a description: what Janus hears on the SIP side it writes down, what the browser would say is not there.
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../../src/demo/await.ts";
import { domain, passwordOf } from "./edges.ts";
import { freePort, installed, ready, start, temporaryFolder } from "./program.ts";

const modules = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
  .map((part) => join("/usr/lib", part, "janus"))
  .find((folder) => existsSync(join(folder, "plugins/libjanus_sip.so")));

export const haveJanus = installed("janus") && modules !== undefined;

interface JanusEvent {
  readonly event: string;
  readonly code?: number;
  readonly srtp?: string;
  readonly reason?: string;
  readonly username?: string;
}

export interface Janus {
  readonly events: readonly JanusEvent[];
  readonly output: string;
  /** A request to its SIP plugin, with the description of a browser where one is due. */
  ask(body: Readonly<Record<string, unknown>>, browser?: "offer" | "answer"): Promise<void>;
  /** Settles when an event of that kind has come, after the one that was awaited last. */
  happened(event: string): Promise<JanusEvent>;
  /** Where it may write down what it hears, under a name. */
  recording(name: string): string;
  /** Whether these octets stand in the payload of a packet in that recording. */
  hasHeard(name: string, octets: Buffer): Promise<boolean>;
  stop(): Promise<void>;
}

export interface JanusOptions {
  readonly name: string;
  readonly edgePort: number;
  readonly transport: "tcp" | "udp";
  readonly srtp?: "sdes_optional" | "sdes_mandatory";
}

/** A browser that offers and takes PCMA. */
const browserSdp = (role: "actpass" | "active"): string =>
  [
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "m=audio 9 UDP/TLS/RTP/SAVPF 8",
    "c=IN IP4 0.0.0.0",
    "a=mid:0",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtpmap:8 PCMA/8000",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    "a=ice-options:trickle",
    `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => "AB").join(":")}`,
    `a=setup:${role}`,
    "",
  ].join("\r\n");

export const startJanus = async (options: JanusOptions): Promise<Janus> => {
  const { name, edgePort, transport, srtp } = options;
  const folder = await temporaryFolder("janus");
  const [httpPort, rtpPort] = [await freePort(), await freePort()];
  for (let more = 0; more < 7; more += 1) await freePort();
  const config = async (file: string, text: string) => writeFile(join(folder.path, `janus.${file}.jcfg`), text);
  await writeFile(
    join(folder.path, "janus.jcfg"),
    `general: { configs_folder = "${folder.path}"  plugins_folder = "${modules}/plugins"  transports_folder = "${modules}/transports"
       events_folder = "${folder.path}"  loggers_folder = "${folder.path}"  interface = "127.0.0.1"  debug_level = 4  debug_colors = false }
     nat: { ice_enforce_list = "lo" }
     plugins: { disable = "libjanus_audiobridge.so,libjanus_echotest.so,libjanus_lua.so,libjanus_duktape.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_videoroom.so,libjanus_voicemail.so,libjanus_recordplay.so,libjanus_nosip.so" }
     transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }\n`,
  );
  await config(
    "transport.http",
    `general: { json = "plain"  base_path = "/janus"  http = true  port = ${httpPort}  ip = "127.0.0.1"  https = false }
     admin: { admin_http = false }\n`,
  );
  await config(
    "plugin.sip",
    `general: { local_ip = "127.0.0.1"  sdp_ip = "127.0.0.1"  local_media_ip = "127.0.0.1"  keepalive_interval = 0
       register_ttl = 600  rtp_port_range = "${rtpPort}-${rtpPort + 31}" }\n`,
  );
  const program = start({
    program: "janus",
    args: ["-F", folder.path, "-C", join(folder.path, "janus.jcfg")],
    folder: folder.path,
  });
  const events: JanusEvent[] = [];
  const leaving = new AbortController();
  let awaited = 0;
  const stop = async (): Promise<void> => {
    leaving.abort();
    await program.stop();
    await folder.remove();
  };
  const base = `http://127.0.0.1:${httpPort}/janus`;
  let asked = 0;
  const post = async (path: string, body: Readonly<Record<string, unknown>>) => {
    asked += 1;
    const response = await fetch(`${base}${path}`, {
      method: "POST",
      body: JSON.stringify({ ...body, transaction: String(asked) }),
      signal: leaving.signal,
    });
    const said = (await response.json()) as { janus: string; data?: { id: number }; error?: { reason: string } };
    if (said.error !== undefined) throw new Error(`Janus: ${said.error.reason}`);
    return said;
  };
  const happened = async (event: string): Promise<JanusEvent> => {
    const at = () => events.findIndex((each, place) => place >= awaited && each.event === event);
    await until(`${event} of Janus ${name}`, () => at() >= 0);
    const found = at();
    awaited = found + 1;
    return events[found] ?? { event };
  };
  try {
    await ready(program, "tcp", httpPort);
    const session = `/${(await post("", { janus: "create" })).data?.id}`;
    const handle = `${session}/${(await post(session, { janus: "attach", plugin: "janus.plugin.sip" })).data?.id}`;
    const poll = async (): Promise<void> => {
      while (!leaving.signal.aborted) {
        const response = await fetch(`${base}${session}?maxev=1`, { signal: leaving.signal });
        const { plugindata } = (await response.json()) as {
          plugindata?: { data: { error?: string; result?: JanusEvent } };
        };
        const { result, error } = plugindata?.data ?? {};
        if (result !== undefined) events.push(result);
        if (error !== undefined) events.push({ event: "error", reason: error });
      }
    };
    poll().catch(() => undefined);
    const ask = async (body: Readonly<Record<string, unknown>>, browser?: "offer" | "answer"): Promise<void> => {
      const sdp = browserSdp(browser === "answer" ? "active" : "actpass");
      await post(handle, {
        janus: "message",
        body,
        ...(browser === undefined ? {} : { jsep: { type: browser, sdp } }),
      });
    };
    await ask({
      request: "register",
      username: `sip:${name}@${domain}`,
      // It writes this into its Contact: nothing with an @ in it will do.
      authuser: name,
      secret: passwordOf(name),
      proxy: `sip:${domain}`,
      outbound_proxy: `sip:127.0.0.1:${edgePort};transport=${transport}`,
      force_tcp: transport === "tcp",
      force_udp: transport === "udp",
    });
    await happened("registered");
    const media = srtp === undefined ? {} : { srtp };
    return {
      events,
      get output() {
        return `${program.output}\n${events.map((each) => JSON.stringify(each)).join("\n")}`;
      },
      ask: (body, browser) => ask(browser === undefined ? body : { ...body, ...media }, browser),
      happened,
      recording: (file) => join(folder.path, file),
      hasHeard: async (file, octets) => {
        const files = (await readdir(folder.path)).filter((each) => each.startsWith(file) && each.endsWith(".mjr"));
        const written = await Promise.all(files.map((each) => readFile(join(folder.path, each))));
        return written.some((octetsOf) => octetsOf.includes(octets));
      },
      stop,
    };
  } catch (error) {
    const said = `${program.output}\n${events.map((each) => JSON.stringify(each)).join("\n")}`;
    await stop();
    throw new Error(`Janus did not start: ${said}`, { cause: error });
  }
};
