// SDP where a reader less strict than this edge would find it: none of it passes with keys or indications in it, whatever
// it is wrapped in; what is legal goes on. RFC 3261 7.4 and 20.15, RFC 2046 5.1, RFC 5621 3.
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createResponse, headerValue, withBody, type SipRequest } from "@sallyport/sip";
import { bodyOf, establishTerminating, originate } from "./support/calls.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, keys, ueOffer } from "./support/sdp.ts";

const multipart = (inner: string, { before = "", after = "" } = {}): string =>
  `${before}--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n${inner}\r\n--b--\r\n${after}`;
const part = (head: string, text: string): string => `--b\r\n${head}\r\n\r\n${text}`;

interface Wrapping {
  readonly name: string;
  /** Undefined: no Content-Type. */
  readonly type: string | undefined;
  readonly wrap: (text: string) => string;
  /** How it is answered when it is not taken for SDP. */
  readonly status?: 400 | 415 | 488;
}

const mixed = "multipart/mixed;boundary=b";
const bare = (text: string): string => text;
const wrappings: readonly Wrapping[] = [
  { name: "white space around SLASH", type: "application / sdp", wrap: bare },
  { name: "a fold behind SLASH", type: "application/\r\n sdp", wrap: bare },
  { name: "a comment", type: "application/sdp (x)", wrap: bare, status: 415 },
  { name: "quotes", type: '"application/sdp"', wrap: bare, status: 415 },
  { name: "a second type behind a comma", type: "application/sdp, text/plain", wrap: bare, status: 415 },
  { name: "a second type before a comma", type: "text/plain;x, application/sdp", wrap: bare, status: 415 },
  { name: "NUL behind the type", type: "application/sdp\0", wrap: bare, status: 400 },
  { name: "no Content-Type", type: undefined, wrap: bare, status: 400 },
  { name: "text/plain", type: "text/plain", wrap: bare, status: 488 },
  {
    name: "message/sip",
    type: "message/sip",
    wrap: (text) => `INVITE sip:x SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n${text}`,
    status: 488,
  },
  {
    name: "message/sipfrag",
    type: "message/sipfrag;version=2.0",
    wrap: (text) => `SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n${text}`,
    status: 488,
  },
  { name: "a part with compact c:", type: mixed, wrap: (text) => multipart(part("c: application/sdp", text)) },
  {
    name: "a part in capitals",
    type: mixed,
    wrap: (text) => multipart(part("CONTENT-TYPE:APPLICATION/SDP;x=y", text)),
  },
  {
    name: "a part with blanks",
    type: mixed,
    wrap: (text) => multipart(part("Content-Type : application / sdp", text)),
  },
  {
    name: "a part with two Content-Types",
    type: mixed,
    wrap: (text) => multipart(part("Content-Type: text/plain\r\nc: application/sdp", text)),
    status: 400,
  },
  { name: "a part without Content-Type", type: mixed, wrap: (text) => multipart(part("X: y", text)), status: 400 },
  {
    name: "a part whose head has a bare LF",
    type: mixed,
    wrap: (text) => multipart(`--b\r\nX: y\nContent-Type: application/sdp\n\n${text}\r\n\r\n`),
    status: 400,
  },
  {
    name: "delimiters that end in LF",
    type: mixed,
    wrap: (text) => multipart(`more\n--b\nContent-Type: application/sdp\n\n${text}\n--b--\n`),
    status: 400,
  },
  {
    name: "two boundaries",
    type: "multipart/mixed;boundary=zz;boundary=b",
    wrap: (text) =>
      `--zz\r\nContent-Type: text/plain\r\n\r\nx\r\n${part("c: application/sdp", text)}\r\n--b--\r\n--zz--\r\n`,
    status: 400,
  },
  {
    name: "a boundary as RFC 2231 has it",
    type: "multipart/mixed;boundary=zz;boundary*=b",
    wrap: (text) =>
      `--zz\r\nContent-Type: text/plain\r\n\r\nx\r\n${part("c: application/sdp", text)}\r\n--b--\r\n--zz--\r\n`,
    status: 400,
  },
  {
    name: "an encoded part",
    type: mixed,
    wrap: (text) =>
      multipart(
        part("c: application/sdp\r\nContent-Transfer-Encoding: base64", Buffer.from(text, "latin1").toString("base64")),
      ),
    status: 415,
  },
  {
    name: "a message in a part",
    type: mixed,
    wrap: (text) => multipart(part("c: message/sipfrag", `SIP/2.0 200 OK\r\n\r\n${text}`)),
    status: 488,
  },
  {
    name: "nesting without end",
    type: mixed,
    wrap: (text) => {
      let inner = `--i0\r\nc: application/sdp\r\n\r\n${text}\r\n--i0--`;
      for (let depth = 1; depth < 6; depth += 1)
        inner = `--i${depth}\r\nc: multipart/mixed;boundary=i${depth - 1}\r\n\r\n${inner}\r\n--i${depth}--`;
      return multipart(part("c: multipart/mixed;boundary=i5", inner));
    },
    status: 400,
  },
  {
    name: "the epilogue of a nested multipart",
    type: mixed,
    wrap: (text) =>
      multipart(part("c: multipart/mixed;boundary=i", `--i\r\nc: text/plain\r\n\r\nx\r\n--i--\r\nv\r\n${text}`)),
    status: 400,
  },
];

/** As another implementation would write it: no care of ours in the way. */
const wrapped = (request: SipRequest, type: string | undefined, body: string): SipRequest => {
  const sized = withBody(
    { ...request, headers: request.headers.filter(({ name }) => name !== "content-type") },
    Buffer.from(body, "latin1"),
  );
  return type === undefined
    ? sized
    : { ...sized, headers: [...sized.headers, { name: "content-type", raw: `Content-Type: ${type}`, value: type }] };
};

const told = (lines: readonly string[] = []): string =>
  coreSdp({ protocol: "RTP/SAVP", lines: ["a=3ge2ae:applied", ...lines] });

describe("invariants 1, 2 and 8: SDP in disguise", () => {
  let scenario: Scenario;
  let alice: TestUe;
  let path: string;
  let count = 0;
  beforeAll(async () => {
    scenario = await openScenario();
    alice = await scenario.ue("alice");
    ({ path } = await alice.register());
  });
  // Closing judges every octet that crossed.
  afterAll(async () => {
    await scenario.close();
  });

  for (const { name, type, wrap, status } of wrappings) {
    const does = status === undefined ? "is read as SDP" : `is refused with ${status}`;
    for (const method of ["INVITE", "MESSAGE"]) {
      it(`TS 33.328 7.3.1 (b): ${name} ${does} from the core, in ${method}`, async () => {
        const callId = `from-core-${(count += 1)}`;
        const body = wrap(told());
        const plain = coreRequest(scenario.core, method, alice.contact, { route: [path], callId });
        const sent = scenario.core.send(wrapped(plain, type, body));
        const arrived = status === undefined ? await alice.expect(method) : undefined;
        if (arrived === undefined) {
          const final = await sent.final();
          expect(final.status).toBe(status);
          if (status === 415) expect(headerValue(final, "accept-encoding")).toBe("identity");
          expect(alice.requests.all.some(({ request }) => headerValue(request, "call-id") === callId)).toBe(false);
        } else {
          expect(bodyOf(arrived.request)).not.toContain("3ge2ae");
          alice.respond(arrived, method === "INVITE" ? 486 : 200);
          await sent.final();
        }
      });

      it(`TS 33.328 7.2.1 (b): ${name} ${does} from the UE, in ${method}`, async () => {
        const callId = `from-ue-${(count += 1)}`;
        const plain = alice.request(method, "sip:carol@far.example", { callId });
        const sent = alice.send(wrapped(plain, type, wrap(ueOffer())));
        if (status === undefined) {
          const arrived = await scenario.core.expect(method);
          expect(bodyOf(arrived.request)).toContain("m=audio");
          expect(bodyOf(arrived.request)).not.toMatch(/3ge2ae|a=crypto/);
          scenario.core.respond(arrived, method === "INVITE" ? 486 : 200);
          await sent.final();
        } else {
          expect((await sent.final()).status).toBe(status);
          expect(scenario.core.requests.all.some(({ request }) => headerValue(request, "call-id") === callId)).toBe(
            false,
          );
        }
      });
    }
  }

  it("TS 33.328 7.2.1 (b): a REGISTER is judged as well", async () => {
    const request = wrapped(alice.request("REGISTER", "sip:home.example", { callId: "reg" }), "text/plain", ueOffer());
    expect((await alice.send(request).final()).status).toBe(488);
  });
});

describe("invariants 1, 2 and 8: in the course of a call", () => {
  let scenario: Scenario;
  let alice: TestUe;
  let path: string;
  beforeEach(async () => {
    scenario = await openScenario();
    alice = await scenario.ue("alice");
    ({ path } = await alice.register());
  });
  afterEach(async () => {
    await scenario.close();
  });

  it("TS 33.328 7.3.1 step 7: a re-INVITE of the core with white space in its media type goes through the gateway", async () => {
    const call = await establishTerminating(scenario, alice, path);
    const again = call.byCaller("INVITE", 2, coreSdp({ version: 2, port: 7777 }));
    scenario.core.send(wrapped(again, "application / sdp", again.body.toString("latin1")));
    const arrived = await alice.expect("INVITE");
    expect(bodyOf(arrived.request)).toMatch(/m=audio 20\d+ RTP\/SAVP/);
    expect(bodyOf(arrived.request)).not.toContain("7777");
  });

  it("TS 33.328 7.3.1 step 7: a re-INVITE and an INFO with a type nobody can read are refused, and the call stands", async () => {
    const call = await establishTerminating(scenario, alice, path);
    for (const [at, method] of ["INVITE", "INFO"].entries()) {
      const request = wrapped(call.byCaller(method, 2 + at), "application/sdp, text/plain", told());
      expect((await scenario.core.send(request).final()).status, method).toBe(415);
    }
    expect(scenario.edge.calls()[0]?.phase).toBe("confirmed");
    expect(scenario.edge.calls()[0]?.evidence.filter(({ found }) => found === "Unreadable Content-Type")).toHaveLength(
      2,
    );
  });

  for (const status of [183, 200]) {
    it(`RFC 3264 5: a ${status} with two Content-Types is no answer: the call ends with 488, and nothing of it reaches the UE`, async () => {
      const { sent, arrived } = await originate(scenario, alice, { body: ueOffer() });
      scenario.core.respond(arrived, status, {
        headers: [
          ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`],
          ["Content-Type", "text/plain"],
        ],
        body: told([`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${keys.forged}`]),
      });
      expect((await sent.final()).status).toBe(488);
      await until(() => scenario.edge.counts().calls === 0 && scenario.iq.open.size === 0, "nothing left");
    });
  }

  it("RFC 3261 20.15: a 183 whose body has no Content-Type goes on without it; the 200 brings the answer", async () => {
    const { sent, arrived } = await originate(scenario, alice, { body: ueOffer() });
    const contact = ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
    arrived.respond(
      createResponse(arrived.request, 183, undefined, {
        toTag: arrived.toTag,
        headers: [contact],
        body: Buffer.from(told(), "latin1"),
      }),
    );
    const early = await sent.responses.next(({ status }) => status === 183);
    expect([early.body.length, headerValue(early, "content-length")]).toEqual([0, "0"]);
    scenario.core.respond(arrived, 200, { headers: [contact], body: coreSdp() });
    expect((await sent.final()).status).toBe(200);
  });

  it("RFC 5621 3: SDP beside ISUP, a location or a list of resources is the session; the others pass octet for octet", async () => {
    const others = [
      ["application/isup;version=itu-t92+", "\x01\x00\x49\x00\x00\x03\x02\x00\x07\x04\x10\xff"],
      ["application/pidf+xml", '<presence entity="pres:alice@home.example"/>'],
      ["application/resource-lists+xml", "<resource-lists/>"],
    ] as const;
    for (const [at, [type, text]] of others.entries()) {
      const before = `--cut\r\nContent-Type: ${type}\r\nContent-ID: <x@y>\r\nContent-Disposition: by-reference\r\n\r\n${text}\r\n`;
      const body = `preamble\r\n--cut\r\nContent-Type: application/sdp\r\n\r\n${ueOffer()}\r\n${before}--cut--\r\na=3ge2ae:requested\r\n`;
      const invite = alice.request("INVITE", "sip:carol@far.example", { callId: `legal-${at}` });
      const sent = alice.send(wrapped(invite, 'multipart/mixed; boundary="cut"', body));
      const arrived = await scenario.core.expect("INVITE");
      const passed = bodyOf(arrived.request);
      expect(passed).toContain(before);
      expect(passed).toMatch(/m=audio 20\d+ RTP\/AVP/);
      // RFC 2046 5.1.1: what stands around the parts is nobody's, and goes.
      expect([passed.startsWith("--cut\r\n"), passed.endsWith("--cut--\r\n")]).toEqual([true, true]);
      scenario.core.respond(arrived, 486);
      await sent.final();
    }
  });

  it("RFC 3515 2.4.5: the message/sipfrag of a NOTIFY passes", async () => {
    const fragment = "SIP/2.0 200 OK\r\nContact: <sip:dave@far.example>\r\n";
    const notify = wrapped(
      alice.request("NOTIFY", "sip:carol@far.example", {
        headers: [
          ["Event", "refer"],
          ["Subscription-State", "active"],
        ],
      }),
      "message/sipfrag",
      fragment,
    );
    const sent = alice.send(notify);
    const arrived = await scenario.core.expect("NOTIFY");
    expect(bodyOf(arrived.request)).toBe(fragment);
    scenario.core.respond(arrived, 200);
    expect((await sent.final()).status).toBe(200);
  });

  it("RFC 3261 21.4.13: a compressed body is refused with 415, which says that none but identity is taken", async () => {
    for (const method of ["INVITE", "MESSAGE"]) {
      const request = alice.request(method, "sip:carol@far.example", {
        callId: `gzip-${method}`,
        headers: [["Content-Encoding", "gzip"]],
      });
      const body = gzipSync(Buffer.from(ueOffer())).toString("latin1");
      const refused = await alice.send(wrapped(request, "application/sdp", body)).final();
      expect([refused.status, headerValue(refused, "accept-encoding")], method).toEqual([415, "identity"]);
    }
  });

  it("invariant 8: no more than 16 media lines: a 17th is refused with 488, and no stream of it is asked for", async () => {
    const one = ueOffer();
    const media = one.slice(one.indexOf("m="));
    const lines = (count: number): string => one + media.repeat(count - 1);
    const many = alice.send(alice.request("INVITE", "sip:carol@far.example", { body: lines(17), callId: "many" }));
    expect((await many.final()).status).toBe(488);
    expect(scenario.iq.commands).toEqual([]);
    const some = alice.send(alice.request("INVITE", "sip:carol@far.example", { body: lines(16), callId: "some" }));
    scenario.core.respond(await scenario.core.expect("INVITE"), 486);
    expect((await some.final()).status).toBe(486);
  });

  for (const line of [
    "a=3ge2ae applied",
    "a=3GE2AE\tapplied",
    "a= 3ge2ae:applied",
    "a=3ge2ae\u00ad:applied",
    "a=3ge2aex",
  ]) {
    it(`TS 33.328 7.3.1 (b): ${JSON.stringify(line)} is an indication of another party, on the line and above it`, async () => {
      for (const body of [coreSdp({ lines: [line] }), coreSdp().replace("t=0 0", `t=0 0\r\n${line}`)]) {
        const callId = `named-${body.length + body.lastIndexOf("a=")}`;
        const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body, callId });
        const sent = scenario.core.send(invite);
        const arrived = await alice.expect("INVITE");
        expect(bodyOf(arrived.request).replace(/^a=3ge2ae:applied\r$/m, "")).not.toMatch(/3ge2ae/i);
        alice.respond(arrived, 486);
        await sent.final();
      }
    });
  }

  it("RFC 4566 5: a description with a capital type letter is refused with 400", async () => {
    const body = coreSdp({ lines: ["A=3ge2ae:applied"] });
    const sent = scenario.core.send(coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body }));
    expect((await sent.final()).status).toBe(400);
  });
});
