// A registrar and stateless proxy for these tests: one UDP socket, digest, Record-Route, and a hand in every message.
import { randomBytes } from "node:crypto";
import { silentLog, systemClock } from "@sallyport/kit";
import {
  createChallenge,
  createResponse,
  createSipTransport,
  formatVia,
  headerList,
  headerValue,
  parseCredentials,
  parseNameAddr,
  parseVia,
  prependHeader,
  removeTopListElement,
  tagOf,
  param,
  verifyCredentials,
  withBody,
  type Flow,
  type SipMessage,
  type SipRequest,
  type TlsMaterial,
} from "@sallyport/sip";

export interface TestProxy {
  readonly port: number;
  /** Everything that passed, in order, as text. */
  readonly seen: string[];
  /** What the 200 to a REGISTER says in Security-Server. */
  securityServer: readonly string[];
  /** Changes a body on its way; undefined leaves it. */
  rewrite: (body: string, message: SipMessage) => string | undefined;
  /** Swallows a message. */
  drop: (message: SipMessage) => boolean;
  expiresS: number;
  /** Cuts every connection. */
  cut(): void;
  close(): Promise<void>;
}

export const startProxy = async (
  passwords: Readonly<Record<string, string>>,
  tls?: TlsMaterial,
  protocol: "udp" | "tcp" | "tls" = tls === undefined ? "udp" : "tls",
): Promise<TestProxy> => {
  const contacts = new Map<string, string>();
  /** The way back to whoever registered a contact, and to whoever sent a request. */
  const flows = new Map<string, Flow>();
  const nonce = randomBytes(8).toString("hex");
  let port = 0;

  const register = (request: SipRequest, flow: Flow): SipMessage => {
    const aor = parseNameAddr(headerValue(request, "to") ?? "")?.uri ?? "";
    const given = parseCredentials(headerValue(request, "authorization") ?? "");
    const server = proxy.securityServer.map((value) => ["Security-Server", value] as const);
    const password = given.ok ? passwords[given.value.username] : undefined;
    if (
      !given.ok ||
      password === undefined ||
      !verifyCredentials({
        credentials: given.value,
        method: "REGISTER",
        realm: "home.example",
        secret: { password },
        expectedNonce: nonce,
      })
    ) {
      const challenges = createChallenge({ realm: "home.example", nonce });
      const headers = [...challenges.map((value) => ["WWW-Authenticate", value] as const), ...server];
      return createResponse(request, 401, undefined, { toTag: "r", headers });
    }
    const contact = parseNameAddr(headerValue(request, "contact") ?? "")?.uri ?? "";
    if (headerValue(request, "expires") === "0") contacts.delete(aor);
    else contacts.set(aor, contact);
    flows.set(contact, flow);
    return createResponse(request, 200, undefined, {
      toTag: "r",
      headers: [["Contact", `<${contact}>;expires=${proxy.expiresS}`], ["P-Associated-URI", `<${aor}>`], ...server],
    });
  };

  const edited = <M extends SipMessage>(message: M): M => {
    const ack = message.kind === "request" && message.method === "ACK";
    if (message.body.length === 0 && !ack) return message;
    const body = proxy.rewrite(message.body.toString("latin1"), message);
    return body === undefined ? message : withBody(message, Buffer.from(body, "latin1"), "application/sdp");
  };

  const send = (message: SipMessage, key: string): void => {
    const flow = flows.get(key);
    if (flow !== undefined) void transport.send(message, flow).catch(() => undefined);
  };

  const onRequest = (request: SipRequest, flow: Flow): void => {
    const back = (response: SipMessage): void => void transport.send(response, flow).catch(() => undefined);
    if (request.method === "REGISTER") return back(register(request, flow));
    let out = edited(request);
    if (headerList(out, "route")[0]?.includes(`:${port}`)) out = removeTopListElement(out, "route");
    const next = tagOf(request, "to") === undefined ? contacts.get(request.uri) : request.uri;
    if (next === undefined) {
      if (request.method !== "ACK") back(createResponse(request, 404, undefined, { toTag: "p" }));
      return;
    }
    const above = parseVia(headerList(out, "via")[0] ?? "");
    const branch = `${String(param(above?.params ?? [], "branch"))}p`;
    flows.set(branch, flow);
    if (request.method === "INVITE")
      out = prependHeader(out, "Record-Route", `<sip:127.0.0.1:${port};transport=${protocol};lr>`);
    const via = { transport: protocol.toUpperCase(), host: "127.0.0.1", port, params: [["branch", branch]] as const };
    send(prependHeader(out, "Via", formatVia(via)), next);
  };

  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => {
      proxy.seen.push(
        `${message.startLine}\n${message.headers.map(({ raw }) => raw).join("\n")}\n\n${message.body.toString("latin1")}`,
      );
      if (proxy.drop(message)) return;
      if (message.kind === "request") return onRequest(message, flow);
      const via = parseVia(headerList(message, "via")[0] ?? "");
      send(edited(removeTopListElement(message, "via")), String(param(via?.params ?? [], "branch")));
      return undefined;
    },
  });
  const proxy: TestProxy = {
    get port() {
      return port;
    },
    seen: [],
    securityServer: [],
    rewrite: () => undefined,
    drop: () => false,
    expiresS: 3600,
    cut: () => {
      for (const flow of flows.values()) transport.closeFlow(flow);
    },
    close: () => transport.close(),
  };
  ({ port } = await transport.listen({
    name: "proxy",
    protocol,
    address: "127.0.0.1",
    port: 0,
    ...(tls === undefined ? {} : { tls }),
  }));
  return proxy;
};

/** Requests of a method that passed, as text. */
export const requestsOf = (proxy: TestProxy, method: string): readonly string[] =>
  proxy.seen.filter((text) => text.startsWith(`${method} `));

export const headersOf = (text: string, name: string): readonly string[] =>
  text
    .split("\n\n")[0]
    ?.split("\n")
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim()) ?? [];
