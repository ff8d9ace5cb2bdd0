// Owns the registration of a UE as a pure state machine: what the next REGISTER says, what an answer means.
// Must not know sockets, timers or how a message is written. RFC 3261 10, TS 24.229 5.1.1 (UE side), TS 33.328 7.1.
import { readMechanisms } from "@sallyport/media-security";
import { findDigestAlgorithm, parseChallenge, type DigestChallenge } from "@sallyport/sip";

export interface RegistrationSetting {
  /** Announce `sdes-srtp;mediasec` in Security-Client. */
  readonly announce: boolean;
  /** `draft`: with the mediasec option tags, and Security-Verify in every request. */
  readonly dialect: "3gpp" | "draft";
  readonly algorithms: readonly string[];
  readonly expiresS: number;
}

/** What a REGISTER has to say. */
export interface RegisterPlan {
  readonly expiresS: number;
  /** Security-Client values, [] for none. */
  readonly securityClient: readonly string[];
  readonly securityVerify: readonly string[];
  readonly optionTags: boolean;
  readonly credentials?: { readonly challenge: DigestChallenge; readonly nonceCount: number };
}

/** What an answer to a REGISTER said. */
export interface RegisterAnswer {
  readonly status: number;
  readonly reason: string;
  /** WWW-Authenticate values in their order. */
  readonly challenges: readonly string[];
  /** Security-Server elements in their order. */
  readonly securityServer: readonly string[];
  readonly serviceRoute: readonly string[];
  readonly associated: readonly string[];
  readonly unsupported: readonly string[];
  readonly minExpiresS?: number;
  /** What the registrar granted for our contact. */
  readonly expiresS?: number;
}

/** A registration in force. */
export interface Binding {
  readonly expiresS: number;
  readonly serviceRoute: readonly string[];
  readonly associated: readonly string[];
  /** TS 33.328 7.1: "e2ae-security supported by network", kept for originating set-ups. */
  readonly networkE2ae: boolean;
  /** The UE announced e2ae in this registration. */
  readonly ueE2ae: boolean;
  /** Labelled Security-Server entries as received: what Security-Verify echoes. */
  readonly mediaMechanisms: readonly string[];
  /** The draft dialect is in use: later requests carry the option tags and Security-Verify. */
  readonly draft: boolean;
}

export interface RegistrationState {
  readonly phase: "idle" | "registering" | "registered" | "refreshing" | "deregistering" | "failed";
  readonly setting: RegistrationSetting;
  readonly expiresS: number;
  readonly challenge?: DigestChallenge;
  readonly nonceCount: number;
  /** In this exchange a challenge was answered that came in this exchange. */
  readonly answered: boolean;
  /** Messages sent in this exchange. */
  readonly attempts: number;
  /** The draft's option tags; off once a server called them unsupported. */
  readonly optionTags: boolean;
  readonly verify: readonly string[];
  readonly binding?: Binding;
}

export type RegistrationInput =
  | { readonly kind: "register" }
  | { readonly kind: "refresh" }
  | { readonly kind: "deregister" }
  | { readonly kind: "answer"; readonly answer: RegisterAnswer }
  /** No final answer: timeout or transport error. */
  | { readonly kind: "no-answer"; readonly why: string };

export type RegistrationEffect =
  | { readonly kind: "send"; readonly plan: RegisterPlan }
  | { readonly kind: "refresh-after"; readonly ms: number }
  | { readonly kind: "registered"; readonly binding: Binding }
  | { readonly kind: "deregistered" }
  | { readonly kind: "failed"; readonly why: string; readonly status?: number };

export interface RegistrationStep {
  readonly state: RegistrationState;
  readonly effects: readonly RegistrationEffect[];
}

const maxAttempts = 6;

export const openRegistration = (setting: RegistrationSetting): RegistrationState => ({
  phase: "idle",
  setting,
  expiresS: setting.expiresS,
  nonceCount: 0,
  answered: false,
  attempts: 0,
  optionTags: setting.announce && setting.dialect === "draft",
  verify: [],
});

export const stepRegistration = (state: RegistrationState, input: RegistrationInput): RegistrationStep => {
  switch (input.kind) {
    case "register":
      return send({ ...state, phase: "registering", answered: false, attempts: 0 });
    case "refresh":
      if (state.phase !== "registered") return { state, effects: [] };
      return send({ ...state, phase: "refreshing", answered: false, attempts: 0 });
    case "deregister":
      if (state.phase === "idle" || state.phase === "failed") return { state, effects: [{ kind: "deregistered" }] };
      return send({ ...state, phase: "deregistering", answered: false, attempts: 0 });
    case "no-answer":
      return unanswered(state, input.why);
    default:
      return answered(state, input.answer);
  }
};

const send = (state: RegistrationState, omitClient = false): RegistrationStep => {
  if (state.attempts >= maxAttempts) return failed(state, `The server kept asking: ${maxAttempts} requests were sent.`);
  const { announce } = state.setting;
  const nonceCount = state.nonceCount + 1;
  const plan: RegisterPlan = {
    expiresS: state.phase === "deregistering" ? 0 : state.expiresS,
    // TS 33.328 7.1: the indication is in the initial REGISTER; TS 24.229 5.1.1.4.1: and in every later one.
    securityClient: announce && !omitClient ? ["sdes-srtp;mediasec"] : [],
    securityVerify: announce ? state.verify : [],
    optionTags: state.optionTags,
    ...(state.challenge === undefined ? {} : { credentials: { challenge: state.challenge, nonceCount } }),
  };
  const next = { ...state, attempts: state.attempts + 1, ...(state.challenge === undefined ? {} : { nonceCount }) };
  return { state: next, effects: [{ kind: "send", plan }] };
};

const failed = (state: RegistrationState, why: string, status?: number): RegistrationStep => {
  const { binding: _binding, challenge: _challenge, ...rest } = state;
  return {
    state: { ...rest, phase: "failed", verify: [], nonceCount: 0 },
    effects: [{ kind: "failed", why, ...(status === undefined ? {} : { status }) }],
  };
};

const unanswered = (state: RegistrationState, why: string, status?: number): RegistrationStep => {
  // A binding that stands outlives one lost refresh: try again while there is time (RFC 5626 4.5 asks for patience).
  if (state.phase === "refreshing" && state.binding !== undefined) {
    const ms = Math.min(30_000, state.binding.expiresS * 125);
    return { state: { ...state, phase: "registered" }, effects: [{ kind: "refresh-after", ms }] };
  }
  if (state.phase === "deregistering") return gone(state);
  return failed(state, why, status);
};

const gone = (state: RegistrationState): RegistrationStep => ({
  state: openRegistration(state.setting),
  effects: [{ kind: "deregistered" }],
});

const mediaEntries = (elements: readonly string[]): readonly string[] =>
  elements.filter((element) =>
    readMechanisms([element]).some(({ params }) => params.some(([name]) => name.toLowerCase() === "mediasec")),
  );

const offersSdes = (entries: readonly string[]): boolean =>
  readMechanisms(entries).some(({ name }) => name.toLowerCase() === "sdes-srtp");

const answered = (state: RegistrationState, answer: RegisterAnswer): RegistrationStep => {
  const { status } = answer;
  const entries = mediaEntries(answer.securityServer);
  if (status < 200) return { state, effects: [] };
  if (status < 300) return state.phase === "deregistering" ? gone(state) : registered(state, answer, entries);
  const learned = entries.length === 0 ? state : { ...state, verify: entries };
  switch (status) {
    case 401:
      return challenged(learned, answer);
    case 494:
      // RFC 3329 2.3.1: start again with the list the server just sent. The draft then leaves Security-Client out.
      if (entries.length > 0 && state.attempts < 3) return send(learned, state.optionTags);
      break;
    case 420:
      // RFC 3261 8.1.3.5: without the option tags the draft dialect is not to be had; the 3GPP one needs none.
      if (state.optionTags && answer.unsupported.some((tag) => tag.toLowerCase() === "mediasec")) {
        return send({ ...state, optionTags: false, verify: [] });
      }
      break;
    case 423:
      // RFC 3261 10.2.8
      if (answer.minExpiresS !== undefined && answer.minExpiresS > state.expiresS) {
        return send({ ...state, expiresS: answer.minExpiresS });
      }
      break;
    case 408:
    case 500:
    case 503:
    case 504:
      return unanswered(state, `${status} ${answer.reason}.`, status);
    default:
      break;
  }
  return state.phase === "deregistering" ? gone(state) : failed(state, `${status} ${answer.reason}.`, status);
};

const challenged = (state: RegistrationState, answer: RegisterAnswer): RegistrationStep => {
  const challenge = answer.challenges
    .map((value) => parseChallenge(value))
    .find((each) => {
      const algorithm = each.ok ? findDigestAlgorithm(each.value.algorithm) : undefined;
      return algorithm !== undefined && state.setting.algorithms.includes(algorithm.replace(/-sess$/, ""));
    });
  if (challenge?.ok !== true) return failed(state, "401 without a digest challenge this UE answers.", 401);
  // RFC 3261 22.2: a second challenge that is not stale means that the credentials are wrong.
  if (state.answered && !challenge.value.stale) return failed(state, "The credentials were refused.", 401);
  return send({ ...state, challenge: challenge.value, nonceCount: 0, answered: true });
};

const registered = (
  state: RegistrationState,
  answer: RegisterAnswer,
  inAnswer: readonly string[],
): RegistrationStep => {
  // TS 24.229 5.1.1.2.1 g: the UE stores the labelled entries of the 200. The draft's flow shows them in the 401 too, and
  // a server that names them only there has announced them as well.
  const entries = inAnswer.length > 0 || state.setting.dialect === "3gpp" ? inAnswer : state.verify;
  const expiresS = answer.expiresS ?? state.expiresS;
  const binding: Binding = {
    expiresS,
    serviceRoute: answer.serviceRoute,
    associated: answer.associated,
    networkE2ae: offersSdes(entries),
    ueE2ae: state.setting.announce,
    mediaMechanisms: entries,
    draft: state.optionTags,
  };
  // TS 24.229 5.1.1.4.1: 600 s before the end, or halfway when there are no 1200 s.
  const ms = 1000 * (expiresS > 1200 ? expiresS - 600 : expiresS / 2);
  return {
    state: { ...state, phase: "registered", binding, verify: entries },
    effects: [
      { kind: "registered", binding },
      { kind: "refresh-after", ms },
    ],
  };
};
