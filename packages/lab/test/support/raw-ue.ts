// A UE that does what the test says, also what no decent UE does: it registers, and then writes its SIP and SDP by hand.
import { readFileSync } from "node:fs";
import { silentLog, systemClock, systemRandom, token } from "@sallyport/kit";
import {
  answerChallenge,
  chooseChallenge,
  createRequest,
  createResponse,
  createSipTransport,
  createTransactions,
  dialogFromResponse,
  dialogRequest,
  headerValues,
  type Flow,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
  type SipTarget,
  type Transactions,
} from "@sallyport/sip";
import { labCertificates } from "../../src/topology/certificates.ts";
import type { LabUser } from "../../src/topology/lab.ts";
import type { TestLab } from "./lab.ts";

type Headers = readonly (readonly [string, string])[];

export interface RawUe {
  readonly uri: string;
  /** Registers; Security-Client as in the 3GPP dialect unless `headers` say otherwise. */
  register(headers?: Headers): Promise<SipResponse>;
  /** Sends an INVITE with this SDP and settles with its final response, which is acknowledged. */
  invite(target: string, sdp: string, headers?: Headers): Promise<SipResponse>;
  /** Answers the next INVITE: 200 with this SDP. Settles with the INVITE. */
  answerNext(sdp: string | ((offer: string) => string)): Promise<SipRequest>;
  /** Requests that came besides INVITE, all answered 200. */
  readonly requests: readonly SipRequest[];
  readonly acks: readonly SipRequest[];
  close(): Promise<void>;
}

/** Behind edge A or B over the lab's transport, or, with `core`, straight at the core as somebody in another network would be. */
export const createRawUe = async (lab: TestLab, name: LabUser, at: "a" | "b" | "core"): Promise<RawUe> => {
  const point = at === "core" ? lab.core.listening[0] : lab[at].edge.access[0];
  if (point === undefined) throw new Error("nobody listens there");
  const { protocol, address, port } = point;
  const requests: SipRequest[] = [];
  const acks: SipRequest[] = [];
  const waiting: ((transaction: ServerTransaction) => void)[] = [];
  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => transactions.receive(message, flow),
    observe: lab.recorder.sip(name),
  });
  const transactions: Transactions = createTransactions({
    transport,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onRequest: (transaction) => {
      const { request } = transaction;
      if (request.method === "INVITE") {
        const next = waiting.shift();
        if (next !== undefined) return next(transaction);
        return transaction.respond(createResponse(request, 480, undefined, { toTag: transaction.toTag }));
      }
      requests.push(request);
      return transaction.respond(createResponse(request, 200, undefined, { toTag: transaction.toTag }));
    },
    onAck: (ack) => acks.push(ack),
  });
  const local =
    protocol === "udp" ? await transport.listen({ name, protocol, address, port: 0 }) : { address, port: 5061 };
  const target: SipTarget = {
    protocol,
    address,
    port,
    ...(protocol === "udp" ? { listener: name } : {}),
    ...(protocol === "tls"
      ? { serverName: `edge-${at}.${lab.domain}`, tls: { ca: readFileSync(labCertificates().ca, "utf8") } }
      : {}),
  };
  const uri = `sip:${name}@${lab.domain}`;
  const suffix = protocol === "udp" ? "" : `;transport=${protocol}`;
  const contact = ["Contact", `<sip:${name}@${local.address}:${local.port}${suffix}>`] as const;
  const callId = token(systemRandom, 20);
  let seq = 0;

  const final = (request: SipRequest, to: SipTarget | Flow = target): Promise<SipResponse> =>
    new Promise((resolve, reject) => {
      transactions.request(request, to, {
        onResponse: (response) => {
          if (response.status >= 200) resolve(response);
        },
        onTimeout: () => reject(new Error(`no answer to ${request.method}`)),
        onTransportError: reject,
      });
    });

  const registerWith = (authorization: Headers, headers: Headers): SipRequest => {
    seq += 1;
    return createRequest({
      method: "REGISTER",
      uri: `sip:${lab.domain}`,
      headers: [
        ["Max-Forwards", "70"],
        ["From", `<${uri}>;tag=${callId}`],
        ["To", `<${uri}>`],
        ["Call-ID", callId],
        ["CSeq", `${seq} REGISTER`],
        contact,
        ["Expires", "600"],
        ["Supported", "path"],
        ...authorization,
        ...headers,
      ],
    });
  };

  return {
    uri,
    requests,
    acks,
    register: async (headers = [["Security-Client", "sdes-srtp;mediasec"]]) => {
      const challenged = await final(registerWith([], headers));
      const challenge = chooseChallenge(headerValues(challenged, "www-authenticate"));
      if (challenged.status !== 401 || challenge === undefined) return challenged;
      const authorization = answerChallenge({
        challenge,
        method: "REGISTER",
        uri: `sip:${lab.domain}`,
        username: `${name}@${lab.domain}`,
        password: `${name}-of-the-lab`,
        random: systemRandom,
        nonceCount: 1,
      });
      return final(registerWith([["Authorization", authorization]], headers));
    },
    invite: async (to, sdp, headers = []) => {
      const invite = createRequest({
        method: "INVITE",
        uri: to,
        headers: [
          ["Max-Forwards", "70"],
          ["From", `<${uri}>;tag=${token(systemRandom, 8)}`],
          ["To", `<${to}>`],
          ["Call-ID", token(systemRandom, 20)],
          ["CSeq", "1 INVITE"],
          contact,
          ...headers,
          ["Content-Type", "application/sdp"],
        ],
        body: Buffer.from(sdp, "latin1"),
      });
      const response = await final(invite);
      const dialog = response.status < 300 ? dialogFromResponse(invite, response) : undefined;
      if (dialog !== undefined) await transactions.sendAck(dialogRequest(dialog, "ACK", { seq: 1 }).request, target);
      return response;
    },
    answerNext: (sdp) =>
      new Promise((resolve) => {
        waiting.push((transaction) => {
          const { request } = transaction;
          const body = typeof sdp === "string" ? sdp : sdp(request.body.toString("latin1"));
          transaction.respond(
            createResponse(request, 200, undefined, {
              toTag: transaction.toTag,
              headers: [contact, ["Content-Type", "application/sdp"]],
              body: Buffer.from(body, "latin1"),
            }),
          );
          resolve(request);
        });
      }),
    close: async () => {
      transactions.close();
      await transport.close();
    },
  };
};

export interface SdpWish {
  readonly protocol?: string;
  readonly port?: number;
  /** Lines of the m-section besides rtpmap. */
  readonly lines?: readonly string[];
}

/** A one-line SDP for PCMA on loopback. */
export const handwrittenSdp = ({ protocol = "RTP/SAVP", port = 9, lines = [] }: SdpWish): string =>
  [
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 127.0.0.1",
    "t=0 0",
    `m=audio ${port} ${protocol} 8`,
    "a=rtpmap:8 PCMA/8000",
    ...lines,
    "",
  ].join("\r\n");
