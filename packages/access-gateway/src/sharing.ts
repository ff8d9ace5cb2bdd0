// Owns the sharing of one media plane by several edges: a virtual gateway for each, with its own message identifier and list
// of controllers, which sees only the contexts its own controller made (H.248.1 11.1).
import type { IqGateway, IqGatewayConfig, IqGatewayOptions } from "@sallyport/iq";
import { createIqGateway, scopeHandler } from "@sallyport/iq";
import { accessGatewayErrors } from "./errors.ts";

/** What tells virtual gateways from each other. */
export type Face = Pick<IqGatewayConfig, "mid" | "controllers">;

type Shared = Omit<IqGatewayOptions, "config"> & { readonly config: Omit<IqGatewayConfig, "mid" | "controllers"> };

/** All faces as one: events go to the controller of their context, what concerns the whole gateway to every controller. */
const together = (
  faces: readonly { readonly iq: IqGateway; readonly owns: (context: number) => boolean }[],
  first: IqGateway,
): IqGateway => {
  const every = async <T>(run: (iq: IqGateway) => Promise<T>): Promise<readonly T[]> =>
    Promise.all(faces.map(({ iq }) => run(iq)));
  return {
    state: () => first.state(),
    notify: (event) => (faces.find(({ owns }) => owns(event.context))?.iq ?? first).notify(event),
    notifyRoot: async (event) => {
      const told = await Promise.allSettled(faces.map(({ iq }) => iq.notifyRoot(event)));
      return told.some((one) => one.status === "fulfilled" && one.value);
    },
    leave: async (delayMs) => (await every((iq) => iq.leave(delayMs))).includes(true),
    stay: async () => (await every((iq) => iq.stay())).includes(true),
    close: async () => {
      await every((iq) => iq.close());
    },
  };
};

/** One Iq for every face over one handler; the first is the one whose registration is shown. @throws SALLY_IQ_CONFIG, SALLY_GW_CONFIG */
export const createSharedIq = async (shared: Shared, first: Face, more: readonly Face[]): Promise<IqGateway> => {
  const { config, handler, ...ports } = shared;
  if (more.length === 0) return createIqGateway({ ...ports, handler, config: { ...config, ...first } });
  const mids = [first, ...more].map(({ mid }) => mid.toLowerCase());
  if (new Set(mids).size < mids.length)
    throw accessGatewayErrors("SALLY_GW_CONFIG", "Two virtual gateways have one mid.", { where: mids.join(", ") });
  const faces: { readonly iq: IqGateway; readonly owns: (context: number) => boolean }[] = [];
  try {
    for (const face of [first, ...more]) {
      const scope = scopeHandler(handler);
      const iq = await createIqGateway({ ...ports, handler: scope.handler, config: { ...config, ...face } });
      faces.push({ iq, owns: scope.owns });
    }
  } catch (error) {
    for (const { iq } of faces) await iq.close();
    throw error;
  }
  const [main] = faces;
  return together(faces, (main as (typeof faces)[number]).iq);
};
