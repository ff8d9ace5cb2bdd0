// Flows of IMS and what their messages carry: preconditions, announcements, conferences, messages, capabilities, and the
// headers that only the ends understand. TS 24.229, TS 24.628, TS 24.341, RFC 3312, RFC 5009 and others.
import { headerList, headerValue } from "@sallyport/sip";
import { describe, expect } from "vitest";
import { flows, reliable } from "./support/flow.ts";
import type { Flow, Headers } from "./support/flow-types.ts";
import { bodyOf } from "./support/flow-checks.ts";
import { settled } from "./support/scenario.ts";

const rack = (text: string) => ({ headers: [["RAck", text]] as const });
const qos = (local: string, remote: string, confirm = false): readonly string[] => [
  `a=curr:qos local ${local}`,
  `a=curr:qos remote ${remote}`,
  "a=des:qos mandatory local sendrecv",
  "a=des:qos mandatory remote sendrecv",
  ...(confirm ? ["a=conf:qos remote sendrecv"] : []),
];
const supported: Headers = [["Supported", "100rel, precondition, 199"]];

describe("RFC 3312 and TS 24.229: resources before ringing", () => {
  const reserve = async (flow: Flow) => {
    const passed = await flow.invite({ body: flow.caller.offer({ lines: qos("none", "none") }), headers: supported });
    const progress = await flow.reply(passed, 183, {
      headers: [...reliable(101), ["P-Early-Media", "inactive"]].filter(
        ([name]) => flow.called.side === "core" || name !== "P-Early-Media",
      ) as Headers,
      body: flow.called.answer({ lines: qos("none", "none", true) }),
    });
    const dialog = flow.dialog(passed, progress);
    await flow.reply(await dialog.pass("caller", "PRACK", rack("101 1 INVITE")), 200);
    return { passed, dialog };
  };

  flows("183, PRACK, UPDATE with resources, reliable 180 without SDP, PRACK, 200 without SDP", async (flow) => {
    const { passed, dialog } = await reserve(flow);
    const body = flow.caller.offer({ version: 2, lines: qos("sendrecv", "none") });
    const update = await dialog.pass("caller", "UPDATE", { body });
    await flow.reply(update, 200, { body: flow.called.answer({ version: 2, lines: qos("sendrecv", "sendrecv") }) });
    await flow.reply(passed, 180, { headers: reliable(102) });
    await flow.reply(await dialog.pass("caller", "PRACK", rack("102 1 INVITE")), 200);
    await flow.reply(passed, 200);
    await dialog.ack("caller", 1);
    await dialog.bye("called");
  });

  flows(
    "both ends say by UPDATE that they are ready, one after the other, then a 180 that is not reliable",
    async (flow) => {
      const { passed, dialog } = await reserve(flow);
      for (const by of ["called", "caller"] as const) {
        const other = by === "caller" ? "called" : "caller";
        const body = flow.end(by).offer({ version: 2, lines: qos("sendrecv", by === "caller" ? "sendrecv" : "none") });
        const update = await dialog.pass(by, "UPDATE", { body });
        await flow.reply(update, 200, { body: flow.end(other).answer({ version: 2, lines: qos("none", "sendrecv") }) });
      }
      await flow.reply(passed, 180);
      await flow.reply(passed, 200);
      await dialog.ack("caller", 1);
      await dialog.bye("caller");
    },
  );

  flows("RFC 3312 8: they can not be met: 580 with what was wanted, and nothing stays reserved", async (flow) => {
    const { passed } = await reserve(flow);
    const refused = await flow.reply(passed, 580, {
      body: flow.called.offer({ port: 0, lines: ["a=des:qos failure remote sendrecv"] }),
    });
    expect(bodyOf(refused)).not.toMatch(/crypto|3ge2ae/);
    expect(bodyOf(refused)).toContain("a=des:qos failure remote sendrecv");
  });

  flows("the caller gives up after the PRACK: CANCEL, 487", async (flow) => {
    const { passed, dialog } = await reserve(flow);
    const body = flow.caller.offer({ version: 2, lines: qos("sendrecv", "none") });
    const update = await dialog.pass("caller", "UPDATE", { body });
    const cancelled = new Promise<void>((resolve) => (passed.arrived.onCancel = () => resolve()));
    passed.sent.cancel();
    await cancelled;
    await flow.reply(update, 200, { body: flow.called.answer({ version: 2, lines: qos("sendrecv", "none") }) });
    await flow.reply(passed, 487);
  });
});

describe("TS 24.628, RFC 5009, RFC 3960: media before the answer", () => {
  flows("an announcement by another place, then a refusal with its cause", async (flow) => {
    const passed = await flow.invite({ headers: [["P-Early-Media", "supported"]] });
    const core = flow.called.side === "core";
    const early = await flow.reply(passed, 183, {
      tag: "announcement",
      body: flow.called.answer(),
      headers: core ? [["P-Early-Media", "sendonly"]] : [],
    });
    if (core) expect(headerValue(early, "p-early-media")).toBe("sendonly");
    const refused = await flow.reply(passed, 480, {
      tag: "announcement",
      headers: [["Reason", 'Q.850;cause=20;text="Subscriber absent"']],
    });
    expect(headerValue(refused, "reason")).toContain("cause=20");
  });

  flows("an announcement before the call goes on to the callee, who answers under a tag of its own", async (flow) => {
    const passed = await flow.invite({ headers: supported });
    const one = await flow.reply(passed, 183, {
      tag: "announcement",
      headers: reliable(1),
      body: flow.called.answer({ port: 6100 }),
    });
    await flow.reply(await flow.dialog(passed, one).pass("caller", "PRACK", rack("1 1 INVITE")), 200);
    await flow.reply(passed, 180, { tag: "callee" });
    const ok = await flow.reply(passed, 200, { tag: "callee", body: flow.called.answer({ port: 6200 }) });
    const dialog = flow.dialog(passed, ok);
    await dialog.ack("caller", 1);
    await dialog.bye("called");
  });
});

describe("what is no call", () => {
  const sms = "\x00\x01\x00\x06\x91\x94\x71\x00\x00\x02\x0b\x11\x03\x0b\x91\xa9\r\n--\x00\xff";

  for (const by of ["caller", "called"] as const) {
    flows(`TS 24.341 5.3: a short message of the ${by}, octet for octet, and its report`, async (flow) => {
      const headers: Headers = [
        ["Request-Disposition", "fork, parallel"],
        ["Accept-Contact", "*;+g.3gpp.smsip;require;explicit"],
      ];
      const message = await flow.outside(by, "MESSAGE", { type: "application/vnd.3gpp.sms", body: sms, headers });
      for (const [name, value] of headers) expect(headerValue(message.arrived.request, name)).toBe(value);
      await flow.reply(message, 202);
      const other = by === "caller" ? "called" : "caller";
      const report = await flow.outside(other, "MESSAGE", {
        type: "application/vnd.3gpp.sms",
        body: "\x02\x00",
        headers: [["In-Reply-To", headerValue(message.asked, "call-id") ?? ""]],
      });
      expect(headerValue(report.arrived.request, "in-reply-to")).toBe(headerValue(message.asked, "call-id"));
      await flow.reply(report, 200);
      expect(flow.orders()).toEqual([]);
    });

    flows(`RFC 3862: a message of the ${by} in CPIM, and one of several parts`, async (flow) => {
      const cpim =
        "From: <sip:a@home.example>\r\nTo: <sip:b@far.example>\r\n\r\nContent-Type: text/plain\r\n\r\na=b\r\n";
      await flow.reply(await flow.outside(by, "MESSAGE", { type: "message/cpim", body: cpim }), 200);
      const parts =
        "--b1\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b1\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\x00\r\n--b1--\r\n";
      await flow.reply(await flow.outside(by, "MESSAGE", { type: "multipart/mixed;boundary=b1", body: parts }), 200);
    });

    flows(
      `RFC 3840, RCS: the ${by} asks for capabilities; both Contacts pass with their feature tags`,
      async (flow) => {
        const tags = ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";+g.oma.sip-im;video';
        const options = await flow.outside(by, "OPTIONS", {
          headers: [
            ["Accept", "application/sdp"],
            ["Accept-Contact", "*;+g.oma.sip-im;explicit"],
          ],
          params: tags,
        });
        const other = by === "caller" ? flow.called : flow.caller;
        const answer = await flow.reply(options, 200, {
          contact: other.contact,
          params: tags,
          headers: [
            ["Allow", "INVITE, ACK, CANCEL, BYE, MESSAGE, OPTIONS"],
            ["Supported", "path, timer"],
          ],
        });
        expect(headerValue(answer, "contact")).toBe(`<${other.contact}>${tags}`);
      },
    );
  }

  flows("RFC 3903: the UE publishes, is told that its state is gone, and publishes anew", async (flow) => {
    const by = flow.caller.side === "UE" ? "caller" : "called";
    const pidf = { type: "application/pidf+xml", body: '<presence entity="pres:alice@home.example"/>' };
    const event = ["Event", "presence"] as const;
    const first = await flow.outside(by, "PUBLISH", { ...pidf, headers: [event, ["Expires", "3600"]] });
    await flow.reply(first, 200, {
      headers: [
        ["SIP-ETag", "dx200xyz"],
        ["Expires", "1800"],
      ],
    });
    const second = await flow.outside(by, "PUBLISH", { headers: [event, ["SIP-If-Match", "dx200xyz"]] });
    expect(headerValue(second.arrived.request, "sip-if-match")).toBe("dx200xyz");
    await flow.reply(second, 412);
  });

  flows("RFC 5875 and RFC 6665: a list is watched; the state comes as multipart/related", async (flow) => {
    const by = flow.caller.side === "UE" ? "caller" : "called";
    const other = by === "caller" ? "called" : "caller";
    const watch = await flow.outside(by, "SUBSCRIBE", {
      headers: [
        ["Event", "presence"],
        ["Supported", "eventlist"],
        ["Require", "recipient-list-subscribe"],
      ],
      type: "application/resource-lists+xml",
      body: "<resource-lists/>",
    });
    const dialog = flow.dialog(
      watch,
      await flow.reply(watch, 200, {
        headers: [
          ["Expires", "600"],
          ["Require", "eventlist"],
        ],
      }),
    );
    const body =
      "--l\r\nContent-Type: application/rlmi+xml\r\nContent-ID: <r@x>\r\n\r\n<list/>\r\n--l\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n--l--\r\n";
    const type = 'multipart/related;type="application/rlmi+xml";start="<r@x>";boundary=l';
    const headers: Headers = [
      ["Event", "presence"],
      ["Require", "eventlist"],
      ["Subscription-State", "active;expires=600"],
    ];
    await flow.reply(await dialog.pass(other, "NOTIFY", { type, body, headers }), 200);
  });
});

describe("TS 24.147 and TS 24.237: conferences and sessions that move", () => {
  flows("TS 24.147 5.3.1.5: a third party is invited by REFER to the focus, outside of the call", async (flow) => {
    const { dialog } = await flow.call();
    const headers: Headers = [
      ["Refer-To", "<sip:dave@far.example;method=INVITE>"],
      ["Target-Dialog", "flow-1;local-tag=a;remote-tag=b"],
    ];
    const by = flow.caller.side === "UE" ? "caller" : "called";
    const refer = await flow.outside(by, "REFER", {
      headers,
      type: "application/resource-lists+xml",
      body: "<resource-lists/>",
    });
    const about = flow.dialog(refer, await flow.reply(refer, 202));
    const other = by === "caller" ? "called" : "caller";
    const notify = await about.pass(other, "NOTIFY", {
      type: "message/sipfrag;version=2.0",
      body: "SIP/2.0 200 OK\r\n",
      headers: [
        ["Event", "refer"],
        ["Subscription-State", "terminated;reason=noresource"],
      ],
    });
    await flow.reply(notify, 200);
    await dialog.bye("caller");
  });

  flows(
    "TS 24.237 9: the session moves to another access: the far end hears a re-INVITE, the old leg a BYE with its cause",
    async (flow) => {
      const { dialog } = await flow.call();
      const by = flow.caller.side === "core" ? "caller" : "called";
      const other = by === "caller" ? "called" : "caller";
      const moved = await dialog.pass(by, "INVITE", {
        body: flow.end(by).offer({ version: 2, address: "192.0.2.99", port: 7000 }),
        headers: [["Target-Dialog", "x;local-tag=a;remote-tag=b"]],
      });
      await flow.reply(moved, 200, { body: flow.end(other).answer({ version: 2 }) });
      await dialog.ack(by, 2);
      const bye = await dialog.pass(by, "BYE", { headers: [["Reason", 'SIP;cause=480;text="handover"']] });
      await flow.reply(bye, 200);
    },
  );
});

const ends: Headers = [
  ["User-to-User", "56a390f3d2b7310023a2;encoding=hex;purpose=isdn-uui;content=isdn-uui"],
  ["Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";require;explicit'],
  ["Reject-Contact", "*;automata"],
  ["Request-Disposition", "no-fork"],
  [
    "History-Info",
    "<sip:bob@home.example?Reason=SIP%3Bcause%3D302>;index=1, <sip:carol@far.example;cause=302>;index=1.1;mp=1",
  ],
  ["Diversion", "<sip:bob@home.example>;reason=unconditional;counter=1"],
  ["Answer-Mode", "Auto;require"],
  ["Priv-Answer-Mode", "Manual"],
  ["Alert-Info", "<urn:alert:service:call-waiting>"],
  ["Call-Info", "<http://home.example/photo.jpg>;purpose=icon"],
  ["Subject", "Grüße"],
  ["Organization", "Example"],
  ["Priority", "urgent"],
  ["Session-ID", "ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000"],
  ["Recv-Info", "g.3gpp.mid-call, dtmf"],
  ["Identity", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln;info=<https://cert.example/p.cer>;alg=ES256"],
  ["Geolocation", "<cid:target123@home.example>"],
  ["Geolocation-Routing", "no"],
  ["Referred-By", '"Alice" <sip:alice@home.example>;cid="20398823.2UWQFN309shb3@home.example"'],
  ["Max-Breadth", "60"],
  ["Privacy", "none"],
  ["X-Vendor", 'kept as it is: "odd;, value"'],
];

describe("headers for the ends", () => {
  flows(
    "RFC 7433, 3841, 7044, 5806, 5373, 7462, 7989, 6086, 8224, 6442: all of them pass, in the INVITE and in a request within",
    async (flow) => {
      const passed = await flow.invite({ headers: ends });
      for (const [name, value] of ends) expect(headerValue(passed.arrived.request, name), name).toBe(value);
      const back = ends.filter(([name]) =>
        ["User-to-User", "History-Info", "Session-ID", "Alert-Info", "Recv-Info", "X-Vendor"].includes(name),
      );
      await flow.reply(passed, 180, { headers: back });
      const ok = await flow.reply(passed, 200, { headers: back, body: flow.called.answer() });
      const dialog = flow.dialog(passed, ok);
      await dialog.ack("caller", 1);
      const info = await dialog.pass("called", "INFO", {
        body: "<mid-call/>",
        type: "application/vnd.3gpp.mid-call+xml",
        headers: [
          ["Info-Package", "g.3gpp.mid-call"],
          ["Content-Disposition", "Info-Package"],
        ],
      });
      await flow.reply(info, 469, { headers: [["Recv-Info", "dtmf"]] });
      const bye = await dialog.pass("caller", "BYE", {
        headers: [
          ["User-to-User", "3233;encoding=hex"],
          ["Reason", "Q.850;cause=16"],
        ],
      });
      await flow.reply(bye, 200);
    },
  );

  flows("RFC 3323 4.3, RFC 3325 7: Proxy-Require privacy is honoured, not refused", async (flow) => {
    const passed = await flow.invite({
      headers: [
        ["Privacy", "id"],
        ["Proxy-Require", "privacy"],
      ],
    });
    expect(headerList(passed.arrived.request, "privacy")).toEqual(["id"]);
    if (flow.called.side === "UE") expect(headerValue(passed.arrived.request, "p-asserted-identity")).toBeUndefined();
    const dialog = flow.dialog(passed, await flow.reply(passed, 200, { body: flow.called.answer() }));
    await dialog.ack("caller", 1);
    await dialog.bye("caller");
    await settled();
  });
});
