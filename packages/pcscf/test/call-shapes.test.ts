// Session descriptions as they occur, through a whole edge: one row each, what the far side must see and must not.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bodyOf, establishOriginating, establishTerminating } from "./support/calls.ts";
import { coreRequest, openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, crypto, keyOf, keys } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
const open = async (rule: object = {}): Promise<void> => {
  scenario = await openScenario({
    change: (config) => ({ ...config, policy: { rules: [{ e2ae: "offered", ...rule }] } }),
  });
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
};
beforeEach(() => open());
afterEach(() => scenario.close());

interface Line {
  readonly media?: string;
  readonly port: number;
  readonly protocol: string;
  readonly lines: readonly string[];
}
const head = (address = "10.0.0.7", session: readonly string[] = []): string => {
  const family = address.includes(":") ? "IP6" : "IP4";
  return ["v=0", `o=- 1 1 IN ${family} ${address}`, "s=-", `c=IN ${family} ${address}`, ...session, "t=0 0", ""].join(
    "\r\n",
  );
};
const media = ({ media: kind = "audio", port, protocol, lines }: Line): string =>
  [`m=${kind} ${port} ${protocol} ${kind === "video" ? "97" : "8"}`, ...lines, ""].join("\r\n");
const description = (lines: readonly Line[], address?: string, session?: readonly string[]): string =>
  head(address, session) + lines.map(media).join("");

const asks = (key: number, tag = 1): readonly string[] => [crypto(keyOf(key), tag), "a=3ge2ae:requested"];
const keyed = (body: string): readonly string[] => body.match(/(?<=inline:)[A-Za-z0-9+/=]+/g) ?? [];

interface Row {
  readonly name: string;
  readonly offer: string;
  /** What the core answers. */
  readonly answer: string;
  /** What the core must and must not see of the offer. */
  readonly inside: readonly RegExp[];
  readonly not?: readonly RegExp[];
  /** The same of the answer at the UE. */
  readonly back: readonly RegExp[];
  readonly backNot?: readonly RegExp[];
}

const avp = (port: number, lines: readonly string[] = [], more: Partial<Line> = {}): Line => ({
  port,
  protocol: "RTP/AVP",
  lines,
  ...more,
});
const savp = (port: number, lines: readonly string[], more: Partial<Line> = {}): Line => ({
  port,
  protocol: "RTP/SAVP",
  lines,
  ...more,
});
const far = "192.0.2.77";

const rows: readonly Row[] = [
  {
    name: "RFC 4568 5.1: two audio and two video lines, each with a key of its own",
    offer: description([
      savp(40_000, asks(0x31)),
      savp(40_002, asks(0x32), { media: "video" }),
      savp(40_004, asks(0x33)),
      savp(40_006, asks(0x34), { media: "video" }),
    ]),
    answer: description(
      [avp(6000), avp(6002, [], { media: "video" }), avp(6004), avp(6006, [], { media: "video" })],
      far,
    ),
    inside: [/(?:m=(?:audio|video) [1-9]\d* RTP\/AVP [\s\S]*){4}/],
    back: [/(?:m=(?:audio|video) [1-9]\d* RTP\/SAVP \d+[\s\S]*?a=crypto:1 [\s\S]*?a=3ge2ae:applied[\s\S]*?){4}/],
  },
  {
    name: "TS 33.328 7.2.1: audio asked for, video in the clear, a second video end to end: decided line by line",
    offer: description([
      savp(40_000, asks(0x31)),
      avp(40_002, [], { media: "video" }),
      savp(40_004, [crypto(keys.e2e)], { media: "video" }),
    ]),
    answer: description(
      [avp(6000), avp(6002, [], { media: "video" }), savp(6004, [crypto(keys.e2e)], { media: "video" })],
      far,
    ),
    inside: [
      /m=audio \d+ RTP\/AVP /,
      /m=video 40002 RTP\/AVP /,
      new RegExp(`m=video 40004 RTP/SAVP 97\r\na=crypto:1 \\S+ inline:${keys.e2e}`),
    ],
    back: [/m=audio \d+ RTP\/SAVP /, /m=video 6002 RTP\/AVP /, /m=video 6004 RTP\/SAVP /],
  },
  {
    name: "RFC 3264 6: the core refuses one of two lines",
    offer: description([savp(40_000, asks(0x31)), savp(40_002, asks(0x32), { media: "video" })]),
    answer: description([avp(6000), avp(0, [], { media: "video" })], far),
    inside: [/m=video [1-9]/],
    back: [/m=audio [1-9]\d* RTP\/SAVP /, /m=video 0 RTP\/SAVP 97\r\n(?!a=crypto)/],
  },
  {
    name: "RFC 4568 7.1: of two lines one has no suite in common: port 0 to the core, port 0 to the UE",
    offer: description([
      savp(40_000, asks(0x31)),
      savp(40_002, [crypto(keyOf(0x32), 1, "F8_128_HMAC_SHA1_80"), "a=3ge2ae:requested"], { media: "video" }),
    ]),
    answer: description([avp(6000), avp(0, [], { media: "video" })], far),
    inside: [/m=audio [1-9]/, /m=video 0 RTP\/AVP/],
    back: [/m=audio [1-9]\d* RTP\/SAVP /, /m=video 0 RTP\/SAVP/],
  },
  {
    name: "RFC 5124: SAVPF becomes AVPF and back, a=rtcp-fb left alone",
    offer: description([
      { port: 40_000, protocol: "RTP/SAVPF", lines: ["a=rtcp-fb:97 nack pli", ...asks(0x31)], media: "video" },
    ]),
    answer: description([{ port: 6000, protocol: "RTP/AVPF", lines: ["a=rtcp-fb:97 nack pli"], media: "video" }], far),
    inside: [/m=video \d+ RTP\/AVPF /, /a=rtcp-fb:97 nack pli/],
    back: [/m=video \d+ RTP\/SAVPF /, /a=rtcp-fb:97 nack pli/],
  },
  {
    name: "RFC 5124: a core that answers AVP to AVPF: the UE gets the profile it offered",
    offer: description([{ port: 40_000, protocol: "RTP/SAVPF", lines: asks(0x31) }]),
    answer: description([avp(6000)], far),
    inside: [/RTP\/AVPF /],
    back: [/RTP\/SAVPF /],
  },
  {
    name: "RFC 5761: rtcp-mux is taken on the access alone; the core does not see it",
    offer: description([savp(40_000, ["a=rtcp-mux", ...asks(0x31)])]),
    answer: description([avp(6000)], far),
    inside: [/RTP\/AVP /],
    not: [/rtcp-mux/],
    back: [/a=rtcp-mux/, /a=crypto:1 /],
  },
  {
    name: "RFC 3605: a=rtcp of the UE does not pass; ours, where there is one, names our port",
    offer: description([savp(40_000, ["a=rtcp:40777 IN IP4 10.0.0.7", ...asks(0x31)])]),
    answer: description([avp(6000, ["a=rtcp:6777 IN IP4 192.0.2.77"])], far),
    inside: [/RTP\/AVP /],
    not: [/40777/, /10\.0\.0\.7\r\na=/],
    back: [/RTP\/SAVP /],
    backNot: [/6777/],
  },
  {
    name: "RFC 4566 5.8: b= lines and unknown attributes pass on both levels",
    offer: description([savp(40_000, ["b=AS:64", "b=RS:800", "a=x-own:1", "a=ptime:20", ...asks(0x31)])], undefined, [
      "b=CT:128",
    ]),
    answer: description([avp(6000, ["b=AS:48", "a=maxptime:40"])], far),
    inside: [/b=CT:128/, /b=AS:64\r\n/, /b=RS:800/, /a=x-own:1/, /a=ptime:20/],
    back: [/b=AS:48/, /a=maxptime:40/],
  },
  {
    name: "RFC 4566 5.7: IPv6 outside, IPv4 inside: addresses of the gateway on both",
    offer: description([savp(40_000, asks(0x31))], "2001:db8::7"),
    answer: description([avp(6000)], far),
    inside: [/c=IN IP4 192\.0\.2\.10/],
    not: [/m=audio[\s\S]*2001:db8/],
    back: [/c=IN IP4 198\.51\.100\.5/],
    backNot: [/m=audio[\s\S]*192\.0\.2\.77/],
  },
  {
    name: "RFC 4568 7.3: SAVP and AVP side by side for one medium: the secured line stays, its twin has port 0",
    offer: description([savp(40_000, asks(0x31)), avp(40_000)]),
    answer: description([avp(6000), avp(0)], far),
    inside: [/m=audio [1-9]\d* RTP\/AVP 8\r\n[\s\S]*m=audio 0 RTP\/AVP 8/],
    back: [/m=audio [1-9]\d* RTP\/SAVP 8\r\n[\s\S]*m=audio 0 RTP\/AVP 8/],
  },
  {
    name: "RFC 5939: capabilities that name SRTP or a key do not pass; others do; the actual configuration counts",
    offer: description([
      avp(40_000, [
        "a=tcap:1 RTP/SAVP",
        `a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${keys.forged}`,
        "a=pcfg:1 t=1 a=1",
        "a=acap:2 ptime:30",
      ]),
    ]),
    answer: description([avp(6000)], far),
    inside: [/m=audio 40000 RTP\/AVP /],
    not: [/inline:/, /SAVP/],
    back: [/m=audio 6000 RTP\/AVP /],
  },
  {
    name: "RFC 5939 3.5.1, TS 24.229 7.5.2: e2ae asked for a potential configuration only: the actual one counts",
    offer: description([
      avp(40_000, [
        "a=tcap:1 RTP/SAVP",
        `a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${keys.forged}`,
        "a=pcfg:1 t=1 a=1",
        "a=3ge2ae:requested",
      ]),
    ]),
    answer: description([avp(6000)], far),
    inside: [/m=audio 40000 RTP\/AVP /],
    not: [/inline:/, /SAVP/, /3ge2ae/, /pcfg/],
    back: [/m=audio 6000 RTP\/AVP /],
  },
  {
    name: "RFC 8839: ICE of a secured line stays out of both bodies",
    offer: description(
      [
        savp(40_000, [
          "a=ice-ufrag:a1b2",
          "a=ice-pwd:0123456789012345678901",
          "a=candidate:1 1 UDP 1 10.0.0.7 40000 typ host",
          "a=end-of-candidates",
          ...asks(0x31),
        ]),
      ],
      undefined,
      ["a=ice-options:trickle", "a=ice-lite"],
    ),
    answer: description(
      [
        avp(6000, [
          "a=ice-ufrag:c3d4",
          "a=ice-pwd:x123456789012345678901",
          "a=candidate:1 1 UDP 1 192.0.2.77 6000 typ host",
        ]),
      ],
      far,
    ),
    inside: [/RTP\/AVP /],
    not: [/a=ice-|a=candidate|end-of-candidates/],
    back: [/RTP\/SAVP /],
    backNot: [/a=ice-|a=candidate/],
  },
  {
    name: "TS 33.328 7.2.1: other keying of a secured line stays outside (DTLS fingerprint, ZRTP, MIKEY)",
    offer: description([
      savp(40_000, [
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
        "a=zrtp-hash:1.10 0123",
        "a=key-mgmt:mikey AQAFgM0XflABAAAA",
        ...asks(0x31),
      ]),
    ]),
    answer: description([avp(6000)], far),
    inside: [/RTP\/AVP /],
    not: [/fingerprint|a=setup|zrtp|mikey/],
    back: [/RTP\/SAVP /],
  },
  {
    name: "TS 33.328 7.2.1: keys and indications at session level mean nothing and do not pass",
    offer: description([savp(40_000, asks(0x31))], undefined, [crypto(keys.forged), "a=3ge2ae:requested"]),
    answer: description([avp(6000)], far),
    inside: [/RTP\/AVP /],
    not: [/inline:|3ge2ae/],
    back: [/RTP\/SAVP /],
  },
];

describe("offers of the UE", () => {
  for (const { name, offer, answer, inside, not = [], back, backNot = [] } of rows) {
    it(name, async () => {
      const dialog = await establishOriginating(scenario, alice, { body: offer, answer });
      const [atCore, atUe] = [bodyOf(dialog.invite), bodyOf(dialog.ok)];
      for (const pattern of inside) expect(atCore).toMatch(pattern);
      for (const pattern of not) expect(atCore).not.toMatch(pattern);
      for (const pattern of back) expect(atUe).toMatch(pattern);
      for (const pattern of backNot) expect(atUe).not.toMatch(pattern);
      // Order and number of lines are the offer's; no key of ours stands twice, none of the UE's comes back.
      const kinds = (body: string) => (body.match(/^m=\w+/gm) ?? []).join();
      expect([kinds(atCore), kinds(atUe)]).toEqual([kinds(offer), kinds(offer)]);
      const ours = keyed(atUe).filter((key) => key !== keys.e2e);
      expect(new Set(ours).size).toBe(ours.length);
      for (const key of ours) expect(offer).not.toContain(key);
    });
  }
});

const coreRows: readonly Pick<Row, "name" | "offer" | "answer" | "inside" | "not" | "back" | "backNot">[] = [
  {
    name: "RFC 4568 5.1: audio and video get a key each",
    offer: description([avp(6000), avp(6002, [], { media: "video" })], far),
    answer: description([savp(40_000, [crypto(keyOf(0x41))]), savp(40_002, [crypto(keyOf(0x42))], { media: "video" })]),
    inside: [/m=audio \d+ RTP\/SAVP [\s\S]*a=crypto:1 [\s\S]*m=video \d+ RTP\/SAVP [\s\S]*a=crypto:1 /],
    back: [/m=audio [1-9]\d* RTP\/AVP [\s\S]*m=video [1-9]\d* RTP\/AVP /],
  },
  {
    name: "TS 33.328 7.3.1 NOTE: one line end to end already, one not: decided line by line",
    offer: description([avp(6000), savp(6002, [crypto(keys.e2e)], { media: "video" })], far),
    answer: description([savp(40_000, [crypto(keyOf(0x41))]), savp(40_002, [crypto(keys.e2e)], { media: "video" })]),
    inside: [
      /m=audio \d+ RTP\/SAVP [\s\S]*a=3ge2ae:applied/,
      new RegExp(`m=video 6002 RTP/SAVP 97\r\na=crypto:1 \\S+ inline:${keys.e2e}`),
    ],
    back: [/m=audio [1-9]\d* RTP\/AVP /, /m=video 40002 RTP\/SAVP /],
  },
  {
    name: "RFC 5124: AVPF becomes SAVPF and back",
    offer: description([{ port: 6000, protocol: "RTP/AVPF", lines: ["a=rtcp-fb:8 nack"] }], far),
    answer: description([{ port: 40_000, protocol: "RTP/SAVPF", lines: [crypto(keyOf(0x41))] }]),
    inside: [/RTP\/SAVPF /, /a=rtcp-fb:8 nack/],
    back: [/RTP\/AVPF /],
  },
  {
    name: "RFC 5761: rtcp-mux offered by the core is not the UE's to answer",
    offer: description([avp(6000, ["a=rtcp-mux"])], far),
    answer: description([savp(40_000, [crypto(keyOf(0x41))])]),
    inside: [/RTP\/SAVP /],
    not: [/rtcp-mux/],
    back: [/RTP\/AVP /],
  },
  {
    name: "RFC 8839 and RFC 3605: ICE and a=rtcp of the core stay in the core",
    offer: description(
      [
        avp(6000, [
          "a=ice-ufrag:c3d4",
          "a=ice-pwd:x123456789012345678901",
          "a=candidate:1 1 UDP 1 192.0.2.77 6000 typ host",
          "a=rtcp:6777",
        ]),
      ],
      far,
    ),
    answer: description([savp(40_000, [crypto(keyOf(0x41)), "a=ice-ufrag:aaaa"])]),
    inside: [/RTP\/SAVP /],
    not: [/a=ice-|a=candidate|6777/],
    back: [/RTP\/AVP /],
    backNot: [/a=ice-/],
  },
  {
    name: "RFC 4566 5.7: IPv6 inside, the UE's family is the gateway's affair",
    offer: description([avp(6000)], "2001:db8::77"),
    answer: description([savp(40_000, [crypto(keyOf(0x41))])]),
    inside: [/c=IN IP4 198\.51\.100\.5/],
    not: [/m=audio[\s\S]*2001:db8/],
    back: [/RTP\/AVP /],
  },
  {
    name: "RFC 5939 with 7.3.1: capabilities with keys of the core never reach the UE",
    offer: description(
      [
        avp(6000, [
          "a=tcap:1 RTP/SAVP",
          `a=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${keys.forged}`,
          "a=pcfg:1 t=1 a=1",
        ]),
      ],
      far,
    ),
    answer: description([savp(40_000, [crypto(keyOf(0x41))])]),
    inside: [/RTP\/SAVP /],
    not: [/a=acap|a=tcap|a=pcfg/],
    back: [/RTP\/AVP /],
  },
];

describe("offers of the core", () => {
  for (const { name, offer, answer, inside, not = [], back, backNot = [] } of coreRows) {
    it(name, async () => {
      const { offered, answered } = await establishTerminating(scenario, alice, path, { body: offer, answer });
      for (const pattern of inside) expect(offered).toMatch(pattern);
      for (const pattern of not) expect(offered).not.toMatch(pattern);
      for (const pattern of back) expect(answered).toMatch(pattern);
      for (const pattern of backNot) expect(answered).not.toMatch(pattern);
      const ours = keyed(offered).filter((key) => key !== keys.e2e);
      expect(new Set(ours).size).toBe(ours.length);
      expect(keyed(answered).filter((key) => key !== keys.e2e)).toEqual([]);
    });
  }
});

describe("T.38", () => {
  const fax = (port: number, address?: string): string =>
    `${head(address)}m=image ${port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n`;

  const switching = async (rule: object): Promise<{ readonly status: number; readonly body: string }> => {
    await scenario.close();
    await open(rule);
    const dialog = await establishOriginating(scenario, alice);
    const sent = scenario.core.send(dialog.byCalled("INVITE", 7, fax(6008, far)));
    const refused = sent.final().then((response) => ({ status: response.status, body: "" }));
    const arrived = await Promise.race([refused, alice.expect("INVITE")]);
    if ("status" in arrived) return arrived;
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: fax(40_010) });
    return { status: (await refused).status, body: bodyOf(arrived.request) };
  };

  it("RFC 7345 is not spoken: a switch of a protected call to clear T.38 passes where policy says so, without any key", async () => {
    const { status, body } = await switching({ t38: "pass", downgrade: "allow" });
    expect(status).toBe(200);
    expect(body).toMatch(/m=image 6008 udptl t38\r\na=T38FaxVersion:0/);
    expect(body).not.toMatch(/crypto|3ge2ae/);
  });

  it("the same is refused with 488 where policy refuses T.38, and the call stays protected", async () => {
    expect((await switching({ t38: "refuse" })).status).toBe(488);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed", security: "e2ae" }]);
  });

  it("under required clear T.38 is refused without another word", async () => {
    expect((await switching({ e2ae: "required" })).status).toBe(488);
  });
});

describe("what cannot be given", () => {
  it.each([
    ["requested on AVP with a key", description([avp(40_000, asks(0x31))])],
    ["requested without a key", description([savp(40_000, ["a=3ge2ae:requested"])])],
    ["requested on T.38", `${head()}m=image 40010 udptl t38\r\na=3ge2ae:requested\r\n`],
    [
      "requested on MSRP, for which nothing was announced",
      `${head()}m=message 40012 TCP/TLS/MSRP *\r\na=3ge2ae:requested\r\n`,
    ],
    ["one key on two ports (m=audio 40000/2)", description([savp(40_000, asks(0x31))]).replace("40000", "40000/2")],
    [
      "a host name for an address",
      description([savp(40_000, asks(0x31))]).replace("c=IN IP4 10.0.0.7", "c=IN IP4 ue.example"),
    ],
  ])("TS 33.328 7.2.1: %s is refused with 488; nothing of it reaches the core", async (_, body) => {
    const refused = await alice.send(alice.request("INVITE", "sip:carol@far.example", { body })).final();
    expect(refused.status).toBe(488);
    expect(scenario.core.requests.all.map(({ request }) => request.method)).not.toContain("INVITE");
  });

  it("RFC 4568 5.1.3: an answer of the core with fewer lines than offered ends the call; the UE hears 488", async () => {
    const sent = alice.send(
      alice.request("INVITE", "sip:carol@far.example", {
        body: description([savp(40_000, asks(0x31)), savp(40_002, asks(0x32), { media: "video" })]),
      }),
    );
    const arrived = await scenario.core.expect("INVITE");
    scenario.core.respond(arrived, 200, { headers: [["Contact", "<sip:carol@127.0.0.1>"]], body: coreSdp() });
    expect((await sent.final()).status).toBeGreaterThanOrEqual(400);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
  });

  it("TS 33.328 7.3.1 step 5: of two lines the UE answers one in the clear: that line has port 0, the other is protected", async () => {
    const body = description([avp(6000), avp(6002, [], { media: "video" })], far);
    const sent = scenario.core.send(coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body }));
    const arrived = await alice.expect("INVITE");
    const answer = description([savp(40_000, [crypto(keyOf(0x41))]), avp(40_002, [], { media: "video" })]);
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: answer });
    const ok = await sent.final();
    if (ok.status === 200) expect(bodyOf(ok)).toMatch(/m=audio [1-9]\d* RTP\/AVP [\s\S]*m=video 0 /);
    else expect(ok.status).toBe(488);
    expect(bodyOf(ok)).not.toMatch(/m=video 40002/);
  });
});
