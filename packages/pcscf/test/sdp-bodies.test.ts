// Bodies as other people send them, through a whole edge: every MIME form of test/corpus, one a file (its content headers, a
// blank line, the body), and every description of media-security's corpus. What comes of the MIME forms stands in
// corpus/outcomes.json; of the descriptions beside each of them. To add a form: put a file in and a line for it.
import { readFileSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headerValue, withBody, type SipRequest, type SipResponse } from "@sallyport/sip";
import { bodyOf } from "./support/calls.ts";
import { coreRequest, openScenario, until, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp } from "./support/sdp.ts";

const forms = new URL("corpus/", import.meta.url);
const descriptions = new URL("../../media-security/test/corpus/", import.meta.url);

/** `sdp`: the description is the edge's, the rest as sent; `same`: octet for octet; else status and reason. */
const outcomes = JSON.parse(readFileSync(new URL("outcomes.json", forms), "utf8")) as Readonly<Record<string, string>>;

interface Form {
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const readForm = (name: string): Form => {
  const text = readFileSync(new URL(`${name}.mime`, forms), "latin1");
  const cut = text.indexOf("\r\n\r\n");
  const headers = text
    .slice(0, cut)
    .split("\r\n")
    .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const);
  return { headers, body: text.slice(cut + 4) };
};

let scenario: Scenario;
let alice: TestUe;
let path: string;
let calls = 0;
beforeAll(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterAll(async () => {
  await scenario.close();
});

const filled = (request: SipRequest, body: string): SipRequest => withBody(request, Buffer.from(body, "latin1"));

/** RFC 3261 20.43: the status, and what the Warning says. */
const whyRefused = (response: SipResponse): string =>
  `${response.status} ${/^399 home\.example "([^"]+)"$/.exec(headerValue(response, "warning") ?? "")?.[1] ?? "?"}`;

/** Status and why, or the body that arrived at the core. */
const fromUe = async (form: Form): Promise<string> => {
  calls += 1;
  const invite = alice.request("INVITE", "sip:carol@far.example", { headers: form.headers, callId: `ue-${calls}` });
  const sent = alice.send(filled(invite, form.body));
  const before = scenario.core.requests.all.length;
  const through = () => scenario.core.requests.all.slice(before).some(({ request }) => request.method === "INVITE");
  await until(() => through() || sent.responses.all.some(({ status }) => status >= 200), "refused or sent on");
  if (!through()) {
    return whyRefused(await sent.final());
  }
  const arrived = await scenario.core.expect("INVITE");
  scenario.core.respond(arrived, 486);
  await sent.final();
  return bodyOf(arrived.request);
};

const toUe = async (form: Form): Promise<string> => {
  calls += 1;
  const options = { route: [path], headers: form.headers, callId: `core-${calls}` };
  const sent = scenario.core.send(filled(coreRequest(scenario.core, "INVITE", alice.contact, options), form.body));
  const before = alice.requests.all.length;
  const through = () => alice.requests.all.slice(before).some(({ request }) => request.method === "INVITE");
  await until(() => through() || sent.responses.all.some(({ status }) => status >= 200), "refused or sent on");
  if (!through()) {
    return whyRefused(await sent.final());
  }
  const arrived = await alice.expect("INVITE");
  alice.respond(arrived, 486);
  await sent.final();
  return bodyOf(arrived.request);
};

/** All that is neither the description nor around the parts (RFC 2046 5.1.1). */
const around = (body: string): readonly string[] => {
  const [before = "", after = ""] = body.split(/v=0\r\n(?:[a-z]=[^\r\n]*\r\n)*/);
  return [before.slice(Math.max(0, before.indexOf("--"))), after.replace(/(--[^\r\n]+--)(?:\r\n[^]*)?$/, "$1")];
};

const judge = (passed: string, sent: string, secured: RegExp): string => {
  if (/^\d{3} /.test(passed)) return passed;
  if (passed === sent) return "same";
  expect(around(passed)).toEqual(around(sent));
  expect(passed).toMatch(secured);
  return "sdp";
};

describe("RFC 2045, 2046, 3261 7.4 and 5621: forms of bodies", () => {
  const names = readdirSync(forms)
    .filter((name) => name.endsWith(".mime"))
    .map((name) => name.slice(0, -5))
    .sort();
  it("has an outcome for each, and no other", () => expect(Object.keys(outcomes).sort()).toEqual(names));

  it.each(names)("from the UE: %s", async (name) => {
    const form = readForm(name);
    expect(judge(await fromUe(form), form.body, /m=audio (?!40000)\d+ RTP\/AVP /)).toBe(outcomes[name]);
  });

  it.each(names)("to the UE: %s", async (name) => {
    const form = readForm(name);
    // The same form around what a plain far end offers.
    const plain = { ...form, body: form.body.replace(/v=0\r\n(?:[a-z]=[^\r\n]*\r\n)*/g, coreSdp()) };
    expect(judge(await toUe(plain), plain.body, /m=audio (?!6000)\d+ RTP\/SAVP /)).toBe(outcomes[name]);
  });
});

describe("TS 33.328 7.2.1: what is decided of a description is what leaves the edge", () => {
  const names = readdirSync(descriptions)
    .filter((name) => name.endsWith(".sdp"))
    .map((name) => name.slice(0, -4))
    .sort();

  it.each(names)("from the UE: %s", async (name) => {
    const body = readFileSync(new URL(`${name}.sdp`, descriptions), "latin1");
    const told = readFileSync(new URL(`${name}.expected`, descriptions), "utf8");
    const decided = told.split("\n\n").find((block) => block.includes("offer of the UE: e2ae\n")) ?? "";
    const passed = await fromUe({ headers: [["Content-Type", "application/sdp"]], body });
    const refused = /^ {2}refused (\d+ \S+)/m.exec(decided)?.[1];
    if (refused !== undefined) expect(passed).toBe(refused);
    else if (told.startsWith("not read")) expect(passed).toBe("400 Malformed SDP");
    else if (decided.includes("octet for octet")) expect(passed).toBe(body);
    else
      for (const [, line = ""] of decided.matchAll(/^ {2}-\d+ ([a-l].*)$/gm))
        expect(passed).not.toContain(`\n${line}\r`);
  });
});
