// TLS as hostile and as busy peers use it: renegotiation, resumption, certificates that change while the element runs.
// RFC 9325 3.5 and 3.6, RFC 5922 7.2, RFC 8446 2.2 and 6.1, RFC 5077.
import { once } from "node:events";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { silentLog, systemClock } from "@sallyport/kit";
import { createAuthority, type TestAuthority } from "@sallyport/test-authority";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  createRequest,
  createSipTransport,
  type Flow,
  type SipMessage,
  type SipTransport,
  type TlsMaterial,
} from "../src/index.ts";

let authority: TestAuthority;
let edge: TlsMaterial;
let ue: TlsMaterial;
beforeAll(async () => {
  authority = await createAuthority();
  edge = await authority.issue([{ type: "ip", value: "127.0.0.1" }]);
  ue = await authority.issue([{ type: "dns", value: "ue.example.test" }]);
});

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const listen = async (
  tls: TlsMaterial,
): Promise<{
  readonly transport: SipTransport;
  readonly port: number;
  readonly got: (readonly [SipMessage, Flow])[];
}> => {
  const got: (readonly [SipMessage, Flow])[] = [];
  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => got.push([message, flow]),
  });
  open.push(() => transport.close());
  const { port } = await transport.listen({ name: "a", protocol: "tls", address: "127.0.0.1", port: 0, tls });
  return { transport, port, got };
};

const dial = async (port: number, options: ConnectionOptions = {}): Promise<TLSSocket> => {
  const socket = connectTls({ host: "127.0.0.1", port, ca: authority.ca, ...options });
  open.push(() => socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return socket;
};

const message =
  "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TLS h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n" +
  "To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
const arrives = async (got: readonly unknown[], count: number): Promise<void> => {
  while (got.length < count) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe("RFC 9325 3.5: renegotiation", () => {
  it("RFC 9325 3.5: is refused, so that nobody becomes somebody else on a connection; what is under way goes on or ends", async () => {
    const { port, got } = await listen({ ...edge, requireClientCertificate: true });
    const socket = await dial(port, { ...ue, maxVersion: "TLSv1.2" });
    socket.write(message);
    await arrives(got, 1);
    const refused = await new Promise<Error | null>((resolve) => {
      socket.on("error", resolve);
      socket.on("close", () => resolve(new Error("closed")));
      socket.renegotiate({}, resolve);
    });
    expect(refused).toBeInstanceOf(Error);
  });
});

describe("RFC 5077, RFC 8446 2.2: resumption", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "RFC 5922 7.2: a resumed session has the names of its certificate (%s)",
    async (version) => {
      const { port, got } = await listen({ ...edge, requireClientCertificate: true });
      const first = await dial(port, { ...ue, maxVersion: version, minVersion: version });
      const sessions: Buffer[] = [];
      first.on("session", (each: Buffer) => sessions.push(each));
      first.write(message);
      await arrives(got, 1);
      // RFC 5077 3.1: the ticket of TLS 1.2 is part of the handshake.
      if (version === "TLSv1.3") await arrives(sessions, 1);
      const session = sessions.at(-1) ?? first.getSession();
      first.end();
      const second = await dial(port, {
        maxVersion: version,
        minVersion: version,
        ...(session === undefined ? {} : { session }),
      });
      expect(second.isSessionReused()).toBe(true);
      second.write(message);
      await arrives(got, 2);
      expect(got.map(([, flow]) => flow.peerNames)).toEqual([["ue.example.test"], ["ue.example.test"]]);
    },
  );
});

describe("certificates that change while the element runs", () => {
  const subject = (socket: TLSSocket): string | undefined => socket.getPeerCertificate().subjectaltname;

  it("RFC 5922 7.1: whoever connects from then on is shown the new one; what is open goes on with the old", async () => {
    const { transport, port, got } = await listen(edge);
    const before = await dial(port);
    before.write(message);
    await arrives(got, 1);
    transport.renew(
      "a",
      await authority.issue([
        { type: "ip", value: "127.0.0.1" },
        { type: "dns", value: "new.example" },
      ]),
    );
    const after = await dial(port);
    expect([subject(before), subject(after)]).toEqual([
      "IP Address:127.0.0.1",
      "IP Address:127.0.0.1, DNS:new.example",
    ]);
    before.write(message);
    after.write(message);
    await arrives(got, 3);
  });

  it("RFC 5922 7.1: what is sent from the listening point shows it as well", async () => {
    const { transport, port, got } = await listen({ ...edge, requireClientCertificate: true });
    const client = await listen(ue);
    const send = async (): Promise<void> => {
      const parsed = got.length;
      const target = { protocol: "tls", address: "127.0.0.1", port, listener: "a" } as const;
      const options = createRequest({
        method: "OPTIONS",
        uri: "sip:a@b",
        headers: [
          ["Via", "SIP/2.0/TLS h;branch=z9hG4bK1"],
          ["From", "<sip:a@b>;tag=1"],
          ["To", "<sip:a@b>"],
          ["Call-ID", "1"],
          ["CSeq", "1 OPTIONS"],
        ],
      });
      const flow = await client.transport.send(options, target);
      await arrives(got, parsed + 1);
      client.transport.closeFlow(flow);
    };
    await send();
    client.transport.renew("a", await authority.issue([{ type: "dns", value: "renewed.example.test" }]));
    await send();
    expect(got.map(([, flow]) => flow.peerNames)).toEqual([["ue.example.test"], ["renewed.example.test"]]);
    expect(transport.listeners).toHaveLength(1);
  });

  it("SALLY_SIP_TLS_MATERIAL: a key that is not the certificate's is refused, and the old one stays", async () => {
    const { transport, port } = await listen(edge);
    const other = await authority.issue([{ type: "dns", value: "other.example" }]);
    for (const bad of [
      { ...other, key: edge.key },
      { ...other, cert: "-----BEGIN" },
    ])
      expect(() => transport.renew("a", bad)).toThrow(/PEM text was not accepted/);
    expect(() => transport.renew("b", other)).toThrow(/"b"/);
    expect(subject(await dial(port))).toBe("IP Address:127.0.0.1");
  });
});
