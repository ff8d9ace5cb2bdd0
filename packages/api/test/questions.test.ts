import { afterEach, describe, expect, it } from "vitest";
import {
  apiSchemas,
  callDetailSchema,
  callsSchema,
  errorSchema,
  explanationsSchema,
  gatewaysSchema,
  reasonMeanings,
  registrationsSchema,
  statusSchema,
  type Api,
} from "../src/index.ts";
import { ask, openApi } from "./support/ask.ts";
import {
  fakeEdge,
  gateway,
  plainCall,
  registration,
  securedCall,
  start,
  type CallView,
  type FakeParts,
} from "./support/edge.ts";

let api: Api | undefined;
afterEach(async () => {
  await api?.close();
  api = undefined;
});

const asked = async (path: string, parts: FakeParts = {}) => {
  api = await openApi(fakeEdge(parts));
  return ask(api, path);
};

const refusal = async (path: string, parts: FakeParts = {}) => {
  const answer = await asked(path, parts);
  return { status: answer.status, ...errorSchema.parse(answer.json()) };
};

describe("status", () => {
  it("says what listens, what is held and that nothing is wrong", async () => {
    const answer = await asked("/v1/status", { registrations: [registration()], calls: [securedCall()] });
    expect(answer.status).toBe(200);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(statusSchema.parse(answer.json())).toMatchObject({
      apiVersion: 1,
      name: "edge-a",
      counts: { calls: 1, registrations: 1 },
      iq: { port: 12_944 },
      warnings: [],
    });
  });

  it("TS 33.328 4.2.2: warns when no gateway is up, and of gateways that get no keys", async () => {
    const down = await asked("/v1/status", { gateways: [gateway({ state: "down", reason: "connection closed" })] });
    expect(statusSchema.parse(down.json()).warnings).toEqual([
      "no access gateway is up: calls that need e2ae are refused with 503",
      "gateway gw-a is down: connection closed",
    ]);
    await api?.close();
    const clear = await asked("/v1/status", { gateways: [gateway({ protected: false })] });
    expect(statusSchema.parse(clear.json()).warnings[0]).toContain("gets no keys");
  });
});

describe("registrations", () => {
  const registrations = [
    registration(),
    registration({ contact: "sip:alice@127.0.0.1:40001;transport=tls", registeredAt: start + 5 }),
    registration({ aor: "sip:bob@lab.example", identities: ["sip:bob@lab.example"], registeredAt: start + 9 }),
    registration({ aor: "sip:bob@other.example", identities: [], registeredAt: start + 3 }),
  ];

  it("are listed in pages, with how many there are", async () => {
    const answer = await asked("/v1/registrations?limit=1&offset=2", { registrations });
    const page = registrationsSchema.parse(answer.json());
    expect(page).toMatchObject({ total: 4, offset: 2 });
    expect(page.registrations.map(({ aor }) => aor)).toEqual(["sip:bob@lab.example"]);
  });

  it.each([
    ["sip:alice@lab.example", 2],
    ["alice@lab.example", 2],
    ["alice", 2],
    ["+49301234", 2],
    ["tel%3A%2B49301234", 2],
    ["latest", 1],
  ])("are found as %s", async (name, contacts) => {
    const answer = await asked(`/v1/registrations/${name}`, { registrations });
    expect(registrationsSchema.parse(answer.json()).registrations).toHaveLength(contacts);
  });

  it("SALLY_API_AMBIGUOUS for a user part of two domains, SALLY_API_NOT_FOUND for nobody", async () => {
    expect(await refusal("/v1/registrations/bob", { registrations })).toMatchObject({
      status: 409,
      code: "SALLY_API_AMBIGUOUS",
      message: expect.stringContaining("sip:bob@other.example"),
    });
    await api?.close();
    expect(await refusal("/v1/registrations/dave", { registrations })).toMatchObject({
      status: 404,
      code: "SALLY_API_NOT_FOUND",
      message: expect.stringContaining('no registration "dave"'),
    });
  });
});

describe("calls", () => {
  const twice: readonly CallView[] = [
    securedCall({ id: "legOne11", callId: "both", startedAt: start + 10 }),
    plainCall({ id: "legTwo22", callId: "both", startedAt: start + 11 }),
    securedCall({ id: "older333", callId: "older", startedAt: start, phase: "ended", endedAt: start + 5 }),
  ];
  const found = async (id: string) =>
    callDetailSchema.parse((await asked(`/v1/calls/${id}`, { calls: twice })).json()).calls.map((call) => call.id);

  it("are listed newest first", async () => {
    const answer = await asked("/v1/calls", { calls: twice });
    expect(callsSchema.parse(answer.json()).calls.map(({ id }) => id)).toEqual(["legTwo22", "legOne11", "older333"]);
  });

  it("are found by id, by its beginning, by Call-ID with every crossing, as the latest", async () => {
    for (const [id, expected] of [
      ["legOne11", ["legOne11"]],
      ["legO", ["legOne11"]],
      ["both", ["legOne11", "legTwo22"]],
      ["latest", ["legOne11", "legTwo22"]],
      ["older", ["older333"]],
    ] as const) {
      expect(await found(id), id).toEqual(expected);
      await api?.close();
    }
  });

  it("a short or ambiguous beginning of an id finds nothing by accident", async () => {
    const calls = [securedCall({ id: "abcd1" }), plainCall({ id: "abcd2" })];
    expect(await refusal("/v1/calls/abcd", { calls })).toMatchObject({ status: 409, code: "SALLY_API_AMBIGUOUS" });
    await api?.close();
    expect(await refusal("/v1/calls/abc", { calls })).toMatchObject({
      status: 404,
      code: "SALLY_API_NOT_FOUND",
      message: expect.stringContaining("the beginning of an id is 4 characters or more"),
    });
    await api?.close();
    expect((await refusal("/v1/calls/latest")).message).toContain("no call at the moment");
  });

  it("explain: a secured call, what was removed, and from whom", async () => {
    const answer = await asked("/v1/calls/latest/explain", { calls: [securedCall()] });
    const [call] = explanationsSchema.parse(answer.json()).calls;
    expect(call).toMatchObject({ protected: true, reason: "secured", gateway: { gateway: "gw-a", context: 17 } });
    expect(call?.verdict).toMatch(/^Protected\./);
    expect(call?.advice).toBeUndefined();
    expect(call?.decisions.map(({ clause, step, origin }) => `${clause} ${step} ${origin}`)).toEqual([
      "7.2.1 3 access",
      "7.2.1 remove core",
    ]);
    expect(call?.removed).toMatchObject([
      { from: "access", what: "every crypto attribute and the indication", step: "3" },
      { from: "core", what: "a=3ge2ae", step: "remove" },
    ]);
  });

  it("explain: what an answer of the UE lost belongs to the UE, though the edge wrote the record", async () => {
    const evidence = [
      { clause: "7.3.1", step: "7", found: "answer", changed: ["removed the crypto attribute"], origin: "edge" },
    ] as const;
    const answer = await asked("/v1/calls/latest/explain", { calls: [securedCall({ evidence })] });
    expect(explanationsSchema.parse(answer.json()).calls[0]?.removed[0]?.from).toBe("access");
  });

  it("explain: a plain call names one reason and what would change it", async () => {
    const answer = await asked("/v1/calls/latest/explain", { calls: [plainCall()] });
    const [call] = explanationsSchema.parse(answer.json()).calls;
    expect(call).toMatchObject({ protected: false, reason: "ue-not-capable" });
    expect(call?.verdict).toMatch(/^Being set up without protection\. The UE did not announce/);
    expect(call?.advice).toContain("mediasec");
  });

  it("explain: one of two media, and a call in which nothing was negotiated", async () => {
    const [secured] = securedCall().streams;
    const [plain] = plainCall().streams;
    if (secured === undefined || plain === undefined) throw new Error("the samples have a stream each");
    const calls = [
      securedCall({
        security: "mixed",
        reason: "not-rtp",
        streams: [secured, { ...plain, stream: 2, reason: "not-rtp" }],
      }),
    ];
    const mixed = await asked("/v1/calls/latest/explain", { calls });
    const [call] = explanationsSchema.parse(mixed.json()).calls;
    expect(call).toMatchObject({
      protected: false,
      verdict: expect.stringContaining("Partly protected. Stream 2 (audio) is not: Not RTP"),
    });
    await api?.close();
    const empty = plainCall({ reason: "not-requested", streams: [], evidence: [], phase: "ended" });
    const nothing = await asked("/v1/calls/latest/explain", { calls: [empty] });
    const [silent] = explanationsSchema.parse(nothing.json()).calls;
    expect(silent?.verdict).toContain("Nothing was ever negotiated");
    expect(silent?.advice).toBeUndefined();
  });

  it("explain: what never was answered is not called protected", async () => {
    const { answeredAt: _, ...rest } = securedCall();
    for (const [phase, says] of [
      ["setup", "Being set up with protection."],
      ["ended", "Never answered; it would have been protected."],
    ] as const) {
      const answer = await asked("/v1/calls/latest/explain", { calls: [{ ...rest, phase }] });
      const [call] = explanationsSchema.parse(answer.json()).calls;
      expect(call).toMatchObject({ protected: false, verdict: expect.stringContaining(says) });
      await api?.close();
    }
    const over = await asked("/v1/calls/latest/explain", { calls: [securedCall({ phase: "ended" })] });
    expect(explanationsSchema.parse(over.json()).calls[0]?.verdict).toMatch(/^Was protected\./);
  });

  it("every reason code there is has its meaning", () => {
    // The type makes this complete: a new code without a meaning does not compile here.
    const all: Readonly<Record<CallView["reason"], unknown>> = reasonMeanings;
    for (const [code, meaning] of Object.entries(all)) expect(meaning, code).toBeDefined();
  });
});

describe("the rest", () => {
  it("gateways and counters", async () => {
    const counters = [
      { name: "calls_total", labels: { side: "originating", security: "e2ae", reason: "secured" }, value: 7 },
    ] as const;
    const edge = fakeEdge({ counters });
    api = await openApi(edge);
    expect(gatewaysSchema.parse((await ask(api, "/v1/gateways")).json()).gateways).toMatchObject([
      { id: "gw-a", remote: "127.0.0.1:43210" },
    ]);
    expect((await ask(api, "/v1/counters")).json()).toMatchObject({ counters });
  });

  it("/v1 lists the paths, /v1/schemas documents each of them", async () => {
    const index = await asked("/v1");
    expect(index.json()).toMatchObject({ apiVersion: 1, paths: expect.arrayContaining(Object.keys(apiSchemas)) });
    await api?.close();
    const answer = (await asked("/v1/schemas")).json() as { schemas: Record<string, { properties: object }> };
    for (const path of Object.keys(apiSchemas)) expect(answer.schemas[path]?.properties, path).toHaveProperty("now");
  });

  it("SALLY_API_PATH, SALLY_API_QUERY, SALLY_API_DEFECT as JSON", async () => {
    expect(await refusal("/v2/status")).toMatchObject({ status: 404, code: "SALLY_API_PATH" });
    await api?.close();
    for (const query of ["limit=0", "limit=1001", "limit=x", "offset=-1"]) {
      expect(await refusal(`/v1/calls?${query}`), query).toMatchObject({ status: 400, code: "SALLY_API_QUERY" });
      await api?.close();
    }
    const broken = {
      ...fakeEdge(),
      gateways: () => {
        throw new Error("inline:planted");
      },
    };
    api = await openApi(broken);
    const answer = await ask(api, "/v1/gateways");
    expect(answer.status).toBe(500);
    expect(answer.json()).toMatchObject({ code: "SALLY_API_DEFECT" });
    expect(answer.text).not.toContain("planted");
  });
});
