// Owns the running registration: the machine, its timer, its REGISTERs in order. Knows no call.
// RFC 3261 10.2 (one Call-ID, CSeq counting on), TS 24.229 5.1.1.4 (refresh), 5.1.1.6 (de-registration).
import { token, type Clock, type Log, type Random, type Timer } from "@sallyport/kit";
import type { UeConfig } from "../config.ts";
import { ueErrors } from "../errors.ts";
import type { Signalling } from "../signalling.ts";
import {
  openRegistration,
  stepRegistration,
  type Binding,
  type RegistrationEffect,
  type RegistrationInput,
  type RegistrationState,
} from "./machine.ts";
import { readRegisterAnswer, writeRegister } from "./register.ts";

/** A registration as its owner sees it. */
export interface UeRegistration extends Binding {
  readonly impu: string;
  readonly contactUri: string;
}

export interface Registration {
  readonly current: UeRegistration | undefined;
  readonly phase: RegistrationState["phase"];
  /** Rejects SALLY_UE_REGISTRATION, with the SIP status where there was one. */
  register(): Promise<UeRegistration>;
  deregister(): Promise<void>;
  /** The connection is gone: the binding must be renewed over a new one (RFC 5626 4.4). */
  renew(): void;
  /** Cancels the timer; says nothing on the wire. */
  close(): void;
}

export interface RegistrationOptions {
  readonly config: UeConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly signalling: Pick<Signalling, "contactUri" | "request">;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

/** How long to wait before a lost connection is opened again, ms. */
const renewAfter = 1000;

export const createRegistration = (options: RegistrationOptions): Registration => {
  const { config, clock, random, log, signalling } = options;
  const { contactUri } = signalling;
  const callId = `${token(random, 24)}@${config.local.address}`;
  const fromTag = token(random, 16);
  let state = openRegistration({
    announce: config.security.e2ae !== "off",
    dialect: config.security.dialect,
    algorithms: config.digest,
    expiresS: config.expiresS,
  });
  let seq = 0;
  let timer: Timer | undefined;
  let waiting: Waiting[] = [];
  let closed = false;

  const current = (): UeRegistration | undefined =>
    state.binding === undefined ? undefined : { ...state.binding, impu: config.impu, contactUri };

  const settle = (error?: Error): void => {
    const woken = waiting;
    waiting = [];
    for (const each of woken) {
      if (error === undefined) each.resolve();
      else each.reject(error);
    }
  };

  const input = (what: RegistrationInput): void => {
    if (closed) return;
    const step = stepRegistration(state, what);
    state = step.state;
    for (const effect of step.effects) perform(effect);
  };

  const later = (ms: number, what: RegistrationInput): void => {
    timer?.cancel();
    timer = clock.after(ms, () => input(what));
  };

  const perform = (effect: RegistrationEffect): void => {
    switch (effect.kind) {
      case "send": {
        seq += 1;
        const request = writeRegister(effect.plan, { config, random, contactUri, callId, fromTag, seq });
        signalling.request(request, {
          onResponse: (response) => {
            if (response.status >= 200) input({ kind: "answer", answer: readRegisterAnswer(response, contactUri) });
          },
          onFailure: (why) => input({ kind: "no-answer", why }),
        });
        return;
      }
      case "refresh-after":
        return later(effect.ms, { kind: "refresh" });
      case "registered": {
        const { expiresS, networkE2ae, ueE2ae } = effect.binding;
        log.info("registered", { expiresS, ueE2ae, networkE2ae });
        if (ueE2ae && !networkE2ae) log.warn("the network announced no e2ae", { policy: config.security.e2ae });
        return settle();
      }
      case "deregistered":
        timer?.cancel();
        log.info("deregistered");
        return settle();
      default: {
        timer?.cancel();
        log.error("registration failed", { why: effect.why, status: effect.status });
        const error = ueErrors("SALLY_UE_REGISTRATION", effect.why, { where: config.impu });
        return settle(effect.status === undefined ? error : Object.assign(error, { status: effect.status }));
      }
    }
  };

  const done = (): Promise<void> =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
    });

  return {
    get current() {
      return current();
    },
    get phase() {
      return state.phase;
    },
    register: async () => {
      const wait = done();
      if (state.phase !== "registering" && state.phase !== "refreshing") input({ kind: "register" });
      await wait;
      const registered = current();
      if (registered === undefined) throw ueErrors("SALLY_UE_REGISTRATION", "It was taken back.");
      return registered;
    },
    deregister: async () => {
      timer?.cancel();
      const wait = done();
      input({ kind: "deregister" });
      await wait;
    },
    renew: () => {
      if (state.phase === "registered") later(renewAfter, { kind: "refresh" });
    },
    close: () => {
      closed = true;
      timer?.cancel();
      settle(ueErrors("SALLY_UE_CLOSED"));
    },
  };
};
