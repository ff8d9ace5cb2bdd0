import { createSocket } from "node:dgram";
import * as fc from "fast-check";
import { silentLog, systemClock } from "@sallyport/kit";
import { afterEach, describe, expect, it } from "vitest";
import { createSipTransport, type SipTransport } from "../src/index.ts";
import { answerStun, isStun } from "../src/transport/stun.ts";

// RFC 5769 2.1, the header of its sample request: type, length, cookie, transaction id. Its attributes are left off.
const transaction = Buffer.from("b7e7a701bc34d686fa87dfae", "hex");
const request = (attributes: Buffer = Buffer.alloc(0), type = 0x0001): Buffer => {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(attributes.length, 2);
  head.writeUInt32BE(0x2112_a442, 4);
  return Buffer.concat([head, transaction, attributes]);
};
const attribute = (type: number, value: Buffer): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
};

let transport: SipTransport | undefined;
afterEach(() => transport?.close());

describe("STUN keep-alives", () => {
  it("RFC 5769 2.2: XOR-MAPPED-ADDRESS of 192.0.2.1 port 32853", () => {
    const answer = answerStun(request(), { address: "192.0.2.1", port: 32_853 });
    expect(answer?.toString("hex")).toBe(`0101000c2112a442${transaction.toString("hex")}002000080001a147e112a643`);
  });

  it("RFC 5769 2.3: XOR-MAPPED-ADDRESS of 2001:db8:1234:5678:11:2233:4455:6677 port 32853", () => {
    const answer = answerStun(request(), { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32_853 });
    expect(answer?.toString("hex")).toBe(
      `010100182112a442${transaction.toString("hex")}002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9`,
    );
  });

  it("RFC 5389 7.3.1: SOFTWARE, USERNAME and MESSAGE-INTEGRITY do no harm; an attribute that must be understood and is not gets 420", () => {
    const fine = request(
      Buffer.concat([
        attribute(0x8022, Buffer.from("x")),
        attribute(0x0006, Buffer.from("u")),
        attribute(0x0008, Buffer.alloc(20)),
      ]),
    );
    expect(answerStun(fine, { address: "192.0.2.1", port: 1 })?.readUInt16BE(0)).toBe(0x0101);
    const refused = answerStun(request(attribute(0x0003, Buffer.alloc(4))), { address: "192.0.2.1", port: 1 });
    expect(refused?.toString("hex")).toBe(
      `011100102112a442${transaction.toString("hex")}0009000400000414000a000200030000`,
    );
  });

  it("RFC 5389 7.3: indications, responses and broken messages are not answered; SIP is not STUN", () => {
    const from = { address: "192.0.2.1", port: 1 };
    for (const octets of [
      request(undefined, 0x0011),
      request(undefined, 0x0101),
      request().subarray(0, 19),
      Buffer.concat([request(), Buffer.alloc(4)]),
      request(Buffer.from([0, 3, 0, 9])),
    ])
      expect(answerStun(octets, from)).toBeUndefined();
    expect(isStun(Buffer.from("OPTIONS sip:a SIP/2.0\r\n\r\n"))).toBe(false);
  });

  it("whatever arrives is read without a throw, and no answer is more than three times as long", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (noise, framed) => {
        const octets = framed ? request(Buffer.from(noise)) : Buffer.from(noise);
        const answer = answerStun(octets, { address: "2001:db8::1", port: 5060 });
        expect(answer?.length ?? 0).toBeLessThanOrEqual(octets.length * 3);
      }),
      { seed: 5389, numRuns: 500 },
    );
  });

  it("RFC 5626 4.4.2: answered on the SIP port itself, to where it came from; SIP beside it goes its own way", async () => {
    const heard: string[] = [];
    transport = createSipTransport({
      clock: systemClock,
      log: silentLog,
      onMessage: (message) => void heard.push(message.kind),
      onMalformed: ({ code }) => void heard.push(code),
    });
    const { port } = await transport.listen({ name: "udp", protocol: "udp", address: "127.0.0.1", port: 0 });
    const phone = createSocket("udp4");
    await new Promise<void>((resolve) => phone.bind(0, "127.0.0.1", resolve));
    const answer = new Promise<Buffer>((resolve) => phone.once("message", resolve));
    phone.send(request(), port, "127.0.0.1");
    const expected = answerStun(request(), { address: "127.0.0.1", port: phone.address().port });
    expect((await answer).equals(expected ?? Buffer.alloc(0))).toBe(true);
    expect(heard).toEqual([]);
    phone.close();
  });
});
