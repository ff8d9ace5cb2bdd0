// Owns the reading and writing of the ServiceChange descriptor's values (H.248.1 7.2.8).
import type { CommandReply, CommandRequest, H248Error, ServicesDescriptor } from "@sallyport/h248";
import type { Result } from "@sallyport/kit";
import { ok } from "@sallyport/kit";
import type { IqProfile } from "../types.ts";
import { refusal } from "./error-text.ts";
import { root } from "./names.ts";

export type ServiceChangeMethod = "Restart" | "Forced" | "Graceful" | "Disconnected" | "HandOff" | "Failover";

const methods = new Map<string, ServiceChangeMethod>(
  (["Restart", "Forced", "Graceful", "Disconnected", "HandOff", "Failover"] as const).map((method) => [
    method.toLowerCase(),
    method,
  ]),
);

export interface ServiceChange {
  readonly method: ServiceChangeMethod;
  readonly reason: number;
  readonly version?: number;
  readonly profile?: IqProfile;
  /** Where to go instead, a message identifier. */
  readonly mgcIdToTry?: string;
  /** Seconds until what was announced happens. */
  readonly delay?: number;
  /** Where it is spoken to from now on: a port, or a message identifier. */
  readonly address?: string;
}

/** `NAME/version`. */
const readProfile = (text: string): IqProfile | undefined => {
  const match = /^([^/]{1,64})\/(\d{1,2})$/.exec(text);
  return match === null ? undefined : { name: match[1] ?? "", version: Number(match[2]) };
};

const servicesOf = (command: CommandRequest | CommandReply): ServicesDescriptor | undefined =>
  command.descriptors.find((descriptor) => descriptor.kind === "services");

export const readServiceChange = (command: CommandRequest): Result<ServiceChange, H248Error> => {
  const services = servicesOf(command);
  if (services === undefined) return refusal(442, "ServiceChange without Services");
  const method = methods.get((services.method ?? "").toLowerCase());
  if (method === undefined) return refusal(449, `Method ${services.method ?? "missing"}`);
  // A bare number or a quoted "code text".
  const reason = /^\d{3}/.exec(services.reason ?? "")?.[0];
  const profile = services.profile === undefined ? undefined : readProfile(services.profile);
  if (services.profile !== undefined && profile === undefined) return refusal(449, `Profile ${services.profile}`);
  return ok({
    method,
    reason: reason === undefined ? 0 : Number(reason),
    ...(services.version === undefined ? {} : { version: services.version }),
    ...(profile === undefined ? {} : { profile }),
    ...(services.mgcIdToTry === undefined ? {} : { mgcIdToTry: services.mgcIdToTry }),
    ...(services.delay === undefined ? {} : { delay: services.delay }),
    ...(services.address === undefined ? {} : { address: services.address }),
  });
};

/** The ServiceChange of ROOT; `delay` in seconds. */
export const writeServiceChange = (
  method: ServiceChangeMethod,
  reason: string,
  said: { readonly version: number; readonly profile: IqProfile; readonly delay?: number },
): CommandRequest => ({
  command: "ServiceChange",
  termination: root,
  descriptors: [
    {
      kind: "services",
      method,
      reason,
      ...(said.delay === undefined ? {} : { delay: said.delay }),
      version: said.version,
      profile: `${said.profile.name}/${said.profile.version}`,
      extensions: [],
    },
  ],
});

export const writeAgreement = (
  termination: string,
  agreed?: { readonly version: number; readonly profile: IqProfile },
): CommandReply => ({
  command: "ServiceChange",
  termination,
  descriptors:
    agreed === undefined
      ? []
      : [
          {
            kind: "services",
            version: agreed.version,
            profile: `${agreed.profile.name}/${agreed.profile.version}`,
            extensions: [],
          },
        ],
});

/** What a controller's reply asks for. */
export interface Agreement {
  readonly version?: number;
  readonly profile?: IqProfile;
  readonly mgcIdToTry?: string;
  /** Where it is spoken to from now on: a port, or a message identifier. */
  readonly address?: string;
}

export const readAgreement = (reply: CommandReply): Agreement => {
  const services = servicesOf(reply);
  const profile = services?.profile === undefined ? undefined : readProfile(services.profile);
  return {
    ...(services?.version === undefined ? {} : { version: services.version }),
    ...(profile === undefined ? {} : { profile }),
    ...(services?.mgcIdToTry === undefined ? {} : { mgcIdToTry: services.mgcIdToTry }),
    ...(services?.address === undefined ? {} : { address: services.address }),
  };
};
