// Owns the INVITE a UE sends, up to its final response: provisional answers, forks, challenges, CANCEL.
// RFC 3261 8.1, 9.1, 13.2, 22; TS 33.328 7.2.1 step 1; TS 24.229 5.1.3.1 (preloaded Route, P-Preferred-Identity).
import { token, type Timer } from "@sallyport/kit";
import {
  answerChallenge,
  chooseChallenge,
  createRequest,
  dialogFromResponse,
  dialogRequest,
  headerValues,
  tagOf,
  type ClientTransaction,
  type Dialog,
  type SipResponse,
} from "@sallyport/sip";
import { ueErrors } from "../errors.ts";
import { impiOf } from "../registration/register.ts";
import { callError, createCallCore, hasSdp, sdpType, type CallContext, type CallCore } from "./core.ts";
import type { CallOptions } from "./model.ts";
import { chooseOffer } from "./security.ts";

type Header = readonly [name: string, value: string];

/**
 * Sends an INVITE. The call it resolves to is on its way, not answered yet.
 * @throws SALLY_UE_NOT_SECURED before anything is sent, SALLY_UE_PORTS.
 */
export const originate = async (
  context: CallContext,
  target: string,
  options: CallOptions,
  register: (call: CallCore) => void,
): Promise<CallCore> => {
  const { config, deps } = context;
  const { random, clock } = deps;
  const choice = chooseOffer(context.facts(), options.security ?? "policy");
  if (!choice.ok) throw ueErrors("SALLY_UE_NOT_SECURED", choice.why, { where: target });
  const id = `${token(random, 24)}@${config.local.address}`;
  const core = await createCallCore(context, { id, direction: "originating", peer: target });
  register(core);
  for (const { code, text } of choice.notes) deps.log.warn("media security", { call: id, code, text });
  const offer = Buffer.from(core.session.offer(choice.asked, "sendrecv"), "latin1");
  const fromTag = token(random, 16);
  let transaction: ClientTransaction;
  let seq = 0;
  let challenges = 0;
  let cancelled: "us" | "timeout" | undefined;
  let refusedEarly: string | undefined;
  let earlyTag: string | undefined;
  const timer: Timer = clock.after(options.timeoutMs ?? 60_000, () => {
    cancelled ??= "timeout";
    transaction.cancel();
  });

  const inviteWith = (credentials: readonly Header[]): void => {
    seq += 1;
    const request = createRequest({
      method: "INVITE",
      uri: target,
      headers: [
        ...context.initialRoute().map((value): Header => ["Route", value]),
        ["Max-Forwards", "70"],
        ["From", `<${config.impu}>;tag=${fromTag}`],
        ["To", `<${target}>`],
        ["Call-ID", id],
        ["CSeq", `${seq} INVITE`],
        ...core.contactHeaders(),
        ["P-Preferred-Identity", `<${config.impu}>`],
        ["Accept", sdpType],
        ...credentials,
        ...context.requestHeaders(),
        ["Content-Type", sdpType],
      ],
      body: offer,
    });
    transaction = context.signalling.request(request, {
      onResponse: (response) => onResponse(response, seq),
      onFailure: (why) => over("network", why, 408),
    });
  };

  const over = (by: "us" | "them" | "network", why: string, status?: number, error?: Error): void => {
    timer.cancel();
    if (status !== undefined) core.setStatus(status);
    core.end({ by, why, ...(status === undefined ? {} : { status }) }, error ?? callError(why, status));
  };

  /** ACKs a 2xx; where the call is not to be, a BYE follows in its dialog. */
  const acknowledge = (dialog: Dialog, bye: boolean): void => {
    context.signalling.ack(dialogRequest(dialog, "ACK", { seq }).request);
    if (!bye) return;
    const { request } = dialogRequest(dialog, "BYE", { headers: context.requestHeaders() });
    context.signalling.request(request, { onResponse: () => undefined, onFailure: () => undefined });
  };

  const onResponse = (response: SipResponse, of: number): void => {
    if (of !== seq) return;
    const { status } = response;
    if (status < 200) return onProvisional(response);
    if (status < 300) return onSuccess(response);
    if (core.state === "ended") return undefined;
    if ((status === 401 || status === 407) && challenges === 0 && cancelled === undefined) {
      const answer = credentialsFor(response);
      if (answer !== undefined) {
        challenges += 1;
        return inviteWith([answer]);
      }
    }
    if (refusedEarly !== undefined) {
      return over("us", refusedEarly, status, ueErrors("SALLY_UE_NOT_SECURED", refusedEarly, { where: target }));
    }
    if (cancelled !== undefined) {
      return over("us", cancelled === "us" ? "cancelled" : "nobody answered in time", status);
    }
    return over("them", `${status} ${response.reason}.`, status);
  };

  const credentialsFor = (response: SipResponse): Header | undefined => {
    const proxy = response.status === 407;
    const challenge = chooseChallenge(headerValues(response, proxy ? "proxy-authenticate" : "www-authenticate"));
    if (challenge === undefined) return undefined;
    const username = impiOf(config);
    const answer = { challenge, method: "INVITE", uri: target, username, password: config.password };
    return [
      proxy ? "Proxy-Authorization" : "Authorization",
      answerChallenge({ ...answer, random, nonceCount: 1, body: offer }),
    ];
  };

  const onProvisional = (response: SipResponse): void => {
    if (response.status === 100 || core.state === "ended") return;
    core.progress("ringing");
    const tag = tagOf(response, "to");
    if (tag === undefined || !hasSdp(response) || (earlyTag !== undefined && earlyTag !== tag)) return;
    // RFC 3261 13.2.1: a description in an unreliable provisional response is the answer the 2xx will repeat.
    if (earlyTag === tag) return;
    earlyTag = tag;
    const taken = core.session.takeAnswer(response.body, false);
    if (taken.ok) return;
    refusedEarly = taken.why;
    transaction.cancel();
  };

  const onSuccess = (response: SipResponse): void => {
    const dialog = dialogFromResponse(transaction.request, response);
    if (dialog === undefined) return over("network", "The 2xx makes no dialog.", response.status);
    const known = core.dialog;
    if (known !== undefined || core.state === "ended") {
      // RFC 3261 13.2.2.4: a copy gets its ACK again; another fork's dialog, or one nobody wants, is ended.
      return acknowledge(
        known === undefined ? dialog : dialog.remoteTag === known.remoteTag ? known : dialog,
        known?.remoteTag !== dialog.remoteTag,
      );
    }
    if (cancelled !== undefined || refusedEarly !== undefined) {
      acknowledge(dialog, true);
      return over("us", refusedEarly ?? "cancelled", response.status);
    }
    core.setStatus(response.status);
    const early = earlyTag === dialog.remoteTag && !hasSdp(response);
    const taken = early ? { ok: true as const } : core.session.takeAnswer(response.body, true);
    if (!taken.ok) {
      acknowledge(dialog, true);
      return over("us", taken.why, response.status, ueErrors("SALLY_UE_NOT_SECURED", taken.why, { where: target }));
    }
    if (early) core.session.abandonOffer();
    timer.cancel();
    core.dialog = dialog;
    acknowledge(dialog, false);
    return core.progress("answered");
  };

  core.abandon = () => {
    if (cancelled !== undefined) return;
    cancelled = "us";
    transaction.cancel();
  };
  try {
    inviteWith([]);
  } catch (error) {
    over("us", (error as Error).message, undefined, error as Error);
    throw error;
  }
  return core;
};
