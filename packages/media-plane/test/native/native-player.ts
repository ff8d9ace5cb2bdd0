// Test fixture: writes a script as octets for native/test/differential.cpp, and reads what the core made of it.
import { isIP } from "node:net";
import { suites } from "@sallyport/srtp";
import type { LegChange, PlaneKey, Protection } from "../../src/index.ts";
import { countersText, eventsText, sentText, type Operation } from "./operations.ts";

const operationCodes = {
  open: 1,
  update: 2,
  join: 3,
  packet: 4,
  advance: 5,
  counters: 6,
  close: 7,
  events: 8,
} as const;
const modes = ["inactive", "send-only", "receive-only", "send-receive"] as const;
const protections = ["clear", "srtp", "awaiting-keys", "transparent"] as const;
const latches = ["off", "latch", "relatch"] as const;
const suiteNames = Object.keys(suites);

const number = (value: number | bigint, octets: number): Buffer => {
  const out = Buffer.alloc(octets);
  let rest = BigInt(value);
  for (let at = octets - 1; at >= 0; at--, rest >>= 8n) out[at] = Number(rest & 255n);
  return out;
};
const real = (value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeDoubleBE(value);
  return out;
};

/** Family and 16 octets; the literal has no zone and no embedded IPv4. */
const hostOctets = (literal: string): Buffer => {
  const out = Buffer.alloc(17);
  const family = isIP(literal);
  out[0] = family;
  if (family === 4) {
    for (const [at, part] of literal.split(".").entries()) out[1 + at] = Number(part);
  } else if (family === 6) {
    const [head = "", tail] = literal.split("::", 2);
    const groupsOf = (text: string): string[] => text.split(":").filter((group) => group !== "");
    const after = groupsOf(tail ?? "");
    for (const [at, group] of groupsOf(head).entries()) out.writeUInt16BE(Number.parseInt(group, 16), 1 + 2 * at);
    for (const [at, group] of after.entries()) {
      out.writeUInt16BE(Number.parseInt(group, 16), 17 - 2 * (after.length - at));
    }
  }
  return out;
};

const keyOctets = (key: PlaneKey): Buffer => {
  const master = key.master.use((octets) => Buffer.from(octets));
  const mki = Buffer.from(key.mki ?? []);
  const lengths = Buffer.from([master.length, mki.length]);
  return Buffer.concat([lengths, master, mki, number(key.lifetime ?? 0n, 8)]);
};

const protectionOctets = (protection: Protection): Buffer => {
  const kind = Buffer.from([protections.indexOf(protection.kind)]);
  if (protection.kind !== "srtp") return kind;
  const { suite, receive, send } = protection;
  const head = Buffer.from([suiteNames.indexOf(suite), receive.length]);
  return Buffer.concat([kind, head, ...receive.map(keyOctets), keyOctets(send)]);
};

const anyPorts = { first: 0, last: 65_535 };
const spanOctets = (span: { readonly first: number; readonly last: number } | undefined): Buffer =>
  Buffer.concat([number((span ?? anyPorts).first, 2), number((span ?? anyPorts).last, 2)]);

/** With `whole`, what the change does not name is taken away: a plan that opens a leg. */
const changeOctets = (change: LegChange, whole: boolean): Buffer => {
  const { mode, rtcp, protection, remote, latch, inactivityMs, sourceFilter, policing, dscp } = change;
  let fields = 0;
  const parts: Buffer[] = [];
  const add = (bit: number, name: keyof LegChange, part: () => Buffer): void => {
    if (!whole && !(name in change)) return;
    fields |= bit;
    parts.push(part());
  };
  add(1, "mode", () => Buffer.from([modes.indexOf(mode ?? "inactive")]));
  add(2, "rtcp", () => Buffer.from([rtcp === "mux" ? 1 : 0]));
  add(4, "protection", () => protectionOctets(protection ?? { kind: "clear" }));
  const rtcpAddress = remote?.rtcpAddress;
  if (rtcpAddress !== undefined) fields |= 512;
  add(8, "remote", () =>
    Buffer.concat([
      hostOctets(remote?.address ?? ""),
      ...(rtcpAddress === undefined ? [] : [hostOctets(rtcpAddress)]),
      number(remote?.rtpPort ?? 0, 2),
      number(remote?.rtcpPort ?? 0, 2),
    ]),
  );
  add(16, "latch", () => Buffer.from([latches.indexOf(latch ?? "off")]));
  add(32, "inactivityMs", () => number(inactivityMs ?? 0, 4));
  add(64, "sourceFilter", () => {
    const { address, ports, rtcpPorts } = sourceFilter ?? {};
    const flags = [sourceFilter, address, ports, rtcpPorts].map((part, at) => (part === undefined ? 0 : 1 << at));
    const head = Buffer.from([flags.reduce((sum, flag) => sum + flag), address?.prefix ?? 0]);
    return Buffer.concat([head, hostOctets(address?.literal ?? ""), spanOctets(ports), spanOctets(rtcpPorts)]);
  });
  add(128, "policing", () => {
    const { sustained, peak } = policing ?? {};
    const rates = [sustained?.octetsPerS, sustained?.burstOctets, peak?.octetsPerS, peak?.toleranceMs];
    return Buffer.concat([Buffer.from([policing === undefined ? 0 : 1]), ...rates.map((rate) => real(rate ?? 0))]);
  });
  add(256, "dscp", () => Buffer.from([dscp ?? 0]));
  return Buffer.concat([number(fields, 2), ...parts]);
};

const operationOctets = (operation: Operation): Buffer => {
  const code = operationCodes[operation.op];
  switch (operation.op) {
    case "open":
      return Buffer.concat([Buffer.from([code, operation.leg]), changeOctets(operation.plan, true)]);
    case "update":
      return Buffer.concat([Buffer.from([code, operation.leg]), changeOctets(operation.change, false)]);
    case "join":
      return Buffer.from([code, operation.leg, operation.other]);
    case "packet": {
      const { leg, flow, from, octets } = operation;
      const head = Buffer.from([code, leg, flow === "rtp" ? 0 : 1]);
      return Buffer.concat([head, hostOctets(from.address), number(from.port, 2), number(octets.length, 2), octets]);
    }
    case "advance":
      return Buffer.concat([Buffer.from([code]), number(operation.ms, 4)]);
    case "counters":
    case "close":
      return Buffer.from([code, operation.leg]);
    // What is left are the events.
    default:
      return Buffer.from([code]);
  }
};

export const encodeScript = (script: readonly Operation[]): Buffer => Buffer.concat(script.map(operationOctets));

const refusals = [
  "ok",
  "SALLY_SRTP_KEY_LENGTH",
  "SALLY_SRTP_KEYS",
  "SALLY_SRTP_LIFETIME",
  "SALLY_PLANE_KEY_IN_USE",
  "SALLY_PLANE_KEY_IN_USE",
  "SALLY_PLANE_KEY_IN_USE",
  "SALLY_PLANE_REKEYS",
  "no memory for keys",
] as const;
const alarms = ["clear-on-protected", "authentication", "lifetime", "index-reuse"] as const;

const hostText = (octets: Buffer): string => {
  if (octets[0] === 4) return octets.subarray(1, 5).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => octets.readUInt16BE(1 + 2 * at).toString(16));
  return groups.join(":").replace(/(?:^|:)0(?::0)+(?::|$)/, "::");
};

/** What each operation of the script gave, from what `differential` wrote. */
export const decodeResults = (script: readonly Operation[], output: Buffer): readonly string[] => {
  const headerEnd = output.indexOf(10);
  const names = output.subarray(0, headerEnd).toString().split(" ");
  let at = headerEnd + 1;
  const take = (octets: number): Buffer => {
    at += octets;
    if (at > output.length) throw new Error("the core wrote too little");
    return output.subarray(at - octets, at);
  };
  const octet = (): number => take(1).readUInt8();
  const event = (): object => {
    const leg = octet() - 1;
    const kind = octet();
    const what = octet();
    const count = Number(take(8).readBigUInt64BE());
    if (kind === 2) return { kind: "alarm", leg, what: alarms[what], count };
    return { kind: kind === 0 ? "inactive" : "key-expiring", leg, direction: what === 0 ? "in" : "out" };
  };
  const result = (operation: Operation): string => {
    switch (operation.op) {
      case "open":
      case "update":
        return refusals[octet()] ?? "";
      case "packet": {
        const leg = octet();
        if (leg === 0) return "";
        const flow = octet() === 0 ? "rtp" : "rtcp";
        const address = hostText(take(17));
        const port = take(2).readUInt16BE();
        return sentText(leg - 1, flow, { address, port }, take(take(2).readUInt16BE()));
      }
      case "counters": {
        const values = names.map((name): [string, number] => [name, Number(take(8).readBigUInt64BE())]);
        // The core stamps nanoseconds.
        return countersText(
          Object.fromEntries(values.map(([name, value]) => [name, name === "lastPacketAt" ? value / 1e6 : value])),
        );
      }
      case "events":
        return eventsText(Array.from({ length: take(2).readUInt16BE() }, event));
      // What is left gives nothing.
      default:
        return "";
    }
  };
  const results = script.map(result);
  if (at !== output.length) throw new Error("the core wrote too much");
  return results;
};
