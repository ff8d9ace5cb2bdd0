// Owns REGISTER on the wire: written from the machine's plan, its answer read into the machine's words.
// RFC 3261 10.2, RFC 3327, RFC 3608, RFC 3329 (headers only), TS 24.229 5.1.1.2.
import type { Random } from "@sallyport/kit";
import {
  answerChallenge,
  createRequest,
  headerList,
  headerValue,
  headerValues,
  param,
  parseNameAddr,
  quote,
  sameUri,
  parseSipUri,
  utf8,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { UeConfig } from "../config.ts";
import type { RegisterAnswer, RegisterPlan } from "./machine.ts";

export interface RegisterFacts {
  readonly config: UeConfig;
  readonly random: Random;
  readonly contactUri: string;
  readonly callId: string;
  readonly fromTag: string;
  readonly seq: number;
}

type Header = readonly [name: string, value: string];

const domainOf = (config: UeConfig): string =>
  config.domain ?? parseSipUri(config.impu)?.host ?? config.impu.slice(config.impu.indexOf("@") + 1);

export const impiOf = (config: UeConfig): string => config.impi ?? config.impu.replace(/^sips?:/, "");

/** The headers of the draft dialect, and Security-Verify, on a request. */
export const securityHeaders = (verify: readonly string[], optionTags: boolean): readonly Header[] => [
  ...verify.map((value): Header => ["Security-Verify", value]),
  ...(optionTags
    ? ([
        ["Require", "mediasec"],
        ["Proxy-Require", "mediasec"],
      ] as const)
    : []),
];

/** A REGISTER without Via. */
export const writeRegister = (plan: RegisterPlan, facts: RegisterFacts): SipRequest => {
  const { config } = facts;
  const uri = `sip:${domainOf(config)}`;
  const username = impiOf(config);
  // TS 24.229 5.1.1.2.1: the first REGISTER names the private identity in an Authorization that proves nothing yet.
  const authorization =
    plan.credentials === undefined
      ? `Digest username=${quote(utf8(username))}, realm=${quote(domainOf(config))}, nonce="", uri=${quote(uri)}, response=""`
      : answerChallenge({
          ...plan.credentials,
          method: "REGISTER",
          uri,
          username,
          password: config.password,
          random: facts.random,
        });
  return createRequest({
    method: "REGISTER",
    uri,
    headers: [
      ["Max-Forwards", "70"],
      ["From", `<${config.impu}>;tag=${facts.fromTag}`],
      ["To", `<${config.impu}>`],
      ["Call-ID", facts.callId],
      ["CSeq", `${facts.seq} REGISTER`],
      ["Contact", `<${facts.contactUri}>;expires=${plan.expiresS}`],
      ["Expires", String(plan.expiresS)],
      ["Supported", "path"],
      ["Authorization", authorization],
      ...plan.securityClient.map((value): Header => ["Security-Client", value]),
      ...securityHeaders(plan.securityVerify, plan.optionTags),
      ...(config.accessNetwork === undefined ? [] : [["P-Access-Network-Info", config.accessNetwork] as const]),
      ["User-Agent", "Sallyport-UE"],
    ],
  });
};

const seconds = (text: unknown): number | undefined =>
  typeof text === "string" && /^[0-9]{1,10}$/.test(text.trim()) ? Number(text) : undefined;

export const readRegisterAnswer = (response: SipResponse, contactUri: string): RegisterAnswer => {
  // RFC 3261 10.2.4: each contact has its own time; ours is found by its URI.
  const contact = headerList(response, "contact")
    .map((element) => parseNameAddr(element))
    .find((address) => address !== undefined && sameUri(address.uri, contactUri));
  const expiresS =
    seconds(contact === undefined ? undefined : param(contact.params, "expires")) ??
    seconds(headerValue(response, "expires"));
  const minExpiresS = seconds(headerValue(response, "min-expires"));
  return {
    status: response.status,
    reason: response.reason,
    challenges: headerValues(response, "www-authenticate"),
    securityServer: headerList(response, "security-server"),
    serviceRoute: headerList(response, "service-route"),
    associated: headerList(response, "p-associated-uri"),
    unsupported: headerList(response, "unsupported"),
    ...(minExpiresS === undefined ? {} : { minExpiresS }),
    ...(expiresS === undefined ? {} : { expiresS }),
  };
};
