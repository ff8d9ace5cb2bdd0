// The 49 cases of RFC 4475 against vectors/rfc4475/outcomes.json: our own messages, and the published ones where they are.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  createResponse,
  headerList,
  headerValue,
  headerValues,
  parseCredentials,
  parseMessage,
  unsupportedOptionTags,
  validateRequest,
  validateResponse,
  writeMessage,
} from "@sallyport/sip";
import type { SipRequest, SipRole } from "@sallyport/sip";
import { must } from "./must.ts";
import { hasPublished, published } from "./published.ts";

interface Case {
  readonly case: string;
  readonly section: string;
  readonly title: string;
  /** accept: every role, the statuses below aside. refuse: every role answers `status`. discard: a response nobody acts on. */
  readonly outcome: "accept" | "refuse" | "discard";
  readonly status?: number;
  readonly proxy?: number;
  readonly registrar?: number;
  readonly surplus?: number;
  /** What is left to the element, as it finds it in the message. */
  readonly unsupported?: readonly string[];
  readonly contentType?: string;
  readonly authorization?: string;
  readonly accept?: readonly string[];
}

const own = new URL("./vectors/rfc4475/", import.meta.url);
const cases = JSON.parse(readFileSync(new URL("outcomes.json", own), "utf8")) as readonly Case[];
const roles: readonly SipRole[] = ["user-agent", "proxy", "registrar"];

/** The status an element of that role answers before it looks any further; 0 when it goes on. */
const answerOf = (octets: Buffer, role: SipRole): { readonly status: number; readonly request?: SipRequest } => {
  const parsed = parseMessage(octets);
  if (!parsed.ok) {
    return parsed.answerable === undefined
      ? { status: -1 }
      : { status: parsed.status ?? -1, request: parsed.answerable };
  }
  if (parsed.message.kind !== "request") return { status: -1 };
  const verdict = validateRequest(parsed.message, { role });
  return { status: verdict.ok ? 0 : verdict.status, request: parsed.message };
};

const isDiscarded = (octets: Buffer, role: SipRole): boolean => {
  const parsed = parseMessage(octets);
  if (!parsed.ok) return parsed.answerable === undefined;
  return parsed.message.kind === "response" && !validateResponse(parsed.message, { role }).ok;
};

const checkRefusal = (octets: Buffer, role: SipRole, status: number): void => {
  const answer = answerOf(octets, role);
  expect(answer.status, role).toBe(status);
  const response = createResponse(must(answer.request), status, undefined, { toTag: "torture" });
  const again = parseMessage(writeMessage(response));
  expect(again.ok && again.message.kind === "response" && again.message.status).toBe(status);
  expect(headerValues(response, "via")).toEqual(headerValues(must(answer.request), "via"));
  for (const name of ["from", "to", "call-id", "cseq"]) {
    expect(headerValues(response, name).length, name).toBe(
      Math.min(1, headerValues(must(answer.request), name).length),
    );
  }
};

const checkOutcome = (entry: Case, octets: Buffer, surplus: number): void => {
  if (entry.outcome === "discard") {
    expect(isDiscarded(octets, "user-agent")).toBe(true);
    expect(isDiscarded(octets, "proxy")).toBe(true);
    return;
  }
  const parsed = parseMessage(octets);
  if (parsed.ok) {
    expect(parsed.surplus).toBe(surplus);
    expect(writeMessage(parsed.message).equals(octets.subarray(0, octets.length - surplus))).toBe(true);
  }
  if (entry.outcome === "refuse") {
    for (const role of roles) checkRefusal(octets, role, entry.status!);
    return;
  }
  expect(parsed.ok).toBe(true);
  if (!parsed.ok) return;
  if (parsed.message.kind === "response") {
    expect(validateResponse(parsed.message, { role: "user-agent" })).toEqual({ ok: true });
    return;
  }
  for (const role of roles) {
    const status = (role === "proxy" ? entry.proxy : role === "registrar" ? entry.registrar : undefined) ?? 0;
    if (status === 0) expect(answerOf(octets, role).status, role).toBe(0);
    else checkRefusal(octets, role, status);
  }
};

const checkLeftToElement = (entry: Case, octets: Buffer): void => {
  const parsed = parseMessage(octets);
  if (!parsed.ok || parsed.message.kind !== "request") throw new Error("not a request");
  const request = parsed.message;
  const tags = [
    ...unsupportedOptionTags(request, "require", ["100rel"]),
    ...unsupportedOptionTags(request, "proxy-require", ["sec-agree"]),
  ];
  if (entry.unsupported !== undefined) expect(tags).toEqual(entry.unsupported);
  if (entry.contentType !== undefined) expect(headerValue(request, "content-type")).toBe(entry.contentType);
  if (entry.accept !== undefined) expect(headerList(request, "accept")).toEqual(entry.accept);
  if (entry.authorization !== undefined) {
    expect(parseCredentials(must(headerValue(request, "authorization")))).toEqual({
      ok: false,
      error: entry.authorization,
    });
  }
};

describe("RFC 4475, messages of our own", () => {
  it.each(cases)("RFC 4475 $section $case: $title ($outcome)", (entry) => {
    const octets = readFileSync(new URL(`${entry.case}.sip`, own));
    checkOutcome(entry, octets, entry.surplus ?? 0);
    if (entry.outcome === "accept" && octets.subarray(0, 4).toString() !== "SIP/") checkLeftToElement(entry, octets);
  });

  it("RFC 4475 covers 49 cases, each once", () => {
    expect(new Set(cases.map((entry) => entry.case)).size).toBe(49);
  });
});

// What the published messages have behind their body.
const publishedSurplus: Readonly<Record<string, number>> = { dblreq: 450 };

describe("RFC 4475, messages as published", () => {
  it.skipIf(!hasPublished("rfc4475")).each(cases)("RFC 4475 $section $case as published ($outcome)", (entry) => {
    checkOutcome(entry, published(`rfc4475/${entry.case}.dat`), publishedSurplus[entry.case] ?? 0);
  });
});

const rfc5118: readonly (readonly [section: string, name: string, status: number, surplus: number])[] = [
  ["4.1", "ipv6-good", 0, 0],
  ["4.2", "ipv6-bad", 400, 0],
  ["4.3", "port-ambiguous", 0, 0],
  ["4.4", "port-unambiguous", 0, 0],
  ["4.5", "via-received-param-with-delim", 0, 0],
  ["4.5", "via-received-param-no-delim", 0, 0],
  ["4.6", "ipv6-in-sdp", 0, 10],
  ["4.7", "mult-ip-in-header", 0, 0],
  ["4.8", "mult-ip-in-sdp", 0, 8],
  ["4.9", "ipv4-mapped-ipv6", 0, 9],
  ["4.10", "ipv6-bug-abnf-3-colons", 0, 0],
  ["4.10", "ipv6-correct-abnf-2-colons", 0, 0],
];

describe("RFC 5118, messages as published", () => {
  it.skipIf(!hasPublished("rfc5118")).each(rfc5118)("RFC 5118 %s %s as published", (section, name, status, surplus) => {
    const entry: Case =
      status === 0
        ? { case: name, section, title: name, outcome: "accept" }
        : { case: name, section, title: name, outcome: "refuse", status };
    checkOutcome(entry, published(`rfc5118/${name}`), surplus);
  });
});
