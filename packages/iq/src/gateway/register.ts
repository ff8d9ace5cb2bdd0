// Owns one attempt to register: what is said to a controller and what its answer means. Knows no state of the registration.
// H.248.1 7.2.8 and 11.3: the first message has header version 1; the reply tells what to go on with.
import type { Association, H248Peer } from "@sallyport/h248";
import { SallyportError } from "@sallyport/kit";
import { readAgreement, writeServiceChange } from "../profile/services.ts";
import type { Agreement } from "../profile/services.ts";
import type { IqProfile } from "../types.ts";
import type { RegistrationEffect } from "./registration.ts";

const registerTimeoutMs = 4000;

export interface Attempt {
  readonly said: Extract<RegistrationEffect, { kind: "register" }>;
  readonly offered: 1 | 2 | 3;
  readonly profile: IqProfile;
}

export type Answer =
  | { readonly kind: "agreed"; readonly agreement: Agreement }
  /** `code` where it was the controller that refused. */
  | { readonly kind: "refused"; readonly code: number | undefined; readonly why: string };

/** Never rejects. */
export const register = async (association: Association, peer: H248Peer, attempt: Attempt): Promise<Answer> => {
  const { offered, profile, said } = attempt;
  const command = writeServiceChange(said.method, said.reason, { version: offered, profile });
  try {
    const replies = await association.request(
      [{ context: "-", commands: [command] }],
      { peer },
      { version: 1, timeoutMs: registerTimeoutMs },
    );
    const reply = replies[0]?.commands[0];
    const error = reply?.error ?? replies[0]?.error;
    if (reply !== undefined && error === undefined) return { kind: "agreed", agreement: readAgreement(reply) };
    return { kind: "refused", code: error?.code, why: `refused with ${error?.code ?? "nothing"}` };
  } catch (error) {
    const known = error instanceof SallyportError ? error : undefined;
    const why = known === undefined ? "registration failed" : `${known.detail} (${known.code})`;
    return { kind: "refused", code: known?.h248Error, why };
  }
};
