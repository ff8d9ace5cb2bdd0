// Test fixture: seeded scripts of what happens to legs: calls with keys, losses, duplicates, reorderings, wraps, changes of
// SSRC, bit flips, truncations, clear and foreign packets, re-keys, changes of mode, latching, filters, policing, silence.
import { Secret, type Endpoint } from "@sallyport/kit";
import { suites, type SuiteName } from "@sallyport/srtp";
import type { LegChange, LegPlan, LegRemote, PlaneKey, Protection } from "../../src/index.ts";
import { diceOf, type Dice } from "./dice.ts";
import type { FlowName, Operation } from "./operations.ts";
import { sourceOf, type SealingKey, type Source } from "./source.ts";

/** What a script has much of. */
type Style = "usual" | "many-ssrcs" | "many-keys";

type Keyed = Extract<Protection, { kind: "srtp" }>;

interface LegState {
  readonly place: number;
  plan: LegPlan;
  /** Every protection with keys this leg has had, the last one first. */
  readonly keyed: Keyed[];
  readonly sources: Source[];
  /** What is still on its way. */
  readonly held: Extract<Operation, { op: "packet" }>[];
}

const suiteNames = Object.keys(suites) as readonly SuiteName[];
const hosts = {
  ipv4: ["192.0.2.1", "192.0.2.2", "198.51.100.7"],
  ipv6: ["2001:db8::1", "2001:db8::2:1", "fe80::7"],
} as const;

const keyOf = (dice: Dice, suite: SuiteName, mkiLength: number): PlaneKey => ({
  master: Secret.take(dice.octets(suites[suite].masterLength + (dice.onceIn(200) ? 1 : 0))),
  ...(mkiLength === 0 ? {} : { mki: dice.octets(mkiLength) }),
  ...(dice.onceIn(8) ? { lifetime: dice.onceIn(30) ? 2n ** 48n + 1n : BigInt(1 + dice.below(200)) } : {}),
});

const keyedOf = (dice: Dice, suite = dice.pick(suiteNames)): Keyed => {
  const mkiLength = dice.onceIn(4) ? 1 + dice.below(dice.onceIn(4) ? 128 : 4) : 0;
  const count = mkiLength > 0 ? 1 + dice.below(3) : 1;
  const receive = Array.from({ length: count }, () => keyOf(dice, suite, mkiLength));
  // What no receiver could tell apart: no key, two MKIs of one name, MKIs of two lengths.
  if (dice.onceIn(100)) receive.push(...dice.pick([receive, [keyOf(dice, suite, mkiLength + 1)]]));
  else if (dice.onceIn(200)) receive.length = 0;
  const crowd = dice.onceIn(200) ? 14 + dice.below(5) : 0;
  if (crowd > 0) receive.splice(0, 1, ...Array.from({ length: crowd }, () => keyOf(dice, suite, 2)));
  return { kind: "srtp", suite, receive, send: keyOf(dice, suite, dice.onceIn(2) ? mkiLength : 0) };
};

const remoteOf = (dice: Dice): LegRemote => {
  const address = dice.onceIn(3) ? dice.pick(hosts.ipv6) : dice.pick(hosts.ipv4);
  const port = dice.onceIn(30) ? 0 : 4000 + 2 * dice.below(3);
  const elsewhere = dice.onceIn(8) ? { rtcpAddress: dice.pick(dice.onceIn(3) ? hosts.ipv6 : hosts.ipv4) } : {};
  return { address, rtpPort: port, rtcpPort: port === 0 ? 0 : port + 1, ...elsewhere };
};

const filterOf = (dice: Dice): NonNullable<LegPlan["sourceFilter"]> => {
  const literal = dice.onceIn(3) ? dice.pick(hosts.ipv6) : dice.pick(hosts.ipv4);
  const prefix = dice.below(literal.includes(":") ? 129 : 33);
  const span = (): { first: number; last: number } => {
    const first = 3998 + dice.below(6);
    return { first, last: first + dice.below(8) };
  };
  return {
    ...(dice.onceIn(2) ? { address: { literal, prefix } } : {}),
    ...(dice.onceIn(2) ? { ports: span() } : {}),
    ...(dice.onceIn(3) ? { rtcpPorts: span() } : {}),
  };
};

const policingOf = (dice: Dice): NonNullable<LegPlan["policing"]> => ({
  ...(dice.onceIn(2)
    ? { sustained: { octetsPerS: 2000 + dice.below(20_000), burstOctets: 100 + dice.below(5000) } }
    : {}),
  ...(dice.onceIn(2) ? { peak: { octetsPerS: 500.5 + dice.below(30_000), toleranceMs: dice.below(900) / 7 } } : {}),
});

const modes = ["send-receive", "send-receive", "send-receive", "inactive", "send-only", "receive-only"] as const;
const latches = ["off", "latch", "relatch"] as const;

const planOf = (dice: Dice, protection: Protection): LegPlan => ({
  address: "192.0.2.100",
  rtcp: dice.onceIn(3) ? "mux" : "separate",
  protection,
  mode: dice.onceIn(8) ? dice.pick(modes) : "send-receive",
  latch: dice.pick(latches),
  ...(dice.onceIn(12) ? {} : { remote: remoteOf(dice) }),
  ...(dice.onceIn(3) ? { inactivityMs: 50 + dice.below(4000) } : {}),
  ...(dice.onceIn(10) ? { sourceFilter: filterOf(dice) } : {}),
  ...(dice.onceIn(10) ? { policing: policingOf(dice) } : {}),
});

/** Where a packet to that leg comes from: mostly from where it was said to. */
const senderOf = (dice: Dice, plan: LegPlan, flow: FlowName): Endpoint => {
  const { remote } = plan;
  const port = flow === "rtp" || plan.rtcp === "mux" ? remote?.rtpPort : remote?.rtcpPort;
  if (remote === undefined || dice.onceIn(25)) {
    return {
      address: dice.pick(dice.onceIn(3) ? hosts.ipv6 : hosts.ipv4),
      port: dice.onceIn(20) ? 0 : 4000 + dice.below(6),
    };
  }
  const address = flow === "rtp" ? remote.address : (remote.rtcpAddress ?? remote.address);
  return { address, port: dice.onceIn(40) ? 4000 + dice.below(6) : (port ?? 4000) };
};

const foreign = (dice: Dice): Buffer => {
  const packet = dice.octets(dice.below(60));
  if (packet.length > 0) packet[0] = dice.pick([0, 1, 20, 22, 63, 64, 127, 128, 144, 191, 192, dice.below(256)]);
  return packet;
};

const spoil = (dice: Dice, packet: Buffer): Buffer => {
  const spoilt = Buffer.from(packet);
  switch (dice.below(4)) {
    case 0:
      return spoilt.subarray(0, dice.below(spoilt.length + 1));
    case 1:
      return Buffer.concat([spoilt, dice.octets(1 + dice.below(6))]);
    default: {
      const at = dice.onceIn(3) ? dice.below(Math.min(16, spoilt.length)) : dice.below(spoilt.length);
      spoilt[at] = (spoilt[at] ?? 0) ^ (1 << dice.below(8));
      return spoilt;
    }
  }
};

const packetFor = (dice: Dice, leg: LegState, stamps: readonly number[], style: Style): Operation[] => {
  const { plan } = leg;
  const many = style === "many-ssrcs";
  if (dice.onceIn(many ? 3 : 100) && leg.sources.length < 90)
    leg.sources.push(sourceOf(dice, dice.onceIn(3) ? 0xffff_ffff : dice.below(2 ** 32)));
  const source = many || dice.onceIn(5) ? dice.pick(leg.sources) : leg.sources[0];
  if (source === undefined) return [];
  // A source that starts again; one that is sealed does so with new keys only, or its packets would be old.
  if (dice.onceIn(plan.protection.kind === "srtp" ? 1000 : 60)) source.jump(dice.below(65_536));
  const kind: FlowName = dice.onceIn(9) ? "rtcp" : "rtp";
  let octets = kind === "rtp" ? source.media() : source.report(stamps);
  const keyed = leg.keyed[dice.onceIn(15) ? dice.below(leg.keyed.length + 1) : 0];
  if (keyed !== undefined && plan.protection.kind !== "clear" && !dice.onceIn(60)) {
    const key = dice.onceIn(4) ? dice.pick(keyed.receive) : keyed.receive[0];
    if (key !== undefined && key.master.length === suites[keyed.suite].masterLength) {
      octets = source.seal(kind, octets, { suite: keyed.suite, key } satisfies SealingKey);
    }
  }
  if (dice.onceIn(30)) octets = spoil(dice, octets);
  if (dice.onceIn(plan.protection.kind === "transparent" ? 6 : 80)) octets = foreign(dice);
  const flow = dice.onceIn(80) ? dice.pick(["rtp", "rtcp"] as const) : plan.rtcp === "mux" ? "rtp" : kind;
  const packet = { op: "packet", leg: leg.place, flow, from: senderOf(dice, plan, flow), octets } as const;
  const now: Operation[] = [];
  // Lost, late or twice.
  if (dice.onceIn(30)) return now;
  if (dice.onceIn(12)) leg.held.push(packet);
  else now.push(packet);
  if (dice.onceIn(25)) now.push(packet);
  if (leg.held.length > 0 && dice.onceIn(8)) now.push(...leg.held.splice(dice.below(leg.held.length), 1));
  if (leg.held.length > 150) leg.held.shift();
  return now;
};

const newProtection = (dice: Dice, leg: LegState, others: readonly LegState[], style: Style): Protection => {
  const [now] = leg.keyed;
  if (style === "many-keys") return keyedOf(dice, now?.suite ?? dice.pick(suiteNames));
  if (now === undefined || dice.onceIn(12))
    return dice.onceIn(2) ? keyedOf(dice) : { kind: dice.pick(["clear", "awaiting-keys"]) };
  const fresh = keyedOf(dice, now.suite);
  switch (dice.below(8)) {
    case 0:
      return { ...now, send: fresh.send };
    case 1:
      return { ...now, receive: fresh.receive };
    case 2:
      return dice.pick(leg.keyed);
    case 3:
      // The same keys under another lifetime or MKI: other terms, and no index may come twice.
      return { ...now, send: { master: now.send.master, ...(dice.onceIn(2) ? { mki: dice.octets(2) } : {}) } };
    case 4: {
      const other = dice.pick(others).keyed[0];
      return dice.onceIn(2) || other === undefined
        ? { ...now, send: now.receive[0] ?? now.send }
        : { ...now, send: other.send };
    }
    case 5:
      return { ...now, receive: [...now.receive].toReversed() };
    default:
      return fresh;
  }
};

const changeFor = (dice: Dice, leg: LegState, others: readonly LegState[], style: Style): LegChange => {
  switch (style === "many-keys" && dice.below(9) > 1 ? 99 : dice.below(13)) {
    case 0:
      return { mode: dice.pick(modes) };
    case 1:
      return { latch: dice.pick(latches) };
    case 2:
      return { remote: dice.onceIn(8) ? undefined : remoteOf(dice) };
    case 3:
      return { rtcp: leg.plan.rtcp === "mux" ? "separate" : "mux" };
    case 4:
      return { inactivityMs: dice.onceIn(3) ? undefined : 20 + dice.below(3000) };
    case 5:
      return { sourceFilter: dice.onceIn(2) ? undefined : filterOf(dice) };
    case 6:
      return { policing: dice.onceIn(2) ? undefined : dice.onceIn(3) ? leg.plan.policing : policingOf(dice) };
    case 7:
    case 8:
    case 9:
      return {
        mode: "send-receive",
        latch: dice.pick(latches),
        remote: remoteOf(dice),
        sourceFilter: undefined,
        policing: undefined,
      };
    default:
      return leg.plan.protection.kind === "transparent" ? {} : { protection: newProtection(dice, leg, others, style) };
  }
};

/** What the peer does about its rollover counts when keys change: keeps them, starts at 0, or was beside (RFC 3711 3.3.1). */
const rekeyed = (dice: Dice, leg: LegState): void => {
  for (const source of leg.sources) {
    const kept = source.rollover;
    const around = [kept, kept, kept, kept, 0, Math.max(0, kept - 1), kept + 1, dice.onceIn(6) ? kept + 2 : kept];
    source.turnOver(dice.pick(around));
  }
};

/** What an engine takes; it says itself why it takes nothing else. */
const isValid = (protection: Protection): boolean => {
  if (protection.kind !== "srtp") return true;
  const { suite, receive, send } = protection;
  const names = new Set(receive.map(({ mki }) => Buffer.from(mki ?? []).toString("hex")));
  const lengths = new Set(receive.map(({ mki }) => mki?.length ?? 0));
  const fits = ({ master, mki, lifetime }: PlaneKey): boolean =>
    master.length === suites[suite].masterLength && (mki?.length ?? 0) <= 128 && (lifetime ?? 0n) <= 2n ** 48n;
  return receive.length <= 16 && names.size === receive.length && lengths.size === 1 && [...receive, send].every(fits);
};

const kindOf = (dice: Dice): Protection => {
  if (dice.onceIn(8)) return { kind: "transparent" };
  if (dice.onceIn(20)) return { kind: "awaiting-keys" };
  return dice.onceIn(4) ? { kind: "clear" } : keyedOf(dice);
};

/** About `packets` packets among up to six legs. */
export const scriptOf = (seed: number, packets: number): readonly Operation[] => {
  const dice = diceOf(seed);
  const style: Style = seed % 10 === 8 ? "many-ssrcs" : seed % 10 === 9 ? "many-keys" : "usual";
  const script: Operation[] = [];
  const legs: LegState[] = [];

  const openLeg = (place: number, protection: Protection): void => {
    const plan = planOf(dice, protection);
    const sources = [sourceOf(dice, dice.below(2 ** 32))];
    const leg: LegState = { place, plan, keyed: protection.kind === "srtp" ? [protection] : [], sources, held: [] };
    isFree(protection, place);
    script.push({ op: "open", leg: place, plan });
    legs[place] = leg;
  };
  const validKind = (): Protection => {
    for (;;) {
      const protection = kindOf(dice);
      if (isValid(protection)) return protection;
    }
  };

  /** Which leg sends under a key: no other may, nor may the leg receive under it. */
  const owners = new Map<Secret, number>();
  const isFree = (protection: Protection, place: number): boolean => {
    if (protection.kind !== "srtp") return true;
    const { master } = protection.send;
    if ((owners.get(master) ?? place) !== place || protection.receive.some((key) => key.master === master))
      return false;
    owners.set(master, place);
    return true;
  };

  const pairs = 1 + dice.below(3);
  for (let place = 0; place < 2 * pairs; place++) {
    let protection = validKind();
    if (place % 2 === 1 && !dice.onceIn(20)) {
      const other = legs[place - 1]?.plan.protection.kind;
      if (other === "transparent") protection = { kind: "transparent" };
      else if (protection.kind === "transparent" || !dice.onceIn(4)) protection = { kind: "clear" };
    }
    openLeg(place, protection);
    if (place % 2 === 1) script.push({ op: "join", leg: place - 1, other: place });
  }

  while (script.length < packets) {
    const leg = dice.pick(legs);
    const stamps = legs.flatMap(({ sources }) => sources.map(({ stamp }) => stamp)).slice(0, 4);
    script.push(...packetFor(dice, leg, stamps, style));
    if (dice.onceIn(3))
      script.push({ op: "advance", ms: dice.onceIn(150) ? 1000 + dice.below(12_000) : dice.below(25) });
    if (dice.onceIn(90)) script.push({ op: "events" });
    const awaits = leg.plan.protection.kind === "awaiting-keys" && dice.onceIn(20);
    if (awaits || dice.onceIn(style === "many-keys" ? 4 : 40)) {
      const change = awaits ? { protection: newProtection(dice, leg, legs, style) } : changeFor(dice, leg, legs, style);
      script.push({ op: "update", leg: leg.place, change });
      const { protection } = change;
      if (protection !== undefined && !(isValid(protection) && isFree(protection, leg.place))) continue;
      leg.plan = { ...leg.plan, ...change };
      if (protection?.kind === "srtp") leg.keyed.unshift(protection);
      if (protection !== undefined && dice.onceIn(2)) rekeyed(dice, leg);
    }
    if (dice.onceIn(900))
      script.push({ op: "join", leg: leg.place, other: dice.pick(legs.filter((one) => one !== leg)).place });
    if (dice.onceIn(300)) script.push({ op: "join", leg: leg.place, other: leg.place ^ 1 });
    if (dice.onceIn(1500)) {
      script.push({ op: "counters", leg: leg.place }, { op: "events" }, { op: "close", leg: leg.place });
      openLeg(leg.place, validKind());
      script.push({ op: "join", leg: leg.place, other: leg.place ^ 1 });
    }
    if (dice.onceIn(400)) script.push({ op: "counters", leg: leg.place });
  }
  for (const { place } of legs) script.push({ op: "counters", leg: place });
  script.push({ op: "events" });
  return script;
};
