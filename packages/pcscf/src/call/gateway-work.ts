// What a leg has with its gateway: the context it holds, and the orders under way. Owns the context until it is given back
// (invariant 10). Decides nothing. TS 23.334 8.
import type { Log } from "@sallyport/kit";
import type { AddressFamily, ContextMarks, IqContext, IqContextState } from "@sallyport/iq";
import type { GatewayPlan } from "@sallyport/media-security";
import { codeOf, type Faults } from "../faults.ts";
import type { GatewayPort, GatewayReply } from "../iq/gateway-port.ts";
import { mediaCounts, type MediaCounts } from "./media-counts.ts";

export interface GatewayWork {
  readonly context: IqContext | undefined;
  /** What was counted in the contexts given back so far. */
  readonly counted: readonly MediaCounts[];
  /** For whoever takes the call up after us. */
  describe(): IqContextState | undefined;
  carryOut(plan: GatewayPlan, done: (reply: GatewayReply) => void): void;
  /** Gives the context back. */
  release(): void;
  /** The call is over: the context goes back, and so does whatever an order still under way makes. */
  end(): void;
  /** The gateway has lost the context: there is nothing to give back. */
  forget(): void;
  /** Lets `settled` wait for this too. */
  track(work: Promise<void>): void;
  /** Resolves when nothing is under way any more. Never rejects. */
  settled(): Promise<void>;
}

/** A call that moves between gateways all day keeps what the last ones counted. */
const mostCounted = 64;

export const createGatewayWork = (options: {
  readonly call: string;
  readonly gateway: GatewayPort;
  readonly marks: ContextMarks;
  /** In which the UE speaks to us now. */
  readonly family: () => AddressFamily;
  readonly log: Log;
  readonly faults: Faults;
  /** The context an earlier run left. */
  readonly held: IqContext | undefined;
}): GatewayWork => {
  const { call, family, gateway, marks, log, faults } = options;
  const underWay = new Set<Promise<void>>();
  let context = options.held;
  let counted: readonly MediaCounts[] = [];
  let over = false;

  const track = (work: Promise<void>): void => {
    underWay.add(work);
    work.then(
      () => underWay.delete(work),
      () => underWay.delete(work),
    );
  };

  const giveBack = async (held: IqContext): Promise<void> => {
    try {
      const statistics = await gateway.release(held);
      if (statistics !== undefined) counted = [...counted, ...mediaCounts(held, statistics)].slice(-mostCounted);
      else log.info("gateway did not take its context back", { call, gateway: held.gateway, context: held.context });
    } catch (error) {
      faults.tell("gateway", error, { call });
    }
  };

  /** The context asked about, lost meanwhile, is not held again; one in whose place another was made goes back. */
  const take = (made: IqContext, asked: IqContext | undefined): void => {
    if (made === asked) return;
    if (over) return track(giveBack(made));
    const before = context;
    context = made;
    if (before !== undefined) track(giveBack(before));
  };

  const order = async (plan: GatewayPlan, done: (reply: GatewayReply) => void): Promise<void> => {
    const asked = context;
    let reply: GatewayReply;
    try {
      reply = await gateway.carryOut(plan, asked, marks, family());
    } catch (error) {
      // Whoever waits for the reply has to hear of one.
      faults.tell("gateway", error, { call });
      reply = { ok: false, status: 500, code: codeOf(error) };
    }
    if (reply.ok) take(reply.context, asked);
    done(reply);
  };

  const release = (): void => {
    const held = context;
    context = undefined;
    if (held !== undefined) track(giveBack(held));
  };

  return {
    get context() {
      return context;
    },
    get counted() {
      return counted;
    },
    describe: () => (context === undefined ? undefined : gateway.describe(context)),
    carryOut: (plan, done) => track(order(plan, done)),
    release,
    end: () => {
      over = true;
      release();
    },
    forget: () => {
      context = undefined;
    },
    track,
    settled: async () => {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
};
