import { describe, expect, it } from "vitest";
import {
  formatNameAddr,
  formatSecurityMechanism,
  formatSipUri,
  formatVia,
  fromUtf8,
  param,
  parseCSeq,
  parseNameAddr,
  parseParams,
  parseSecurityMechanism,
  parseSipUri,
  parseVia,
  quote,
  reasonPhrase,
  sameUri,
  splitList,
  unquote,
  uriScheme,
  utf8,
  withParam,
  withoutParam,
} from "@sallyport/sip";
import { must } from "./must.ts";

describe("SIP URIs", () => {
  const whole = "sips:al%69ce;x=1:pw@[2001:db8::10]:5071;transport=tcp;lr?Subject=hi&to=bob";

  it("RFC 3261 19.1.1: takes a URI apart and puts it together again", () => {
    const uri = parseSipUri(whole);
    expect(uri).toEqual({
      scheme: "sips",
      user: "al%69ce;x=1",
      password: "pw",
      host: "2001:db8::10",
      port: 5071,
      params: [
        ["transport", "tcp"],
        ["lr", undefined],
      ],
      headers: "Subject=hi&to=bob",
    });
    expect(formatSipUri(must(uri))).toBe(whole);
    expect(parseSipUri("SIP:example.com")).toEqual({ scheme: "sip", host: "example.com", params: [] });
  });

  it.each([
    "tel:+15550100",
    "sip:",
    "sip:@example.com",
    "sip:a@",
    "sip:a@b@c",
    "sip:a b@example.com",
    "sip:a%4@example.com",
    "sip:a%zz@example.com",
    "sip:a@example.com:",
    "sip:a@example.com:65536",
    "sip:a@example.com:50x",
    "sip:a@example.com;;lr",
    "sip:a@example.com;=x",
    "sip:a@example.com?",
    "sip:a@exa\u00e4mple.com",
    "sip:2001:db8::10",
    "sip:[2001:db8::10",
    "sip:[2001:db8::zz]",
    "sip:[fe80::1%eth0]",
    "sip:[]",
    'sip:"a"@example.com',
    "<sip:a@example.com>",
  ])("RFC 3261 25.1: refuses %s", (text) => {
    expect(parseSipUri(text)).toBeUndefined();
  });

  it("RFC 5118 4.3 and 4.4: the port is outside the brackets", () => {
    expect(parseSipUri("sip:[2001:db8::10:5070]")).toMatchObject({ host: "2001:db8::10:5070" });
    expect(parseSipUri("sip:[2001:db8::10]:5070")).toMatchObject({ host: "2001:db8::10", port: 5070 });
  });

  it("RFC 5118 4.10: three colons before an IPv4 part mean two", () => {
    expect(parseSipUri("sip:a@[2001:db8:::192.0.2.1]")?.host).toBe("2001:db8::192.0.2.1");
    expect(parseSipUri("sip:a@[2001:::db8]")).toBeUndefined();
  });

  // Pairs in the manner of the RFC's own list.
  it.each([
    ["sip:%61lice@Example.com;transport=TCP", "SIP:alice@example.COM;Transport=tcp", true],
    ["sip:carol@example.com", "sip:carol@example.com;newparam=5", true],
    ["sip:carol@example.com;security=on", "sip:carol@example.com;newparam=5", true],
    ["sip:carol@example.com;security=on", "sip:carol@example.com;security=off", false],
    [
      "sip:example.com;transport=tcp;method=REGISTER?to=sip:bob%40example.com",
      "sip:example.com;method=REGISTER;transport=tcp?to=sip:bob%40example.com",
      true,
    ],
    ["sip:a@example.com?subject=x%20y&priority=urgent", "sip:a@example.com?priority=urgent&subject=x%20y", true],
    ["sip:ALICE@example.com", "sip:alice@example.com", false],
    ["sip:bob@example.com", "sip:bob@example.com:5060", false],
    ["sip:bob@example.com", "sip:bob@example.com;transport=udp", false],
    ["sip:bob@example.com", "sip:bob@example.com;maddr=192.0.2.1", false],
    ["sip:carol@example.com", "sip:carol@example.com?Subject=next%20meeting", false],
    ["sip:bob@example.com", "sips:bob@example.com", false],
    ["sip:a%40b@example.com", "sip:a%40B@example.com", false],
    ["sip:a%2fb@example.com", "sip:a%2Fb@example.com", true],
    ["TEL:+15550100", "tel:+15550100", true],
    ["tel:+15550100", "tel:+15550101", false],
    ["tel:+15550100", "sip:+15550100@example.com", false],
  ])("RFC 3261 19.1.4: %s and %s: %s", (a, b, same) => {
    expect(sameUri(a, b)).toBe(same);
    expect(sameUri(b, a)).toBe(same);
    expect(sameUri(a, a)).toBe(true);
  });

  it("RFC 3986 3.1: reads a scheme", () => {
    expect(uriScheme("Soap.Beep+x-1://host")).toBe("soap.beep+x-1");
    for (const text of ["", ":x", "1a:x", "sip", "a b:c", "<sip:a>"]) expect(uriScheme(text)).toBeUndefined();
  });
});

describe("name-addr", () => {
  it.each([
    ['"A. \\"B\\" \\\\ C" <sip:a@b>;tag=1', { display: 'A. "B" \\ C', uri: "sip:a@b", params: [["tag", "1"]] }],
    ["Alice  Adams <sip:a@b;lr>", { display: "Alice  Adams", uri: "sip:a@b;lr", params: [] }],
    ["caller<tel:+1555>", { display: "caller", uri: "tel:+1555", params: [] }],
    ["<sip:a@b?x=y>", { uri: "sip:a@b?x=y", params: [] }],
    [
      "sip:a@b ; tag = x ;\tflag",
      {
        uri: "sip:a@b",
        params: [
          ["tag", "x"],
          ["flag", undefined],
        ],
      },
    ],
    ['"x, y" <sip:a,b@c>', { display: "x, y", uri: "sip:a,b@c", params: [] }],
    ['<sip:a@b>;+sip.instance="<urn:uuid:1>"', { uri: "sip:a@b", params: [["+sip.instance", '"<urn:uuid:1>"']] }],
  ])("RFC 3261 20.10: reads %s", (text, expected) => {
    expect(parseNameAddr(text)).toEqual(expected);
    expect(parseNameAddr(formatNameAddr(expected as never))).toEqual(expected);
  });

  it.each([
    "",
    "*",
    '"open <sip:a@b>',
    '"x" sip:a@b',
    "Adams, Alice <sip:a@b>",
    "< sip:a@b>",
    "<tel:+1 555>",
    "<tel:+1555 >",
    "<sip:a@b",
    "<>",
    "<sip:>",
    "sip:a@b?x=y",
    "sip:a@b,c",
    "<sip:a@b>;;",
    "<sip:a@b>;x=",
    '<sip:a@b>;x="open',
    "<sip:a@b> trailing",
    "no-scheme",
  ])("RFC 3261 20.10: refuses %s", (text) => {
    expect(parseNameAddr(text)).toBeUndefined();
  });

  it("RFC 3261 7.3.1: UTF-8 names are carried as their octets", () => {
    const address = parseNameAddr(utf8('"Алиса" <sip:a@b>'));
    expect(fromUtf8(must(address?.display))).toBe("Алиса");
  });
});

describe("Via, CSeq and parameters", () => {
  it("RFC 3261 20.42: reads a Via with white space everywhere", () => {
    const via = parseVia("SIP /\t2.0  / tls   [2001:db8::9:1] : 5061 ; branch = z9hG4bKa ;rport; received=2001:db8::2");
    expect(via).toEqual({
      transport: "TLS",
      host: "2001:db8::9:1",
      port: 5061,
      params: [
        ["branch", "z9hG4bKa"],
        ["rport", undefined],
        ["received", "2001:db8::2"],
      ],
    });
    expect(formatVia(must(via))).toBe("SIP/2.0/TLS [2001:db8::9:1]:5061;branch=z9hG4bKa;rport;received=2001:db8::2");
  });

  it("RFC 5118 4.5: received with and without brackets", () => {
    const received = (text: string) => param(must(parseVia(`SIP/2.0/UDP h;received=${text}`)).params, "received");
    expect(received("[2001:db8::9:255]")).toBe("[2001:db8::9:255]");
    expect(received("2001:db8::9:255")).toBe("2001:db8::9:255");
  });

  it.each(["", "SIP/2.0/UDP", "SIP/2.0 h", "SIP/2.0/UDPh", "SIP/2.0/UDP h;", "SIP/2.0/UDP h:x", "SIP/2.0/UDP h:99999"])(
    "RFC 3261 20.42: refuses %s",
    (text) => {
      expect(parseVia(text)).toBeUndefined();
    },
  );

  it("RFC 3261 8.1.1.5: a sequence number is below 2**31", () => {
    expect(parseCSeq("2147483647 INVITE")).toEqual({ seq: 2147483647, method: "INVITE" });
    expect(parseCSeq("0009   INVITE")).toEqual({ seq: 9, method: "INVITE" });
    for (const text of ["2147483648 INVITE", "-1 INVITE", "1", "INVITE", "1INVITE", "1 IN VITE", "1 INVITE;x", ""]) {
      expect(parseCSeq(text), text).toBeUndefined();
    }
  });

  it("RFC 3261 7.3.1: parameter names are case-insensitive, their spelling is kept", () => {
    const params = parseParams(";Tag=a;LR")!;
    expect(param(params, "tag")).toBe("a");
    expect(param(params, "lr")).toBe(true);
    expect(param(params, "x")).toBeUndefined();
    expect(withParam(params, "TAG", "b")).toEqual([
      ["TAG", "b"],
      ["LR", undefined],
    ]);
    expect(withParam(params, "rport", true).at(-1)).toEqual(["rport", undefined]);
    expect(withoutParam(params, "lr")).toEqual([["Tag", "a"]]);
  });

  it("RFC 3261 25.1: quoted strings", () => {
    expect(unquote('"a\\"b\\\\c"')).toBe('a"b\\c');
    expect(unquote("plain")).toBe("plain");
    expect(unquote(quote('x "y" \\z'))).toBe('x "y" \\z');
  });

  it("RFC 3261 7.3.1: commas in quotes and angles do not part elements", () => {
    expect(splitList('"a,b" <sip:c,d@e>;x="f,\\"g", , <h:i,j> ,k')).toEqual([
      '"a,b" <sip:c,d@e>;x="f,\\"g"',
      "<h:i,j>",
      "k",
    ]);
    expect(splitList('a, "open, b')).toEqual(["a", '"open, b']);
    expect(splitList("a, <open, b")).toEqual(["a", "<open, b"]);
    expect(splitList("  ")).toEqual([]);
  });

  it("RFC 3329 2.2: security mechanisms", () => {
    const text = 'ipsec-3gpp;q=0.1;prot=esp;alg=hmac-sha-1-96;d-ver="0a,b"';
    const mechanism = parseSecurityMechanism(text)!;
    expect(mechanism.name).toBe("ipsec-3gpp");
    expect(param(mechanism.params, "Q")).toBe("0.1");
    expect(formatSecurityMechanism(mechanism)).toBe(text);
    expect(parseSecurityMechanism(" sdes-srtp ; mediasec ")).toEqual({
      name: "sdes-srtp",
      params: [["mediasec", undefined]],
    });
    for (const bad of ["", ";x", "a b", "tls;=1", "tls;q=", "tls,x"])
      expect(parseSecurityMechanism(bad)).toBeUndefined();
  });

  it("RFC 3261 8.1.3.2: an unknown status reads as the x00 of its class", () => {
    expect(reasonPhrase(494)).toBe("Security Agreement Required");
    expect(reasonPhrase(499)).toBe("Bad Request");
  });
});
