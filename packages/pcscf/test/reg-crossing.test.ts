// Registrations that cross, move, fail half way or are taken up by another run of the edge. RFC 3261 10.2 to 10.3, RFC 3327,
// RFC 3608, RFC 3310, RFC 3329, RFC 5626; TS 24.229 5.2.2; TS 33.328 7.1.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, headerValues, prependHeader, type ServerTransaction } from "@sallyport/sip";
import { memoryStore } from "@sallyport/store";
import { establishOriginating } from "./support/calls.ts";
import { contactOf, rawRegister, registerRaw, type RawRegister } from "./support/registering.ts";
import { coreRequest, openScenario, settled, until, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
beforeEach(async () => {
  scenario = await openScenario({ store: memoryStore() });
  alice = await scenario.ue("alice");
});
afterEach(() => scenario.close());

const aor = "sip:alice@home.example";
const instance = ';+sip.instance="<urn:uuid:1>"';
const left = (): readonly (readonly [remotePort: number, seconds: number])[] =>
  scenario.edge
    .registrations()
    .map(({ remote, expiresInMs }) => [Number(remote.split(":").at(-1)), expiresInMs / 1000] as const);

const begin = async (peer: TestUe, register: Omit<RawRegister, "aor">) => {
  const sent = peer.send(rawRegister(peer, { aor, ...register }));
  const arrived = await scenario.core.expect("REGISTER");
  const answer = async (granted: readonly string[], status = 200): Promise<number> => {
    scenario.core.respond(arrived, status, { headers: granted.map((contact) => ["Contact", contact] as const) });
    return (await sent.final()).status;
  };
  return { arrived, answer };
};

/** Who gets a MESSAGE along the Path of that REGISTER, or what the core is told. */
const reach = async ({ request }: ServerTransaction, uri: string, ue?: TestUe): Promise<string> => {
  const { core } = scenario;
  const route = headerList(request, "path");
  const sent = core.send(coreRequest(core, "MESSAGE", uri, { route, callId: `m${Math.random()}` }));
  if (ue !== undefined) ue.respond(await ue.expect("MESSAGE"), 200, { headers: [["Server", ue.name]] });
  const answer = await sent.final();
  return headerValue(answer, "server") ?? String(answer.status);
};

describe("RFC 3261 10.3 step 7: REGISTERs that cross", () => {
  it("RFC 5626 4.4.1: the 200 to an older REGISTER on the flow that is gone comes last: the newer flow stays", async () => {
    const other = await scenario.ue("other");
    const contact = `<sip:alice@192.0.2.2;transport=tcp>${instance};reg-id=1`;
    await registerRaw(scenario, alice, { aor, contacts: [contact], seq: 1 });
    const older = await begin(alice, { contacts: [contact], seq: 2 });
    const newer = await begin(other, { contacts: [contact], seq: 3 });
    expect(await newer.answer([`${contact};expires=900`])).toBe(200);
    const [flow] = left();
    expect(await older.answer([`${contact};expires=300`])).toBe(200);
    expect(left()).toEqual([flow]);
    expect(flow?.[1]).toBe(900);
    expect(await reach(newer.arrived, "sip:alice@192.0.2.2", other)).toBe("other");
  });

  it("RFC 3261 10.2.2: the 200 to a refresh comes after that to the end of the registration: it is over", async () => {
    for (const [end, expires] of [
      [`${contactOf(alice)};expires=0`, 600],
      ["*", 0],
    ] as const) {
      await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
      const refresh = await begin(alice, { contacts: [contactOf(alice)], seq: 2 });
      const ending = await begin(alice, { contacts: [end], seq: 3, expires });
      expect(await ending.answer([])).toBe(200);
      expect(left()).toEqual([]);
      expect(await refresh.answer([`${contactOf(alice)};expires=600`])).toBe(200);
      expect(left(), end).toEqual([]);
    }
  });

  it("RFC 3261 10.2.2: the 200 to the end comes after that to a new registration: it stands, other contacts are gone", async () => {
    const old = "<sip:alice@192.0.2.5>";
    await registerRaw(scenario, alice, { aor, contacts: [old], seq: 1 });
    const ending = await begin(alice, { contacts: ["*"], seq: 2, expires: 0 });
    const fresh = await begin(alice, { contacts: [contactOf(alice)], seq: 3 });
    await fresh.answer([`${contactOf(alice)};expires=600`]);
    await ending.answer([]);
    expect(scenario.edge.registrations().map(({ contact }) => contact)).toEqual([contactOf(alice).slice(1, -1)]);
    const taken = await begin(alice, { contacts: [contactOf(alice)], seq: 4, expires: 0 });
    const again = await begin(alice, { contacts: [contactOf(alice)], seq: 5 });
    await again.answer([`${contactOf(alice)};expires=500`]);
    await taken.answer([]);
    expect(left().map(([, seconds]) => seconds)).toEqual([500]);
  });

  it("RFC 3261 10.3: answers in the order of the REGISTERs count each, and those of other contacts always do", async () => {
    const old = "<sip:alice@192.0.2.5>";
    const one = await begin(alice, { contacts: [old], seq: 1 });
    const two = await begin(alice, { contacts: [contactOf(alice)], seq: 2 });
    await two.answer([`${contactOf(alice)};expires=500`]);
    await one.answer([`${old};expires=400`]);
    expect(left().map(([, seconds]) => seconds)).toEqual([500, 400]);
    const three = await begin(alice, { contacts: [old], seq: 3 });
    const four = await begin(alice, { contacts: [old], seq: 4 });
    await three.answer([`${old};expires=300`]);
    await four.answer([`${old};expires=200`]);
    expect(left().map(([, seconds]) => seconds)).toEqual([500, 200]);
  });

  it("RFC 3261 17.2.2: a REGISTER sent again over UDP while it is under way reaches the registrar once", async () => {
    const ue = await scenario.ue("udp", { protocol: "udp" });
    const under = await begin(ue, { contacts: [`<sip:udp@127.0.0.1:${ue.port}>`], seq: 1 });
    await ue.again((text) => text.startsWith("REGISTER "));
    await settled();
    expect(await under.answer([`<sip:udp@127.0.0.1:${ue.port}>;expires=600`])).toBe(200);
    await ue.again((text) => text.startsWith("REGISTER "));
    await until(() => ue.wire.filter(({ text }) => text.startsWith("SIP/2.0 200")).length === 2, "answered again");
    expect(scenario.core.requests.all).toHaveLength(1);
  });
});

describe("RFC 5626 6: a registration that moves", () => {
  it("RFC 3581: a NAT gives a UE over UDP another port: no service before it registers again, then by the new one", async () => {
    const ue = await scenario.ue("udp", { protocol: "udp" });
    const moved = await scenario.ue("moved", { protocol: "udp" });
    const contact = "<sip:udp@10.0.0.1:5060>";
    await registerRaw(scenario, ue, { aor, contacts: [contact], seq: 1 });
    expect((await moved.send(moved.request("MESSAGE", "sip:carol@far.example")).final()).status).toBe(403);
    const again = await begin(moved, { contacts: [contact], seq: 2 });
    await again.answer([`${contact};expires=600`]);
    expect(left()).toEqual([[moved.port, 600]]);
    expect(await reach(again.arrived, "sip:udp@10.0.0.1:5060", moved)).toBe("moved");
    expect((await ue.send(ue.request("MESSAGE", "sip:carol@far.example")).final()).status).toBe(403);
  });

  it("RFC 3261 18: a UE goes from UDP to TCP: each contact by its own transport, and one instance is where it came last", async () => {
    const udp = await scenario.ue("udp", { protocol: "udp" });
    for (const params of ["", instance]) {
      const one = `<sip:alice@127.0.0.1:${udp.port}>${params}`;
      const two = `${contactOf(alice)}${params}`;
      const before = await begin(udp, { contacts: [one], seq: 1 });
      await before.answer([`${one};expires=600`]);
      const after = await begin(alice, { contacts: [two], seq: 2 });
      await after.answer([`${two};expires=600`]);
      expect(await reach(after.arrived, contactOf(alice).slice(1, -1), alice)).toBe("alice");
      const old = `sip:alice@127.0.0.1:${udp.port}`;
      expect(await reach(before.arrived, old, params === "" ? udp : alice)).toBe(params === "" ? "udp" : "alice");
      const gone = await begin(alice, { contacts: ["*"], seq: 3, expires: 0 });
      await gone.answer([]);
    }
  });
});

describe("RFC 3261 10.3: a refresh that fails", () => {
  it.each([
    [401, ["WWW-Authenticate", 'Digest realm="r", nonce="2", stale=true, algorithm=AKAv1-MD5, ik="00", ck="11"']],
    [403, ["Warning", '399 r "no"']],
    [423, ["Min-Expires", "3600"]],
    [301, ["Contact", "<sip:elsewhere.example>"]],
    [305, ["Contact", "<sip:proxy.example>"]],
    [480, ["Retry-After", "10"]],
    [500, ["Retry-After", "11"]],
    [504, ["Server", "scscf"]],
    [603, ["Server", "scscf"]],
  ] as const)(
    "TS 24.229 5.2.2: with %i: it is told as it is, twice, and what was registered stays",
    async (status, header) => {
      const contacts = [contactOf(alice)];
      await registerRaw(scenario, alice, { aor, contacts, seq: 1 });
      for (const seq of [2, 3]) {
        const { response } = await registerRaw(
          scenario,
          alice,
          { aor, contacts, seq },
          { status, granted: [], headers: [header] },
        );
        expect(response.status).toBe(status);
        expect(headerValue(response, header[0].toLowerCase())).toBe(header[1].replace(', ik="00", ck="11"', ""));
        expect(left().map(([, seconds]) => seconds)).toEqual([600]);
      }
    },
  );

  it("RFC 3310 3.2: ik and ck are taken out of each of several challenges, and Authentication-Info passes", async () => {
    const contacts = [contactOf(alice)];
    const { response } = await registerRaw(
      scenario,
      alice,
      { aor, contacts, seq: 1 },
      {
        status: 401,
        granted: [],
        headers: [
          ["WWW-Authenticate", 'Digest ck="11", realm="r", nonce="a,ik=b", ik="00", algorithm=AKAv1-MD5'],
          ["WWW-Authenticate", 'Digest realm="r", nonce="b", algorithm=AKAv2-SHA-256, ik = "22",ck="33"'],
        ],
      },
    );
    expect(headerValues(response, "www-authenticate")).toEqual([
      'Digest realm="r", nonce="a,ik=b", algorithm=AKAv1-MD5',
      'Digest realm="r", nonce="b", algorithm=AKAv2-SHA-256',
    ]);
    const info = 'nextnonce="c", qop=auth, rspauth="04", cnonce="5", nc=00000001';
    const ok = await registerRaw(
      scenario,
      alice,
      { aor, contacts, seq: 2 },
      { headers: [["Authentication-Info", info]] },
    );
    expect(headerValue(ok.response, "authentication-info")).toBe(info);
  });
});

describe("RFC 3608 and RFC 3327: the ways", () => {
  it("RFC 3608 6.1: several Service-Routes, in a list or one by one, changed by a refresh, and none", async () => {
    const contacts = [contactOf(alice)];
    const far = "<sip:far.home.example;lr>";
    const next = `<sip:orig@127.0.0.1:${scenario.core.port};transport=tcp;lr>`;
    for (const [at, routes] of [[next, `${far};x="a,b"`], [`${next}, ${far}`], [far], []].entries()) {
      await registerRaw(
        scenario,
        alice,
        { aor, contacts, seq: at + 1 },
        { headers: routes.map((route) => ["Service-Route", route] as const) },
      );
      void alice.send(alice.request("MESSAGE", "sip:carol@far.example", { callId: `route-${at}` }));
      const { request } = await scenario.core.expect("MESSAGE");
      expect(headerList(request, "route")).toEqual(routes.flatMap((route) => route.split(/, (?=<)/)));
    }
  });

  it("RFC 3327 5.2: a proxy before the edge keeps its Path below ours, and is given the Route it asked for", async () => {
    const inner = "<sip:inner.example;lr>";
    const register = rawRegister(alice, { aor, contacts: ["<sip:alice@10.0.0.9>"], seq: 1 });
    const sent = alice.send(prependHeader(register, "Path", inner));
    const arrived = await scenario.core.expect("REGISTER");
    expect(headerList(arrived.request, "path")[1]).toBe(inner);
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:alice@10.0.0.9>;expires=600"]] });
    await sent.final();
    void scenario.core.send(
      coreRequest(scenario.core, "MESSAGE", "sip:alice@10.0.0.9", { route: headerList(arrived.request, "path") }),
    );
    expect(headerList((await alice.expect("MESSAGE")).request, "route")).toEqual([inner]);
  });
});

describe("TS 33.328 7.1: agreements in the middle of all that", () => {
  const challenge = ["WWW-Authenticate", 'Digest realm="home.example", nonce="n1"'] as const;
  const credentials = [
    "Authorization",
    'Digest username="alice", realm="home.example", nonce="n1", uri="sip:home.example", response="01"',
  ] as const;
  const verify = ["Security-Verify", "sdes-srtp;mediasec"] as const;
  const draft = [
    ["Require", "mediasec"],
    ["Proxy-Require", "mediasec"],
  ] as const;
  const client = ["Security-Client", "sdes-srtp;mediasec"] as const;
  const challenged = async (ue: TestUe): Promise<void> => {
    const contacts = [contactOf(alice)];
    const headers = [...draft, client];
    const { response } = await registerRaw(
      scenario,
      ue,
      { aor, contacts, seq: 1, headers },
      { status: 401, granted: [], headers: [challenge] },
    );
    expect(headerValues(response, "security-server")).toEqual(["sdes-srtp;mediasec"]);
  };
  const answered = async (ue: TestUe, headers: readonly (readonly [string, string])[], seq = 2) => {
    const contacts = [contactOf(alice)];
    const { response } = await registerRaw(scenario, ue, {
      aor,
      contacts,
      seq,
      headers: [...draft, credentials, ...headers],
    });
    expect(headerValues(response, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    return scenario.edge.registrations()[0]?.indications;
  };
  const both = { ueE2ae: true, networkE2ae: true };

  it("RFC 3329 2.3.1: the edge starts anew between the 401 and its answer, which is served as announced", async () => {
    await challenged(alice);
    await scenario.restart();
    expect(await answered(alice, [client, verify])).toMatchObject(both);
  });

  it("RFC 3329 2.3.1: the UE answers the 401 on another connection, and is served as announced", async () => {
    const other = await scenario.ue("other");
    await challenged(alice);
    expect(await answered(other, [client, verify])).toMatchObject(both);
  });

  for (const [what, list] of [
    ["another list than this edge gives", "dtls-srtp;mediasec"],
    ["more than this edge gives", "sdes-srtp;mediasec, zrtp;mediasec"],
  ] as const) {
    it(`RFC 3329 2.3.1: an answer to a challenge nobody remembers that repeats ${what} gets 494, and registers afresh`, async () => {
      await challenged(alice);
      await scenario.restart();
      const wrong = rawRegister(alice, {
        aor,
        contacts: [contactOf(alice)],
        seq: 2,
        headers: [...draft, client, credentials, ["Security-Verify", list]],
      });
      const refused = await alice.send(wrong).final();
      expect([refused.status, headerValues(refused, "security-server")]).toEqual([494, ["sdes-srtp;mediasec"]]);
      expect(scenario.edge.registrations()).toEqual([]);
      expect(await answered(alice, [client, verify], 3)).toMatchObject(both);
    });
  }

  it("RFC 3329 2.3.1: one that repeats our list without naming its own again is served, and so is one with no list to repeat", async () => {
    const served = async (headers: readonly (readonly [string, string])[], seq: number): Promise<number> => {
      const register = { aor, contacts: [contactOf(alice)], seq, headers: [...draft, credentials, ...headers] };
      return (await registerRaw(scenario, alice, register)).response.status;
    };
    await challenged(alice);
    await scenario.restart();
    expect(await served([verify], 2)).toBe(200);
    const other = await scenario.ue("other");
    await scenario.restart();
    const register = { aor: other.aor, contacts: [contactOf(other)], seq: 1, headers: [...draft, credentials, client] };
    expect((await registerRaw(scenario, other, register)).response.status).toBe(200);
  });

  it("RFC 3329 2.3.1: a refresh without a challenge repeats the list, one with another list gets 494 and registers afresh", async () => {
    await challenged(alice);
    await answered(alice, [client, verify]);
    expect(await answered(alice, [client, verify], 3)).toMatchObject(both);
    const wrong = rawRegister(alice, {
      aor,
      contacts: [contactOf(alice)],
      seq: 4,
      headers: [...draft, client, credentials, ["Security-Verify", "sdes-srtp;mediasec, zrtp;mediasec"]],
    });
    expect((await alice.send(wrong).final()).status).toBe(494);
    expect(scenario.edge.registrations()[0]?.indications).toMatchObject(both);
    await challenged(alice);
    expect(await answered(alice, [client, verify], 6)).toMatchObject(both);
  });

  it("TS 33.328 7.1: a second 401 in a row brings the list again, and the Security-Client of the first stays good", async () => {
    await challenged(alice);
    const contacts = [contactOf(alice)];
    const { response } = await registerRaw(
      scenario,
      alice,
      { aor, contacts, seq: 2, headers: [...draft, credentials, client, verify] },
      { status: 401, granted: [], headers: [challenge] },
    );
    expect(headerValues(response, "security-server")).toEqual(["sdes-srtp;mediasec"]);
    expect(await answered(alice, [verify], 3)).toMatchObject(both);
  });

  it("TS 33.328 7.1: a UE that leaves Security-Client out of two answers in a row is still known by its first", async () => {
    await challenged(alice);
    const contacts = [contactOf(alice)];
    await registerRaw(
      scenario,
      alice,
      { aor, contacts, seq: 2, headers: [...draft, credentials, verify] },
      { status: 401, granted: [], headers: [challenge] },
    );
    expect(await answered(alice, [verify], 3)).toMatchObject(both);
  });

  it("RFC 3261 10.2.2: a registration that ends during a call leaves the call, which either side may end", async () => {
    for (const by of ["ue", "core"] as const) {
      await alice.register();
      const dialog = await establishOriginating(scenario, alice);
      await alice.register({ expires: 0 });
      expect(scenario.edge.counts()).toMatchObject({ registrations: 0, calls: 1 });
      const [from, to] = by === "ue" ? [alice, scenario.core] : [scenario.core, alice];
      const bye = from.send(by === "ue" ? dialog.byCaller("BYE", 2) : dialog.byCalled("BYE", 2));
      to.respond(await to.expect("BYE"), 200);
      expect((await bye.final()).status).toBe(200);
      await until(() => scenario.edge.counts().calls === 0 && scenario.iq.open.size === 0, "ended");
    }
  });
});
