// SIPp on both sides of the edge: a UE that knows PRACK and e2ae, over an access network declared trusted, and a core with plain RTP.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./support/edges.ts";
import {
  invited,
  message,
  plainSdp,
  raw,
  rawRecv,
  recvRequest,
  requestBack,
  respond,
  type Body,
  type Step,
} from "./support/scenario.ts";
import { registrar } from "./support/sipp-core.ts";
import { haveSipp, runSipp, sippPorts, type SippRun } from "./support/sipp.ts";

const ours = "[pid]ue[call_number]";

/** A request of the UE; those inside the dialog follow its route set. */
const fromUe = (method: string, seq: number, dialog: boolean, headers: readonly string[], body: Body = {}): Step =>
  raw(
    message(
      [
        `${method} ${dialog ? "[next_url]" : method === "REGISTER" ? `sip:${domain}` : "sip:far@far.example"} SIP/2.0`,
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
        ...(dialog ? ["[routes]"] : []),
        `From: <sip:alice@${domain}>;tag=${ours}`,
        `To: <sip:${method === "REGISTER" ? `alice@${domain}` : "far@far.example"}>${dialog ? "[peer_tag_param]" : ""}`,
        "Call-ID: [call_id]",
        `CSeq: ${seq} ${method}`,
        "Max-Forwards: 70",
        "Contact: <sip:alice@[local_ip]:[local_port]>",
        ...headers,
      ],
      body,
    ),
    method !== "ACK",
  );

const key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const securedSdp = plainSdp({
  protocol: "RTP/SAVP",
  lines: [`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}`, "a=3ge2ae:requested"],
});
/** The answer the UE wants: keyed by the gateway, on SAVP, with the tag it offered. */
const keyed = `<ereg regexp="RTP/SAVP.*a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/]+" search_in="body" check_it="true" assign_to="matched"/>`;

describe.skipIf(!haveSipp)("SIPp as UE and as core, reliable provisional responses (Debian package sip-tester)", () => {
  let edges: Edges;
  let core: Awaited<ReturnType<typeof sippPorts>>;
  let ue: Awaited<ReturnType<typeof sippPorts>>;

  const asCore = (...steps: readonly Step[]): Promise<SippRun> => runSipp(steps, { ...core, protocol: "udp" });
  const asUe = (...steps: readonly Step[]): Promise<SippRun> =>
    runSipp(steps, { ...ue, protocol: "udp", remotePort: edges.a.edge.access[0]?.port ?? 0 });

  beforeAll(async () => {
    [core, ue] = [await sippPorts(), await sippPorts()];
    edges = await startEdges({ corePort: core.port, coreProtocol: "udp", access: "udp", sides: ["a"] });
    const registering = await asCore(...registrar);
    const phone = await asUe(
      fromUe("REGISTER", 1, false, ["Security-Client: sdes-srtp;mediasec", "Supported: path", "Expires: 600"]),
      rawRecv(
        `response="200"`,
        `<ereg regexp="sdes-srtp" search_in="hdr" header="Security-Server:" check_it="true" assign_to="matched"/>`,
      ),
    );
    await Promise.all([phone.done, registering.done]);
  });
  afterAll(() => edges?.close());

  it("RFC 3262, TS 33.328 7.2.1: reliable 183 with the answer, PRACK, UPDATE, reliable 180, 200 without SDP", async () => {
    const far = await asCore(
      invited({ body: "RTP/AVP" }),
      respond("183 Session Progress", {
        tag: true,
        sdp: plainSdp(),
        headers: ["Require: 100rel", "RSeq: 7001"],
      }),
      recvRequest("PRACK"),
      respond("200 OK"),
      recvRequest("UPDATE", { body: "RTP/AVP" }),
      respond("200 OK", { sdp: plainSdp({ version: 2 }), once: true }),
      raw(
        message(
          [
            "SIP/2.0 180 Ringing",
            "Via: [$via1]",
            "Via: [$via2]",
            "Record-Route: [$recorded1]",
            "Record-Route: [$recorded2]",
            "From: [$theirs]",
            "To: [$ours];tag=[pid]sipp[call_number]",
            "[last_Call-ID:]",
            "CSeq: [$cseq]",
            "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>",
            "Require: 100rel",
            "RSeq: 7002",
          ],
          {},
        ),
      ),
      recvRequest("PRACK"),
      respond("200 OK"),
      raw(
        message(
          [
            "SIP/2.0 200 OK",
            "Via: [$via1]",
            "Via: [$via2]",
            "Record-Route: [$recorded1]",
            "Record-Route: [$recorded2]",
            "From: [$theirs]",
            "To: [$ours];tag=[pid]sipp[call_number]",
            "[last_Call-ID:]",
            "CSeq: [$cseq]",
            "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>",
          ],
          {},
        ),
        true,
      ),
      recvRequest("ACK"),
      requestBack("BYE", 2),
      rawRecv(`response="200"`),
    );
    const phone = await asUe(
      fromUe("INVITE", 1, false, ["Supported: 100rel"], { sdp: securedSdp }),
      rawRecv(`response="100" optional="true"`),
      rawRecv(
        `response="183" rrs="true"`,
        `${keyed}<ereg regexp="7001" search_in="hdr" header="RSeq:" check_it="true" assign_to="matched"/>`,
      ),
      fromUe("PRACK", 2, true, ["RAck: 7001 1 INVITE"]),
      rawRecv(`response="200"`),
      fromUe("UPDATE", 3, true, [], { sdp: securedSdp }),
      rawRecv(`response="200"`, keyed),
      rawRecv(`response="180"`),
      fromUe("PRACK", 4, true, ["RAck: 7002 1 INVITE"]),
      rawRecv(`response="200"`),
      rawRecv(`response="200"`),
      fromUe("ACK", 1, true, []),
      recvRequest("BYE"),
      respond("200 OK"),
    );
    await Promise.all([phone.done, far.done]);
    await nothingLeft(edges);
    const [call] = edges.a.edge.calls();
    expect(call).toMatchObject({ phase: "ended", security: "e2ae", reason: "secured" });
    expect(leaks(edges.crossings)).toEqual([]);
  });
});
