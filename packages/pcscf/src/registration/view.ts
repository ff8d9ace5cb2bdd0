// What people and programs may see of a registration.
import type { Dialect, MediaPolicyRule, MediaSecurityIndications, ProtectionMode } from "@sallyport/media-security";
import type { SipProtocol } from "@sallyport/sip";
import type { Binding } from "./binding.ts";

export interface RegistrationView {
  readonly aor: string;
  readonly contact: string;
  readonly identities: readonly string[];
  readonly transport: SipProtocol;
  readonly remote: string;
  readonly indications: MediaSecurityIndications;
  /** What may protect its calls up to the gateway; absent for a registration kept by an earlier release. */
  readonly mode?: ProtectionMode | "none";
  /** In the SDES phone mode: it has shown that it speaks SRTP, and is offered that from then on. */
  readonly offersSdes?: true;
  readonly dialect: Dialect;
  readonly policy: MediaPolicyRule["e2ae"];
  /** Why e2ae is not available; absent when it is. */
  readonly reason?: string;
  readonly accessNetwork?: string;
  readonly registeredAt: number;
  readonly expiresInMs: number;
}

export const registrationView = (binding: Binding, now: number): RegistrationView => ({
  aor: binding.aor,
  contact: binding.contact,
  identities: binding.identities,
  transport: binding.flow.protocol,
  remote: `${binding.flow.address}:${binding.flow.port}`,
  indications: binding.indications,
  ...(binding.mode === undefined ? {} : { mode: binding.mode }),
  ...(binding.offersSdes === true ? { offersSdes: true as const } : {}),
  dialect: binding.dialect,
  policy: binding.policy.e2ae,
  ...(binding.reason === undefined ? {} : { reason: binding.reason }),
  ...(binding.accessNetwork === undefined ? {} : { accessNetwork: binding.accessNetwork }),
  registeredAt: binding.registeredAt,
  expiresInMs: Math.max(0, binding.expiresAt - now),
});
