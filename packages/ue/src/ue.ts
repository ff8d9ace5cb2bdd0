// Owns one UE: its signalling, its registration, its calls. Joins the parts; decides nothing they decide.
// TS 33.328 7.1, 7.2.1 and 7.3.1 (UE side), TS 24.229 5.1.
import {
  dialogId,
  dialogIdOf,
  formatHost,
  headerValue,
  tagOf,
  createResponse,
  type ServerTransaction,
} from "@sallyport/sip";
import { allow, sdpType, type CallContext, type CallCore } from "./call/core.ts";
import type { AnswerOptions, CallOptions, UeCall } from "./call/model.ts";
import { originate } from "./call/originate.ts";
import type { SecurityFacts } from "./call/security.ts";
import { terminate } from "./call/terminate.ts";
import type { UeConfig } from "./config.ts";
import { ueErrors } from "./errors.ts";
import { securityHeaders } from "./registration/register.ts";
import { createRegistration, type UeRegistration } from "./registration/registrar.ts";
import { openSignalling, type ElementDeps } from "./signalling.ts";

export type CallHandler = (call: UeCall) => AnswerOptions | Promise<AnswerOptions>;

export interface Ue {
  readonly impu: string;
  readonly contactUri: string;
  readonly config: UeConfig;
  readonly deps: ElementDeps;
  /** Undefined while not registered. */
  readonly registration: UeRegistration | undefined;
  /** Rejects SALLY_UE_REGISTRATION with the SIP status. */
  register(): Promise<UeRegistration>;
  deregister(): Promise<void>;
  /** Sends an INVITE; resolves as soon as it is out. Rejects SALLY_UE_NOT_SECURED, SALLY_UE_NOT_REGISTERED, SALLY_UE_PORTS. */
  dial(target: string, options?: CallOptions): Promise<UeCall>;
  /** Like `dial`, but resolves when answered, and rejects with the SIP status (`status` of the error) when refused. */
  call(target: string, options?: CallOptions): Promise<UeCall>;
  /** Who decides about calls that come in. Without one, they are answered 480. */
  onCall(answer: CallHandler | undefined): void;
  /** Calls that have not ended. */
  calls(): readonly UeCall[];
  /** Ends every call, de-registers where that takes no longer than two seconds, and closes every socket. */
  close(): Promise<void>;
}

/** How long `close` waits for the network, ms. */
const farewellMs = 2000;

/** @throws SALLY_UE_FILE, SALLY_SIP_LISTEN */
export const createUe = async (config: UeConfig, deps: ElementDeps): Promise<Ue> => {
  const log = deps.log.child({ ue: config.impu });
  const calls = new Set<CallCore>();
  let handler: CallHandler | undefined;
  let closing = false;

  const dispatch = (transaction: ServerTransaction): void => {
    const { request } = transaction;
    const reply = (status: number, headers: readonly (readonly [string, string])[] = []): void =>
      transaction.respond(createResponse(request, status, undefined, { toTag: transaction.toTag, headers }));
    if (tagOf(request, "to") !== undefined) {
      const call = callOf(dialogIdOf(request, "to"));
      return call === undefined ? reply(481) : call.onRequest(transaction);
    }
    if (request.method === "OPTIONS")
      return reply(200, [
        ["Allow", allow],
        ["Accept", sdpType],
      ]);
    if (request.method !== "INVITE") return reply(405, [["Allow", allow]]);
    if (closing || handler === undefined) return reply(480);
    if (calls.size >= config.maxCalls) return reply(486);
    // RFC 3261 8.2.2.2: the same request over two paths is one call.
    if (Array.from(calls).some(({ id }) => id === headerValue(request, "call-id"))) return reply(482);
    const decide = handler;
    terminate(context, transaction, decide, (call) => calls.add(call)).catch((error: Error) =>
      log.error("incoming call failed", { error: error.message }),
    );
    return undefined;
  };

  const callOf = (id: string): CallCore | undefined => {
    for (const call of calls) if (call.dialog !== undefined && dialogId(call.dialog) === id) return call;
    return undefined;
  };

  const signalling = await openSignalling(
    config,
    { ...deps, log },
    {
      onRequest: dispatch,
      onAck: (request) => callOf(dialogIdOf(request, "to"))?.onAck(request),
      onLost: () => registration.renew(),
    },
  );
  const registration = createRegistration({ config, clock: deps.clock, random: deps.random, log, signalling });

  const facts = (): SecurityFacts => {
    const { e2ae, e2e, suites, trustedAccess } = config.security;
    const { ueE2ae = false, networkE2ae = false } = registration.current ?? {};
    return { e2ae, e2e, suites, ueE2ae, networkE2ae, confidential: config.edge.protocol === "tls" || trustedAccess };
  };
  const { edge } = config;
  const transport = edge.protocol === "udp" ? "" : `;transport=${edge.protocol}`;
  const context: CallContext = {
    config,
    deps: { ...deps, log },
    signalling,
    facts,
    // TS 24.229 5.1.2A.1.1: the P-CSCF first, then what Service-Route said.
    initialRoute: () => [
      `<sip:${formatHost(edge.address)}:${edge.port}${transport};lr>`,
      ...(registration.current?.serviceRoute ?? []),
    ],
    requestHeaders: () => {
      const { draft = false, mediaMechanisms = [] } = registration.current ?? {};
      return [
        ...(draft ? securityHeaders(mediaMechanisms, true) : []),
        ...(config.accessNetwork === undefined ? [] : [["P-Access-Network-Info", config.accessNetwork] as const]),
      ];
    },
    onEnded: (call) => calls.delete(call),
  };

  const dial = async (target: string, options: CallOptions = {}): Promise<CallCore> => {
    if (closing) throw ueErrors("SALLY_UE_CLOSED");
    if (registration.current === undefined) throw ueErrors("SALLY_UE_NOT_REGISTERED", "", { where: config.impu });
    return originate(context, target, options, (call) => calls.add(call));
  };

  return {
    impu: config.impu,
    contactUri: signalling.contactUri,
    config,
    deps,
    get registration() {
      return registration.current;
    },
    register: () => registration.register(),
    deregister: () => registration.deregister(),
    dial,
    call: async (target, options) => {
      const call = await dial(target, options);
      await call.answered;
      return call;
    },
    onCall: (answer) => {
      handler = answer;
    },
    calls: () => Array.from(calls),
    close: async () => {
      if (closing) return;
      closing = true;
      const farewell = async (): Promise<void> => {
        await Promise.all(Array.from(calls, (call) => call.hangup()));
        if (registration.current !== undefined) await registration.deregister();
      };
      await Promise.race([
        farewell().catch(() => undefined),
        new Promise<void>((resolve) => void deps.clock.after(farewellMs, resolve)),
      ]);
      registration.close();
      await Promise.all(Array.from(calls, (call) => (call.end({ by: "us", why: "the UE closes" }), call.ended)));
      await signalling.close();
    },
  };
};
