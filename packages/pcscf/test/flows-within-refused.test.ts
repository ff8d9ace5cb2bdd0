// Requests within a call that are challenged, redirected or put off, and tried again; a call that comes back to the edge it
// left by. RFC 3261 14.1, 15.1, 16.3, 22; RFC 4028 7.3.
import { createRequest, headerList, headerValue, type SipRequest } from "@sallyport/sip";
import { describe, expect, it } from "vitest";
import { bodyOf, contactUri, dialogOf } from "./support/calls.ts";
import { flows } from "./support/flow.ts";
import type { Headers } from "./support/flow-types.ts";
import { coreRequest, openScenario, until } from "./support/scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./support/sdp.ts";

const challenge = [["Proxy-Authenticate", 'Digest realm="far.example", nonce="n1", algorithm=MD5']] as const;
const credentials = [
  [
    "Proxy-Authorization",
    'Digest username="x", realm="far.example", nonce="n1", uri="sip:far.example", response="00000000000000000000000000000000"',
  ],
] as const;

describe("RFC 3261 22: challenged within a call", () => {
  for (const by of ["caller", "called"] as const) {
    const other = by === "caller" ? "called" : "caller";

    flows(
      `a re-INVITE, an UPDATE, an INFO and the BYE of the ${by}, each tried again with credentials`,
      async (flow) => {
        const { dialog } = await flow.call();
        let version = 1;
        for (const method of ["INVITE", "UPDATE", "INFO", "BYE"] as const) {
          version += 1;
          const offers = method === "INVITE" || method === "UPDATE";
          const body = offers ? { body: flow.end(by).offer({ version }) } : {};
          const first = await dialog.pass(by, method, body);
          expect(headerValue(await flow.reply(first, 407, { headers: challenge }), "proxy-authenticate")).toBe(
            challenge[0][1],
          );
          const again = await dialog.pass(by, method, { ...body, headers: credentials });
          await flow.reply(again, 200, offers ? { body: flow.end(other).answer({ version }) } : {});
          if (method === "INVITE") await dialog.ack(by, Number(headerValue(again.asked, "cseq")?.split(" ")[0]));
        }
      },
    );

    flows(
      `RFC 4028 7.3, RFC 3261 14.1, 21.3: a re-INVITE of the ${by} that is asked for longer, put off and redirected`,
      async (flow) => {
        const { dialog } = await flow.call();
        for (const [status, headers] of [
          [422, [["Min-SE", "900"]]],
          [491, []],
          [500, [["Retry-After", "3"]]],
          [302, [["Contact", "<sip:elsewhere@far.example>"]]],
          [503, [["Retry-After", "5"]]],
        ] as const) {
          const passed = await dialog.pass(by, "INVITE", { body: flow.end(by).offer({ version: 2 }) });
          await flow.reply(passed, status, { headers });
          expect(flow.scenario.edge.calls()[0]).toMatchObject({ phase: "confirmed" });
        }
        const passed = await dialog.pass(by, "INVITE", { body: flow.end(by).offer({ version: 3 }) });
        await flow.reply(passed, 200, { body: flow.end(other).answer({ version: 3 }) });
        await dialog.ack(by, Number(headerValue(passed.asked, "cseq")?.split(" ")[0]));
        await dialog.bye(other);
      },
    );
  }
});

/** What comes in at the core goes out again along a Path: the same Call-ID and tags, one hop more. RFC 3261 16.6. */
const onward = (request: SipRequest, uri: string, route: string, stays: Headers = []): SipRequest =>
  createRequest({
    method: request.method,
    uri,
    headers: [
      ["Route", route],
      ...stays,
      ...request.headers
        .filter(({ name }) => name !== "via" && name !== "content-length" && name !== "route")
        .map(({ name, value }) => [name, value] as const),
    ],
    body: request.body,
  });

describe("RFC 5359 2.7, 2.8: forwarded by one UE of an edge to another", () => {
  it("RFC 3261 16.3 step 4: a 302 of the first, a call to the second with the same Call-ID: a spiral, no loop", async () => {
    const scenario = await openScenario();
    try {
      const { core, iq, edge } = scenario;
      const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((name) => scenario.ue(name)));
      if (alice === undefined || bob === undefined || carol === undefined) throw new Error("no UE");
      await alice.register();
      const bobs = (await bob.register()).path;
      const carols = (await carol.register()).path;
      const scscf = `<sip:scscf@127.0.0.1:${core.port};transport=tcp;lr>`;
      const stays = [["Record-Route", scscf]] as const;
      const invite = alice.request("INVITE", "sip:bob@home.example", { body: ueOffer() });
      const sent = alice.send(invite);
      const upper = await core.expect("INVITE");
      const first = core.send(onward(upper.request, bob.contact, bobs, stays));
      const atBob = await bob.expect("INVITE");
      expect(bodyOf(atBob.request)).toMatch(/RTP\/SAVP[^]*a=3ge2ae:applied/);
      bob.respond(atBob, 302, { headers: [["Contact", `<${carol.aor}>`]] });
      expect((await first.final()).status).toBe(302);
      const second = core.send(onward(upper.request, carol.contact, carols, stays));
      const atCarol = await carol.expect("INVITE");
      expect(headerList(atCarol.request, "record-route")).toHaveLength(5);
      carol.respond(atCarol, 200, { headers: [["Contact", `<${carol.contact}>`]], body: ueAnswer() });
      const inner = await second.final();
      expect(bodyOf(inner)).not.toMatch(/crypto|3ge2ae|SAVP/);
      core.respond(upper, 200, {
        headers: [["Contact", `<${contactUri(inner)}>`]],
        body: bodyOf(inner),
        tag: /;tag=(\S+)/.exec(headerValue(inner, "to") ?? "")?.[1] ?? "",
      });
      const ok = await sent.final();
      expect(bodyOf(ok)).toMatch(/RTP\/SAVP[^]*a=3ge2ae:applied/);
      expect(iq.open.size).toBe(2);
      const lower = dialogOf(invite, atCarol.request, inner, `127.0.0.1:${core.port}`);
      const bye = carol.send(lower.byCalled("BYE", 3));
      // One leg after the other: those of the lower one are off, the core's comes first, then those of the upper one.
      const atCore = await core.expect("BYE");
      const [own, ...upwards] = headerList(atCore.request, "route");
      expect([own, upwards.length]).toEqual([scscf, 2]);
      const last = core.send(onward(atCore.request, atCore.request.uri, upwards.join(", ")));
      alice.respond(await alice.expect("BYE"), 200);
      expect((await last.final()).status).toBe(200);
      core.respond(atCore, 200);
      expect((await bye.final()).status).toBe(200);
      await until(() => edge.counts().calls === 0 && iq.open.size === 0, "nothing left");
    } finally {
      await scenario.close();
    }
  });

  it("RFC 3261 16.3 step 4: the core that sends a UE's own request back to it as it came meets 482 or nobody", async () => {
    const scenario = await openScenario();
    try {
      const alice = await scenario.ue("alice");
      const { path } = await alice.register();
      const sent = alice.send(alice.request("INVITE", alice.aor, { body: ueOffer() }));
      const arrived = await scenario.core.expect("INVITE");
      const self = scenario.core.send(onward(arrived.request, alice.contact, path));
      const atUe = await alice.expect("INVITE");
      alice.respond(atUe, 486);
      expect((await self.final()).status).toBe(486);
      scenario.core.respond(arrived, 486);
      expect((await sent.final()).status).toBe(486);
      const plain = coreRequest(scenario.core, "INVITE", alice.contact, { route: [path], body: coreSdp() });
      expect(headerValue(plain, "max-forwards")).toBe("60");
      await until(() => scenario.edge.counts().calls === 0 && scenario.iq.open.size === 0, "nothing left");
    } finally {
      await scenario.close();
    }
  });
});
