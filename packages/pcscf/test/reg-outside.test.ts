// Requests outside of calls: MESSAGE, PUBLISH, OPTIONS, those nobody knows; what a proxy does with them and with their
// answers. RFC 3261 8.2, 11, 16 and 17.2.2, RFC 3428, RFC 3903, RFC 4320, RFC 5627.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues, setHeader, type SipRequest } from "@sallyport/sip";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
const open = async (protocol: "tcp" | "udp" = "tcp"): Promise<void> => {
  scenario = await openScenario();
  alice = await scenario.ue("alice", { protocol });
  ({ path } = await alice.register());
};
afterEach(() => scenario.close());

const fromUe = (method: string, uri = "sip:carol@far.example", headers: readonly (readonly [string, string])[] = []) =>
  alice.send(alice.request(method, uri, { headers, callId: `out-${method}-${Math.random()}` }));
const fromCore = (
  method: string,
  headers: readonly (readonly [string, string])[] = [],
  uri = alice.contact,
): SipRequest =>
  coreRequest(scenario.core, method, uri, { route: [path], headers, callId: `in-${method}-${Math.random()}` });

describe.each(["tcp", "udp"] as const)("RFC 4320 over %s", (protocol) => {
  beforeEach(() => open(protocol));

  it.each(["MESSAGE", "REGISTER"])(
    "RFC 4320 4.1: a %s hears 100 once Timer E would have reached T2, not before, and no other provisional answer",
    async (method) => {
      const sent = fromUe(method, method === "REGISTER" ? "sip:home.example" : undefined);
      const arrived = await scenario.core.expect(method);
      scenario.core.respond(arrived, 100);
      scenario.core.respond(arrived, 183);
      await settled();
      scenario.clock.advance(3_400);
      await settled();
      expect(sent.responses.all).toEqual([]);
      scenario.clock.advance(200);
      await until(() => sent.responses.all.length > 0, "100");
      expect(sent.responses.all.map(({ status }) => status)).toEqual([100]);
      scenario.core.respond(arrived, 200);
      expect((await sent.final()).status).toBe(200);
    },
  );

  it.each(["MESSAGE", "REGISTER"])(
    "RFC 4320 4.2: a %s nobody answers gets no 408 but 504 in time, and an answer that comes too late does not count",
    async (method) => {
      const before = alice.wire.length;
      void fromUe(method, method === "REGISTER" ? "sip:home.example" : undefined);
      const arrived = await scenario.core.expect(method);
      for (let second = 0; second < 34; second += 1) {
        scenario.clock.advance(1_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await settled();
      scenario.core.respond(arrived, 200);
      await settled();
      const told = alice.wire.slice(before).filter(({ direction }) => direction === "in");
      expect([...new Set(told.map(({ text }) => Number(text.slice(8, 11))))]).toEqual([100, 504]);
      if (protocol === "tcp") expect(scenario.edge.counts().transactions).toBe(0);
    },
  );

  it("RFC 4320 4.2: a MESSAGE of the core that the UE does not answer gets no 408", async () => {
    const before = scenario.core.wire.length;
    void scenario.core.send(fromCore("MESSAGE"));
    await alice.expect("MESSAGE");
    for (let second = 0; second < 34; second += 1) {
      scenario.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await settled();
    const told = scenario.core.wire.slice(before).filter(({ direction }) => direction === "in");
    expect(told.filter(({ text }) => !text.startsWith("SIP/2.0 100 "))).toEqual([]);
  });

  it("RFC 3261 17.2.2: a MESSAGE sent again before and after its answer reaches the core once and is answered alike", async () => {
    const sent = fromUe("MESSAGE");
    const arrived = await scenario.core.expect("MESSAGE");
    await alice.again((text) => text.startsWith("MESSAGE "));
    await settled();
    scenario.core.respond(arrived, 202);
    expect((await sent.final()).status).toBe(202);
    if (protocol === "udp") {
      await alice.again((text) => text.startsWith("MESSAGE "));
      await until(() => alice.wire.filter(({ text }) => text.startsWith("SIP/2.0 202")).length === 2, "again");
    }
    await settled();
    expect(scenario.core.requests.all.filter(({ request }) => request.method === "MESSAGE")).toHaveLength(1);
  });
});

describe("RFC 3261 16: what passes", () => {
  beforeEach(() => open());

  it.each([
    ["MESSAGE", "tel:+4930123"],
    ["MESSAGE", "im:carol@far.example"],
    ["SUBSCRIBE", "pres:carol@far.example"],
    ["PUBLISH", "sip:alice@home.example"],
    ["OPTIONS", "sip:carol@far.example"],
    ["OPTIONS", "urn:service:sos"],
    ["INFO", "sip:carol@far.example"],
    ["SERVICE", "sips:carol@far.example"],
    ["x-Private.1", "sip:carol@far.example;method=x"],
    ["MESSAGE", "sip:alice@home.example;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"],
    ["MESSAGE", "sip:tgruu.7hs==jd7vnzga5w7fajsc7-ajd6fabz0f8g5@home.example;gr"],
  ])("RFC 3261 16.3 step 2: a %s to %s of the UE, by the stored route, and its answer", async (method, uri) => {
    const sent = fromUe(method, uri);
    const { core } = scenario;
    const arrived = await core.expect(method);
    expect(arrived.request.uri).toBe(uri);
    expect(headerList(arrived.request, "route")).toEqual([`<sip:orig@127.0.0.1:${core.port};transport=tcp;lr>`]);
    core.respond(arrived, 200);
    expect((await sent.final()).status).toBe(200);
  });

  it.each(["MESSAGE", "OPTIONS", "x-Private.1", "PUBLISH"])(
    "RFC 3261 16.6 step 2: a %s of the core reaches the UE along its Path with a GRUU or its contact as Request-URI",
    async (method) => {
      for (const uri of [alice.contact, "sip:alice@home.example;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]) {
        const sent = scenario.core.send(fromCore(method, [], uri));
        const arrived = await alice.expect(method);
        expect(arrived.request.uri).toBe(uri);
        alice.respond(arrived, 200);
        expect((await sent.final()).status).toBe(200);
      }
    },
  );

  it("RFC 3261 22.3: several challenges, 401 and 407, in one header or in many, pass as they were written, and so do the credentials", async () => {
    const challenges = [
      ["WWW-Authenticate", 'Digest realm="far.example", nonce="a", algorithm=SHA-256'],
      ["WWW-Authenticate", 'Digest realm="far.example", nonce="a", algorithm=MD5'],
      ["Proxy-Authenticate", 'Digest realm="p1.example", nonce="b,c", qop="auth,auth-int"'],
      ["Proxy-Authenticate", 'Digest realm="p2.example", nonce="d", Basic realm="p3.example"'],
    ] as const;
    for (const status of [401, 407]) {
      const sent = fromUe("MESSAGE");
      scenario.core.respond(await scenario.core.expect("MESSAGE"), status, { headers: challenges });
      const answer = await sent.final();
      expect(answer.status).toBe(status);
      for (const name of ["WWW-Authenticate", "Proxy-Authenticate"])
        expect(headerValues(answer, name.toLowerCase())).toEqual(
          challenges.filter(([each]) => each === name).map(([, value]) => value),
        );
    }
    const credentials = [
      ["Authorization", 'Digest username="a", realm="far.example", nonce="a", uri="sip:x", response="00"'],
      ["Proxy-Authorization", 'Digest username="a", realm="p1.example", nonce="b,c", uri="sip:x", response="01"'],
      ["Proxy-Authorization", 'Digest username="a", realm="p2.example", nonce="d", uri="sip:x", response="02"'],
    ] as const;
    const again = fromUe("MESSAGE", undefined, credentials);
    const arrived = await scenario.core.expect("MESSAGE");
    expect(headerValues(arrived.request, "proxy-authorization")).toEqual([credentials[1][1], credentials[2][1]]);
    expect(headerValue(arrived.request, "authorization")).toBe(credentials[0][1]);
    scenario.core.respond(arrived, 200, {
      headers: [["Authentication-Info", 'nextnonce="e", qop=auth, rspauth="03"']],
    });
    expect(headerValue(await again.final(), "authentication-info")).toBe('nextnonce="e", qop=auth, rspauth="03"');
  });

  it("RFC 3261 16.7 step 4: 3xx with its contacts, 6xx and 555 pass to whoever asked, in both directions", async () => {
    for (const status of [300, 301, 302, 305, 380, 410, 416, 493, 500, 504, 513, 555, 600, 603, 604]) {
      const contact = ["Contact", "<sip:elsewhere@far.example>;q=0.7, <mailto:carol@far.example>;q=0.1"] as const;
      const sent = fromUe("MESSAGE");
      scenario.core.respond(await scenario.core.expect("MESSAGE"), status, { headers: [contact] });
      const answer = await sent.final();
      expect([answer.status, headerValue(answer, "contact")]).toEqual([status, contact[1]]);
      const called = scenario.core.send(fromCore("MESSAGE"));
      alice.respond(await alice.expect("MESSAGE"), status, { headers: [contact] });
      expect((await called.final()).status).toBe(status);
    }
  });

  it("RFC 3903 4 and 6: SIP-ETag, SIP-If-Match, 412, 423 and an empty PUBLISH pass", async () => {
    const etag = [
      ["Event", "presence"],
      ["SIP-If-Match", "kwj449x"],
      ["Expires", "0"],
    ] as const;
    const sent = fromUe("PUBLISH", alice.aor, etag);
    const arrived = await scenario.core.expect("PUBLISH");
    for (const [name, value] of etag) expect(headerValue(arrived.request, name.toLowerCase())).toBe(value);
    expect(headerValue(arrived.request, "content-length")).toBe("0");
    expect(headerValue(arrived.request, "record-route")).toBeUndefined();
    scenario.core.respond(arrived, 200, {
      headers: [
        ["SIP-ETag", "qwi982ks"],
        ["Expires", "0"],
      ],
    });
    expect(headerValue(await sent.final(), "sip-etag")).toBe("qwi982ks");
  });

  it.each([
    ["from the UE", true],
    ["from the core", false],
  ])("RFC 3428 8: a MESSAGE %s brings its body octet for octet, of any type and length", async (_, originating) => {
    for (const [type, body] of [
      ["text/plain;charset=UTF-8", "k=v\r\nsays a=crypto:1, which is no SDP here\r\n\r\n\u0000"],
      ["message/cpim", "From: <im:a@x>\r\n\r\nContent-Type: text/plain\r\n\r\nhi"],
      ["application/vnd.3gpp.sms", "\u0001\u00ff\u0000\r\n"],
      ["text/plain", "x".repeat(5_000)],
    ] as const) {
      const request = originating
        ? alice.request("MESSAGE", "sip:carol@far.example", { body, type, callId: `b${body.length}` })
        : coreRequest(scenario.core, "MESSAGE", alice.contact, {
            route: [path],
            body,
            type,
            callId: `c${body.length}`,
          });
      const sent = (originating ? alice : scenario.core).send(request);
      const arrived = await (originating ? scenario.core : alice).expect("MESSAGE");
      expect(arrived.request.body.toString("latin1")).toBe(body);
      expect(headerValue(arrived.request, "content-type")).toBe(type);
      (originating ? scenario.core : alice).respond(arrived, 202);
      expect((await sent.final()).status).toBe(202);
    }
  });
});

describe("RFC 3261 16.3: what does not", () => {
  beforeEach(() => open());

  it.each(["MESSAGE", "SUBSCRIBE", "OPTIONS", "REGISTER", "PUBLISH"])(
    "RFC 3261 16.3 steps 3 and 5: a %s with Max-Forwards 0 gets 483, one with a Proxy-Require nobody knows 420",
    async (method) => {
      const uri = method === "REGISTER" ? "sip:home.example" : "sip:carol@far.example";
      const { core } = scenario;
      const before = core.requests.all.length;
      const tired = setHeader(alice.request(method, uri, { callId: "tired" }), "max-forwards", "0");
      expect((await alice.send(tired).final()).status).toBe(483);
      const answer = await fromUe(method, uri, [["Proxy-Require", "teleport, path, warp"]]).final();
      expect([answer.status, headerList(answer, "unsupported")]).toEqual([420, ["teleport", "warp"]]);
      expect(headerValue(answer, "content-length")).toBe("0");
      expect(core.requests.all).toHaveLength(before);
    },
  );

  it("RFC 3261 16.6 step 3: a missing Max-Forwards becomes 70, a present one one less", async () => {
    const request = alice.request("MESSAGE", "sip:carol@far.example");
    void alice.send({ ...request, headers: request.headers.filter(({ name }) => name !== "max-forwards") });
    expect(headerValue((await scenario.core.expect("MESSAGE")).request, "max-forwards")).toBe("70");
    void fromUe("MESSAGE");
    expect(headerValue((await scenario.core.expect("MESSAGE")).request, "max-forwards")).toBe("69");
  });

  it("RFC 3261 8.2.6.1: the 100 of an INVITE brings its Timestamp back", async () => {
    const sent = fromUe("INVITE", undefined, [["Timestamp", "54.21"]]);
    await scenario.core.expect("INVITE");
    scenario.clock.advance(200);
    const trying = await sent.responses.next(({ status }) => status === 100);
    expect(headerValue(trying, "timestamp")).toBe("54.21");
  });

  it("RFC 3261 11: OPTIONS that names the edge is answered here, from either side", async () => {
    const own = alice.request("OPTIONS", `sip:127.0.0.1:${scenario.edge.access[0]?.port}`, { callId: "ping" });
    expect((await alice.send(own).final()).status).toBe(200);
    const ping = coreRequest(scenario.core, "OPTIONS", `sip:127.0.0.1:${scenario.edge.core[0]?.port};transport=tcp`);
    expect((await scenario.core.send(ping).final()).status).toBe(200);
  });
});
