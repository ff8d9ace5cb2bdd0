import { describe, expect, it } from "vitest";
import {
  openRegistration,
  stepRegistration,
  type RegisterAnswer,
  type RegistrationEffect,
  type RegistrationInput,
  type RegistrationSetting,
  type RegistrationState,
} from "../src/registration/machine.ts";

const setting: RegistrationSetting = {
  announce: true,
  dialect: "3gpp",
  algorithms: ["SHA-256", "MD5"],
  expiresS: 600_000,
};
const blank: RegisterAnswer = {
  status: 200,
  reason: "OK",
  challenges: [],
  securityServer: [],
  serviceRoute: [],
  associated: [],
  unsupported: [],
};
const answer = (change: Partial<RegisterAnswer>): RegistrationInput => ({
  kind: "answer",
  answer: { ...blank, ...change },
});
const digest = (nonce: string, algorithm = "SHA-256", more = "") =>
  `Digest realm="home.example", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${more}`;

const run = (start: RegistrationState, ...inputs: readonly RegistrationInput[]) => {
  let state = start;
  let effects: readonly RegistrationEffect[] = [];
  for (const input of inputs) ({ state, effects } = stepRegistration(state, input));
  const [first] = effects;
  return { state, effects, plan: first?.kind === "send" ? first.plan : undefined };
};
const begin = (change: Partial<RegistrationSetting> = {}) => openRegistration({ ...setting, ...change });
const register: RegistrationInput = { kind: "register" };
const challenge = answer({ status: 401, challenges: [digest("n1")], securityServer: ["sdes-srtp;mediasec"] });

describe("announcing e2ae", () => {
  it("TS 33.328 7.1 (a): the initial REGISTER indicates e2ae, in the 3GPP dialect without option tags", () => {
    const { plan } = run(begin(), register);
    expect(plan).toMatchObject({ securityClient: ["sdes-srtp;mediasec"], securityVerify: [], optionTags: false });
    expect(plan?.credentials).toBeUndefined();
  });

  it("TS 33.328 7.1 (a): a UE whose policy says otherwise does not", () => {
    const { plan, state } = run(begin({ announce: false }), register);
    expect(plan).toMatchObject({ securityClient: [], securityVerify: [], optionTags: false });
    const later = run(state, challenge);
    expect(later.plan).toMatchObject({ securityClient: [], securityVerify: [] });
  });

  it("draft dialect: the option tags go with it, and Security-Verify repeats every entry in its order after the 401", () => {
    const entries = ["msrp-tls;mediasec", "sdes-srtp;mediasec", "dtls-srtp;mediasec"];
    const first = run(begin({ dialect: "draft" }), register);
    expect(first.plan).toMatchObject({ optionTags: true, securityVerify: [] });
    const second = run(
      first.state,
      answer({ status: 401, challenges: [digest("n")], securityServer: ["tls", ...entries] }),
    );
    expect(second.plan).toMatchObject({
      optionTags: true,
      securityClient: ["sdes-srtp;mediasec"],
      securityVerify: entries,
      credentials: { nonceCount: 1, challenge: { nonce: "n" } },
    });
  });
});

describe("storing the network's announcement", () => {
  const bound = (change: Partial<RegistrationSetting>, in200: readonly string[], in401: readonly string[]) => {
    const { effects } = run(
      begin(change),
      register,
      answer({ status: 401, challenges: [digest("n1")], securityServer: in401 }),
      answer({ securityServer: in200 }),
    );
    const [first] = effects;
    return first?.kind === "registered" ? first.binding : undefined;
  };
  const sdes = ["sdes-srtp;mediasec"];

  it("TS 33.328 7.1 (e): the entries of the 200 are stored for originating set-ups", () => {
    expect(bound({}, ["SDES-SRTP ; MediaSec"], sdes)).toMatchObject({ networkE2ae: true, ueE2ae: true, draft: false });
    expect(bound({}, [], sdes)).toMatchObject({ networkE2ae: false });
    expect(bound({}, ["sdes-srtp"], [])).toMatchObject({ networkE2ae: false });
    expect(bound({}, ["msrp-tls;mediasec"], [])).toMatchObject({ networkE2ae: false });
  });

  it("draft dialect: an announcement in the 401 counts when the 200 names nothing", () => {
    expect(bound({ dialect: "draft" }, [], sdes)).toMatchObject({
      networkE2ae: true,
      draft: true,
      mediaMechanisms: sdes,
    });
    expect(bound({ dialect: "draft" }, ["msrp-tls;mediasec"], sdes)).toMatchObject({ networkE2ae: false });
  });

  it("TS 24.229 5.1.1.4.1: each refresh announces again, and its 200 replaces what was stored", () => {
    const first = run(begin(), register, challenge, answer({ securityServer: sdes }));
    const refresh = run(first.state, { kind: "refresh" });
    expect(refresh.plan).toMatchObject({ securityClient: sdes, securityVerify: sdes, credentials: { nonceCount: 2 } });
    const second = run(refresh.state, answer({}));
    expect(second.state.binding?.networkE2ae).toBe(false);
  });
});

describe("answers", () => {
  it("RFC 3261 22.2: wrong credentials end it, a stale nonce does not", () => {
    const asked = run(begin(), register, challenge);
    expect(run(asked.state, answer({ status: 401, challenges: [digest("n2")] })).effects).toMatchObject([
      { kind: "failed", status: 401 },
    ]);
    const stale = run(asked.state, answer({ status: 401, challenges: [digest("n2", "SHA-256", ", stale=true")] }));
    expect(stale.plan?.credentials).toMatchObject({ nonceCount: 1, challenge: { nonce: "n2" } });
  });

  it("RFC 8760 2.4: the topmost challenge that the UE is willing to answer", () => {
    const both = answer({ status: 401, challenges: [digest("a", "SHA-512-256"), digest("b"), digest("c", "MD5")] });
    expect(run(begin(), register, both).plan?.credentials?.challenge.nonce).toBe(
      run(begin({ algorithms: ["SHA-256", "MD5"] }), register, both).plan?.credentials?.challenge.nonce,
    );
    expect(run(begin({ algorithms: ["MD5"] }), register, both).plan?.credentials?.challenge.nonce).toBe("c");
    const none = run(
      begin(),
      register,
      answer({ status: 401, challenges: ['Basic realm="x"', digest("a", "AKAv1-MD5")] }),
    );
    expect(none.effects).toMatchObject([{ kind: "failed", status: 401 }]);
  });

  it("a server that never stops asking is left after six requests", () => {
    let { state, effects } = run(begin(), register);
    let sent = 1;
    for (let round = 0; round < 20 && effects[0]?.kind === "send"; round += 1) {
      const again = answer({ status: 401, challenges: [digest(`n${round}`, "MD5", ", stale=true")] });
      ({ state, effects } = run(state, again));
      if (effects[0]?.kind === "send") sent += 1;
    }
    expect(sent).toBe(6);
    expect(state.phase).toBe("failed");
  });

  it("draft dialect, 494: Security-Verify and no Security-Client; only twice", () => {
    const refused = answer({
      status: 494,
      reason: "Security Agreement Required",
      securityServer: ["sdes-srtp;mediasec"],
    });
    const first = run(begin({ dialect: "draft" }), register, refused);
    expect(first.plan).toMatchObject({ securityClient: [], securityVerify: ["sdes-srtp;mediasec"], optionTags: true });
    const third = run(first.state, refused, refused);
    expect(third.effects).toMatchObject([{ kind: "failed", status: 494 }]);
  });

  it("RFC 3261 8.1.3.5: 420 for the mediasec tag falls back to the dialect without it", () => {
    const refused = run(begin({ dialect: "draft" }), register, answer({ status: 420, unsupported: ["MediaSec"] }));
    expect(refused.plan).toMatchObject({
      optionTags: false,
      securityClient: ["sdes-srtp;mediasec"],
      securityVerify: [],
    });
    expect(run(begin(), register, answer({ status: 420, unsupported: ["path"] })).effects[0]?.kind).toBe("failed");
  });

  it("RFC 3261 10.2.8: 423 raises the lifetime asked for", () => {
    const asked = run(begin({ expiresS: 60 }), register, answer({ status: 423, minExpiresS: 1800 }));
    expect(asked.plan?.expiresS).toBe(1800);
  });

  it("TS 24.229 5.1.1.4.1: refresh 600 s before the end, or halfway when there are no 1200 s", () => {
    const after = (expiresS: number) => run(begin(), register, answer({ expiresS })).effects[1];
    expect(after(3600)).toEqual({ kind: "refresh-after", ms: 3_000_000 });
    expect(after(1000)).toEqual({ kind: "refresh-after", ms: 500_000 });
  });

  it("a lost refresh keeps the binding and tries again; a refused one ends it", () => {
    const bound = run(begin(), register, answer({ expiresS: 100 }), { kind: "refresh" });
    const lost = run(bound.state, { kind: "no-answer", why: "timeout" });
    expect(lost.effects).toEqual([{ kind: "refresh-after", ms: 12_500 }]);
    expect(lost.state.binding).toBeDefined();
    const refused = run(bound.state, answer({ status: 403, reason: "Forbidden" }));
    expect(refused.effects).toMatchObject([{ kind: "failed", status: 403 }]);
    expect(refused.state.binding).toBeUndefined();
  });

  it("TS 24.229 5.1.1.6: de-registration asks for no time and forgets the binding, whatever the answer", () => {
    const bound = run(begin(), register, answer({ securityServer: ["sdes-srtp;mediasec"] }));
    const asked = run(bound.state, { kind: "deregister" });
    expect(asked.plan?.expiresS).toBe(0);
    for (const end of [answer({}), answer({ status: 500 }), answer({ status: 403 })]) {
      const gone = run(asked.state, end);
      expect(gone.effects).toEqual([{ kind: "deregistered" }]);
      expect(gone.state.binding).toBeUndefined();
    }
  });
});
