// How often one flow may register. Owns a bounded table of counts per minute.
import type { Clock } from "@sallyport/kit";

const windowMs = 60_000;
const maxFlows = 50_000;

/** True while the flow stays within `perMinute`. A flow that does not is told when to come back. */
export const createRate = (clock: Clock, perMinute: number): { take(flowId: string): boolean } => {
  const flows = new Map<string, { since: number; count: number }>();
  return {
    take: (flowId) => {
      const now = clock.now();
      const found = flows.get(flowId);
      if (found !== undefined && now - found.since < windowMs) {
        found.count += 1;
        return found.count <= perMinute;
      }
      flows.delete(flowId);
      flows.set(flowId, { since: now, count: 1 });
      if (flows.size > maxFlows) {
        const [oldest] = flows.keys();
        if (oldest !== undefined) flows.delete(oldest);
      }
      return true;
    },
  };
};
