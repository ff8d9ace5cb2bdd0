// What a gateway tells of itself: single properties, capabilities, contexts, ROOT. Commands as text, against a handler that
// holds one context with everything set.
import { writeH248 } from "@sallyport/h248";
import { describe, expect, it } from "vitest";
import type { RootWatch } from "../src/gateway/decode-events.ts";
import { noRootWatch } from "../src/gateway/decode-events.ts";
import type { Execution } from "../src/gateway/execute.ts";
import { runActions } from "../src/gateway/execute.ts";
import type { ContextMarks, ContextView, IqGatewayHandler, SessionText } from "../src/index.ts";
import { readSessionText } from "../src/index.ts";
import { recordingHandler } from "./handler.ts";
import { actionsOf } from "./plans.ts";

const text = (lines: string): SessionText => {
  const read = readSessionText(lines);
  if (!read.ok) throw new Error(read.error.text);
  return read.value;
};

const key = "inline:EhISEhISEhISEhISEhISEhISEhISEhISEhISEhIS";
const crypto = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${key}`;

const view: ContextView = {
  context: 7,
  emergency: true,
  priority: 9,
  terminations: [
    {
      termination: "ip/1/access/1",
      watch: {
        request: 12,
        inactivity: [],
        hangingMs: 60_000,
        bearer: true,
        keyExpiring: false,
        clearMedia: false,
        events: [
          { name: "hangterm/thb", properties: [{ name: "timerx", relation: "=", values: ["60"] }] },
          { name: "g/cause", properties: [] },
        ],
      },
      streams: [
        {
          stream: 1,
          mode: "receive-only",
          reservedGroup: true,
          local: text(`v=0\nc=IN IP4 192.0.2.20\nm=audio 40000 RTP/SAVP 0\n${crypto}\n`),
          remote: text(`v=0\nc=IN IP4 198.51.100.7\nm=audio 5000 RTP/SAVP 0\n${crypto}\n`),
          counts: { stream: 1, values: { "rtp/ps": "7", "rtp/pr": "9", "xsrtp/af": "3" } },
          controls: { "tman/pol": "ON", "tman/sdr": "8000", "ds/dscp": "2E" },
        },
        {
          stream: 2,
          mode: "inactive",
          local: text("v=0\nc=IN IP4 192.0.2.20\nm=video 40002 RTP/SAVP 99\n"),
          counts: { stream: 2, values: { "rtp/ps": "1", "rtp/pr": "0", "xsrtp/af": "0" } },
        },
      ],
    },
  ],
};

interface World {
  readonly touched: string[];
  readonly marked: (readonly [number, ContextMarks])[];
  watch: RootWatch;
  run(action: string): Promise<string>;
}

const make = (version: 1 | 2 | 3 = 2, shown = view): World => {
  const touched: string[] = [];
  const marked: (readonly [number, ContextMarks])[] = [];
  const handler: IqGatewayHandler = {
    ...recordingHandler(),
    contexts: () => [shown, { ...shown, context: 8, emergency: false, terminations: [] }],
    touched: (context, termination) => void touched.push(`${context} ${termination}`),
    mark: (context, marks) => {
      marked.push([context, marks]);
      return context === 7 || context === 8;
    },
    capabilities: () => ({ maxContexts: 500, marks: false, realms: ["inside", "outside"], reachable: ["inside"] }),
  };
  const world: World = {
    touched,
    marked,
    watch: noRootWatch,
    run: async (action) => {
      const on: Execution = {
        handler,
        keysAllowed: true,
        version,
        serviceChange: () => undefined,
        rootWatch: () => world.watch,
        watchRoot: (watch) => {
          world.watch = watch;
        },
      };
      const actions = await runActions(on, actionsOf(`MEGACO/2 <x> Transaction = 1 { ${action} }`));
      const body = { kind: "actions", actions } as const;
      const transactions = [{ kind: "reply", id: 1, body } as const];
      const written = writeH248({ version, mid: "<x>", body: { kind: "transactions", transactions } }, "compact");
      // A reply never shows a key, whatever was asked for.
      expect(written.toString()).not.toContain("EhISEh");
      return written.toString().replace(/^!\/\d <x> P=1\{(.*)\}$/s, "$1");
    },
  };
  return world;
};

const audit = (items: string): string => `Context = 7 { AuditValue = ip/1/access/1 { Audit { ${items} } } }`;
const answered = (content: string): string => `C=7{AV=ip/1/access/1{${content}}}`;

describe("H.248.1 7.1.12: single properties", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["Media { Stream = 1 { LocalControl { Mode } } }", "M{ST=1{O{MO=RC}}}"],
    ["Media { Stream = 1 { LocalControl { tman/sdr, ds/dscp } } }", "M{ST=1{O{tman/sdr=8000,ds/dscp=2E}}}"],
    ["Media { Stream = 1 { LocalControl { ReservedValue, Mode, gm/saf } } }", "M{ST=1{O{MO=RC,RV=OFF}}}"],
    ["Media { Stream = 1 { LocalControl { ReservedGroup } } }", "M{ST=1{O{RG=ON}}}"],
    ["Media { LocalControl { Mode } }", "M{ST=1{O{MO=RC}}}"],
    ["Media { Stream = 2 { LocalControl { tman/sdr } } }", "M"],
    ["Media { Stream = 2 { Remote } }", "M"],
    ["Media { Stream = 1 { Local } }", "M{ST=1{L{v=0\r\nc=IN IP4 192.0.2.20\r\nm=audio 40000 RTP/SAVP 0\r\n}}}"],
    ["Media { Stream = 1 { Statistics { rtp/pr } } }", "M{ST=1{SA{rtp/pr=9}}}"],
    ["Media { TerminationState { ServiceStates } }", "M{TS{SI=IV,BF=OFF}}"],
    ["Statistics { rtp/ps, xsrtp/af }", "SA{rtp/ps=8,xsrtp/af=3}"],
    ["Events { g/cause }", "E=12{g/cause}"],
    ["Events", "E=12{hangterm/thb{timerx=60},g/cause}"],
    ["Events { adid/ipstop }", "E"],
    ["Packages { xsrtp-2, ds-2 }", "PG{ds-2,xsrtp-2}"],
    ["Signals, DigitMap, ObservedEvents, EventBuffer", "SG,DM,OE,EB"],
  ];
  it.each(cases)("H.248.1 7.2.5: AuditValue of %s", async (items, content) => {
    const world = make();
    expect(await world.run(audit(items))).toBe(answered(content));
    expect(world.touched).toEqual(["7 ip/1/access/1"]);
  });

  it("H.248.1 7.1.12: version 1 knows no single properties", async () => {
    expect(await make(1).run(audit("Media { Stream = 1 { LocalControl { Mode } } }"))).toContain("ER=501");
  });
});

describe("H.248.1 7.2.6: AuditCapability", () => {
  it("H.248.1 7.2.6: tells what could be: properties with their values, events, signals, statistics, packages", async () => {
    const world = make();
    const all = await world.run(
      "Context = 7 { AuditCapability = ip/1/access/1 { Audit { Media, Events, Signals, Statistics, Packages } } }",
    );
    expect(all).toContain(
      "ST=1{O{gm/saf={ON,OFF},gm/spf={ON,OFF},tman/pol={ON,OFF},rtcph/rsb={ON,OFF},ipdc/realm={inside,outside},ds/dscp=00}}",
    );
    expect(all).toContain("E=0{g/cause,hangterm/thb,adid/ipstop,xsrtp/kexp,xsrtp/clear}");
    expect(all).toContain("SG{ipnapt/latch}");
    expect(all).toContain("rtp/ps,rtp/pr,rtp/pl,rtp/jit,rtp/delay");
    expect(all).toContain("tman-1");
  });
});

describe("contexts and ROOT", () => {
  it("H.248.1 8.1.1: ContextAudit tells emergency and priority, of one context or of all; IEPS from version 3 on", async () => {
    const ask = "ContextAudit { Emergency, Priority }";
    expect(await make().run(`Context = 7 { ${ask} }`)).toBe("C=7{PR=9,EG}");
    expect(await make().run(`Context = * { ${ask} }`)).toBe("C=7{PR=9,EG},C=8{PR=9,EGO}");
    expect(await make(3).run("Context = 7 { ContextAudit { IEPSCall } }")).toBe("C=7{IEPS=OFF}");
    expect(await make(2).run("Context = 7 { ContextAudit { IEPSCall } }")).toContain("ER=501");
  });

  it("H.248.1 6.1.1: an action on a context may change its emergency and priority", async () => {
    const world = make();
    await world.run("Context = 7 { EmergencyOff, Priority = 3, AuditValue = ip/1/access/1 { Audit { } } }");
    expect(world.marked).toEqual([[7, { emergency: false, priority: 3 }]]);
  });

  it("H.248.1 8.1: an action may be nothing but properties of a context that is there", async () => {
    const world = make();
    expect(await world.run("Context = 7 { Priority = 9, Emergency }")).toBe("C=7{PR=9,EG}");
    expect(world.marked).toEqual([[7, { emergency: true, priority: 9 }]]);
    expect(await world.run("Context = 99 { Priority = 9 }")).toContain("C=99{ER=411");
    expect(await world.run("Context = 99 { Emergency, AuditValue = * }")).toContain("C=99{ER=411");
    for (const context of ["-", "$", "*"])
      expect(await world.run(`Context = ${context} { Priority = 9 }`)).toContain("ER=421");
  });

  it("H.248.1 E.2: ROOT tells its limits and timers; a value that is in force may be ordered, no other", async () => {
    const world = make();
    const media = await world.run("Context = - { AuditValue = ROOT { Audit { Media } } }");
    expect(media).toContain("root/maxNumberOfContexts=500,root/maxTerminationsPerContext=2");
    const one =
      "Context = - { AuditValue = ROOT { Audit { Media { TerminationState { root/maxNumberOfContexts } } } } }";
    expect(await world.run(one)).toBe("C=-{AV=ROOT{M{TS{SI=IV,root/maxNumberOfContexts=500}}}}");
    const set = (value: number) =>
      world.run(`Context = - { Modify = ROOT { Media { TerminationState { root/maxNumberOfContexts = ${value} } } } }`);
    expect(await set(500)).toBe("C=-{MF=ROOT}");
    expect(await set(501)).toContain("ER=534");
  });

  it("H.248.1 7.2.5: whoever asks for everything of ROOT is told what there is, and what is empty by its name", async () => {
    const all = await make().run("Context = - { AuditValue = ROOT { Audit { Media, Events, Signals, Statistics } } }");
    expect(all).not.toContain("ER=");
    expect(all).toMatch(/\},E,SG,SA\}\}$/);
  });

  describe("H.248.1 7.2.5, 7.2.6: a wildcarded response is one, with the union of what all show", () => {
    const second = {
      termination: "ip/1/core/2",
      streams: [
        {
          stream: 1,
          mode: "receive-only",
          local: text("v=0\nc=IN IP4 10.0.0.20\nm=audio 41000 RTP/AVP 0\n"),
          counts: { stream: 1, values: { "rtp/ps": "5", "rtp/pr": "6", "xsrtp/af": "0", "nt/dur": "9" } },
          controls: { "tman/pol": "OFF", "ds/dscp": "2E" },
        },
      ],
    } as const;
    const both: ContextView = { ...view, terminations: [...view.terminations, second] };
    const ask = (what: string, version: 2 | 3 = 2): Promise<string> =>
      make(version, both).run(`Context = 7 { W-${what} }`);

    it.each([
      // The RequestID is of those that have one; a descriptor without events adds nothing.
      ["AuditValue = * { Audit { Events } }", "C=7{AV=*{E=12{hangterm/thb{timerx=60},g/cause}}}"],
      ["AuditValue = ip/1/*/* { Audit { Signals } }", "C=7{AV=ip/1/*/*{SG}}"],
      ["AuditValue = * { Audit { } }", "C=7{AV=*}"],
      ["AuditValue = * { Audit { Statistics } }", "C=7{AV=*{SA{rtp/ps=13,rtp/pr=15,xsrtp/af=3,nt/dur=9}}}"],
      [
        "AuditValue = * { Audit { Media { Stream = 1 { LocalControl { Mode, tman/pol, ds/dscp, tman/sdr } } } } }",
        "C=7{AV=*{M{ST=1{O{MO=RC,tman/pol={ON,OFF},ds/dscp=2E,tman/sdr=8000}}}}}",
      ],
      ["AuditValue = ip/1/access/1 { Audit { Signals } }", "C=7{AV=ip/1/access/1{SG}}"],
      ["AuditCapability = * { Audit { Signals } }", "C=7{AC=*{SG{ipnapt/latch}}}"],
    ])("W-%s", async (what, answer) => {
      expect(await ask(what)).toBe(answer);
    });

    it("Local and Remote of all stand one after the other, and no key in them", async () => {
      const shown = await ask("AuditValue = * { Audit { Media } }");
      expect(shown.match(/v=0/g)).toHaveLength(4);
      expect(shown.match(/ST=/g)).toHaveLength(2);
      // Where they differ a mode can not be told; here both are the same.
      expect(shown).toContain("MO=RC");
      const capability = await ask("AuditCapability = * { Audit { Media, Events, Statistics, Packages } }");
      expect(capability.match(/AC=/g)).toHaveLength(1);
      expect(capability).toContain("tman/pol={ON,OFF}");
    });

    it("in version 3 the counts stay with their streams; in all contexts there is one answer for each", async () => {
      expect(await ask("AuditValue = * { Audit { Statistics } }", 3)).toBe(
        "C=7{AV=*{M{ST=1{SA{rtp/ps=12,rtp/pr=15,xsrtp/af=3,nt/dur=9}},ST=2{SA{rtp/ps=1,rtp/pr=0,xsrtp/af=0}}}}}",
      );
      const everywhere = await make(2, both).run("Context = * { W-AuditValue = * { Audit { Signals } } }");
      expect(everywhere).toBe("C=7{AV=*{SG}}");
    });
  });

  it("H.248.41 Amd. 1 ipra/ar: ROOT tells the realms that can be reached, and nobody orders them", async () => {
    const world = make();
    const shown = "Context = - { AuditValue = ROOT { Audit { Media { TerminationState { ipra/ar } } } } }";
    expect(await world.run(shown)).toBe("C=-{AV=ROOT{M{TS{SI=IV,ipra/ar=[inside]}}}}");
    const order = "Context = - { Modify = ROOT { Media { TerminationState { ipra/ar = [inside,outside] } } } }";
    expect(await world.run(order)).toContain("ER=534");
    expect(await world.run(audit("Media { Stream = 1 { LocalControl { ipra/ar } } }"))).toContain("ER=445");
  });

  it("H.248.10, H.248.11, H.248.14, H.248.41 Amd. 1: ROOT is told what to report, and shows it in an audit", async () => {
    const world = make();
    const order = "it/ito { mit = 500 }, chp/mgcon, ocp/mg_overload, ipra/arc";
    expect(await world.run(`Context = - { O-Modify = ROOT { Events = 9 { ${order} } } }`)).toBe("C=-{MF=ROOT}");
    expect(world.watch).toMatchObject({ request: 9, silenceMs: 5000 });
    expect([...world.watch.names]).toEqual(["it/ito", "chp/mgcon", "ocp/mg_overload", "ipra/arc"]);
    expect(await world.run("Context = - { AuditValue = ROOT { Audit { Events } } }")).toBe(
      "C=-{AV=ROOT{E=9{it/ito{mit=500},chp/mgcon,ocp/mg_overload,ipra/arc}}}",
    );
    await world.run("Context = - { Modify = ROOT { Events } }");
    expect(world.watch.names.size).toBe(0);
  });
});
