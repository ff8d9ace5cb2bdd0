// Owns an INVITE that came in, up to its final response: whether the offer may be taken, ringing, CANCEL, refusal.
// RFC 3261 8.2, 9.2, 13.3; TS 33.328 7.3.1 steps 4 and 5; TS 24.229 5.1.4.1.
import {
  createResponse,
  dialogFromRequest,
  headerValue,
  parseNameAddr,
  unsupportedOptionTags,
  type ServerTransaction,
} from "@sallyport/sip";
import type { Timer } from "@sallyport/kit";
import { callError, createCallCore, hasSdp, sdpType, type CallContext, type CallCore } from "./core.ts";
import type { AnswerOptions } from "./model.ts";
import { chooseOffer } from "./security.ts";

type Header = readonly [name: string, value: string];

/** Option tags a UE need not refuse: the security agreement is the P-CSCF's and its own affair. */
const supported = ["sec-agree", "mediasec", "path"];

/**
 * Takes an INVITE outside a dialog. `decide` is asked once the call rings; the call is gone when this answers undefined.
 */
export const terminate = async (
  context: CallContext,
  transaction: ServerTransaction,
  decide: (call: CallCore) => AnswerOptions | Promise<AnswerOptions>,
  register: (call: CallCore) => void,
): Promise<void> => {
  const { request } = transaction;
  const { log, clock } = context.deps;
  const reply = (status: number, headers: readonly Header[] = []): void =>
    transaction.respond(createResponse(request, status, undefined, { toTag: transaction.toTag, headers }));
  const unknown = unsupportedOptionTags(request, "require", supported);
  if (unknown.length > 0) return reply(420, [["Unsupported", unknown.join(", ")]]);
  if (request.body.length > 0 && !hasSdp(request)) return reply(415, [["Accept", sdpType]]);
  const dialog = dialogFromRequest(request, transaction.toTag);
  if (dialog === undefined) return reply(400);

  let cancelled = false;
  transaction.onCancel = () => {
    cancelled = true;
  };
  const peer = parseNameAddr(headerValue(request, "from") ?? "")?.uri ?? "";
  let core: CallCore;
  try {
    core = await createCallCore(context, { id: dialog.callId, direction: "terminating", peer });
  } catch (error) {
    log.error("no media for a call", { error: (error as Error).message });
    return reply(500);
  }
  let timer: Timer | undefined;
  const over = (by: "us" | "them", why: string, status: number, headers: readonly Header[] = []): void => {
    timer?.cancel();
    reply(status, headers);
    core.setStatus(status);
    core.end({ by, why, status }, callError(why, status));
  };
  register(core);
  if (cancelled) return over("them", "cancelled", 487);
  transaction.onCancel = () => {
    if (core.state !== "ended") over("them", "cancelled", 487);
  };
  core.abandon = () => over("us", "refused", 603);

  const offered = hasSdp(request);
  let body: string;
  if (offered) {
    // The offer is judged before anybody is asked: what the policy forbids does not ring.
    const taken = core.session.takeOffer(request.body, "sendrecv");
    if (!taken.ok) {
      log.warn("call refused", { call: core.id, why: taken.why });
      return over("us", taken.why, 488, [["Warning", `399 sallyport "${taken.why.replaceAll('"', "'")}"`]]);
    }
    body = taken.answer;
  } else {
    // The rules follow the direction of the SDP: an offer of ours in the 2xx asks for e2ae as one in an INVITE would.
    const choice = chooseOffer(context.facts(), "policy");
    if (!choice.ok) return over("us", choice.why, 488);
    body = core.session.offer(choice.asked, "sendrecv");
  }
  core.dialog = dialog;
  core.progress("ringing");
  transaction.respond(
    createResponse(request, 180, undefined, { toTag: transaction.toTag, headers: core.contactHeaders() }),
  );

  let wish: AnswerOptions;
  try {
    wish = await decide(core);
  } catch (error) {
    log.error("the call handler failed", { call: core.id, error: (error as Error).message });
    wish = { accept: false, status: 500 };
  }
  if (wish.ringMs !== undefined && wish.ringMs > 0) {
    const { ringMs } = wish;
    await new Promise<void>((resolve) => {
      timer = clock.after(ringMs, resolve);
      void core.ended.then(() => resolve());
    });
  }
  if (core.state !== "ringing") return;
  if (wish.accept === false) return over("us", "refused", wish.status ?? 603);

  const response = createResponse(request, 200, undefined, {
    toTag: transaction.toTag,
    headers: [...core.contactHeaders(), ["Content-Type", sdpType]],
    body: Buffer.from(body, "latin1"),
  });
  core.setStatus(200);
  core.dialog = { ...dialog, state: "confirmed" };
  core.repeatUntilAck(transaction, response, (ack) => {
    if (offered) return;
    const taken = hasSdp(ack) ? core.session.takeAnswer(ack.body, true) : undefined;
    if (taken?.ok === true) return core.progress("answered");
    core.sendBye();
    core.end({ by: "us", why: taken?.why ?? "The ACK brought no answer." });
  });
  // With the answer sent the media may flow; an offer of ours waits for the ACK.
  if (offered) core.progress("answered");
};
