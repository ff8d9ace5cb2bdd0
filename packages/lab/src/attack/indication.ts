// Plays a rogue application server: sends a UE, through its edge's core side, an offer that pretends e2ae was applied.
import { systemClock, systemRandom, token, silentLog } from "@sallyport/kit";
import { createRequest, createSipTransport, createTransactions, formatHost, type SipTarget } from "@sallyport/sip";

export interface ForgedCall {
  /** URI of the UE's contact, the Request-URI. */
  readonly contact: string;
  /** Path of its registration: the Route to its edge. */
  readonly path: readonly string[];
  readonly domain: string;
  readonly victim: string;
}

const forgedBody = (address: string): string =>
  [
    "v=0",
    `o=- 1 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    "m=audio 9 RTP/AVP 8",
    "a=rtpmap:8 PCMA/8000",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk",
    "a=3ge2ae:applied",
    "a=3ge2ae: requested",
    "",
  ].join("\r\n");

/**
 * Sends the forged INVITE from a core element's address and settles with its final status; the Call-ID tells it apart.
 * Rings at the victim, who decides what to answer; a call that is answered is ended with the transport.
 */
export const sendForgedIndication = async (
  edge: SipTarget,
  forged: ForgedCall,
): Promise<{ readonly callId: string; readonly status: number }> => {
  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => transactions.receive(message, flow),
  });
  const transactions = createTransactions({
    transport,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onRequest: () => undefined,
    onAck: () => undefined,
  });
  const callId = `forged-${token(systemRandom, 12)}`;
  try {
    if (edge.protocol === "udp")
      await transport.listen({ name: "rogue", protocol: "udp", address: edge.address, port: 0 });
    const local = transport.viaFor(edge);
    const invite = createRequest({
      method: "INVITE",
      uri: forged.contact,
      headers: [
        ["Max-Forwards", "70"],
        ...forged.path.map((hop) => ["Route", hop] as const),
        ["From", `<sip:rogue@${forged.domain}>;tag=${token(systemRandom, 8)}`],
        ["To", `<${forged.victim}>`],
        ["Call-ID", callId],
        ["CSeq", "1 INVITE"],
        ["Contact", `<sip:rogue@${formatHost(local.host)}:${local.port};transport=${edge.protocol}>`],
        ["Security-Server", "sdes-srtp;mediasec"],
        ["Require", "mediasec"],
        ["Content-Type", "application/sdp"],
      ],
      body: Buffer.from(forgedBody(local.host)),
    });
    const status = await new Promise<number>((resolve) => {
      transactions.request(invite, edge, {
        onResponse: (response) => {
          if (response.status >= 200) resolve(response.status);
        },
        onTimeout: () => resolve(408),
        onTransportError: () => resolve(503),
      });
    });
    return { callId, status };
  } finally {
    transactions.close();
    await transport.close();
  }
};
