// Owns what every call has, whoever began it: stream, session, dialog, its end, and the requests inside the dialog.
// RFC 3261 12.2 (in dialog), 13.3.1.4 (2xx repeated until the ACK), 14 (re-INVITE), 15 (BYE); RFC 3311 (UPDATE).
import { readFile, writeFile } from "node:fs/promises";
import { systemDatagrams, token, type Timer } from "@sallyport/kit";
import {
  afterRequest,
  createResponse,
  dialogRequest,
  headerValue,
  type Dialog,
  type ServerTransaction,
  type SipRequest,
  type SipResponse,
} from "@sallyport/sip";
import type { UeConfig } from "../config.ts";
import { ueErrors } from "../errors.ts";
import { openAudioStream, type AudioStream } from "../media/stream.ts";
import { parseWav, writeWav, type Sound } from "../media/wav.ts";
import type { ElementDeps, Signalling } from "../signalling.ts";
import type { Direction } from "./description.ts";
import type { CallEnd, CallReport, CallState, UeCall } from "./model.ts";
import type { Asked, SecurityFacts } from "./security.ts";
import { createSession, type Session } from "./session.ts";

type Header = readonly [name: string, value: string];

/** What a call needs of its UE. */
export interface CallContext {
  readonly config: UeConfig;
  readonly deps: ElementDeps;
  readonly signalling: Signalling;
  facts(): SecurityFacts;
  /** Headers of every request but ACK and CANCEL. */
  requestHeaders(): readonly Header[];
  /** Route of a request that opens a dialog. */
  initialRoute(): readonly string[];
  onEnded(call: CallCore): void;
}

/** A call seen from inside the UE. */
export interface CallCore extends UeCall {
  readonly session: Session;
  readonly stream: AudioStream;
  dialog: Dialog | undefined;
  /** Goes to `ringing` or `answered`; logs what the session found. */
  progress(state: "ringing" | "answered"): void;
  setStatus(status: number): void;
  end(end: CallEnd, error?: Error): void;
  /** What `hangup` does before the call is answered. */
  abandon: (() => void) | undefined;
  onRequest(transaction: ServerTransaction): void;
  onAck(request: SipRequest): void;
  /** Sends a 2xx to an INVITE again and again until its ACK. */
  repeatUntilAck(transaction: ServerTransaction, response: SipResponse, onAck: (ack: SipRequest) => void): void;
  contactHeaders(): readonly Header[];
  sendBye(): void;
}

export const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";
export const sdpType = "application/sdp";

export const hasSdp = (message: SipRequest | SipResponse): boolean =>
  message.body.length > 0 && /^application\/sdp\s*(;|$)/i.test(headerValue(message, "content-type") ?? "");

const t1 = 500;
const t2 = 4000;

/** An error that carries the status a caller asks about. */
export const callError = (why: string, status?: number): Error =>
  Object.assign(ueErrors("SALLY_UE_CALL", why), status === undefined ? {} : { status });

export const createCallCore = async (
  context: CallContext,
  facts: { readonly id: string; readonly direction: "originating" | "terminating"; readonly peer: string },
): Promise<CallCore> => {
  const { config, deps } = context;
  const { clock, random } = deps;
  const log = deps.log.child({ call: facts.id });
  const digitWaits = new Set<{ readonly digits: string; resolve(): void; reject(error: Error): void }>();
  const heardDigits = (): string => stream.view.digits.map(({ digit }) => digit).join("");

  const stream = await openAudioStream({
    clock,
    random,
    log,
    openDatagram: deps.openDatagram ?? systemDatagrams,
    address: config.media.address ?? config.local.address,
    ports: config.media.ports,
    rtcpIntervalMs: config.media.rtcpIntervalMs,
    maxRecordedOctets: config.media.maxRecordedOctets,
    cname: `${token(random, 16)}@sallyport.invalid`,
    onDigit: () => {
      for (const wait of digitWaits) {
        if (!heardDigits().endsWith(wait.digits)) continue;
        digitWaits.delete(wait);
        wait.resolve();
      }
    },
  });
  const session = createSession({
    random,
    stream,
    codecs: config.codecs,
    mux: config.media.rtcpMux,
    sessionId: String(random.bytes(4).readUInt32BE(0)),
    facts: () => context.facts(),
  });

  /** What our owner wants of the stream, whatever the other side agrees to at the moment. RFC 6337 5.3. */
  let wish: Direction = "sendrecv";
  let state: CallState = "calling";
  let status: number | undefined;
  let end: CallEnd | undefined;
  let ownInvite = false;
  const acks = new Map<string, (ack: SipRequest) => void>();
  const timers = new Set<Timer>();
  const answered = withSettlers<void>();
  const ended = withSettlers<CallEnd>();
  answered.promise.catch(() => undefined);

  /** One request inside the dialog; resolves with its final response, 408 when none came. */
  const request = async (method: string, body?: string): Promise<{ readonly status: number; response?: SipResponse }> =>
    new Promise((resolve) => {
      if (core.dialog === undefined) return resolve({ status: 481 });
      const made = dialogRequest(core.dialog, method, {
        headers: [...(method === "BYE" ? [] : core.contactHeaders()), ...context.requestHeaders()],
        ...(body === undefined ? {} : { body: Buffer.from(body, "latin1"), contentType: sdpType }),
      });
      core.dialog = made.dialog;
      context.signalling.request(made.request, {
        onResponse: (response) => {
          if (response.status >= 200) resolve({ status: response.status, response });
          // RFC 3261 13.2.2.4: every copy of a 2xx to an INVITE gets its ACK.
          if (method === "INVITE" && response.status >= 200 && response.status < 300) ack(made.dialog.localSeq);
        },
        onFailure: () => resolve({ status: 408 }),
      });
      return undefined;
    });

  const ack = (seq: number): void => {
    if (core.dialog !== undefined) context.signalling.ack(dialogRequest(core.dialog, "ACK", { seq }).request);
  };

  const finish = (how: CallEnd, error?: Error): void => {
    if (end !== undefined) return;
    end = how;
    state = "ended";
    for (const timer of timers) timer.cancel();
    timers.clear();
    acks.clear();
    const { security, suite } = session.view;
    log.info("call ended", { by: how.by, why: how.why, status, security, suite });
    answered.reject(error ?? callError(how.why, how.status));
    for (const wait of digitWaits) wait.reject(ueErrors("SALLY_UE_CALL_ENDED", "The digits had not come."));
    digitWaits.clear();
    void stream.close().finally(() => {
      session.release();
      context.onEnded(core);
      ended.resolve(how);
    });
  };

  const reoffer = (transaction: ServerTransaction): void => {
    const { request: incoming } = transaction;
    const refuse = (code: number, headers: readonly Header[] = []): void =>
      transaction.respond(createResponse(incoming, code, undefined, { toTag: transaction.toTag, headers }));
    // RFC 3261 14.2: our own re-INVITE is under way.
    if (ownInvite) return refuse(491);
    const invite = incoming.method === "INVITE";
    let body: string | undefined;
    if (hasSdp(incoming)) {
      const taken = session.takeOffer(incoming.body, wish);
      if (!taken.ok) {
        log.warn("offer refused", { why: taken.why });
        return refuse(488, [["Warning", `399 sallyport "${taken.why.replaceAll('"', "'")}"`]]);
      }
      body = taken.answer;
      noteSecurity();
    } else if (invite) body = session.offer(askedAgain(), wish);
    const response = createResponse(incoming, 200, undefined, {
      headers: [...core.contactHeaders(), ...(body === undefined ? [] : [["Content-Type", sdpType] as const])],
      ...(body === undefined ? {} : { body: Buffer.from(body, "latin1") }),
    });
    if (!invite) return transaction.respond(response);
    core.repeatUntilAck(transaction, response, (received) => {
      if (!hasSdp(incoming)) takeLateAnswer(received);
    });
  };

  /** The answer to an offer of ours in a 200 comes in the ACK (RFC 3264 with RFC 3261 13.2.1). */
  const takeLateAnswer = (received: SipRequest): void => {
    const taken = hasSdp(received) ? session.takeAnswer(received.body, true) : undefined;
    noteSecurity();
    if (taken?.ok === true) return;
    core.sendBye();
    finish({ by: "us", why: taken?.why ?? "The ACK brought no answer." });
  };

  const noteSecurity = (): void => {
    const { security, notes, suite, fingerprints } = session.view;
    log.info("media agreed", { security, suite, fingerprints });
    for (const { code, text } of notes) log.warn("media security", { code, text });
  };

  const askedAgain = (): Asked => {
    const { security, asked } = session.view;
    if (security === "unconfirmed") return asked === "none" ? "e2e" : asked;
    return security ?? asked;
  };

  const load = async (path: string): Promise<Sound> => {
    const octets = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      throw ueErrors("SALLY_UE_FILE", `${cause.code ?? cause.message}.`, { where: path, cause });
    });
    const parsed = parseWav(octets);
    if (!parsed.ok) throw ueErrors("SALLY_UE_WAV", `${parsed.code} at octet ${parsed.offset}.`, { where: path });
    return parsed.sound;
  };

  const core: CallCore = {
    ...facts,
    session,
    stream,
    dialog: undefined,
    abandon: undefined,
    get state() {
      return state;
    },
    answered: answered.promise,
    ended: ended.promise,
    progress: (next) => {
      if (state === "ended" || state === next) return;
      state = next;
      if (next === "answered") {
        noteSecurity();
        answered.resolve();
      }
    },
    setStatus: (code) => {
      status = code;
    },
    end: finish,
    report: (): CallReport => {
      const { direction, ...view } = session.view;
      return {
        ...facts,
        ...view,
        state,
        mediaDirection: direction,
        media: stream.view,
        ...(status === undefined ? {} : { status }),
        ...(end === undefined ? {} : { end }),
      };
    },
    play: async (sound) => stream.play(typeof sound === "string" ? await load(sound) : sound),
    sendDigits: (digits) => stream.press(digits),
    digitsReceived: (digits) =>
      new Promise((resolve, reject) => {
        if (heardDigits().endsWith(digits)) return resolve();
        if (end !== undefined) return reject(ueErrors("SALLY_UE_CALL_ENDED", "The digits had not come."));
        digitWaits.add({ digits, resolve, reject });
        return undefined;
      }),
    received: stream.received,
    sent: stream.sent,
    writeRecording: async (path) => {
      await writeFile(path, writeWav(stream.received.sound())).catch((cause: NodeJS.ErrnoException) => {
        throw ueErrors("SALLY_UE_FILE", `${cause.code ?? cause.message}.`, { where: path, cause });
      });
    },
    reinvite: async (direction?: Direction) => {
      if (state !== "answered" || ownInvite) throw callError("There is no answered call, or a re-INVITE is under way.");
      ownInvite = true;
      const wanted = direction ?? wish;
      try {
        const { status: code, response } = await request("INVITE", session.offer(askedAgain(), wanted));
        if (code === 408 || code === 481) {
          // RFC 3261 12.2.1.2: the other side has no such dialog any more.
          core.sendBye();
          finish({ by: "network", why: `The re-INVITE was answered ${code}.` });
        }
        if (response === undefined || code >= 300) {
          // RFC 3261 14.1: what was in force stays.
          session.abandonOffer();
          throw callError(`The re-INVITE was answered ${code}.`, code);
        }
        const taken = session.takeAnswer(response.body, true);
        if (!taken.ok) {
          core.sendBye();
          finish({ by: "us", why: taken.why });
          throw ueErrors("SALLY_UE_MEDIA", taken.why);
        }
        wish = wanted;
        noteSecurity();
      } finally {
        ownInvite = false;
      }
    },
    hangup: async () => {
      if (state === "answered") {
        const sent = request("BYE");
        // The media stops at once; the answer to the BYE changes nothing (RFC 3261 15.1.1).
        await sent;
        finish({ by: "us", why: "hung up" });
      } else core.abandon?.();
      return ended.promise;
    },
    sendBye: () => void request("BYE"),
    contactHeaders: () => [
      ["Contact", `<${context.signalling.contactUri}>`],
      ["Allow", allow],
    ],
    repeatUntilAck: (transaction, response, onAck) => {
      const seq = headerValue(transaction.request, "cseq")?.split(" ", 1)[0] ?? "";
      let waited = 0;
      let timer: Timer | undefined;
      const stop = (): void => {
        timer?.cancel();
        if (timer !== undefined) timers.delete(timer);
        acks.delete(seq);
      };
      const again = (interval: number): void => {
        timer = clock.after(interval, () => {
          if (timer !== undefined) timers.delete(timer);
          waited += interval;
          if (waited >= 64 * t1) {
            // RFC 3261 13.3.1.4: without an ACK the dialog is confirmed, and ended.
            stop();
            core.sendBye();
            return finish({ by: "network", why: "The ACK never came." });
          }
          transaction.respond(response);
          again(Math.min(2 * interval, t2));
        });
        timers.add(timer);
      };
      acks.set(seq, (received) => {
        stop();
        onAck(received);
      });
      transaction.respond(response);
      again(t1);
    },
    onAck: (received) => acks.get(headerValue(received, "cseq")?.split(" ", 1)[0] ?? "")?.(received),
    onRequest: (transaction) => {
      const { request: incoming } = transaction;
      const reply = (code: number, reason?: string, headers: readonly Header[] = []): void =>
        transaction.respond(createResponse(incoming, code, reason, { toTag: transaction.toTag, headers }));
      if (core.dialog === undefined || state === "ended") return reply(481);
      const verdict = afterRequest(core.dialog, incoming);
      if (!verdict.ok) return reply(verdict.status, verdict.reason);
      core.dialog = verdict.dialog;
      switch (incoming.method) {
        case "BYE":
          reply(200);
          return finish({ by: "them", why: "hung up" });
        case "INVITE":
          // RFC 3261 14.2: one offer after the other.
          return acks.size > 0 ? reply(500, undefined, [["Retry-After", "1"]]) : reoffer(transaction);
        case "UPDATE":
          return reoffer(transaction);
        case "OPTIONS":
          return reply(200, undefined, [
            ["Allow", allow],
            ["Accept", sdpType],
          ]);
        default:
          return reply(405, undefined, [["Allow", allow]]);
      }
    },
  };
  return core;
};

const withSettlers = <T>(): {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
} => {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) };
};
