// Erlang/OTP megaco as a live peer: its modules compiled into a folder of their own, one run as controller or as gateway.
// Speaks with it in lines; what H.248 it read and wrote comes as messages its own codec wrote.
import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parseH248, writeH248, type ActionReply, type ActionRequest, type H248Error } from "@sallyport/h248";
import { until } from "../../../src/demo/await.ts";
import { certificate, labCertificates } from "../../../src/topology/certificates.ts";
import { start, temporaryFolder, type Program } from "./program.ts";

const sources = ["peer_link", "peer_media", "peer_controller", "peer_gateway", "peer_segments"].map((name) =>
  fileURLToPath(new URL(`megaco/${name}.erl`, import.meta.url)),
);

const answers = (expression: string): boolean => {
  const asked = ["-noshell", "-eval", `halt(case ${expression} of true -> 0; _ -> 1 end).`];
  return spawnSync("erl", asked, { stdio: "ignore", timeout: 10_000 }).status === 0;
};

/** Erlang with its megaco, ssl and compiler (Debian packages erlang-base, erlang-megaco, erlang-ssl). */
export const haveMegaco = answers(
  `lists:all(fun(M) -> code:which(M) =/= non_existing end, [megaco, megaco_flex_scanner, ssl, crypto, compile])`,
);

export type MegacoTransport = "udp" | "tls";

interface MegacoPeer {
  readonly program: Program;
  /** Lines it said so far. */
  readonly lines: readonly string[];
  /** The rest of the first line that begins so, after `from` lines. */
  said(start: string, from?: number): Promise<string>;
  stop(): Promise<void>;
}

const startPeer = async (module: string, args: readonly string[]): Promise<MegacoPeer> => {
  const folder = await temporaryFolder("megaco");
  await promisify(execFile)("erlc", ["-o", folder.path, ...sources], { timeout: 30_000 });
  const lines: string[] = [];
  const program = start({
    program: "erl",
    args: ["-noshell", "-env", "ERL_CRASH_DUMP_SECONDS", "0", "-pa", folder.path, "-run", module, "main", ...args],
    folder: folder.path,
    onLine: (line) => void lines.push(line),
  });
  const stop = async (): Promise<void> => {
    await program.stop();
    await folder.remove();
  };
  const said = async (start_: string, from = 0): Promise<string> => {
    const found = () => lines.slice(from).find((line) => line.startsWith(start_));
    await until(`"${start_}" of megaco`, () => found() !== undefined || program.code !== undefined);
    const line = found();
    if (line === undefined) throw new Error(`megaco ended with ${program.code}: ${program.output}`);
    return line.slice(start_.length).trim();
  };
  try {
    await said("ready");
  } catch (error) {
    await stop();
    throw error;
  }
  return { program, lines, said, stop };
};

const files = (element: string): readonly string[] => {
  const certificates = labCertificates();
  const own = certificate(certificates, element);
  return [own.certificate, own.key, certificates.ca];
};

const transactionIn = (hex: string) => {
  const parsed = parseH248(Buffer.from(hex, "hex"));
  const body = parsed.ok ? parsed.message.body : undefined;
  const transaction = body?.kind === "transactions" ? body.transactions[0] : undefined;
  if (transaction === undefined) throw new Error(`what megaco wrote cannot be read: ${hex}`);
  return transaction;
};

export interface MegacoController extends MegacoPeer {
  /** Sends these actions to the gateway that registered. An error of the whole transaction is the only member of the second kind. */
  request(actions: string | readonly ActionRequest[]): Promise<readonly ActionReply[] | H248Error>;
  /** What the gateway asked, in order: registrations and notifications. */
  asked(): readonly (readonly ActionRequest[])[];
}

/** It listens on a port of loopback and takes any gateway (over TLS: any with a certificate of the lab). */
export const startMegacoController = async (
  name: string,
  transport: MegacoTransport,
  port: number,
  element: string,
): Promise<MegacoController> => {
  const tls = transport === "tls" ? files(element) : [];
  const peer = await startPeer("peer_controller", [name, transport, String(port), ...tls]);
  let count = 0;
  return {
    ...peer,
    request: async (actions) => {
      count += 1;
      const number = count;
      const octets =
        typeof actions === "string"
          ? Buffer.from(`MEGACO/2 <${name}> Transaction = 1 { ${actions} }`)
          : writeH248(
              {
                version: 2,
                mid: `<${name}>`,
                body: { kind: "transactions", transactions: [{ kind: "request", id: 1, actions: [...actions] }] },
              },
              "pretty",
            );
      peer.program.write(`request ${number} ${octets.toString("hex")}\n`);
      const reply = transactionIn(await peer.said(`reply ${number} `));
      if (reply.kind !== "reply") throw new Error("no reply");
      return reply.body.kind === "error" ? reply.body.error : reply.body.actions;
    },
    asked: () =>
      peer.lines.flatMap((line) => {
        if (!line.startsWith("asked ")) return [];
        const request = transactionIn(line.slice(6));
        return request.kind === "request" ? [request.actions] : [];
      }),
  };
};

export interface MegacoGateway extends MegacoPeer {
  /** ServiceChange on ROOT; settles with what the controller answered. */
  register(method: "restart" | "forced" | "graceful" | "disconnected", reason: string): Promise<string>;
  /** Refuses the next command of that kind, from when it settles. */
  refuse(command: "add" | "modify", code: number): Promise<void>;
  contexts(): Promise<readonly number[]>;
  /** Drops every context without a word, as a restart does. */
  forget(): Promise<void>;
}

export const startMegacoGateway = async (
  name: string,
  transport: MegacoTransport,
  port: number,
  element: string,
): Promise<MegacoGateway> => {
  const tls = transport === "tls" ? files(element) : [];
  const peer = await startPeer("peer_gateway", [name, transport, String(port), ...tls]);
  const command = (line: string): number => {
    peer.program.write(`${line}\n`);
    return peer.lines.length;
  };
  /** The peer takes its lines in order: an answer to this tells that it has taken those before. */
  const contexts = async (): Promise<readonly number[]> => {
    const listed = await peer.said("contexts", command("contexts"));
    return listed === "" ? [] : listed.split(" ").map(Number);
  };
  return {
    ...peer,
    register: async (method, reason) => {
      const answer = await peer.said(`${method} `, command(`register ${method} ${reason}`));
      if (!answer.startsWith("accepted")) throw new Error(`the controller said no to ${method}: ${answer}`);
      return answer;
    },
    refuse: async (what, code) => {
      command(`refuse ${what} ${code}`);
      await contexts();
    },
    contexts,
    forget: async () => {
      command("forget");
      await contexts();
    },
  };
};

/** A reply as megaco got it: whole (one part, numbered 0) or in segments. */
interface PartedReply {
  /** Header version of its messages. */
  readonly version: number;
  readonly numbers: readonly number[];
  readonly contexts: readonly number[];
  readonly commands: number;
}

export interface MegacoSegments extends MegacoPeer {
  /** As controller: sends these actions, and settles when every part of the reply has come. */
  request(actions: string): Promise<PartedReply>;
  /** As gateway: ServiceChange Restart with version 3. */
  register(): Promise<string>;
}

/** Version 3 with replies in segments; `most`: octets it cuts its own replies at, `contexts`: how many it tells of. */
export const startMegacoSegments = async (
  role: "controller" | "gateway",
  {
    most,
    contexts,
    name,
    transport,
    port,
  }: {
    readonly most: number;
    readonly contexts: number;
    readonly name: string;
    readonly transport: MegacoTransport;
    readonly port: number;
  },
  element: string,
): Promise<MegacoSegments> => {
  const tls = transport === "tls" ? files(element) : [];
  const args = [role, String(most), String(contexts), name, transport, String(port), ...tls];
  const peer = await startPeer("peer_segments", args);
  let count = 0;
  return {
    ...peer,
    request: async (actions) => {
      count += 1;
      const start_ = `part ${count} `;
      const octets = Buffer.from(`MEGACO/3 <${name}> Transaction = 1 { ${actions} }`);
      peer.program.write(`request ${count} ${octets.toString("hex")}\n`);
      const parts = () =>
        peer.lines.flatMap((line) => (line.startsWith(start_) ? [line.slice(start_.length).trim().split(" ")] : []));
      const failed = () => peer.lines.find((line) => line.startsWith(`failed ${count} `));
      await until(
        "every part of the reply",
        () => failed() !== undefined || parts().some(([, , last]) => last === "true"),
      );
      const why = failed();
      if (why !== undefined) throw new Error(why);
      const all = parts();
      return {
        version: Number(all[0]?.[0]),
        numbers: all.map(([, number]) => Number(number)),
        commands: all.reduce((sum, [, , , commands]) => sum + Number(commands), 0),
        contexts: all.flatMap(([, , , , contexts_ = ""]) => contexts_.split(",").map(Number)),
      };
    },
    register: () => {
      peer.program.write("register\n");
      return peer.said("registered ");
    },
  };
};
