// Registrations of scripted UEs, both ends: what a UE says, challenge included, and a registrar that grants it.
// TS 24.229 5.1.1, RFC 3261 10, RFC 3608; TS 33.328 7.1 (Security-Client).
import {
  createRequest,
  createResponse,
  headerList,
  headerValue,
  headerValues,
  type ServerTransaction,
  type SipResponse,
} from "@sallyport/sip";
import { reply, type End } from "./end.ts";
import type { UeScript } from "./script.ts";

export const home = "home.example";

/** A far end that is also the registrar: it challenges, grants, and tells the Path of each user. */
export const registrar = (
  contact: string,
  paths: Map<string, readonly string[]>,
  accepts: () => boolean,
): ((server: ServerTransaction) => void) => {
  return (server: ServerTransaction): void => {
    const { request, toTag } = server;
    if (request.method !== "REGISTER") return reply(server, request.method === "OPTIONS" ? 200 : 481);
    if (headerValue(request, "authorization") === undefined) {
      const challenge = `Digest realm="${home}", nonce="n1", algorithm=MD5, qop="auth"`;
      return server.respond(
        createResponse(request, 401, undefined, { toTag, headers: [["WWW-Authenticate", challenge]] }),
      );
    }
    if (!accepts()) return reply(server, 403);
    const user = /sip:([^@>]+)@/.exec(headerValue(request, "to") ?? "")?.[1] ?? "";
    paths.set(user, headerList(request, "path"));
    const granted = `${headerValue(request, "contact") ?? ""};expires=${headerValue(request, "expires") ?? "0"}`;
    return server.respond(
      createResponse(request, 200, undefined, {
        toTag,
        headers: [
          ["Contact", granted],
          ["Service-Route", `<${contact};transport=udp;lr>`],
          ["P-Associated-URI", `<sip:${user}@${home}>`],
        ],
      }),
    );
  };
};

const dialects: Readonly<Record<UeScript["dialect"], readonly (readonly [string, string])[]>> = {
  "3gpp": [["Security-Client", "sdes-srtp;mediasec"]],
  draft: [
    ["Security-Client", "sdes-srtp;mediasec"],
    ["Require", "mediasec"],
    ["Proxy-Require", "mediasec"],
  ],
  none: [],
};

export const registerUe = (end: End, dialect: UeScript["dialect"]) => {
  let seq = 0;
  const ask = (
    expiresS: number,
    more: readonly (readonly [string, string])[],
    then: (response: SipResponse) => void,
  ) => {
    seq += 1;
    const request = createRequest({
      method: "REGISTER",
      uri: `sip:${home}`,
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<sip:${end.name}@${home}>;tag=r${seq}`],
        ["To", `<sip:${end.name}@${home}>`],
        ["Call-ID", `registration-of-${end.name}`],
        ["CSeq", `${seq} REGISTER`],
        ["Contact", `<${end.contact}>`],
        ["Expires", String(expiresS)],
        ...dialects[dialect],
        ...more,
      ],
    });
    end.transactions.request(request, end.target, {
      onResponse: then,
      onTimeout: () => undefined,
      onTransportError: () => undefined,
    });
  };
  return (expiresS: number): void =>
    ask(expiresS, [], (response) => {
      if (response.status !== 401) return;
      const verify = headerValues(response, "security-server").map((value) => ["Security-Verify", value] as const);
      const credentials = `Digest username="${end.name}", realm="${home}", nonce="n1", uri="sip:${home}", response="00112233445566778899aabbccddeeff"`;
      ask(expiresS, [...verify, ["Authorization", credentials]], () => undefined);
    });
};
