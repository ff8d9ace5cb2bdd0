// The lab core end to end: raw SIP elements on real loopback sockets register and call through it.
import { readFile } from "node:fs/promises";
import { VirtualClock, seededRandom, silentLog, systemClock } from "@sallyport/kit";
import type { Clock } from "@sallyport/kit";
import {
  answerChallenge,
  chooseChallenge,
  createRequest,
  dialogFromResponse,
  dialogRequest,
  headerList,
  headerValue,
  headerValues,
  setHeader,
} from "@sallyport/sip";
import type { Dialog, SipRequest, SipResponse } from "@sallyport/sip";
import { afterEach, describe, expect, it } from "vitest";
import { coreConfigSchema, createCore } from "../src/index.ts";
import type { Core, CoreConfig } from "../src/index.ts";
import { createRawClient, originating } from "./raw-client.ts";
import type { RawClient } from "./raw-client.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const users = ["alice", "bob", "carol"].map((user) => ({
  impu: `sip:${user}@example.test`,
  impi: `${user}@example.test`,
  password: `secret of ${user}`,
}));

const alice = { impu: "sip:alice@example.test", impi: "alice@example.test", password: "secret of alice" };

const startCore = async (change: Partial<CoreConfig> = {}, clock: Clock = systemClock): Promise<Core> => {
  const core = await createCore(
    {
      domain: "example.test",
      listen: [
        { name: "tcp", protocol: "tcp", address: "127.0.0.1", port: 0 },
        { name: "udp", protocol: "udp", address: "127.0.0.1", port: 0 },
      ],
      users: [...users, { impu: "tel:+49-30-1234", impi: "alice@example.test", password: "secret of alice" }],
      ...change,
    },
    { clock, random: seededRandom("core"), log: silentLog },
  );
  open.push(() => core.close());
  return core;
};

const client = async (core: Core, protocol?: "udp" | "tcp"): Promise<RawClient> => {
  const made = await createRawClient(core, protocol);
  open.push(() => made.close());
  return made;
};

const dialogOf = (request: SipRequest, response: SipResponse): Dialog => {
  const dialog = dialogFromResponse(request, response);
  if (dialog === undefined || "ok" in dialog) throw new Error("no dialog");
  return dialog;
};

describe("registrar", () => {
  it("RFC 7616, RFC 8760: challenges SHA-256 before MD5 and takes either", async () => {
    const core = await startCore();
    const edge = await client(core);
    const first = await edge.register("alice", { credentials: false });
    expect(first.status).toBe(401);
    expect(headerValues(first, "www-authenticate").map((value) => /algorithm=([^,]+)/.exec(value)?.[1])).toEqual([
      "SHA-256",
      "MD5",
    ]);
    expect(headerValue(first, "www-authenticate")).toContain('realm="example.test"');
    for (const algorithm of ["SHA-256", "MD5"] as const) {
      expect((await edge.register("alice", { algorithm })).status).toBe(200);
    }
  });

  it("RFC 8760 2.3: a user configured for MD5 alone is challenged with MD5 alone", async () => {
    const core = await startCore({ users: [{ ...alice, algorithms: ["MD5"] }] });
    const edge = await client(core);
    const first = await edge.register("alice", { credentials: false });
    expect(headerValues(first, "www-authenticate")).toHaveLength(1);
    expect((await edge.register("alice")).status).toBe(200);
  });

  it("TS 24.229 5.4.1.2: wrong password, foreign identity and unknown user get 403 and no binding", async () => {
    const core = await startCore();
    const edge = await client(core);
    expect((await edge.register("alice", { password: "guess" })).status).toBe(403);
    expect((await edge.register("alice", { impi: "bob@example.test", password: "secret of bob" })).status).toBe(403);
    // Alice's own password does not open her account under another private identity.
    expect((await edge.register("alice", { impi: "bob@example.test" })).status).toBe(403);
    expect((await edge.register("mallory")).status).toBe(403);
    expect(core.bindings()).toEqual([]);
  });

  it("TS 24.229 5.4.1.2: integrity-protected opens no door", async () => {
    const core = await startCore();
    const edge = await client(core);
    for (const value of ["yes", "tls-yes", "ip-assoc-yes"]) {
      const answer = await edge.register("alice", {
        credentials: false,
        headers: [
          [
            "Authorization",
            `Digest username="alice@example.test", realm="example.test", nonce="", uri="sip:example.test", response="", integrity-protected="${value}"`,
          ],
        ],
      });
      expect(answer.status).toBe(401);
    }
  });

  it("RFC 3327 5.3, RFC 3608 6.3, RFC 7315 4.1: the 200 has Path, Service-Route, P-Associated-URI and the contact as it came", async () => {
    const core = await startCore();
    const edge = await client(core);
    const answer = await edge.register("alice", { expires: "1000" });
    expect(answer.status).toBe(200);
    expect(headerList(answer, "path")).toEqual([edge.path]);
    expect(headerList(answer, "service-route")).toEqual([
      `<sip:orig@127.0.0.1:${core.listening[0]?.port};transport=tcp;lr>`,
    ]);
    expect(headerList(answer, "p-associated-uri")).toEqual(["<sip:alice@example.test>", "<tel:+49-30-1234>"]);
    expect(headerValue(answer, "contact")).toBe(`${edge.contact("alice")};expires=1000`);
    expect(core.bindings()).toMatchObject([
      {
        impi: "alice@example.test",
        contact: edge.contact("alice").slice(1, -1),
        path: [edge.path],
        expiresInSeconds: 1000,
      },
    ]);
  });

  it("RFC 3261 8.2.2.3, 16.3 step 5: mediasec and sec-agree are unknown here, path is known", async () => {
    const core = await startCore();
    const edge = await client(core);
    for (const [header, tag] of [
      ["Require", "mediasec"],
      ["Require", "sec-agree"],
      ["Proxy-Require", "mediasec"],
      ["Proxy-Require", "sec-agree"],
    ] as const) {
      const answer = await edge.register("alice", { path: false, headers: [[header, tag]] });
      expect([answer.status, headerValue(answer, "unsupported")]).toEqual([420, tag]);
    }
    const both = await edge.register("alice", {
      path: false,
      headers: [
        ["Require", "path, mediasec"],
        ["Proxy-Require", "mediasec, sec-agree"],
      ],
    });
    expect(headerValue(both, "unsupported")).toBe("mediasec, sec-agree");
    expect(core.bindings()).toEqual([]);
  });

  it("no Security-Server, no ik or ck, no trace of media security in any answer", async () => {
    const core = await startCore();
    const edge = await client(core);
    await edge.register("alice", { headers: [["Security-Client", "sdes-srtp;mediasec"]] });
    const seen = edge.wire.filter((event) => event.direction === "in").map((event) => event.octets.toString("latin1"));
    expect(seen.length).toBeGreaterThan(1);
    for (const text of seen) expect(text).not.toMatch(/security-server|mediasec|[ic]k=|3ge2ae/i);
  });

  it("RFC 3327 5.3: with requirePathSupport a client that does not know Path is refused, without it is served", async () => {
    const strict = await startCore({ registration: { requirePathSupport: true } });
    const edge = await client(strict);
    const refused = await edge.register("alice", { path: false, headers: [["Path", edge.path]] });
    expect([refused.status, headerValue(refused, "unsupported")]).toEqual([420, "path"]);
    expect((await edge.register("alice")).status).toBe(200);
    const lenient = await startCore();
    const other = await client(lenient);
    const served = await other.register("alice", { path: false, headers: [["Path", other.path]] });
    expect([served.status, headerList(served, "path")]).toEqual([200, []]);
    expect(lenient.bindings()[0]?.path).toEqual([other.path]);
  });

  it("RFC 3261 10.3 step 7: 423 with Min-Expires below the minimum, the maximum above it, 0 removes", async () => {
    const core = await startCore({ registration: { minExpires: 90, maxExpires: 500 } });
    const edge = await client(core);
    const brief = await edge.register("alice", { expires: "60" });
    expect([brief.status, headerValue(brief, "min-expires")]).toEqual([423, "90"]);
    expect(headerValue(await edge.register("alice", { expires: "9999" }), "contact")).toMatch(/;expires=500$/);
    const gone = await edge.register("alice", { expires: "0" });
    expect([gone.status, headerList(gone, "contact"), core.bindings()]).toEqual([200, [], []]);
  });

  it("RFC 3261 10.3: re-registration renews, several contacts live side by side, * removes all, one too many is refused", async () => {
    const core = await startCore({ registration: { maxContacts: 2 } });
    const home = await client(core);
    const away = await client(core);
    await home.register("alice", { expires: "100" });
    await home.register("alice", { expires: "200" });
    expect(core.bindings().map((binding) => binding.expiresInSeconds)).toEqual([200]);
    const answer = await away.register("alice", { expires: "300" });
    expect(headerList(answer, "contact")).toHaveLength(2);
    expect((await away.register("alice", { contact: "<sip:third@127.0.0.1>" })).status).toBe(403);
    expect((await home.register("alice", { contact: "*", expires: "10" })).status).toBe(400);
    expect((await home.register("alice", { contact: "*", expires: "0" })).status).toBe(200);
    expect(core.bindings()).toEqual([]);
  });

  it("RFC 3261 10.3 step 7: an older request of the same Call-ID changes nothing", async () => {
    const core = await startCore();
    const edge = await client(core);
    expect((await edge.register("alice", { cseq: 100 })).status).toBe(200);
    expect((await edge.register("alice", { cseq: 50, expires: "0" })).status).toBe(500);
    expect(core.bindings()).toHaveLength(1);
  });

  it("RFC 5626 6: a new contact of the same instance takes the place of the old one", async () => {
    const core = await startCore();
    const edge = await client(core);
    const instance = ';reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>"';
    await edge.register("alice", { contact: `<sip:alice@127.0.0.1:40001>${instance}` });
    const answer = await edge.register("alice", { contact: `<sip:alice@127.0.0.1:40002>${instance}` });
    expect(headerList(answer, "contact")).toHaveLength(1);
    expect(headerValue(answer, "contact")).toContain(instance);
  });

  it("RFC 3261 10.3 step 1: another domain's REGISTER gets 404", async () => {
    const core = await startCore();
    expect((await (await client(core)).register("alice", { domain: "other.test" })).status).toBe(404);
  });
});

describe("S-CSCF", () => {
  const registerBoth = async (core: Core, protocol?: "udp" | "tcp") => {
    const a = await client(core, protocol);
    const b = await client(core, protocol);
    const registered = await a.register("alice");
    await b.register("bob");
    return { a, b, registered };
  };

  it.each(["tcp", "udp"] as const)(
    "TS 24.229 5.4.3.2, 5.4.3.3 over %s: INVITE along the Path to the contact, 180, 200, ACK, BYE by Route",
    async (protocol) => {
      const core = await startCore();
      const { a, b, registered } = await registerBoth(core, protocol);
      const body = "v=0\r\nkept byte for byte";
      const invite = originating(
        a.request(
          "INVITE",
          "alice",
          "sip:bob@example.test",
          [
            ["Contact", a.contact("alice")],
            ["X-Odd", " kept   so"],
          ],
          body,
        ),
        registered,
        a,
      );
      const call = a.send(invite);
      const arrived = await b.requests.next();
      const got = arrived.request;
      // The Request-URI is the contact with every parameter it was registered with.
      expect(got.uri).toBe(b.contact("bob").slice(1, -1));
      expect(headerList(got, "route")).toEqual([b.path]);
      expect(headerValue(got, "p-called-party-id")).toBe("<sip:bob@example.test>");
      expect(headerValue(got, "p-asserted-identity")).toBe("<sip:alice@example.test>");
      expect(headerValue(got, "max-forwards")).toBe("69");
      expect(headerList(got, "record-route")).toHaveLength(2);
      expect(headerList(got, "record-route")[0]).toContain(
        `:${core.listening.find((point) => point.protocol === protocol)?.port};`,
      );
      expect(headerValue(got, "x-odd")).toBe("kept   so");
      expect(got.body.toString("latin1")).toBe(body);
      b.reply(arrived, 180);
      b.reply(arrived, 200, [["Contact", b.contact("bob")]]);
      const seen: number[] = [];
      let final = await call.responses.next();
      for (; final.status < 200; final = await call.responses.next()) seen.push(final.status);
      seen.push(final.status);
      expect(seen).toEqual([100, 180, 200]);
      expect(headerList(final, "via")).toEqual([]);
      const dialog = dialogOf(call.transaction.request, final);
      // The caller's own edge is the first of the route set; behind it the request leaves towards the core.
      const inner = { ...dialog, routeSet: dialog.routeSet.slice(1) };
      await a.sendAck(dialogRequest(inner, "ACK", { seq: dialog.localSeq }).request);
      const ack = await b.acks.next();
      expect([ack.uri, headerList(ack, "route")]).toEqual([b.contact("bob").slice(1, -1), []]);
      const bye = a.send(dialogRequest(inner, "BYE").request);
      const arrivedBye = await b.requests.next();
      expect([arrivedBye.request.method, headerList(arrivedBye.request, "record-route")]).toEqual(["BYE", []]);
      b.reply(arrivedBye, 200);
      expect((await bye.final()).status).toBe(200);
      expect(core.counts().forks).toBe(0);
    },
  );

  it("RFC 5658 3.1: between TCP and UDP the core is on Record-Route once for each side", async () => {
    const core = await startCore();
    const a = await client(core, "tcp");
    const b = await client(core, "udp");
    const registered = await a.register("alice");
    await b.register("bob");
    a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    const arrived = await b.requests.next();
    expect(headerList(arrived.request, "record-route").map((element) => /transport=(\w+)/.exec(element)?.[1])).toEqual([
      "udp",
      "tcp",
      "tcp",
    ]);
    b.reply(arrived, 486);
  });

  it("RFC 3261 16.10, 9.2: CANCEL is answered 200, passed on after the 180, and ends in 487", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    const arrived = await b.requests.next();
    const cancelled = new Promise<SipRequest>((resolve) => {
      arrived.onCancel = resolve;
    });
    b.reply(arrived, 180);
    while ((await call.responses.next()).status !== 180);
    call.transaction.cancel([["Reason", "SIP;cause=200"]]);
    expect((await cancelled).method).toBe("CANCEL");
    b.reply(arrived, 487);
    expect((await call.final()).status).toBe(487);
  });

  it("RFC 3261 16.7: parallel forking rings every contact; the first 2xx wins and the others are cancelled", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    const c = await client(core);
    await c.register("bob");
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    const [first, second] = [await b.requests.next(), await c.requests.next()];
    const cancelled = new Promise<SipRequest>((resolve) => {
      second.onCancel = resolve;
    });
    c.reply(second, 180);
    b.reply(first, 180);
    b.reply(first, 200, [["Contact", b.contact("bob")]]);
    await cancelled;
    c.reply(second, 487);
    expect((await call.final()).status).toBe(200);
  });

  it("RFC 3261 16.7 step 6: of several refusals the best one is sent, once", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    const c = await client(core);
    await c.register("bob");
    for (const [one, two, best] of [
      [486, 480, 486],
      [480, 603, 603],
      [503, 404, 404],
      [503, 503, 500],
      [430, 430, 480],
    ] as const) {
      const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
      const [first, second] = [await b.requests.next(), await c.requests.next()];
      b.reply(first, one);
      c.reply(second, two);
      expect((await call.final()).status).toBe(best);
      expect(call.responses.size).toBe(0);
    }
  });

  it("RFC 3261 16.6: sequential forking tries the next contact when one refuses, and after a 2xx no more", async () => {
    const core = await startCore({ forking: "sequential" });
    const a = await client(core);
    const b = await client(core);
    const c = await client(core);
    const registered = await a.register("alice");
    await b.register("bob", { contact: `${b.contact("bob")};q=0.9` });
    await c.register("bob", { contact: `${c.contact("bob")};q=0.3` });
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    const first = await b.requests.next();
    expect(c.requests.size).toBe(0);
    b.reply(first, 486);
    const second = await c.requests.next();
    c.reply(second, 200, [["Contact", c.contact("bob")]]);
    expect((await call.final()).status).toBe(200);
    expect(b.requests.size).toBe(0);
  });

  it("TS 24.229 5.4.3: 404 unknown, 480 not registered, 403 caller not registered, 404 other domains, 403 relaying", async () => {
    const core = await startCore();
    const a = await client(core);
    const registered = await a.register("alice");
    const status = async (
      user: string,
      to: string,
      extra: readonly (readonly [string, string])[] = [],
    ): Promise<number> =>
      (await a.send(originating(a.request("INVITE", user, to, extra), registered, a)).final()).status;
    expect(await status("alice", "sip:nobody@example.test")).toBe(404);
    expect(await status("alice", "sip:bob@example.test")).toBe(480);
    expect(await status("bob", "sip:alice@example.test")).toBe(403);
    expect(await status("alice", "sip:bob@elsewhere.test")).toBe(404);
    const relay = setHeader(a.request("INVITE", "alice", "sip:bob@example.test"), "Route", "<sip:192.0.2.1;lr>");
    expect((await a.send(relay).final()).status).toBe(403);
  });

  it("TS 24.229 5.4.3.3: a tel URI of the implicit registration set reaches its user", async () => {
    const core = await startCore();
    const { a, b } = await registerBoth(core);
    const registered = await b.register("bob");
    const call = b.send(originating(b.request("INVITE", "bob", "tel:+49301234"), registered, b));
    const arrived = await a.requests.next();
    expect(arrived.request.uri).toBe(a.contact("alice").slice(1, -1));
    a.reply(arrived, 486);
    expect((await call.final()).status).toBe(486);
  });

  it("RFC 3261 16.3: Max-Forwards 0 gets 483, Proxy-Require mediasec 420 with Unsupported, Require is the callee's", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    const build = (headers: readonly (readonly [string, string])[]) =>
      originating(a.request("INVITE", "alice", "sip:bob@example.test", headers), registered, a);
    expect((await a.send(setHeader(build([]), "Max-Forwards", "0")).final()).status).toBe(483);
    const refused = await a.send(build([["Proxy-Require", "mediasec"]])).final();
    expect([refused.status, headerValue(refused, "unsupported")]).toEqual([420, "mediasec"]);
    const call = a.send(build([["Require", "100rel"]]));
    const arrived = await b.requests.next();
    expect(headerValue(arrived.request, "require")).toBe("100rel");
    b.reply(arrived, 488);
    expect((await call.final()).status).toBe(488);
  });

  it("RFC 3261 16.9: an edge that is gone ends the call with 500 at once", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    await b.close();
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    expect((await call.final()).status).toBe(500);
    expect(core.counts().forks).toBe(0);
  });

  it("MESSAGE passes in both ways and is not put on Record-Route", async () => {
    const core = await startCore();
    const { a, b, registered } = await registerBoth(core);
    const sent = a.send(originating(a.request("MESSAGE", "alice", "sip:bob@example.test", [], "hello"), registered, a));
    const arrived = await b.requests.next();
    expect(headerList(arrived.request, "record-route")).toHaveLength(1);
    expect(arrived.request.body.toString()).toBe("hello");
    b.reply(arrived, 202);
    expect((await sent.final()).status).toBe(202);
  });

  it("RFC 3261 8.2: a malformed request is answered, not forwarded", async () => {
    const core = await startCore();
    const { a, b } = await registerBoth(core);
    const bad = createRequest({
      method: "INVITE",
      uri: "sip:bob@example.test",
      headers: [
        ["Max-Forwards", "70"],
        ["From", "<sip:alice@example.test>;tag=1"],
        ["To", "<sip:bob@example.test"],
        ["Call-ID", "bad"],
        ["CSeq", "1 INVITE"],
      ],
    });
    expect((await a.send(bad).final()).status).toBe(400);
    expect(b.requests.size).toBe(0);
  });
});

describe("time", () => {
  const virtual = async (change: Partial<CoreConfig> = {}) => {
    const clock = new VirtualClock(1_700_000_000_000);
    return { clock, core: await startCore(change, clock) };
  };

  it("RFC 3261 10.3: a registration that is not renewed ends, each contact in its own time", async () => {
    const { clock, core } = await virtual();
    const a = await client(core);
    const b = await client(core);
    const registered = await a.register("alice");
    await a.register("bob", { expires: "100" });
    await b.register("bob", { expires: "200" });
    expect(core.bindings()).toHaveLength(3);
    clock.advance(100_000);
    expect(core.bindings().map((binding) => binding.expiresInSeconds)).toEqual([3500, 100]);
    clock.advance(100_000);
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    expect((await call.final()).status).toBe(480);
  });

  it("RFC 7616 3.3: an old nonce is answered with stale=true and a fresh one", async () => {
    const { clock, core } = await virtual({ registration: { nonceSeconds: 30 } });
    const edge = await client(core);
    const first = await edge.register("alice", { credentials: false });
    clock.advance(31_000);
    const challenge = chooseChallenge(headerValues(first, "www-authenticate"));
    if (challenge === undefined) throw new Error("no challenge");
    const answer = answerChallenge({
      challenge,
      method: "REGISTER",
      uri: "sip:example.test",
      username: "alice@example.test",
      password: "secret of alice",
      random: seededRandom(5),
      nonceCount: 1,
    });
    const late = await edge.register("alice", { credentials: false, headers: [["Authorization", answer]] });
    expect([late.status, headerValue(late, "www-authenticate")?.includes("stale=true")]).toEqual([401, true]);
    expect(core.bindings()).toEqual([]);
  });

  it("RFC 3261 16.8: an edge that never answers an INVITE ends the call with 408 after 64*T1", async () => {
    const { clock, core } = await virtual();
    const a = await client(core, "udp");
    const b = await client(core, "udp");
    const registered = await a.register("alice");
    await b.register("bob", { path: false, contact: "<sip:bob@127.0.0.1:9;transport=udp>" });
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    expect((await call.responses.next()).status).toBe(100);
    clock.advance(32_000);
    expect((await call.final()).status).toBe(408);
    expect(core.counts().forks).toBe(0);
  });

  it("RFC 3261 16.6: sequential forking lets a contact ring for sequentialSeconds, cancels it and tries the next", async () => {
    const { clock, core } = await virtual({ forking: "sequential", sequentialSeconds: 15 });
    const a = await client(core);
    const b = await client(core);
    const c = await client(core);
    const registered = await a.register("alice");
    await b.register("bob", { contact: `${b.contact("bob")};q=0.9` });
    await c.register("bob", { contact: `${c.contact("bob")};q=0.3` });
    const call = a.send(originating(a.request("INVITE", "alice", "sip:bob@example.test"), registered, a));
    const first = await b.requests.next();
    const cancelled = new Promise<void>((resolve) => {
      first.onCancel = () => {
        b.reply(first, 487);
        resolve();
      };
    });
    b.reply(first, 180);
    while ((await call.responses.next()).status !== 180);
    clock.advance(15_000);
    await cancelled;
    const second = await c.requests.next();
    c.reply(second, 603);
    expect((await call.final()).status).toBe(603);
  });
});

describe("configuration and life", () => {
  it("every key has its line in the reference, unknown keys are refused by name", async () => {
    const describe = (schema: { readonly shape: Record<string, { readonly description?: string | undefined }> }) =>
      Object.entries(schema.shape).filter(
        ([name, field]) => name !== "listen" && name !== "users" && field.description === undefined,
      );
    expect(describe(coreConfigSchema)).toEqual([]);
    await expect(startCore({ domian: "typo" } as never)).rejects.toMatchObject({ code: "SALLY_CORE_CONFIG" });
    await expect(startCore({ registration: { minExpires: 100, maxExpires: 50 } })).rejects.toThrow(
      /registration: .*minExpires is above/,
    );
  });

  it("a missing certificate file is told by path and key", async () => {
    const listen = [
      { protocol: "tls", address: "127.0.0.1", port: 0, tls: { certificate: "/none/cert.pem", key: "/none/key.pem" } },
    ] as const;
    await expect(startCore({ listen: [...listen] })).rejects.toThrow(
      /listen\.0\.tls\.certificate: .*\/none\/cert\.pem.*SALLY_CORE_FILE/,
    );
    await expect(readFile("/none/cert.pem")).rejects.toThrow();
  });

  it("close() leaves no registration and no transaction, and a taken port leaves nothing open", async () => {
    const core = await startCore();
    const edge = await client(core);
    await edge.register("alice");
    expect(core.counts()).toMatchObject({ registrations: 1 });
    const taken = core.listening[0]?.port ?? 0;
    await expect(
      startCore({
        listen: [
          { protocol: "udp", address: "127.0.0.1", port: 0 },
          { protocol: "tcp", address: "127.0.0.1", port: taken },
        ],
      }),
    ).rejects.toMatchObject({ code: "SALLY_SIP_LISTEN" });
    await core.close();
    expect(core.counts()).toEqual({ registrations: 0, transactions: 0, forks: 0 });
  });
});
