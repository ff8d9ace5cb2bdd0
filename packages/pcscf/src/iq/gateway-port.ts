// Carries the plans of media-security to a gateway over Iq and brings back addresses or a refusal. Knows no SIP message.
// TS 33.328 6.2.1.3, TS 23.334 8; it adds what a plan does not say: realms, latching, inactivity.
import { SallyportError } from "@sallyport/kit";
import {
  sipRefusal,
  type AddressFamily,
  type CallEndPlan,
  type ContextMarks,
  type IqContext,
  type IqContextState,
  type IqController,
  type IqStatistics,
  type StreamPlan,
} from "@sallyport/iq";
import type { GatewayPlan, LegAddress, LegWish } from "@sallyport/media-security";
import type { EdgeConfig } from "../config.ts";
import type { FirstGateway } from "./first-gateway.ts";

export type GatewayReply =
  | {
      readonly ok: true;
      readonly context: IqContext;
      readonly access: readonly LegAddress[];
      readonly core: readonly LegAddress[];
    }
  /** `retryAfter`: seconds after which it may be worth another try. */
  | { readonly ok: false; readonly status: 488 | 500 | 503; readonly code: string; readonly retryAfter?: number };

export interface GatewayPort {
  /**
   * `held` is the context the call has; undefined before its first plan. `family`: of the addresses the UE is offered
   * before it has named one of its own. Never rejects.
   */
  carryOut(
    plan: GatewayPlan,
    held: IqContext | undefined,
    marks: ContextMarks,
    family: AddressFamily,
  ): Promise<GatewayReply>;
  /** What a successor has to know of a context. */
  describe(context: IqContext): IqContextState | undefined;
  /** Gives the context back. Resolves to undefined when the gateway could not be asked. Never rejects. */
  release(context: IqContext): Promise<IqStatistics | undefined>;
}

type IqSettings = Pick<EdgeConfig["iq"], "accessRealm" | "coreRealm" | "latch" | "inactivityMs">;

const endPlan = (
  wish: LegWish,
  side: "access" | "core",
  settings: IqSettings,
  family: AddressFamily | undefined,
): CallEndPlan => {
  const realm = side === "access" ? settings.accessRealm : settings.coreRealm;
  const { protocol, media, formats, remote, rtcpMux, mode, localCrypto, remoteCrypto } = wish;
  // Only an authenticated source is followed, so latching is for the protected side.
  const latch = side === "access" && settings.latch ? true : undefined;
  const inactivityMs = side === "access" && settings.inactivityMs > 0 ? settings.inactivityMs : undefined;
  // Written out, as all that is made for each call: one shape.
  return {
    protocol,
    media,
    formats,
    remote,
    rtcpMux,
    family,
    mode,
    localCrypto,
    remoteCrypto,
    realm,
    latch,
    inactivityMs,
  };
};

const streamPlans = (
  plan: GatewayPlan,
  settings: IqSettings,
  family: AddressFamily | undefined,
): readonly StreamPlan[] =>
  plan.streams.map((stream) => ({
    stream: stream.stream,
    access: stream.access === undefined ? undefined : endPlan(stream.access, "access", settings, family),
    core: stream.core === undefined ? undefined : endPlan(stream.core, "core", settings, undefined),
  }));

/** A UE may have IPv4 too, and where the gateway has nothing else that is what it is offered (RFC 6157 3). */
const inEitherFamily = async <T>(family: AddressFamily, order: (family?: AddressFamily) => Promise<T>): Promise<T> => {
  if (family === "IP4") return order();
  try {
    return await order(family);
  } catch (error) {
    if (!(error instanceof SallyportError) || error.code !== "SALLY_IQ_MEDIA_REFUSED") throw error;
    return order();
  }
};

const refusal = (error: unknown): GatewayReply => {
  const code = error instanceof SallyportError ? error.code : undefined;
  const { sip, retryAfter } = sipRefusal(code);
  return {
    ok: false,
    status: sip,
    code: code ?? "SALLY_EDGE_GATEWAY",
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
};

/** Without a gateway, once more when the first one is back. */
const addWhenThere = async (
  iq: Pick<IqController, "add">,
  first: Pick<FirstGateway, "wait">,
  ...args: Parameters<IqController["add"]>
): ReturnType<IqController["add"]> => {
  try {
    return await iq.add(...args);
  } catch (error) {
    const none = error instanceof SallyportError && error.code === "SALLY_IQ_NO_GATEWAY";
    if (!none || !(await first.wait())) throw error;
    return iq.add(...args);
  }
};

export const createGatewayPort = (
  iq: IqController,
  settings: IqSettings,
  first: Pick<FirstGateway, "wait">,
): GatewayPort => ({
  carryOut: async (plan, held, marks, family) => {
    try {
      const streams = (asked?: AddressFamily): readonly StreamPlan[] => streamPlans(plan, settings, asked);
      if (plan.context === "new" || held === undefined) {
        const { context, access, core } = await inEitherFamily(family, (asked) =>
          addWhenThere(iq, first, undefined, streams(asked), marks),
        );
        return { ok: true, context, access, core };
      }
      if (plan.remove.length > 0) await iq.removeStreams(held, plan.remove);
      if (plan.streams.length === 0) return { ok: true, context: held, access: [], core: [] };
      const { access, core } = await inEitherFamily(family, (asked) => iq.modify(held, streams(asked)));
      return { ok: true, context: held, access, core };
    } catch (error) {
      return refusal(error);
    }
  },
  describe: (context) => iq.describe(context),
  release: async (context) => {
    try {
      return await iq.subtract(context);
    } catch {
      return undefined;
    }
  },
});
