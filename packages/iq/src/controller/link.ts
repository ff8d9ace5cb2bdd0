// Owns one gateway at the controller: its registration, heartbeat and contexts, and the resynchronising of the two.
// The decisions are in registry.ts; this is their shell. TS 23.334 8 (AGW restoration, ALG heartbeat), H.248.1 11.5.
import type { ActionReply, ActionRequest, H248Error, H248Peer } from "@sallyport/h248";
import type { Log, Timer } from "@sallyport/kit";
import { SallyportError } from "@sallyport/kit";
import { iqErrors } from "../errors.ts";
import { keysAllowed } from "../profile/keys-allowed.ts";
import type { ServiceChange } from "../profile/services.ts";
import type { IqContext, IqProfile } from "../types.ts";
import type { HeldContext, IqContextState } from "./held.ts";
import { heldFrom } from "./held.ts";
import { iqError, lostReply } from "./refusals.ts";
import type { GatewayView, RegistryEffect, RegistryInput } from "./registry.ts";
import { stepRegistry, unregistered } from "./registry.ts";
import { Agreement } from "./agreement.ts";
import { packageVersion } from "./replies.ts";
import { handoffRequest, packagesRequest, heartbeatRequest, subtractRequest, watchRootRequest } from "./requests.ts";
import type { Candidate } from "./select.ts";
import { afterRegistration, goodStanding, rootEvent, type Standing } from "./standing.ts";
import { isSameHost } from "./service-change-address.ts";
import { statusOf } from "./status.ts";
import type { LinkPorts } from "./link-ports.ts";
import type { GatewayStatus, IqGatewayEntry, LossReason } from "./types.ts";

export type Registered =
  | { readonly ok: true; readonly version: number; readonly profile: IqProfile }
  | { readonly ok: false; readonly error: H248Error };

/** Work nobody waits for: an error of ours in it is told, and ends nothing else. */
const alone = (log: Log, work: Promise<void>): void => {
  work.catch((error: unknown) => log.error("gateway link failed", { error: String(error) }));
};

export class GatewayLink {
  readonly entry: IqGatewayEntry;
  readonly contexts = new Map<number, HeldContext>();
  readonly #ports: LinkPorts;
  #view: GatewayView = unregistered;
  #peer: H248Peer | undefined;
  #heartbeat: Timer | undefined;
  #patience: Timer | undefined;
  readonly #agreement: Agreement;
  #closed = false;
  #tellsOfKeys = false;
  #standing: Standing = goodStanding;
  /** When it went down with contexts of ours; undefined while up, and for contexts of an earlier run. */
  #lostAt: number | undefined;

  constructor(entry: IqGatewayEntry, ports: LinkPorts) {
    this.entry = entry;
    this.#ports = ports;
    const { clock, log } = ports;
    this.#agreement = new Agreement({
      gateway: entry.id,
      clock,
      log,
      held: this.contexts,
      ready: () => !this.#closed && this.#peer !== undefined,
      ask: (actions) => this.command(actions),
      tidy: (context) => this.tidy(context),
      lose: (lost) => this.#lose(lost, "audit"),
    });
  }

  get state(): GatewayView["state"] {
    return this.#view.state;
  }

  /** Whether keys may be sent to it. */
  get mayHoldKeys(): boolean {
    if (this.#peer === undefined) return false;
    return keysAllowed(this.#peer, { protectedBelow: this.entry.protectedBelow, lab: this.#ports.lab });
  }

  isRegistered(peer: H248Peer): boolean {
    return this.#view.state !== "down" && this.#peer !== undefined && isSameHost(this.#peer, peer);
  }

  status(): GatewayStatus {
    return statusOf({
      entry: this.entry,
      view: this.#view,
      standing: this.#standing,
      contexts: this.contexts.size,
      protected: this.mayHoldKeys,
      peer: this.#peer,
      now: this.#ports.clock.now(),
    });
  }

  /** As selection sees it. */
  candidate(): Candidate {
    const { id, realms, weight = 1, capacity } = this.entry;
    return {
      id,
      state: this.#view.state,
      mayHoldKeys: this.mayHoldKeys,
      realms: realms?.map((realm) => realm.toLowerCase()),
      weight,
      capacity,
      contexts: this.contexts.size + this.#agreement.adding,
      silent: this.#view.missed > 0,
      standing: this.#standing,
    };
  }

  /** It reports when a key is nearly used up. */
  get tellsOfKeys(): boolean {
    return this.#tellsOfKeys;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** What it was asked, or how it answered, says something of the next context. */
  learn(change: (standing: Standing, now: number) => Standing): void {
    this.#standing = change(this.#standing, this.#ports.clock.now());
  }

  /** An event of ROOT. */
  rootEvent(name: string, parameters: Readonly<Record<string, string>>): void {
    const before = this.#standing;
    this.learn((standing, now) => rootEvent(standing, name, parameters, now));
    if (this.#standing !== before) this.#ports.report(this.status());
  }

  /** No new contexts from now on, or new ones again; those it has stay until their calls end. */
  drain(on: boolean): void {
    if (this.#standing.draining === on) return;
    this.#standing = { ...this.#standing, draining: on };
    this.#ports.report(this.status());
  }

  /** H.248.1 7.2.8 HandOff: it shall go to another controller. Its contexts are lost to us when it does. */
  async handOff(mgc: string): Promise<void> {
    const [reply] = await this.command(handoffRequest(mgc));
    const error = reply?.error ?? reply?.commands[0]?.error;
    // Here 449 and 501 speak of the controller that was named, not of media.
    if (error !== undefined && (error.code === 449 || error.code === 501))
      throw iqErrors("SALLY_IQ_NOT_HANDED_OFF", `${mgc}: H.248 error ${error.code}.`, { where: this.entry.id });
    if (error !== undefined) throw iqError(error, this.entry.id);
    this.#feed({ kind: "handed-off", to: mgc });
  }

  /** Another gateway came or went: whether contexts of a lost one are waited for may have changed. */
  reconsider(): void {
    if (this.#lostAt !== undefined && this.#patience !== undefined) this.#bePatient();
  }

  serviceChange(peer: H248Peer, said: ServiceChange): Registered {
    const effects = this.#step({ kind: "service-change", peer: peer.id, ...said });
    const refused = effects.find((effect) => effect.kind === "refuse");
    if (refused !== undefined) return { ok: false, error: refused.error };
    const accepted = effects.find((effect) => effect.kind === "accept");
    const before = this.#peer;
    // A graceful leave says nothing of where it is spoken to.
    if (said.method !== "Graceful") this.#peer = this.#view.state === "down" ? undefined : peer;
    const registered = effects.some((effect) => effect.kind === "start-heartbeat");
    if (registered) this.#standing = afterRegistration(this.#standing);
    this.#run(effects, before);
    if (registered && this.#ports.watchRoot) alone(this.#ports.log, this.#becomeAcquainted());
    const { version, profile } = accepted ?? this.#ports.rules;
    return { ok: true, version, profile };
  }

  peerClosed(peer: H248Peer): void {
    this.#feed({ kind: "peer-closed", peer: peer.id });
  }

  /** Any message from it is a sign of life. */
  heard(): void {
    this.#feed({ kind: "heartbeat-answered" });
  }

  /**
   * Sends one transaction. Rejects SALLY_IQ_GATEWAY_LOST, SALLY_IQ_TIMEOUT (the outcome is then unknown, and compared later)
   * or the SALLY_IQ_* its error code maps to.
   */
  async command(
    actions: readonly ActionRequest[],
    timeoutMs = this.#ports.times.commandTimeoutMs,
  ): Promise<readonly ActionReply[]> {
    const peer = this.#peer;
    if (peer === undefined) throw iqErrors("SALLY_IQ_GATEWAY_LOST", undefined, { where: this.entry.id });
    const adds = actions.some((action) => action.context === "$");
    const onLate = (replies: readonly ActionReply[]): void => alone(this.#ports.log, this.#agreement.late(replies));
    const how = { version: this.#version, timeoutMs, ...(adds ? { onLate } : {}) };
    const asked = this.#ports.request(actions, peer, how);
    const over = adds ? this.#agreement.began(asked) : undefined;
    try {
      return await asked;
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error;
      const understood = lostReply(error, this.entry.id);
      if (understood.doubtful) {
        this.doubt();
        if (adds) this.#agreement.gaveUp();
      }
      throw understood.error;
    } finally {
      over?.();
    }
  }

  /** Contexts of an earlier run. Nobody has registered yet, so patience runs from now. */
  adopt(known: readonly IqContextState[]): void {
    for (const state of known) this.hold(heldFrom(state));
    if (known.length === 0) return;
    this.#patience?.cancel();
    this.#patience = this.#ports.clock.after(this.#ports.times.keepContextsMs, () => this.#feed({ kind: "given-up" }));
  }

  hold(held: HeldContext): void {
    this.contexts.set(held.context.context, held);
  }

  /** The call of a context has ended, or the context is not there any more. */
  drop(context: number): void {
    this.#agreement.ended(context);
    const was = this.contexts.delete(context);
    // The last one of a gateway that is to be emptied: whoever watches wants to know.
    if (was && this.contexts.size === 0 && (this.#standing.draining || this.#view.state === "leaving"))
      this.#ports.report(this.status());
  }

  /** Removes what a failed or unanswered command may have left: now when possible, else when contexts are compared. */
  async tidy(context: number): Promise<void> {
    this.drop(context);
    try {
      await this.command(subtractRequest(context, { statistics: false }));
    } catch {
      this.doubt();
    }
  }

  /** H.248.1 7.2.8: terminations of these were forced out of service. What is left of their contexts is ours to clean up. */
  takenOut(contexts: readonly IqContext[]): void {
    this.#lose(
      contexts.flatMap(({ context }) => this.contexts.get(context) ?? []),
      "forced",
    );
    for (const { context } of contexts) alone(this.#ports.log, this.#cleanUp(context));
  }

  /** A command's outcome is not known. */
  doubt(): void {
    this.#agreement.doubt();
  }

  close(): void {
    this.#closed = true;
    this.#heartbeat?.cancel();
    this.#patience?.cancel();
    this.#peer = undefined;
    this.contexts.clear();
  }

  get #version(): 1 | 2 | 3 {
    return this.#view.version === 1 ? 1 : this.#view.version === 3 ? 3 : 2;
  }

  #step(input: RegistryInput): readonly RegistryEffect[] {
    const step = stepRegistry(this.#view, this.#ports.rules, input);
    this.#view = step.view;
    return step.effects;
  }

  #feed(input: RegistryInput): void {
    if (this.#closed) return;
    const before = this.#peer;
    const effects = this.#step(input);
    if (this.#view.state === "down") this.#peer = undefined;
    this.#run(effects, before);
  }

  #run(effects: readonly RegistryEffect[], before: H248Peer | undefined): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "drop-peer":
          if (before?.id === effect.peer) this.#ports.disconnect(before);
          break;
        case "lose-contexts":
          this.#lose([...this.contexts.values()], effect.reason);
          break;
        case "resynchronise":
          alone(this.#ports.log, this.#agreement.soon());
          break;
        case "start-heartbeat":
          this.#beatLater();
          break;
        case "stop-heartbeat":
          this.#heartbeat?.cancel();
          this.#heartbeat = undefined;
          break;
        case "start-patience":
          this.#lostAt = this.#ports.clock.now();
          this.#bePatient();
          break;
        case "stop-patience":
          this.#lostAt = undefined;
          this.#patience?.cancel();
          this.#patience = undefined;
          break;
        case "report":
          this.#ports.report(this.status());
          break;
        // Accept and refuse are answered by whoever asked.
        default:
      }
    }
  }

  #lose(lost: readonly HeldContext[], reason: LossReason): void {
    for (const { context } of lost) {
      this.drop(context.context);
      this.#ports.notify({ kind: "context-lost", gateway: this.entry.id, context, reason });
    }
  }

  async #cleanUp(context: number): Promise<void> {
    // The reply to what was said goes first.
    await new Promise(setImmediate);
    await this.tidy(context);
  }

  /** Its calls are moved soon where another gateway can take them; else it has longer to come back with them. */
  #bePatient(): void {
    const { clock, times } = this.#ports;
    const patience = this.#ports.replaceable(this.entry)
      ? Math.min(times.failoverMs, times.keepContextsMs)
      : times.keepContextsMs;
    const left = (this.#lostAt ?? clock.now()) + patience - clock.now();
    this.#patience?.cancel();
    this.#patience = clock.after(Math.max(0, left), () => {
      this.#patience = undefined;
      this.#feed({ kind: "given-up" });
    });
  }

  /**
   * H.248.1 7.1.9, 7.2.5: asks for the events of ROOT, and whether it tells of keys that are nearly used up. A gateway that
   * knows none of it answers an error: nothing is lost.
   */
  async #becomeAcquainted(): Promise<void> {
    await new Promise(setImmediate);
    if (this.#closed || this.#peer === undefined) return;
    await this.command(watchRootRequest).catch(() => undefined);
    const packages = await this.command(packagesRequest).catch(() => []);
    this.#tellsOfKeys = packageVersion(packages, "xsrtp") >= 2;
  }

  #beatLater(): void {
    this.#heartbeat?.cancel();
    // One that did not answer is asked again at once: what is to be noticed within a second can not wait.
    const ms = this.#view.missed > 0 ? 0 : this.#ports.times.heartbeatMs;
    this.#heartbeat = this.#ports.clock.after(ms, () => alone(this.#ports.log, this.#beat()));
  }

  async #beat(): Promise<void> {
    const peer = this.#peer;
    if (peer === undefined || this.#closed) return;
    const timeoutMs = this.#ports.times.heartbeatTimeoutMs;
    try {
      await this.#ports.request(heartbeatRequest, peer, { version: this.#version, timeoutMs });
      this.heard();
      if (this.#agreement.doubtful) alone(this.#ports.log, this.#agreement.reach());
    } catch (error) {
      // An error is an answer too: it lives.
      const lives = error instanceof SallyportError && error.code === "SALLY_H248_ERROR";
      if (this.#peer === peer) this.#feed({ kind: lives ? "heartbeat-answered" : "heartbeat-missed" });
    }
    if (this.#peer === peer && this.#view.state !== "down") this.#beatLater();
  }
}
