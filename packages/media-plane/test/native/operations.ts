// Test fixture: one script of operations on legs, for two engines; and what each operation gave, as text that compares.
import type { Endpoint } from "@sallyport/kit";
import type { LegChange, LegCounters, LegPlan } from "../../src/index.ts";

export type FlowName = "rtp" | "rtcp";

/** `leg` is a place, 0 to 15, that one leg has at a time. */
export type Operation =
  | { readonly op: "open"; readonly leg: number; readonly plan: LegPlan }
  | { readonly op: "update"; readonly leg: number; readonly change: LegChange }
  | { readonly op: "join"; readonly leg: number; readonly other: number }
  | {
      readonly op: "packet";
      readonly leg: number;
      readonly flow: FlowName;
      readonly from: Endpoint;
      readonly octets: Buffer;
    }
  | { readonly op: "advance"; readonly ms: number }
  | { readonly op: "counters"; readonly leg: number }
  | { readonly op: "close"; readonly leg: number }
  | { readonly op: "events" };

export const sentText = (leg: number, flow: FlowName, to: Endpoint, octets: Uint8Array): string =>
  `leg ${leg} ${flow} to ${to.address} ${to.port}: ${Buffer.from(octets).toString("hex")}`;

/** In the order of the fields' names: two engines list them differently. */
export const countersText = (counters: Readonly<Record<string, number>> | LegCounters): string =>
  Object.entries(counters)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");

/** What is raised at one moment has no order that anyone may rely on. */
export const eventsText = (events: readonly object[]): string =>
  events
    .map((event) => JSON.stringify(event))
    .toSorted()
    .join(" ");
