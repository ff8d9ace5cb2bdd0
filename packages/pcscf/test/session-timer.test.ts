// RFC 4028 through a whole edge: left to the ends by default, asked for by policy, and what becomes of calls nobody refreshes.
import { afterEach, describe, expect, it } from "vitest";
import { headerList, headerValue } from "@sallyport/sip";
import { dialogOf, establishOriginating, originate } from "./support/calls.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./support/sdp.ts";
import type { EdgeConfigInput } from "../src/index.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
afterEach(() => scenario.close());

type Headers = readonly (readonly [string, string])[];
const open = async (session: EdgeConfigInput["session"]): Promise<void> => {
  scenario = await openScenario({ change: (config) => ({ ...config, session }) });
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
};

/** An INVITE with these headers, answered 200 with those: what each side saw of the timer. */
const call = async (asked: Headers, answered: Headers, by: "ue" | "core") => {
  const timer = (message: Parameters<typeof headerValue>[0]) => ({
    expires: headerValue(message, "session-expires"),
    minimum: headerValue(message, "min-se"),
    require: headerList(message, "require"),
  });
  if (by === "ue") {
    const { sent, arrived } = await originate(scenario, alice, { headers: asked });
    const contact = ["Contact", `<sip:carol@127.0.0.1:${scenario.core.port};transport=tcp>`] as const;
    scenario.core.respond(arrived, 200, { headers: [contact, ...answered], body: coreSdp() });
    const ok = await sent.final();
    const dialog = dialogOf(alice.request("INVITE", "sip:carol@far.example"), arrived.request, ok);
    await alice.ack(dialog.byCaller("ACK", 1));
    await scenario.core.acks.next();
    return { asked: timer(arrived.request), answered: timer(ok), dialog };
  }
  const invite = coreRequest(scenario.core, "INVITE", alice.contact, {
    route: [path],
    headers: asked,
    body: coreSdp(),
  });
  const sent = scenario.core.send(invite);
  const arrived = await alice.expect("INVITE");
  alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`], ...answered], body: ueAnswer() });
  const ok = await sent.final();
  const dialog = dialogOf(invite, arrived.request, ok, `127.0.0.1:${scenario.core.port}`);
  await scenario.core.ack(dialog.byCaller("ACK", 1));
  await alice.acks.next();
  return { asked: timer(arrived.request), answered: timer(ok), dialog };
};

const speaks = ["Supported", "timer"] as const;

interface Row {
  readonly what: string;
  readonly session: { readonly interval: number; readonly minimum?: number };
  readonly asked: Headers;
  readonly answered: Headers;
  readonly gives: string | undefined;
  readonly minimum?: string;
  readonly back: string | undefined;
  readonly requires?: readonly string[];
}

const rows: readonly Row[] = [
  {
    what: "left alone by default",
    session: { interval: 0 },
    asked: [speaks, ["Session-Expires", "1800;refresher=uac"]],
    answered: [
      ["Session-Expires", "1800;refresher=uac"],
      ["Require", "timer"],
    ],
    gives: "1800;refresher=uac",
    back: "1800;refresher=uac",
    requires: ["timer"],
  },
  {
    what: "nothing put in by default",
    session: { interval: 0 },
    asked: [speaks],
    answered: [],
    gives: undefined,
    back: undefined,
  },
  {
    what: "asked for where nobody asked, refreshed by the one who answers",
    session: { interval: 600 },
    asked: [],
    answered: [["Session-Expires", "600;refresher=uas"]],
    gives: "600",
    back: "600;refresher=uas",
  },
  {
    what: "asked for, and the asker alone knows the timer: it refreshes",
    session: { interval: 600 },
    asked: [speaks],
    answered: [],
    gives: "600",
    back: "600;refresher=uac",
    requires: ["timer"],
  },
  {
    what: "asked for, and nobody knows the timer: none",
    session: { interval: 600 },
    asked: [],
    answered: [],
    gives: "600",
    back: undefined,
  },
  {
    what: "a longer one is lowered, who refreshes is kept",
    session: { interval: 600 },
    asked: [speaks, ["Session-Expires", "1800;refresher=uas"]],
    answered: [["x", "600;refresher=uas"]],
    gives: "600;refresher=uas",
    back: "600;refresher=uas",
  },
  {
    what: "a shorter one is left alone",
    session: { interval: 600 },
    asked: [speaks, ["Session-Expires", "120"]],
    answered: [],
    gives: "120",
    back: "120;refresher=uac",
    requires: ["timer"],
  },
  {
    what: "not lowered below the Min-SE of the request",
    session: { interval: 600 },
    asked: [speaks, ["Session-Expires", "1800"], ["Min-SE", "900"]],
    answered: [],
    gives: "900",
    minimum: "900",
    back: "900;refresher=uac",
    requires: ["timer"],
  },
  {
    what: "too short, by somebody who cannot be told: raised, with a Min-SE",
    session: { interval: 600, minimum: 300 },
    asked: [["Session-Expires", "100"]],
    answered: [["Session-Expires", "300;refresher=uas"]],
    gives: "300",
    minimum: "300",
    back: "300;refresher=uas",
  },
];

describe("RFC 4028 8: session timers", () => {
  for (const by of ["ue", "core"] as const)
    for (const row of rows) {
      it(`RFC 4028 8.1, 8.2: ${row.what} (call of the ${by})`, async () => {
        await open(row.session);
        const { asked, answered } = await call(row.asked, row.answered, by);
        expect([asked.expires, asked.minimum]).toEqual([row.gives, row.minimum]);
        expect([answered.expires, answered.require]).toEqual([row.back, row.requires ?? []]);
      });
    }

  it("RFC 4028 8.1: too often for us, by somebody who knows the timer: 422 with Min-SE, from either side; nothing goes on", async () => {
    await open({ interval: 600, minimum: 300 });
    const asked: Headers = [speaks, ["Session-Expires", "120"]];
    const up = await alice
      .send(alice.request("INVITE", "sip:carol@far.example", { body: ueOffer(), headers: asked }))
      .final();
    expect([up.status, headerValue(up, "min-se")]).toEqual([422, "300"]);
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, {
      route: [path],
      headers: asked,
      body: coreSdp(),
    });
    const down = await scenario.core.send(invite).final();
    expect([down.status, headerValue(down, "min-se")]).toEqual([422, "300"]);
    expect(scenario.edge.counts().calls).toBe(0);
    expect(scenario.iq.commands).toEqual([]);
  });

  it("RFC 4028 7.3: the 422 of the far end passes with its Min-SE, and the second try goes through", async () => {
    await open({ interval: 600 });
    const { sent, arrived } = await originate(scenario, alice, { headers: [speaks] });
    scenario.core.respond(arrived, 422, { headers: [["Min-SE", "1200"]] });
    const refused = await sent.final();
    expect([refused.status, headerValue(refused, "min-se")]).toEqual([422, "1200"]);
    const again = await originate(scenario, alice, {
      callId: "again",
      headers: [speaks, ["Min-SE", "1200"], ["Session-Expires", "1200"]],
    });
    expect(headerValue(again.arrived.request, "session-expires")).toBe("1200");
  });
});

describe("RFC 4028 10: sessions nobody refreshes", () => {
  const ends = async (): Promise<void> => {
    alice.respond(await alice.expect("BYE"), 200);
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    await until(() => scenario.iq.open.size === 0, "the context given back");
    expect(scenario.edge.calls()).toMatchObject([{ phase: "ended", ended: { reason: "session-expired" } }]);
  };

  it("RFC 4028 10: an interval of ours that runs out ends the call on both sides and at the gateway; before that it stands", async () => {
    await open({ interval: 600 });
    await call([speaks], [], "ue");
    scenario.clock.advance(600_000);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed" }]);
    scenario.clock.advance(33_000);
    await ends();
  });

  for (const method of ["UPDATE", "INVITE"] as const) {
    it(`RFC 4028 10: each ${method} with its 2xx gives the session another interval`, async () => {
      await open({ interval: 600 });
      const { dialog } = await call([speaks], [], "ue");
      for (const seq of [2, 3]) {
        scenario.clock.advance(500_000);
        const refresh = dialog.byCaller(method, seq);
        const sent = alice.send({
          ...refresh,
          headers: [
            ...refresh.headers,
            { name: "session-expires", raw: "Session-Expires: 600;refresher=uac", value: "600;refresher=uac" },
            { name: "supported", raw: "Supported: timer", value: "timer" },
          ],
        });
        const arrived = await scenario.core.expect(method);
        scenario.core.respond(arrived, 200, {
          headers: [
            ["Contact", "<sip:carol@127.0.0.1>"],
            ["Session-Expires", "600;refresher=uac"],
          ],
          ...(method === "INVITE" ? { body: coreSdp({ version: seq }) } : {}),
        });
        await sent.final();
        if (method === "INVITE") {
          await alice.ack(dialog.byCaller("ACK", seq, ueAnswer(1, { version: seq })));
          await scenario.core.acks.next();
        }
      }
      expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed" }]);
      scenario.clock.advance(633_000);
      await ends();
    });
  }

  it("RFC 4028 10: a session that goes on without a timer is never ended by one", async () => {
    await open({ interval: 0 });
    await establishOriginating(scenario, alice);
    scenario.clock.advance(1_200_000);
    expect(scenario.iq.open.size).toBe(1);
    expect(scenario.edge.calls()).toMatchObject([{ phase: "confirmed" }]);
  });
});
