// The way of requests where the core has more elements than one, routes strictly, names people by number, or is far longer
// than usual; and the edge on IPv6. RFC 3261 12.2.1.1, 16.4, 16.6 and 16.12, RFC 3966, RFC 5658.
import { createRequest, createResponse, headerList, headerValue, tagOf, type SipRequest } from "@sallyport/sip";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bodyOf, contactUri, originate } from "./support/calls.ts";
import { flows } from "./support/flow.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(() => scenario.close());

const here = (user: string, lr = ";lr"): string => `<sip:${user}@127.0.0.1:${scenario.core.port};transport=tcp${lr}>`;
const nobodyLeft = async (): Promise<void> => {
  await until(() => scenario.edge.counts().calls === 0 && scenario.iq.open.size === 0, "nothing left");
};

/** A request of the UE in a dialog, as the UE builds it. RFC 3261 12.2.1.1. */
const byUe = (
  parts: { readonly from: string; readonly to: string; readonly target: string; readonly routes: readonly string[] },
  method: string,
  seq: number,
  callId: string,
): SipRequest =>
  createRequest({
    method,
    uri: parts.target,
    headers: [
      ...parts.routes.map((route) => ["Route", route] as const),
      ["Max-Forwards", "70"],
      ["From", parts.from],
      ["To", parts.to],
      ["Call-ID", callId],
      ["CSeq", `${seq} ${method}`],
    ],
  });

describe("a core of several elements", () => {
  it("RFC 3261 12.1.2 and 16.12: the UE gets all of them in Record-Route and its requests take all of them, in order", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    const own = headerList(arrived.request, "record-route");
    const core = ["app", "s-cscf", "i-bcf"].map((name) => here(name));
    scenario.core.respond(arrived, 183, { headers: [["Contact", "<sip:carol@far.example:5070>"]], tag: "x" });
    await sent.responses.next(({ status }) => status === 183);
    const ok = createResponse(arrived.request, 200, undefined, {
      toTag: "x",
      headers: [
        ["Contact", "<sip:carol@far.example:5070>"],
        ["Content-Type", "application/sdp"],
      ],
      body: Buffer.from(coreSdp(), "latin1"),
    });
    const fields = ok.headers.filter(({ name }) => name !== "record-route");
    const routes = createRequest({
      method: "X",
      uri: "sip:x",
      headers: [...core.toReversed(), ...own].map((value) => ["Record-Route", value] as const),
    });
    arrived.respond({ ...ok, headers: [...fields, ...routes.headers.filter(({ name }) => name === "record-route")] });
    const final = await sent.final();
    expect(headerList(final, "record-route")).toEqual([...core.toReversed(), ...own]);
    const dialog = {
      from: headerValue(final, "from") ?? "",
      to: headerValue(final, "to") ?? "",
      target: contactUri(final),
      routes: headerList(final, "record-route").toReversed(),
    };
    const callId = headerValue(final, "call-id") ?? "";
    await alice.ack(byUe(dialog, "ACK", 1, callId));
    const ack = await scenario.core.acks.next();
    expect([ack.uri, headerList(ack, "route")]).toEqual(["sip:carol@far.example:5070", core]);
    const bye = alice.send(byUe(dialog, "BYE", 2, callId));
    const atCore = await scenario.core.expect("BYE");
    expect([atCore.request.uri, headerList(atCore.request, "route")]).toEqual(["sip:carol@far.example:5070", core]);
    scenario.core.respond(atCore, 200);
    expect((await bye.final()).status).toBe(200);
    await nobodyLeft();
  });

  it("RFC 3261 16.6 step 6: a strict router of the core gets its own URI as Request-URI and the target last in Route", async () => {
    const routers = [here("strict", ""), here("loose")];
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, {
      route: [path],
      body: coreSdp(),
      headers: routers.map((router) => ["Record-Route", router] as const),
    });
    const sent = scenario.core.send(invite);
    const arrived = await alice.expect("INVITE");
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer() });
    const ok = await sent.final();
    const [, ours] = headerList(arrived.request, "record-route");
    expect(headerList(arrived.request, "record-route").slice(2)).toEqual(routers);
    await scenario.core.ack(
      byUe(
        {
          from: headerValue(ok, "from") ?? "",
          to: headerValue(ok, "to") ?? "",
          target: alice.contact,
          routes: [ours ?? ""],
        },
        "ACK",
        1,
        "call-of-carol",
      ),
    );
    await alice.acks.next();
    const bye = alice.send(
      byUe(
        {
          from: headerValue(ok, "to") ?? "",
          to: headerValue(ok, "from") ?? "",
          target: contactUri(invite),
          routes: headerList(arrived.request, "record-route"),
        },
        "BYE",
        1,
        "call-of-carol",
      ),
    );
    const atCore = await scenario.core.expect("BYE");
    expect(`<${atCore.request.uri}>`).toBe(routers[0]);
    expect(headerList(atCore.request, "route")).toEqual([routers[1], `<${contactUri(invite)}>`]);
    scenario.core.respond(atCore, 200);
    expect((await bye.final()).status).toBe(200);
    await nobodyLeft();
  });

  it("RFC 3261 16.4: a strict router that sends to us: our Record-Route as Request-URI, the target last in Route", async () => {
    const { sent, arrived } = await originate(scenario, alice);
    scenario.core.respond(arrived, 200, { headers: [["Contact", here("carol", "")]], body: coreSdp(), tag: "x" });
    const ok = await sent.final();
    const own = headerList(arrived.request, "record-route");
    await alice.ack(
      byUe(
        {
          from: headerValue(ok, "from") ?? "",
          to: headerValue(ok, "to") ?? "",
          target: contactUri(ok),
          routes: own.toReversed(),
        },
        "ACK",
        1,
        headerValue(ok, "call-id") ?? "",
      ),
    );
    await scenario.core.acks.next();
    const bye = scenario.core.send(
      byUe(
        {
          from: headerValue(ok, "to") ?? "",
          to: headerValue(ok, "from") ?? "",
          target: (own[0] ?? "").replaceAll(/[<>]/g, ""),
          routes: [...own.slice(1), `<${alice.contact}>`],
        },
        "BYE",
        5,
        headerValue(ok, "call-id") ?? "",
      ),
    );
    const atUe = await alice.expect("BYE");
    expect([atUe.request.uri, headerList(atUe.request, "route")]).toEqual([alice.contact, []]);
    alice.respond(atUe, 200);
    expect((await bye.final()).status).toBe(200);
    await nobodyLeft();
  });
});

describe("names", () => {
  for (const to of [
    "tel:+4930123456",
    "tel:110;phone-context=home.example",
    "sip:+4930123456;phone-context=home.example@home.example;user=phone",
    "sips:carol@far.example",
    "sip:%63arol:pass%20word@far.example;method=INVITE;maddr=192.0.2.1;x=%41",
    "sip:[2001:db8::9]:5070;transport=tcp",
    "urn:service:info",
  ]) {
    it(`RFC 3966, RFC 3261 19.1: a call to ${to} reaches the core with that Request-URI, and ends`, async () => {
      const { sent, arrived } = await originate(scenario, alice, { to });
      expect(arrived.request.uri).toBe(to);
      expect(bodyOf(arrived.request)).not.toMatch(/crypto|SAVP/);
      scenario.core.respond(arrived, 604);
      expect((await sent.final()).status).toBe(604);
      await nobodyLeft();
    });
  }

  it("RFC 3261 20.10: names with quotes, brackets and tags in them, both ways through a whole call", async () => {
    const from = '"a > b; tag=no \\"x\\"" <sip:carol@far.example;x=1>;other="y;tag=z>";tag=carol-1';
    const invite = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp(), from });
    const sent = scenario.core.send(invite);
    const arrived = await alice.expect("INVITE");
    expect([headerValue(arrived.request, "from"), tagOf(arrived.request, "from")]).toEqual([from, "carol-1"]);
    alice.respond(arrived, 200, { headers: [["Contact", `<${alice.contact}>`]], body: ueAnswer() });
    const ok = await sent.final();
    const ways = headerList(arrived.request, "record-route");
    await scenario.core.ack(
      byUe(
        { from, to: headerValue(ok, "to") ?? "", target: alice.contact, routes: ways.toReversed() },
        "ACK",
        1,
        "call-of-carol",
      ),
    );
    await alice.acks.next();
    const bye = alice.send(
      byUe(
        { from: headerValue(ok, "to") ?? "", to: from, target: contactUri(invite), routes: ways },
        "BYE",
        9,
        "call-of-carol",
      ),
    );
    scenario.core.respond(await scenario.core.expect("BYE"), 200);
    expect((await bye.final()).status).toBe(200);
    await nobodyLeft();
  });
});

describe("lengths", () => {
  flows("RFC 3261 18.1.1: an INVITE and an answer of thirty kilobytes, over connections", async (flow) => {
    const long = Array.from({ length: 40 }, (_, at) => [`X-Long-${at}`, "x".repeat(700)] as const);
    const passed = await flow.invite({ headers: long });
    for (const [name, value] of long) expect(headerValue(passed.arrived.request, name)).toBe(value);
    const ok = await flow.reply(passed, 200, { headers: long, body: flow.called.answer() });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    await dialog.bye("called");
  });

  flows(
    "RFC 3261 18.1.1: four kilobytes in a datagram, as a UE's flow is the only way to it",
    async (flow) => {
      const long = Array.from({ length: 8 }, (_, at) => [`X-Long-${at}`, "x".repeat(500)] as const);
      const passed = await flow.invite({ headers: long });
      const ok = await flow.reply(passed, 200, { headers: long, body: flow.called.answer() });
      const dialog = flow.dialog(passed, ok);
      await dialog.ack("caller", 1);
      await dialog.bye("caller");
    },
    { protocol: "udp" },
  );
});

describe("addresses", () => {
  for (const protocol of ["tcp", "udp"] as const) {
    flows(
      `RFC 5118 4, RFC 3261 18: a UE on IPv6, the core on IPv4, over ${protocol}: call, hold by the called, BYE`,
      async (flow) => {
        const { dialog, passed } = await flow.call();
        const inside = headerList(passed.arrived.request, "record-route");
        expect(inside[flow.called.side === "UE" ? 0 : 1]).toMatch(/@\[::1\]:\d+;/);
        expect(inside[flow.called.side === "UE" ? 1 : 0]).toMatch(/@127\.0\.0\.1:\d+;/);
        const body = flow.called.offer({ version: 2, lines: ["a=sendonly"] });
        const again = await dialog.pass("called", "INVITE", { body });
        await flow.reply(again, 200, { body: flow.caller.answer({ version: 2, lines: ["a=recvonly"] }) });
        await dialog.ack("called", 2);
        await dialog.bye("caller");
      },
      { protocol, family: "IPv6" },
    );
  }
});
