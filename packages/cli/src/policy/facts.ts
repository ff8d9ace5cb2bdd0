// What `policy test` is asked about, from the command line and an edge's file. Knows how a capture looks, no decision.
import { readFileSync } from "node:fs";
import { faultOf } from "@sallyport/kit";
import type { ExplainFacts } from "@sallyport/media-security";
import { mediaPolicy, type EdgeConfig } from "@sallyport/pcscf";
import { cliErrors } from "../errors.ts";

export interface PolicyQuestion {
  readonly accessNetwork?: string;
  readonly transport?: "udp" | "tcp" | "tls";
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

/** The listening point a UE of this transport would use. */
const listenerOf = (config: EdgeConfig, transport: string | undefined): EdgeConfig["access"][number] => {
  const found = config.access.find(({ protocol }) => transport === undefined || protocol === transport);
  if (found !== undefined) return found;
  const has = [...new Set(config.access.map(({ protocol }) => protocol))].join(", ");
  throw cliErrors("SALLY_CLI_LISTENER", `Asked for ${transport ?? "any"}; it has ${has}.`, { where: config.name });
};

/** @throws SALLY_CLI_FILE, SALLY_CLI_LISTENER */
export const factsOf = (
  config: EdgeConfig,
  question: PolicyQuestion,
): ExplainFacts & { readonly listener: EdgeConfig["access"][number] } => {
  const listener = listenerOf(config, question.transport);
  const accessNetwork = question.accessNetwork?.split(";")[0]?.trim();
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
