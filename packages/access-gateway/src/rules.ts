// Owns the step from what was ordered of a stream's source filter, policing and code point to what the plane shall do. Pure.
// H.248.43 (`gm`), H.248.53 (`tman`), H.248.52 (`ds`). Orders add up: what a command leaves out stays as it was.
import type { H248Error } from "@sallyport/h248";
import type { FilterOrder, PoliceOrder, StreamOrder } from "@sallyport/iq";
import { refusal } from "@sallyport/iq";
import type { Result } from "@sallyport/kit";
import { isIpv6Literal, ok } from "@sallyport/kit";
import type { LegPlan, LegRemote, Policing, SourceFilter } from "@sallyport/media-plane";

/** What is in force for one stream; nothing where nothing was ever ordered. */
export interface Rules {
  readonly filter?: FilterOrder;
  readonly police?: PoliceOrder;
  readonly dscp?: number;
}

/** What is filled in before it is handed out. */
export type Draft<T> = { -readonly [K in keyof T]: T[K] };

export type RulePlans = Pick<LegPlan, "sourceFilter" | "policing" | "dscp">;

const whole = (address: string): number => (isIpv6Literal(address) ? 128 : 32);
const one = (port: number) => ({ first: port, last: port });

/** What `saf` and `spf` ask for without a mask or a range is taken from Remote; without Remote there is nothing to ask for yet. */
const filterOf = (order: FilterOrder | undefined, remote: LegRemote | undefined): SourceFilter | undefined => {
  const mask =
    order?.addresses === true
      ? (order.mask ?? (remote === undefined ? undefined : { literal: remote.address, prefix: whole(remote.address) }))
      : undefined;
  const { ports, range } = order ?? {};
  const portsOf = (): Pick<SourceFilter, "ports" | "rtcpPorts"> => {
    if (ports !== true) return {};
    // A range is said of RTP; its RTCP comes from the port above.
    if (range !== undefined) return { ports: range, rtcpPorts: { ...range, last: Math.min(65_535, range.last + 1) } };
    return remote === undefined ? {} : { ports: one(remote.rtpPort), rtcpPorts: one(remote.rtcpPort) };
  };
  const filter = { ...(mask === undefined ? {} : { address: mask }), ...portsOf() };
  return Object.keys(filter).length === 0 ? undefined : filter;
};

const policingOf = (order: PoliceOrder | undefined): Result<Policing | undefined, H248Error> => {
  if (order?.on !== true) return ok(undefined);
  const { burst, peak, sustained, toleranceMs } = order;
  // Each is half of a token bucket.
  if (sustained !== undefined && burst === undefined) return refusal(472, "tman/mbs");
  if (sustained === undefined && burst !== undefined) return refusal(472, "tman/sdr");
  const policing = {
    ...(sustained === undefined || burst === undefined
      ? {}
      : { sustained: { octetsPerS: sustained, burstOctets: burst } }),
    ...(peak === undefined ? {} : { peak: { octetsPerS: peak, toleranceMs: toleranceMs ?? 0 } }),
  };
  // Without a rate there is nothing to hold anybody to: the codec's own is not known here.
  return ok(Object.keys(policing).length === 0 ? undefined : policing);
};

const noRules: Rules = {};
const noPlans: Result<RulePlans, H248Error> = ok({});

export const mergeRules = (before: Rules | undefined, order: StreamOrder): Rules => {
  if (order.filter === undefined && order.police === undefined && order.dscp === undefined) return before ?? noRules;
  return {
    ...before,
    ...(order.filter === undefined ? {} : { filter: { ...before?.filter, ...order.filter } }),
    ...(order.police === undefined ? {} : { police: { ...before?.police, ...order.police } }),
    ...(order.dscp === undefined ? {} : { dscp: order.dscp }),
  };
};

/** `marks`: the plane can write code points. 445 where one is asked for and it can not. */
export const planRules = (
  rules: Rules,
  remote: LegRemote | undefined,
  home: string,
  marks: boolean,
): Result<RulePlans, H248Error> => {
  const { dscp, filter, police } = rules;
  if (filter === undefined && police === undefined && dscp === undefined) return noPlans;
  if (dscp !== undefined && dscp !== 0 && !marks) {
    return refusal(445, `ds/dscp=${dscp.toString(16).padStart(2, "0").toUpperCase()}`);
  }
  const mask = filter?.mask?.literal;
  if (mask !== undefined && isIpv6Literal(mask) !== isIpv6Literal(home)) return refusal(449, `gm/sam=${mask}`);
  const policing = policingOf(police);
  if (!policing.ok) return policing;
  const sourceFilter = filterOf(filter, remote);
  return ok({
    ...(sourceFilter === undefined ? {} : { sourceFilter }),
    ...(policing.value === undefined ? {} : { policing: policing.value }),
    ...(dscp === undefined ? {} : { dscp }),
  });
};

const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

/** Puts into `change` what differs between two plans. */
export const changeRules = (change: Draft<RulePlans>, before: RulePlans, after: RulePlans): void => {
  if (!same(before.sourceFilter, after.sourceFilter)) change.sourceFilter = after.sourceFilter;
  if (!same(before.policing, after.policing)) change.policing = after.policing;
  if ((before.dscp ?? 0) !== (after.dscp ?? 0)) change.dscp = after.dscp;
};

const onOff = (on: boolean | undefined): string => (on === true ? "ON" : "OFF");

/** What an audit of LocalControl shows. */
export const showRules = ({ dscp, filter, police }: Rules): Readonly<Record<string, string>> => {
  const { addresses, mask, ports, range } = filter ?? {};
  const { burst, on, peak, sustained, toleranceMs } = police ?? {};
  return {
    "gm/saf": onOff(addresses),
    ...(mask === undefined ? {} : { "gm/sam": `${mask.literal}/${mask.prefix}` }),
    "gm/spf": onOff(ports),
    ...(range === undefined ? {} : { "gm/spr": `${range.first}-${range.last}` }),
    "tman/pol": onOff(on),
    ...(sustained === undefined ? {} : { "tman/sdr": String(sustained) }),
    ...(burst === undefined ? {} : { "tman/mbs": String(burst) }),
    ...(peak === undefined ? {} : { "tman/pdr": String(peak) }),
    ...(toleranceMs === undefined ? {} : { "tman/dvt": String(Math.round(toleranceMs * 10_000)) }),
    "ds/dscp": (dscp ?? 0).toString(16).padStart(2, "0").toUpperCase(),
  };
};
