// What `policy test` is asked about, from the command line and an edge's file. Knows how a capture looks, no decision.
import { readFileSync } from "node:fs";
import { faultOf } from "@sallyport/kit";
import type { ExplainFacts } from "@sallyport/media-security";
import { mediaPolicy, type EdgeConfig } from "@sallyport/pcscf";
import { cliErrors } from "../errors.ts";

export interface PolicyQuestion {
  readonly accessNetwork?: string;
  readonly transport?: "udp" | "tcp" | "tls";
  /** The listening point, by its name. */
  readonly listener?: string;
  readonly userAgent?: string;
  readonly realm?: string;
  readonly securityClient: readonly string[];
  readonly optionTag?: true;
  /** A file, or `-` for standard input. */
  readonly offer?: string;
  readonly direction: "originating" | "terminating";
  readonly emergency?: true;
}

const maxOffer = 65_536;

/** The SDP of a file: the file itself, or the body of a SIP message captured as text. Bare line feeds are mended. */
export const sdpIn = (text: string): string => {
  const lines = text.replaceAll(/\r?\n/g, "\r\n");
  const sip = /^(?:[A-Z]+ [^\r\n]+ SIP\/2\.0|SIP\/2\.0 [0-9]{3}[^\r\n]*)\r\n/.test(lines);
  const body = sip ? lines.slice(lines.indexOf("\r\n\r\n") + 4) : lines;
  return `${body.trimEnd()}\r\n`;
};

const readOffer = (file: string): string => {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "latin1");
  } catch (cause) {
    throw cliErrors("SALLY_CLI_FILE", `${faultOf(cause)}.`, { where: file, cause });
  }
  if (text.length > maxOffer) throw cliErrors("SALLY_CLI_FILE", "It is larger than 64 KiB.", { where: file });
  const sdp = sdpIn(text);
  if (sdp.trim() === "") throw cliErrors("SALLY_CLI_FILE", "There is no offer in it: it is empty.", { where: file });
  return sdp;
};

type Listener = EdgeConfig["access"][number];

export const nameOf = ({ name, protocol, address, port }: Listener): string =>
  name ?? `${protocol} ${address.includes(":") ? `[${address}]` : address}:${port}`;

/** The first listening point that a UE would use who is asked about so. */
const listenerOf = (config: EdgeConfig, { transport, listener }: PolicyQuestion): Listener => {
  const found = config.access.find(
    (each) =>
      (transport === undefined || each.protocol === transport) && (listener === undefined || each.name === listener),
  );
  if (found !== undefined) return found;
  const asked = [transport, listener].filter((word) => word !== undefined).join(" ") || "any";
  const has =
    listener === undefined
      ? [...new Set(config.access.map(({ protocol }) => protocol))]
      : config.access.map((each) => (each.name === undefined ? nameOf(each) : `${each.name} (${each.protocol})`));
  throw cliErrors("SALLY_CLI_LISTENER", `Asked for ${asked}; it has ${has.join(", ")}.`, { where: config.name });
};

/** The access type of a P-Access-Network-Info value: the first one's, without parameters (RFC 7315 4.4). */
const accessTypeOf = (info: string | undefined): string | undefined => info?.split(/[;,]/, 1)[0]?.trim();

/** @throws SALLY_CLI_FILE, SALLY_CLI_LISTENER */
export const factsOf = (
  config: EdgeConfig,
  question: PolicyQuestion,
): ExplainFacts & { readonly listener: Listener } => {
  const listener = listenerOf(config, question);
  // As in service: what the network says of its own access goes before the UE's word.
  const accessNetwork = accessTypeOf(listener.accessNetworkInfo ?? question.accessNetwork);
  return {
    listener,
    policy: mediaPolicy(config),
    registration: {
      transport: listener.protocol,
      confidential: listener.protocol === "tls" || listener.trusted,
      realm: question.realm ?? config.homeNetwork,
      ...(accessNetwork === undefined ? {} : { accessNetwork }),
      ...(question.userAgent === undefined ? {} : { userAgent: question.userAgent }),
      securityClient: question.securityClient,
      ...(question.optionTag === undefined ? {} : { usesOptionTag: true }),
    },
    ...(question.offer === undefined
      ? {}
      : {
          offer: {
            from: question.direction === "originating" ? ("access" as const) : ("core" as const),
            sdp: readOffer(question.offer),
            ...(question.emergency === undefined ? {} : { emergency: true }),
          },
        }),
  };
};
