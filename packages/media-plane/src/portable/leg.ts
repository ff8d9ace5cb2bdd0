// Owns one leg: its sockets, plan, contexts and counters, and the path of a packet through it:
// filter -> police -> classify -> source -> unprotect -> learn -> mode -> the joined leg -> protect -> send (invariants 3, 4, 9).
import type { Clock, Datagram, Endpoint } from "@sallyport/kit";
import { classifyPacket, rtpHeaderLength, type PacketKind, type SrtpFailure, type SrtpResult } from "@sallyport/srtp";
import { mediaPlaneErrors } from "../errors.ts";
import type { LegChange, LegCounters, LegPlan, LegRemote } from "../plane.ts";
import { checkRemote } from "../remote.ts";
import { isLoneApp, looksClearRtcp, looksClearRtp } from "./clear.ts";
import { LegContexts } from "./contexts.ts";
import { newTally, type Tally } from "./counters.ts";
import { LegAlarms, type EventQueue } from "./events.ts";
import { InactivityWatch } from "./inactivity.ts";
import { applyLatch, canonicalAddress, hears, learn, movedRemote, noLatch, type LatchState } from "./latch.ts";
import { Reception } from "./reception.ts";
import { RoundTrip } from "./round-trip.ts";
import { Police, SourceGate, checkPolicing, checkSourceFilter, samePolicing } from "./rules.ts";
import type { SendKeys } from "./send-keys.ts";
import type { SocketPair } from "./sockets.ts";

/** A flow has its own port and its own latch; with rtcp-mux RTCP is in the RTP flow. */
type FlowName = "rtp" | "rtcp";

interface Flow {
  socket: Datagram | undefined;
  latch: LatchState;
  /** The signalled destination. */
  remote: Endpoint | undefined;
}

export interface LegShare {
  readonly clock: Clock;
  readonly queue: EventQueue;
  readonly sendKeys: SendKeys;
}

type MediaKind = "rtp" | "rtcp";

const receives = (plan: LegPlan): boolean => plan.mode === "send-receive" || plan.mode === "receive-only";
const sends = (plan: LegPlan): boolean => plan.mode === "send-receive" || plan.mode === "send-only";

/** @throws SALLY_PLANE_DSCP: node:dgram cannot write a code point (RFC 2474). */
const checkDscp = (dscp: number | undefined): void => {
  if (dscp !== undefined && dscp !== 0) throw mediaPlaneErrors("SALLY_PLANE_DSCP", `It is ${dscp}.`);
};

/** @throws as `MediaPlane.open` for everything but addresses to bind and keys. */
const checkPlan = (plan: LegChange): void => {
  if (plan.remote !== undefined) checkRemote(plan.remote);
  checkSourceFilter(plan.sourceFilter);
  checkPolicing(plan.policing);
  checkDscp(plan.dscp);
};

const sameRemote = (a: LegRemote | undefined, b: LegRemote | undefined): boolean =>
  a?.address === b?.address &&
  a?.rtpPort === b?.rtpPort &&
  a?.rtcpPort === b?.rtcpPort &&
  (a?.rtcpAddress ?? a?.address) === (b?.rtcpAddress ?? b?.address);

export class Leg {
  readonly id: number;
  peer: Leg | undefined;
  readonly #clock: Clock;
  readonly #contexts: LegContexts;
  readonly #alarms: LegAlarms;
  readonly #watch: InactivityWatch;
  readonly #reception = new Reception();
  readonly #roundTrip = new RoundTrip();
  readonly #tally: Tally = newTally();
  readonly #flows: Readonly<Record<FlowName, Flow>> = {
    rtp: { socket: undefined, latch: noLatch, remote: undefined },
    rtcp: { socket: undefined, latch: noLatch, remote: undefined },
  };
  #plan: LegPlan;
  /** The one clear probe a leg may get without an alarm has come. */
  #probed = false;
  #gate: SourceGate | undefined;
  #police: Police | undefined;

  /** @throws as `MediaPlane.open` for keys; nothing is bound yet. */
  constructor(id: number, plan: LegPlan, share: LegShare) {
    this.id = id;
    this.#clock = share.clock;
    this.#contexts = new LegContexts(share.clock, id, share.sendKeys, (direction) =>
      share.queue.push({ kind: "key-expiring", leg: id, direction }),
    );
    this.#alarms = new LegAlarms(share.clock, id, share.queue);
    this.#watch = new InactivityWatch(share.clock, (direction) =>
      share.queue.push({ kind: "inactive", leg: id, direction }),
    );
    checkPlan(plan);
    this.#plan = plan;
    this.#gate = plan.sourceFilter === undefined ? undefined : new SourceGate(plan.sourceFilter);
    this.#police = plan.policing === undefined ? undefined : new Police(plan.policing, share.clock.now());
    this.#point(plan);
    this.#latch(plan);
    this.#contexts.apply(plan.protection);
  }

  /** From here on packets flow. */
  start(sockets: SocketPair): void {
    this.#flows.rtp.socket = sockets.rtp;
    this.#flows.rtcp.socket = sockets.rtcp;
    this.#listenForSilence();
  }

  get plan(): LegPlan {
    return this.#plan;
  }

  /** @throws as `MediaPlane.update`; nothing has changed then. */
  update(change: LegChange): void {
    checkPlan(change);
    if (change.protection !== undefined) this.#contexts.apply(change.protection);
    const before = this.#plan;
    this.#plan = { ...before, ...change };
    if ("remote" in change && !sameRemote(before.remote, change.remote)) {
      this.#point(this.#plan);
      for (const flow of [this.#flows.rtp, this.#flows.rtcp]) flow.latch = movedRemote(flow.latch);
    }
    if (change.latch !== undefined) this.#latch(this.#plan);
    if ("sourceFilter" in change) {
      this.#gate = change.sourceFilter === undefined ? undefined : new SourceGate(change.sourceFilter);
    }
    if ("policing" in change && !samePolicing(before.policing, change.policing)) {
      this.#police = change.policing === undefined ? undefined : new Police(change.policing, this.#clock.now());
    }
    if ("mode" in change || "inactivityMs" in change) this.#listenForSilence();
  }

  counters(): LegCounters {
    const { carriedForward, changes, rocTrials, sources } = this.#contexts;
    const { jitter, lost } = this.#reception;
    const roundTripMs = this.#roundTrip.ms;
    return { ...this.#tally, keyChanges: changes, sources, carriedForward, rocTrials, lost, jitter, roundTripMs };
  }

  sendError(): void {
    this.#tally.sendErrors += 1;
  }

  /** One datagram from a socket; `octets` is lent. */
  receive(flowName: FlowName, octets: Buffer, from: Endpoint): void {
    const flow = this.#flows[flowName];
    if (flow.socket === undefined) return;
    // Port 0 may stand in a UDP header, but nothing can be sent there: never learn it.
    if (from.port === 0) return this.#drop("sourceDropped");
    if (this.#gate?.allows(flowName, from) === false) return this.#drop("filtered");
    if (this.#police?.conforms(octets.length, this.#clock.now()) === false) return this.#drop("policed");
    const kind = classifyPacket(octets, flowName === "rtp" && this.#plan.rtcp === "separate");
    if (this.#plan.protection.kind === "transparent")
      return this.#receiveTransparent(flow, flowName, kind, octets, from);
    // RFC 7983: what is not RTP or RTCP must never come to the SRTP check, nor to the other side.
    if (kind === "stun") return this.#drop("stunDropped");
    if (kind === "dtls") return this.#drop("dtlsDropped");
    if (kind === "unknown") return this.#drop("malformed");
    // Without mux each protocol has its port; with mux nothing is due on the odd one (RFC 5761 4).
    const due = this.#plan.rtcp === "mux" ? flowName === "rtp" : kind === flowName;
    if (!due) return this.#drop("otherDropped");
    switch (this.#plan.protection.kind) {
      case "awaiting-keys":
        return this.#drop("awaitingKeysDropped");
      case "srtp":
        return this.#receiveProtected(flow, kind, octets, from);
      case "clear":
        return this.#receiveClear(flow, kind, octets, from);
    }
  }

  /** Closes sockets and timers and drops every key; gives the final counters. */
  async close(): Promise<LegCounters> {
    const counters = this.counters();
    const { rtp, rtcp } = this.#flows;
    const sockets = [rtp.socket, rtcp.socket].filter((socket) => socket !== undefined);
    rtp.socket = undefined;
    rtcp.socket = undefined;
    if (this.peer !== undefined) this.peer.peer = undefined;
    this.peer = undefined;
    this.#watch.close();
    this.#contexts.close();
    await Promise.all(sockets.map((socket) => socket.close()));
    return counters;
  }

  #receiveTransparent(flow: Flow, flowName: FlowName, kind: PacketKind, octets: Buffer, from: Endpoint): void {
    if (!hears(flow.latch, flow.remote?.address, from)) return this.#drop("sourceDropped");
    flow.latch = learn(flow.latch, from);
    const media = kind === "rtp" || kind === "rtcp" ? kind : undefined;
    this.#accept(media, octets.length, octets);
    const peer = this.peer;
    if (peer === undefined || peer.#plan.protection.kind !== "transparent") return this.#drop("otherDropped");
    if (!this.#passes(peer, media)) return this.#drop("modeDropped");
    peer.#send(media, media ?? flowName, octets);
  }

  #receiveProtected(flow: Flow, kind: MediaKind, octets: Buffer, from: Endpoint): void {
    const result = this.#contexts.unprotect(kind, octets);
    if (result === undefined) return this.#drop("awaitingKeysDropped");
    if (!result.ok) return this.#refused(kind, octets, result.code);
    // Invariant 3: only here, after the tag, may the source be learned.
    flow.latch = learn(flow.latch, from);
    this.#accept(kind, octets.length, result.packet);
    this.#handOver(kind, result.packet);
  }

  #receiveClear(flow: Flow, kind: MediaKind, octets: Buffer, from: Endpoint): void {
    if (kind === "rtp" && rtpHeaderLength(octets, octets.length) < 0) return this.#drop("malformed");
    if (!hears(flow.latch, flow.remote?.address, from)) return this.#drop("sourceDropped");
    flow.latch = learn(flow.latch, from);
    this.#accept(kind, octets.length, octets);
    this.#handOver(kind, octets);
  }

  /** A clear packet on its way to the joined leg. */
  #handOver(kind: MediaKind, packet: Buffer): void {
    const peer = this.peer;
    if (peer === undefined) return this.#drop("otherDropped");
    if (!this.#passes(peer, kind)) return this.#drop("modeDropped");
    switch (peer.#plan.protection.kind) {
      case "clear":
        if (kind === "rtcp") peer.#roundTrip.left(packet, this.#clock.now());
        return peer.#send(kind, kind, packet);
      case "srtp":
        return peer.#sendProtected(kind, packet);
      case "awaiting-keys":
        return peer.#drop("awaitingKeysDropped");
      case "transparent":
        return peer.#drop("otherDropped");
    }
  }

  #sendProtected(kind: MediaKind, packet: Buffer): void {
    const result: SrtpResult | undefined = this.#contexts.protect(kind, packet);
    if (result === undefined) return this.#drop("awaitingKeysDropped");
    if (!result.ok) return this.#refused(kind, packet, result.code);
    if (kind === "rtcp") this.#roundTrip.left(packet, this.#clock.now());
    this.#send(kind, kind, result.packet);
  }

  #send(kind: MediaKind | undefined, flowName: FlowName, octets: Buffer): void {
    const flow = this.#flows[this.#plan.rtcp === "mux" ? "rtp" : flowName];
    const to = flow.latch.learned ?? flow.remote;
    if (to === undefined || to.port === 0 || flow.socket === undefined) return this.#drop("otherDropped");
    flow.socket.send(octets, to);
    if (kind === "rtp") this.#tally.rtpOut += 1;
    else if (kind === "rtcp") this.#tally.rtcpOut += 1;
    else this.#tally.otherOut += 1;
    this.#tally.octetsOut += octets.length;
    this.#watch.touched("out", this.#clock.now());
  }

  /** `packet` is what came, opened where it was protected; what is transparent may be sealed behind its header. */
  #accept(kind: MediaKind | undefined, octets: number, packet: Buffer): void {
    const now = this.#clock.now();
    if (kind === "rtp") {
      this.#tally.rtpIn += 1;
      this.#reception.arrived(packet, now);
    } else if (kind === "rtcp") {
      this.#tally.rtcpIn += 1;
      if (this.#plan.protection.kind !== "transparent") this.#roundTrip.came(packet, now);
    } else this.#tally.otherIn += 1;
    this.#tally.octetsIn += octets;
    this.#tally.lastPacketAt = now;
    this.#watch.touched("in", now);
  }

  #passes(peer: Leg, kind: MediaKind | undefined): boolean {
    if (this.#plan.mode === "inactive" || peer.#plan.mode === "inactive") return false;
    return kind === "rtcp" || (receives(this.#plan) && sends(peer.#plan));
  }

  #drop(counter: keyof Tally): void {
    this.#tally[counter] += 1;
  }

  #refused(kind: MediaKind, packet: Buffer, code: SrtpFailure): void {
    switch (code) {
      // A clear packet may show any number, one of before too.
      case "replay":
      case "too-old":
      case "short":
      case "malformed":
      case "mki":
      case "unencrypted":
      case "authentication":
        return this.#unverified(kind, packet, code);
      case "sources":
        return this.#drop("sourcesRefused");
      case "lifetime":
        this.#alarms.raise("lifetime");
        return this.#drop("lifetimeDropped");
      case "index-reuse":
        this.#alarms.raise("index-reuse");
        return this.#drop("indexReuse");
      case "released":
        return this.#drop("awaitingKeysDropped");
    }
  }

  #unverified(kind: MediaKind, packet: Buffer, code: SrtpFailure): void {
    const clear =
      kind === "rtcp"
        ? looksClearRtcp(packet)
        : looksClearRtp(packet, rtpHeaderLength(packet, packet.length), this.#contexts.shortest);
    if (clear) {
      // Phones probe the path with one APP packet before they protect (baresip): no more than that is not media in the clear.
      if (this.#probed || kind === "rtp" || !isLoneApp(packet)) this.#alarms.raise("clear-on-protected");
      else this.#probed = true;
      return this.#drop("clearDropped");
    }
    if (code === "replay" || code === "too-old") return this.#drop("replays");
    if (code === "short" || code === "malformed") return this.#drop("malformed");
    this.#alarms.raise("authentication");
    this.#drop("authenticationFailures");
  }

  #point(plan: LegPlan): void {
    const { remote } = plan;
    const { rtp, rtcp } = this.#flows;
    rtp.remote = undefined;
    rtcp.remote = undefined;
    if (remote === undefined) return;
    rtp.remote = { address: canonicalAddress(remote.address), port: remote.rtpPort };
    rtcp.remote = { address: canonicalAddress(remote.rtcpAddress ?? remote.address), port: remote.rtcpPort };
  }

  #latch(plan: LegPlan): void {
    for (const flow of [this.#flows.rtp, this.#flows.rtcp]) flow.latch = applyLatch(flow.latch, plan.latch);
  }

  #listenForSilence(): void {
    const { inactivityMs = 0 } = this.#plan;
    this.#watch.watch(inactivityMs > 0 ? inactivityMs : undefined, {
      in: receives(this.#plan),
      out: sends(this.#plan),
    });
  }
}
