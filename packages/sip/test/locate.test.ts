import { seededRandom, VirtualClock } from "@sallyport/kit";
import { describe, expect, it } from "vitest";
import { parseSipUri, type SipTarget } from "../src/index.ts";
import { locate, type Resolver } from "../src/locate/locate.ts";
import { createLocator } from "../src/locate/locator.ts";
import { orderSrv, type NaptrRecord, type SrvRecord } from "../src/locate/records.ts";
import { must } from "./must.ts";

interface Zone {
  readonly naptr?: Readonly<Record<string, readonly NaptrRecord[]>>;
  readonly srv?: Readonly<Record<string, readonly SrvRecord[]>>;
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
}

const resolverOf = (zone: Zone, asked: string[] = []): Resolver => ({
  naptr: async (name) => (asked.push(`NAPTR ${name}`), zone.naptr?.[name] ?? []),
  srv: async (name) => (asked.push(`SRV ${name}`), zone.srv?.[name] ?? []),
  addresses: async (name) => (asked.push(`A ${name}`), zone.addresses?.[name] ?? []),
});

const srv = (name: string, port: number, priority = 1, weight = 1): SrvRecord => ({ name, port, priority, weight });
const naptr = (service: string, replacement: string, order = 1, preference = 1, flags = "s"): NaptrRecord => ({
  service,
  replacement,
  order,
  preference,
  flags,
});
const shown = (targets: readonly SipTarget[]): readonly string[] =>
  targets.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`);

const zone: Zone = {
  naptr: {
    "example.com": [
      naptr("SIP+D2U", "_sip._udp.example.com", 2),
      naptr("SIPS+D2T", "_sips._tcp.example.com", 1, 2),
      naptr("SIP+D2T", "_sip._tcp.example.com", 1, 1),
      naptr("E2U+sip", "other.example.com", 0),
      naptr("SIP+D2T", "regexp.example.com", 0, 0, "u"),
    ],
  },
  srv: {
    "_sip._tcp.example.com": [srv("a.example.com", 5070)],
    "_sip._udp.example.com": [srv("b.example.com", 5080)],
    "_sips._tcp.example.com": [srv("c.example.com", 5090)],
    "_sip._udp.no-naptr.example": [srv("b.example.com", 5081, 2), srv("a.example.com", 5071, 1)],
    "_sip._tcp.closed.example": [srv(".", 0)],
  },
  addresses: {
    "a.example.com": ["192.0.2.1", "2001:db8::1"],
    "b.example.com": ["192.0.2.2"],
    "c.example.com": ["192.0.2.3"],
    "plain.example": ["192.0.2.9"],
    "closed.example": ["192.0.2.8"],
  },
};

describe("RFC 3263: where a URI leads", () => {
  const all = ["udp", "tcp", "tls"] as const;
  it.each([
    ["sip:192.0.2.5", all, ["udp 192.0.2.5 5060"]],
    ["sips:192.0.2.5", all, ["tls 192.0.2.5 5061"]],
    ["sip:[2001:db8::5]:5070;transport=tcp", all, ["tcp 2001:db8::5 5070"]],
    ["sip:a.example.com:5062", all, ["udp 192.0.2.1 5062", "udp 2001:db8::1 5062"]],
    [
      "sip:example.com",
      all,
      ["tcp 192.0.2.1 5070", "tcp 2001:db8::1 5070", "tls 192.0.2.3 5090", "udp 192.0.2.2 5080"],
    ],
    ["sip:example.com", ["udp"], ["udp 192.0.2.2 5080"]],
    ["sips:example.com", all, ["tls 192.0.2.3 5090"]],
    ["sip:example.com;transport=udp", all, ["udp 192.0.2.2 5080"]],
    ["sip:no-naptr.example", all, ["udp 192.0.2.1 5071", "udp 2001:db8::1 5071", "udp 192.0.2.2 5081"]],
    ["sip:plain.example", all, ["udp 192.0.2.9 5060"]],
    ["sip:plain.example", ["tls"], ["tls 192.0.2.9 5061"]],
    ["sip:example.com;maddr=192.0.2.7", all, ["udp 192.0.2.7 5060"]],
    ["sip:nowhere.example", all, []],
    ["sip:example.com;transport=sctp", all, []],
    ["sips:example.com;transport=udp", all, []],
    ["sip:example.com;transport=tls", ["udp", "tcp"], []],
  ] as const)("RFC 3263 4.1, 4.2: %s for who speaks %s", async (text, protocols, due) => {
    const uri = must(parseSipUri(text));
    const found = await locate(uri, { resolver: resolverOf(zone), random: seededRandom("locate"), protocols });
    expect(shown(found)).toEqual(due);
    // RFC 5922 4: the certificate must name who was asked for, not whom the DNS named.
    for (const { protocol, serverName } of found) expect(serverName).toBe(protocol === "tls" ? uri.host : undefined);
  });

  it("RFC 2782: lower priority first; within one by weight, in the long run in proportion; weight 0 hardly ever", () => {
    const random = seededRandom("weights");
    const records = [srv("heavy", 1, 1, 60), srv("light", 1, 1, 20), srv("none", 1, 1, 0), srv("later", 1, 2, 1000)];
    const firsts = new Map<string, number>();
    for (let round = 0; round < 2000; round += 1) {
      const order = orderSrv(records, random).map(({ name }) => name);
      expect(order).toHaveLength(4);
      expect(order[3]).toBe("later");
      firsts.set(order[0] ?? "", (firsts.get(order[0] ?? "") ?? 0) + 1);
    }
    expect(firsts.get("heavy")).toBeGreaterThan(1350);
    expect(firsts.get("light")).toBeGreaterThan(350);
    expect(firsts.get("none") ?? 0).toBeLessThan(80);
  });

  it("RFC 3263 4.3: a server whose address cannot be had leaves the others; none at all is a failure", async () => {
    const resolver: Resolver = {
      ...resolverOf(zone),
      srv: async (name) =>
        name === "_sip._udp.example.com"
          ? [srv("a.example.com", 5070), srv("broken.example.com", 5060, 0)]
          : Promise.reject(new Error("SERVFAIL")),
      addresses: async (name) =>
        name === "broken.example.com" ? Promise.reject(new Error("EAI_AGAIN")) : resolverOf(zone).addresses(name),
    };
    const find = (uri: string) =>
      locate(must(parseSipUri(uri)), { resolver, random: seededRandom("broken"), protocols: ["udp", "tcp"] });
    expect(shown(await find("sip:example.com;transport=udp"))).toEqual(["udp 192.0.2.1 5070", "udp 2001:db8::1 5070"]);
    // One transport's records cannot be had: those of the other are as good.
    expect(shown(await find("sip:example.com"))).toEqual(["udp 192.0.2.1 5070", "udp 2001:db8::1 5070"]);
    await expect(find("sip:example.com;transport=tcp")).rejects.toThrow("SERVFAIL");
  });

  it("RFC 3263 4.1: where NAPTR records cannot be had, SRV records are asked for as if there were none", async () => {
    const resolver: Resolver = { ...resolverOf(zone), naptr: () => Promise.reject(new Error("REFUSED")) };
    const find = (uri: string) =>
      locate(must(parseSipUri(uri)), { resolver, random: seededRandom("refused"), protocols: ["udp"] });
    expect(shown(await find("sip:no-naptr.example"))).toEqual([
      "udp 192.0.2.1 5071",
      "udp 2001:db8::1 5071",
      "udp 192.0.2.2 5081",
    ]);
  });

  it("what a zone answers is bounded", async () => {
    const many = Array.from({ length: 200 }, (_, at) => srv(`h${at}.example`, 5060, at));
    const resolver: Resolver = {
      naptr: async () => [],
      srv: async () => many,
      addresses: async () => Array.from({ length: 100 }, (_, at) => `192.0.2.${at}`),
    };
    const found = await locate(must(parseSipUri("sip:flood.example")), {
      resolver,
      random: seededRandom("flood"),
      protocols: ["udp"],
    });
    expect(found.length).toBeLessThanOrEqual(32);
  });
});

describe("RFC 3263 4.3: what is remembered", () => {
  const open = (resolver: Resolver, maxEntries?: number) => {
    const clock = new VirtualClock(0);
    const locator = createLocator({
      clock,
      resolver,
      random: seededRandom("cache"),
      protocols: ["tcp"],
      ...(maxEntries === undefined ? {} : { maxEntries }),
    });
    return { clock, locator };
  };
  const two: Zone = {
    srv: { "_sip._tcp.two.example": [srv("a.example.com", 1, 1), srv("b.example.com", 2, 2)] },
    addresses: { "a.example.com": ["192.0.2.1"], "b.example.com": ["192.0.2.2"] },
  };

  it("an answer is asked for once, also by many at the same time, and again when its time is over", async () => {
    const asked: string[] = [];
    const { clock, locator } = open(resolverOf(two, asked));
    expect(locator.known("sip:two.example")).toBeUndefined();
    await Promise.all([locator.find("sip:two.example"), locator.find("sip:two.example")]);
    await locator.find("sip:two.example");
    const count = asked.length;
    expect(asked.filter((each) => each === "SRV _sip._tcp.two.example")).toHaveLength(1);
    clock.advance(60_001);
    await locator.find("sip:two.example");
    expect(asked).toHaveLength(2 * count);
  });

  it("a server that failed is tried last until its time is over; its own Retry-After counts, within bounds", async () => {
    const { clock, locator } = open(resolverOf(two));
    const [first, second] = await locator.find("sip:two.example");
    locator.failed(must(first));
    expect(shown(must(locator.known("sip:two.example")))).toEqual(["tcp 192.0.2.2 2", "tcp 192.0.2.1 1"]);
    clock.advance(32_001);
    expect(shown(must(locator.known("sip:two.example")))[0]).toBe("tcp 192.0.2.1 1");
    locator.failed(must(first), 1e12);
    locator.failed(must(second), 1000);
    clock.advance(1001);
    expect(shown(await locator.find("sip:two.example"))[0]).toBe("tcp 192.0.2.2 2");
    clock.advance(3_600_000);
    expect(shown(await locator.find("sip:two.example"))[0]).toBe("tcp 192.0.2.1 1");
  });

  it("while the DNS fails what was known is still given; what was never known is [] and asked again soon", async () => {
    let broken = false;
    const inner = resolverOf(two);
    const { clock, locator } = open({
      ...inner,
      srv: (name) => (broken ? Promise.reject(new Error("SERVFAIL")) : inner.srv(name)),
    });
    await locator.find("sip:two.example");
    broken = true;
    clock.advance(60_001);
    expect(await locator.find("sip:two.example")).toHaveLength(2);
    expect(await locator.find("sip:new.example")).toEqual([]);
    broken = false;
    clock.advance(5001);
    expect(await locator.find("sip:two.example")).toHaveLength(2);
  });

  it("remembers no more than it may", async () => {
    const asked: string[] = [];
    const { locator } = open(resolverOf(two, asked), 4);
    for (let at = 0; at < 20; at += 1) await locator.find(`sip:h${at}.example`);
    const count = asked.length;
    await locator.find("sip:h19.example");
    expect(asked).toHaveLength(count);
    await locator.find("sip:h0.example");
    expect(asked.length).toBeGreaterThan(count);
  });
});
