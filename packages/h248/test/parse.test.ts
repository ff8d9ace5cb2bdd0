import { describe, expect, it } from "vitest";
import { parseH248, writeH248 } from "../src/index.ts";
import type { CommandRequest, H248Message, Transaction } from "../src/index.ts";
import { mustParse, refused, validNames, validOctets } from "./vectors.ts";

const transactions = (message: H248Message): readonly Transaction[] =>
  message.body.kind === "transactions" ? message.body.transactions : [];

const firstCommand = (text: string): CommandRequest => {
  const [first] = transactions(mustParse(Buffer.from(text, "latin1")));
  const command = first?.kind === "request" ? first.actions[0]?.commands[0] : undefined;
  if (command === undefined) throw new Error("no command");
  return command;
};

describe("H.248.1 Annex B: valid messages", () => {
  it("has vectors to read", () => expect(validNames.length).toBeGreaterThan(20));

  it.each(validNames)("%s: long and short tokens read equal, and back in both styles", (name) => {
    const message = mustParse(validOctets(name, "long"));
    // The line ends inside SDP are the same in both files.
    expect(mustParse(validOctets(name, "short"))).toEqual(message);
    for (const style of ["pretty", "compact"] as const) {
      expect(mustParse(writeH248(message, style))).toEqual(message);
    }
  });

  it("reads every keyword without regard to case", () => {
    for (const name of validNames.filter((one) => !["reserve", "configure", "signals-events"].includes(one))) {
      const text = validOctets(name, "long").toString("latin1");
      const upper = parseH248(Buffer.from(text.toUpperCase(), "latin1"));
      expect(upper.ok, name).toBe(true);
    }
  });

  it("megacoMessage: a header is read alike after one that began alike, whatever ends it", () => {
    const heads: readonly (readonly [string, number, string])[] = [
      ["!/2 <a.example> ", 2, "<a.example>"],
      ["!/2 <a.example>;{ P=2\r\n", 2, "<a.example>"],
      ["!/2 <a.example> ;{ P=2\n", 2, "<a.example>"],
      ["!/2 <a.example>:2944 ", 2, "<a.example>:2944"],
      ["!/2 <a.example.org> ", 2, "<a.example.org>"],
      ["!/3 <a.example> ", 3, "<a.example>"],
      ["!/2 [192.0.2.1]:2944\t", 2, "[192.0.2.1]:2944"],
    ];
    for (const [before] of heads)
      for (const [head, version, mid] of heads) {
        for (const text of [before, head]) parseH248(Buffer.from(`${text}P=1{ER=500{}}`));
        expect(mustParse(Buffer.from(`${head}P=1{ER=500{}}`))).toMatchObject({
          version,
          mid,
          body: { transactions: [{ id: 1 }] },
        });
      }
  });

  it("mId: an IPv4 address may have its zeros, three digits to a number, and is the same one", () => {
    const midOf = (mid: string) => {
      const parsed = parseH248(Buffer.from(`!/2 ${mid} T=1{C=-{AV=ROOT}}`));
      return parsed.ok ? parsed.message.mid : parsed.code;
    };
    expect(midOf("[192.000.002.001]:2944")).toBe("[192.0.2.1]:2944");
    expect(["[192.0.2.256]", "[192.0.2.0001]", "[192.0.2]", "[192.0.2.1.1]"].map(midOf)).toEqual(Array(4).fill("mid"));
  });

  it("lets CR, LF, CR LF, blanks and comments stand between all tokens", () => {
    const dense = "!/2 [127.0.0.1] T=1{C=1{A=a{M{ST=1{O{MO=SR,a/b=[x,y]}}}}}}";
    const message = mustParse(Buffer.from(dense));
    for (const gap of [" ", "\t", "\r", "\n", "\r\n", " ; comment }{,=\r\n", ";\n"]) {
      const spread = dense.replaceAll(/([{}=,[\]])(?![0-9]*\.)/g, (token, _t, at: number) =>
        at < 16 ? token : `${gap}${token}${gap}`,
      );
      expect(mustParse(Buffer.from(spread)), JSON.stringify(gap)).toEqual(message);
    }
  });
});

describe("H.248.1 Annex B: what the tree says", () => {
  it("octetString: keeps the octets of Local, undoes \\}, drops the white space around them", () => {
    const command = firstCommand(
      "!/2 [1.1.1.1] T=1{C=1{A=a{M{ST=1{L{ \r\n v=0\r\ns=\xe9\xff\\}\\\\};x\r\n\r\n  }}}}}}",
    );
    expect(command.descriptors).toEqual([
      { kind: "media", streams: [{ id: 1, local: "v=0\r\ns=\xe9\xff}\\};x\r\n" }] },
    ]);
  });

  it("octetString: keeps the line ends of the sender and adds one only where there is none", () => {
    const local = (text: string): unknown => firstCommand(`!/2 [1.1.1.1] T=1{C=1{A=a{M{L{${text}}}}}}`).descriptors[0];
    expect(local("v=0\ns=-\n")).toMatchObject({ streams: [{ local: "v=0\ns=-\n" }] });
    expect(local("v=0\rs=-\r ")).toMatchObject({ streams: [{ local: "v=0\rs=-\r" }] });
    expect(local("v=0")).toMatchObject({ streams: [{ local: "v=0\r\n" }] });
    expect(local("")).toMatchObject({ streams: [{ local: "" }] });
  });

  it("parmValue: tells all from any from range, and the relations apart", () => {
    const command = firstCommand(
      '!/2 [1.1.1.1] T=1{C=1{A=a{M{O{a/a=1,a/b=[1,"2"],a/c={1},a/d=[1:9],a/e#1,a/f<2,a/g>3}}}}}',
    );
    expect(command.descriptors[0]).toMatchObject({
      streams: [
        {
          localControl: {
            properties: [
              { name: "a/a", relation: "=", values: ["1"] },
              { name: "a/b", relation: "all", values: ["1", "2"], quoted: true },
              { name: "a/c", relation: "any", values: ["1"] },
              { name: "a/d", relation: "range", values: ["1", "9"] },
              { name: "a/e", relation: "#", values: ["1"] },
              { name: "a/f", relation: "<", values: ["2"] },
              { name: "a/g", relation: ">", values: ["3"] },
            ],
          },
        },
      ],
    });
  });

  it("ContextID: 0, FFFFFFFE and FFFFFFFF are the null, CHOOSE and ALL contexts", () => {
    const [request] = transactions(
      mustParse(Buffer.from("!/2 a T=1{C=0{AV=b},C=4294967294{A=b},C=4294967295{S=b},C=5{S=b}}")),
    );
    expect(request?.kind === "request" && request.actions.map((action) => action.context)).toEqual(["-", "$", "*", 5]);
  });

  it("version 3: segments of replies, and their acknowledgements one after the other", () => {
    const message = mustParse(Buffer.from("!/3 a P=5/1{C=1{A=b}}SM=5/1 SM=5/2/END"));
    expect(transactions(message)).toMatchObject([
      { kind: "reply", id: 5, segment: { number: 1, last: false } },
      { kind: "segment", id: 5, segment: { number: 1, last: false } },
      { kind: "segment", id: 5, segment: { number: 2, last: true } },
    ]);
  });

  it("command prefixes: O-, W- and O-W-", () => {
    expect(firstCommand("!/2 a T=1{C=1{O-Subtract=b}}")).toMatchObject({ command: "Subtract", optional: true });
    expect(firstCommand("!/2 a T=1{C=1{w-s=b}}")).toMatchObject({ command: "Subtract", wildcarded: true });
    expect(firstCommand("!/2 a T=1{C=1{O-W-AV=b}}")).toMatchObject({ optional: true, wildcarded: true });
  });

  it("a keyword is a plain name where a name stands", () => {
    expect(firstCommand("!/2 a T=1{C=1{A=Media{E=1{m/st{mo=1,di=2}}}}}")).toMatchObject({
      termination: "Media",
      descriptors: [{ events: [{ name: "m/st", properties: [{ name: "mo" }, { name: "di" }] }] }],
    });
  });
});

describe("H.248.1 Annex B: what is refused, where, and with which error", () => {
  it.each(refused)("$name", ({ text, code, offset, h248Error, transaction }) => {
    const parsed = parseH248(Buffer.from(text, "latin1"));
    expect(parsed).toMatchObject({ ok: false, code, offset, h248Error });
    const remains = parsed.ok ? undefined : parsed.remains;
    if (transaction !== undefined) expect(remains?.transaction).toEqual({ kind: "request", id: transaction });
  });

  it("invariant 7: a refusal carries no text of the message", () => {
    const secret = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    const parsed = parseH248(Buffer.from(`!/2 a T=1{C=1{A=b{M{L{a=crypto:1 X inline:${secret}\r\n},L{}}}}}`));
    expect(parsed).toMatchObject({ ok: false, code: "duplicate" });
    expect(JSON.stringify(parsed)).not.toContain(secret.slice(0, 6));
  });
});
