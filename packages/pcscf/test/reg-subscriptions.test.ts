// Subscriptions through the edge, with the UE as subscriber and as notifier: RFC 6665, RFC 3842, RFC 3515, RFC 4488.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { headerList, headerValue, parseNameAddr, tagOf, type SipRequest, type SipResponse } from "@sallyport/sip";
import { contactOf, registerRaw } from "./support/registering.ts";
import { coreRequest, openScenario, settled, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(() => scenario.close());

const recordRoute = (message: SipRequest | SipResponse): readonly string[] => headerList(message, "record-route");
const uriOf = (value: string | undefined): string => parseNameAddr(value ?? "")?.uri ?? "";
const notifier = (name: string): string => `<sip:${name}@127.0.0.1:${scenario.core.port};transport=tcp>`;
const mwi = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n";

const subscribe = (
  options: { readonly method?: string; readonly headers?: readonly (readonly [string, string])[] } = {},
) => {
  const { method = "SUBSCRIBE", headers = [["Event", "message-summary"] as const, ["Expires", "3600"] as const] } =
    options;
  return alice.send(alice.request(method, "sip:voicemail@home.example", { headers, callId: "sub-1" }));
};

/** A NOTIFY of one fork of the notifier, as the SUBSCRIBE's Record-Route leads it. */
const notify = (
  asked: SipRequest,
  fork: string,
  options: { readonly seq?: number; readonly state?: string; readonly record?: boolean } = {},
): SipRequest =>
  coreRequest(scenario.core, "NOTIFY", uriOf(headerValue(asked, "contact")), {
    route: recordRoute(asked),
    from: `${headerValue(asked, "to")};tag=${fork}`,
    to: headerValue(asked, "from") ?? "",
    callId: headerValue(asked, "call-id") ?? "",
    seq: options.seq ?? 1,
    headers: [
      ["Event", "message-summary"],
      ["Subscription-State", options.state ?? "active;expires=3000"],
      ...(options.record === true ? [["Record-Route", "<sip:scscf.home.example;lr>"] as const] : []),
    ],
    body: mwi,
    type: "application/simple-message-summary",
  });

/** Delivers a NOTIFY to the UE, which answers it. */
const deliver = async (request: SipRequest, status = 200): Promise<{ got: SipRequest; answer: SipResponse }> => {
  const sent = scenario.core.send(request);
  const arrived = await alice.expect("NOTIFY");
  alice.respond(arrived, status);
  return { got: arrived.request, answer: await sent.final() };
};

/** A later request of the UE in the dialog that a NOTIFY made. */
const inDialog = (method: string, got: SipRequest, seq: number, expires: string): SipRequest =>
  alice.request(method, uriOf(headerValue(got, "contact")), {
    callId: "sub-1",
    seq,
    to: headerValue(got, "from") ?? "",
    headers: [
      ...recordRoute(got).map((route) => ["Route", route] as const),
      ["Event", "message-summary"],
      ["Expires", expires],
    ],
  });

describe("the UE subscribes", () => {
  it.each(["SUBSCRIBE", "REFER"])(
    "RFC 6665 4.4.1: a NOTIFY before the 200 of a %s makes the dialog: its Record-Route leads the next request through here",
    async (method) => {
      const sent = subscribe({
        method,
        headers: [
          ["Event", "message-summary"],
          ["Refer-To", "<sip:dave@far.example>"],
        ],
      });
      const arrived = await scenario.core.expect(method);
      const { got, answer } = await deliver(notify(arrived.request, "fork-a", { record: true }));
      expect(answer.status).toBe(200);
      expect(got.body.toString()).toBe(mwi);
      const routes = recordRoute(got);
      expect(routes).toHaveLength(3);
      expect(routes[0]).toContain(`:${scenario.edge.access[0]?.port};`);
      expect(routes[1]).toContain(`:${scenario.edge.core[0]?.port};`);
      expect(routes[2]).toBe("<sip:scscf.home.example;lr>");
      scenario.core.respond(arrived, method === "REFER" ? 202 : 200, {
        tag: "fork-a",
        headers: [["Contact", notifier("vm")]],
      });
      expect((await sent.final()).status).toBeLessThan(203);
      const refresh = alice.send(inDialog("SUBSCRIBE", got, 2, "3600"));
      const again = await scenario.core.expect("SUBSCRIBE");
      expect(headerList(again.request, "route")).toEqual(["<sip:scscf.home.example;lr>"]);
      scenario.core.respond(again, 200);
      expect((await refresh.final()).status).toBe(200);
    },
  );

  it("RFC 6665 4.5.2: a SUBSCRIBE that forked: NOTIFYs of every fork arrive, each dialog is refreshed and ended alone", async () => {
    const sent = subscribe();
    const arrived = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(arrived, 200, { tag: "fork-a", headers: [["Contact", notifier("a")]] });
    await sent.final();
    const forks: { readonly fork: string; readonly got: SipRequest; readonly answer: SipResponse }[] = [];
    for (const fork of ["fork-a", "fork-b", "fork-c"]) {
      const { got, answer } = await deliver(notify(arrived.request, fork));
      forks.push({ fork, got, answer });
    }
    for (const [at, { fork, got, answer }] of forks.entries()) {
      expect(answer.status).toBe(200);
      expect(tagOf(got, "from")).toBe(fork);
      const refresh = alice.send(inDialog("SUBSCRIBE", got, 2 + at, at === 1 ? "0" : "3600"));
      const again = await scenario.core.expect("SUBSCRIBE");
      expect(tagOf(again.request, "to")).toBe(fork);
      scenario.core.respond(again, 200);
      expect((await refresh.final()).status).toBe(200);
    }
  });

  it("RFC 6665 4.1.2.3: a NOTIFY that crosses the unsubscribe, and the last one after it, both arrive", async () => {
    const sent = subscribe();
    const arrived = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(arrived, 200, { tag: "fork-a", headers: [["Contact", notifier("a")]] });
    await sent.final();
    const { got } = await deliver(notify(arrived.request, "fork-a"));
    const ending = alice.send(inDialog("SUBSCRIBE", got, 2, "0"));
    const end = await scenario.core.expect("SUBSCRIBE");
    expect((await deliver(notify(arrived.request, "fork-a", { seq: 2 }))).answer.status).toBe(200);
    scenario.core.respond(end, 200);
    await ending.final();
    const last = await deliver(notify(arrived.request, "fork-a", { seq: 3, state: "terminated;reason=timeout" }));
    expect(headerValue(last.got, "subscription-state")).toBe("terminated;reason=timeout");
    expect((await deliver(notify(arrived.request, "fork-a", { seq: 4 }), 481)).answer.status).toBe(481);
  });

  it("RFC 6665 4.1.2.2: 481 to a refresh, 423 with Min-Expires, 489 with Allow-Events reach the UE as they are", async () => {
    for (const [status, header] of [
      [481, ["Warning", '399 home.example "gone"']],
      [423, ["Min-Expires", "900"]],
      [489, ["Allow-Events", "presence, dialog"]],
    ] as const) {
      const sent = subscribe();
      scenario.core.respond(await scenario.core.expect("SUBSCRIBE"), status, { headers: [header] });
      const answer = await sent.final();
      expect([answer.status, headerValue(answer, header[0])]).toEqual([status, header[1]]);
    }
  });

  it("RFC 5626 5.3: a UE that moved to a new flow goes on with the dialog it made over the old one", async () => {
    const sent = subscribe();
    const arrived = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(arrived, 200, { tag: "fork-a", headers: [["Contact", notifier("a")]] });
    await sent.final();
    const { got } = await deliver(notify(arrived.request, "fork-a"));
    alice.hangUp();
    await settled();
    await alice.register();
    const refresh = alice.send(inDialog("SUBSCRIBE", got, 2, "3600"));
    const again = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(again, 200);
    expect((await refresh.final()).status).toBe(200);
    expect((await deliver(notify(arrived.request, "fork-a", { seq: 2 }))).answer.status).toBe(200);
  });

  it("RFC 5626 5.3: it goes on from a new contact too while the old one is registered, and nobody else's does", async () => {
    const sent = subscribe();
    const arrived = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(arrived, 200, { tag: "fork-a", headers: [["Contact", notifier("a")]] });
    await sent.final();
    const { got } = await deliver(notify(arrived.request, "fork-a"));
    const fresh = await scenario.ue("fresh");
    const bob = await scenario.ue("bob");
    await registerRaw(scenario, fresh, { aor: alice.aor, contacts: [contactOf(fresh)], seq: 1 });
    await bob.register();
    expect((await bob.send(inDialog("SUBSCRIBE", got, 2, "3600")).final()).status).toBe(481);
    const refresh = fresh.send(inDialog("SUBSCRIBE", got, 3, "3600"));
    const again = await scenario.core.expect("SUBSCRIBE");
    scenario.core.respond(again, 200);
    expect((await refresh.final()).status).toBe(200);
  });

  it("RFC 4488 4: a REFER that wants no subscription passes with Refer-Sub and norefersub, and so does its answer", async () => {
    const sent = subscribe({
      method: "REFER",
      headers: [
        ["Refer-To", "<sip:dave@far.example>"],
        ["Refer-Sub", "false"],
        ["Supported", "norefersub, sec-agree"],
      ],
    });
    const arrived = await scenario.core.expect("REFER");
    expect([headerValue(arrived.request, "refer-sub"), headerValue(arrived.request, "supported")]).toEqual([
      "false",
      "norefersub",
    ]);
    scenario.core.respond(arrived, 200, { headers: [["Refer-Sub", "false"]] });
    expect(headerValue(await sent.final(), "refer-sub")).toBe("false");
  });

  it("RFC 3842 3.10: an unsolicited NOTIFY of a voice mailbox, in or out of any subscription, arrives along the Path", async () => {
    const { core } = scenario;
    const request = coreRequest(core, "NOTIFY", alice.contact, {
      route: [path],
      headers: [
        ["Event", "message-summary"],
        ["Subscription-State", "active"],
      ],
      body: mwi,
      type: "application/simple-message-summary",
    });
    const { got, answer } = await deliver(request);
    expect([answer.status, got.body.toString(), got.uri]).toEqual([200, mwi, alice.contact]);
  });
});

describe("the UE is the notifier", () => {
  it("RFC 6665 4.4.1: its NOTIFY before its 200 carries our Record-Route to the subscriber, who refreshes along it", async () => {
    const { core } = scenario;
    const request = coreRequest(core, "SUBSCRIBE", alice.contact, {
      route: [path],
      headers: [
        ["Event", "dialog"],
        ["Record-Route", "<sip:scscf.home.example;lr>"],
      ],
    });
    const sent = core.send(request);
    const arrived = await alice.expect("SUBSCRIBE");
    const notification = alice.send(
      alice.request("NOTIFY", uriOf(headerValue(arrived.request, "contact")), {
        callId: "call-of-carol",
        fromTag: "alice-notifies",
        to: headerValue(arrived.request, "from") ?? "",
        headers: [
          ...recordRoute(arrived.request).map((route) => ["Route", route] as const),
          ["Event", "dialog"],
          ["Subscription-State", "active"],
        ],
      }),
    );
    const told = await core.expect("NOTIFY");
    const routes = recordRoute(told.request);
    expect(routes).toHaveLength(2);
    expect(routes[0]).toContain(`:${scenario.edge.core[0]?.port};`);
    expect(headerList(told.request, "route")).toEqual(["<sip:scscf.home.example;lr>"]);
    core.respond(told, 200);
    expect((await notification.final()).status).toBe(200);
    alice.respond(arrived, 200, { tag: "alice-notifies", headers: [["Contact", `<${alice.contact}>`]] });
    expect((await sent.final()).status).toBe(200);
    const refresh = core.send(
      coreRequest(core, "SUBSCRIBE", alice.contact, {
        route: routes,
        to: `<${alice.aor}>;tag=alice-notifies`,
        seq: 2,
        headers: [["Event", "dialog"]],
      }),
    );
    alice.respond(await alice.expect("SUBSCRIBE"), 200);
    expect((await refresh.final()).status).toBe(200);
  });
});
