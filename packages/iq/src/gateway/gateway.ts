// Owns the gateway's shell on Iq: the connection to its controller, registration, commands in, events out.
// Decisions are in registration.ts and execute.ts. H.248.1 7.2.7, 7.2.8, 8.2; TS 29.334 5.10.
import type { ActionReply, ActionRequest, CommandRequest, H248Error, H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport } from "@sallyport/h248";
import type { Timer } from "@sallyport/kit";
import { SallyportError, sparing } from "@sallyport/kit";
import { iqErrors } from "../errors.ts";
import { h248Error } from "../profile/error-text.ts";
import { keysAllowed } from "../profile/keys-allowed.ts";
import { readMid } from "../profile/mid.ts";
import { root } from "../profile/names.ts";
import { readServiceChange, writeServiceChange } from "../profile/services.ts";
import type { Execution } from "./execute.ts";
import { runActions } from "./execute.ts";
import { connectSpec } from "./connect-spec.ts";
import { noRootWatch } from "./decode-events.ts";
import { elsewhere, findController } from "./mgc.ts";
import { observedEvents } from "./observed.ts";
import { ordered } from "./ordered.ts";
import { register } from "./register.ts";
import type { RegistrationEffect, RegistrationInput, RegistrationRules } from "./registration.ts";
import { stepRegistration, unstarted } from "./registration.ts";
import { rootEvent } from "./root.ts";
import { watchSilence } from "./silence.ts";
import type { IqControllerAddress, IqGateway, IqGatewayEvent, IqGatewayOptions, IqGatewayState } from "./types.ts";

const registerTimeoutMs = 4000;
const leaveTimeoutMs = 1000;
/** Reports of overload without an answer: a controller that has as many of them knows. */
const maxReports = 16;

/** Starts registering at once and goes on until closed. @throws SALLY_IQ_CONFIG */
export const createIqGateway = async (options: IqGatewayOptions): Promise<IqGateway> => {
  const { config, clock, log, random, openDatagram, observe, onState } = options;
  if (config.controllers.length === 0) throw iqErrors("SALLY_IQ_CONFIG", "No controller is given.");
  const handler = ordered(options.handler);
  const version = config.version ?? 2;
  const silenceMs = config.silenceMs ?? 35_000;
  const rules: RegistrationRules = {
    controllers: config.controllers.length,
    avalancheMs: config.avalancheMs ?? 0,
    firstRetryMs: config.firstRetryMs ?? 500,
    longestRetryMs: config.longestRetryMs ?? 30_000,
    version,
    profile: config.profile ?? { name: "ETSI_BGF", version: 2 },
  };
  let registration = unstarted;
  let agreed: 1 | 2 | 3 = 1;
  let peer: H248Peer | undefined;
  /** Where that is: the configured place, or the one it named. */
  let spokenTo: IqControllerAddress | undefined;
  let waiting: Timer | undefined;
  let keeping: Timer | undefined;
  let leaving: (() => void) | undefined;
  /** Leaving gracefully: until when, or 0 for until all contexts have gone. */
  let leavingUntil: number | undefined;
  /** H.248.1 11.3: what is offered to a controller that refused more (406), by its index. */
  const offers = new Map<number, 1 | 2 | 3>();
  let rootWatch = noRootWatch;
  const silence = watchSilence(clock, {
    lost: () => lose("controller silent"),
    ask: () => void askWhetherThere(),
  });

  const transport: H248Transport = createH248Transport({
    clock,
    log,
    ...(openDatagram === undefined ? {} : { openDatagram }),
    onMessage: (octets, from) => association.receive(octets, from),
    onPeerClosed: (gone) => {
      association.peerClosed(gone);
      if (gone.id === peer?.id) lose("connection lost");
    },
    ...(observe === undefined
      ? {}
      : {
          observe: ({ direction, octets, peer: at, at: when }) =>
            observe({ direction, octets, protocol: at.protocol, local: at.local, remote: at.remote, at: when }),
        }),
  });

  /** H.248.1 7.2.8: the controller orders a new registration. */
  const serviceChange = (command: CommandRequest): H248Error | undefined => {
    const said = readServiceChange(command);
    if (!said.ok) return said.error;
    const { method, mgcIdToTry } = said.value;
    if (method === "HandOff" || method === "Failover") {
      if (mgcIdToTry === undefined) return h248Error(472, "MgcIdToTry");
      const controller = findController(config.controllers, mgcIdToTry);
      if (controller === undefined) return h248Error(449, `MgcIdToTry=${mgcIdToTry}`);
      clock.after(0, () =>
        feed(
          controller === registration.controller
            ? { kind: "ordered", fresh: false }
            : { kind: "handed-over", controller, method },
        ),
      );
      return undefined;
    }
    if (mgcIdToTry !== undefined) return h248Error(501, `MgcIdToTry with ${method}`);
    const fresh = said.value.method === "Restart" || said.value.method === "Forced";
    // After the reply has left.
    clock.after(0, () => feed({ kind: "ordered", fresh }));
    return undefined;
  };

  let judged: { readonly peer: H248Peer; readonly allowed: boolean } | undefined;
  /** Asked with every request, answered once a connection. */
  const mayBringKeys = (from: H248Peer, { protectedBelow }: IqControllerAddress): boolean => {
    if (judged?.peer !== from) judged = { peer: from, allowed: keysAllowed(from, { protectedBelow, lab: config.lab }) };
    return judged.allowed;
  };

  /** Made anew when the connection or the version is another. */
  let running: Execution = {
    keysAllowed: false,
    version: agreed,
    handler,
    serviceChange,
    rootWatch: () => rootWatch,
    watchRoot: (watch) => {
      rootWatch = watch;
      listen();
      options.onRootWatch?.();
    },
    leaving: () => leavingUntil !== undefined,
    overloaded: () => void reportOverload(),
  };

  const association = createAssociation({
    mid: readMid(config.mid),
    transport,
    clock,
    log,
    random,
    version,
    ...(config.style === undefined ? {} : { style: config.style }),
    onRequest: ({ actions, peer: from, mid }) => {
      const controller = spokenTo;
      if (peer === undefined || from.id !== peer.id || controller === undefined) {
        return Promise.reject(iqErrors("SALLY_IQ_UNAUTHORISED", `Not the controller: ${mid}.`));
      }
      const allowed = mayBringKeys(from, controller);
      if (registration.state !== "registering") return carryOut(actions, allowed);
      // The reply may have come in the same packet as this request: let whoever waits for it go first.
      return new Promise(setImmediate).then(() => carryOut(actions, allowed));
    },
  });

  const carryOut = (actions: readonly ActionRequest[], allowed: boolean): Promise<readonly ActionReply[]> => {
    // H.248.1 11.2: nothing is carried out before the ServiceChange reply.
    if (registration.state !== "registered") return Promise.reject(iqErrors("SALLY_IQ_NOT_REGISTERED"));
    silence.heard();
    if (running.keysAllowed !== allowed || running.version !== agreed)
      running = { ...running, keysAllowed: allowed, version: agreed };
    return runActions(running, actions);
  };

  const mayTell = sparing(clock);
  /** A gateway tries as long as it runs: what stays the same is told once a minute. */
  const complain = (event: string, fields: Readonly<Record<string, unknown>>): void => {
    const untold = mayTell(`${event} ${registration.controller} ${JSON.stringify(fields)}`);
    if (untold !== undefined) log.warn(event, { ...fields, untold });
  };

  const jitter = (): number => random.bytes(4).readUInt32BE(0) / 2 ** 32;
  const state = (): IqGatewayState => ({
    registered: registration.state === "registered",
    controller: registration.controller,
    reason: registration.reason,
  });

  const feed = (input: RegistrationInput): void => {
    const step = stepRegistration(registration, rules, input);
    registration = step.registration;
    for (const effect of step.effects) run(effect);
  };

  const lose = (why: string): void => {
    if (registration.state === "leaving") return feed({ kind: "left" });
    // In TLS 1.3 a certificate that was not accepted shows as this; only the controller's log tells why.
    if (registration.state === "registering") complain("iq registration refused", { why: `${why} before an answer` });
    feed({ kind: "lost", why, jitter: jitter() });
  };

  const connect = async (index: number): Promise<void> => {
    const controller = config.controllers[index];
    if (controller === undefined) return;
    try {
      const opened = await transport.connect(await connectSpec(controller));
      if (registration.state !== "connecting") return transport.disconnect(opened);
      [peer, spokenTo] = [opened, controller];
      feed({ kind: "connected" });
    } catch (error) {
      const why = error instanceof SallyportError ? `${error.detail} (${error.code})` : "connection failed";
      const { address, port } = controller;
      complain("iq controller not reached", { controller: address, port, why });
      feed({ kind: "failed", why, jitter: jitter() });
    }
  };

  /** H.248.1 7.2.8 ServiceChangeAddress: the association goes on there. False where nobody of that name is. */
  const moveTo = async (said: string): Promise<boolean> => {
    const [before, controller] = [peer, spokenTo];
    const place = controller === undefined ? undefined : elsewhere(controller, said);
    if (place === undefined || before === undefined) return false;
    try {
      const there = await transport.connect(await connectSpec(place, before));
      if (peer?.id !== before.id) {
        transport.disconnect(there);
        return false;
      }
      [peer, spokenTo] = [there, place];
      if (before.protocol !== "udp") transport.disconnect(before);
      return true;
    } catch {
      return false;
    }
  };

  const registerWith = async (
    to: H248Peer,
    effect: Extract<RegistrationEffect, { kind: "register" }>,
  ): Promise<void> => {
    const with_ = registration.controller;
    const offered = offers.get(with_) ?? version;
    const answer = await register(association, to, { said: effect, offered, profile: rules.profile });
    if (peer?.id !== to.id) return;
    if (answer.kind === "refused") {
      const { code, why } = answer;
      // 406: it may take a lower version; after the lowest the highest again.
      if (code === 406) offers.set(with_, offered === 3 ? 2 : offered === 2 ? 1 : version);
      complain("iq registration refused", { ...(code === undefined ? {} : { code }), why });
      return feed({ kind: "failed", why, jitter: jitter() });
    }
    const { address, mgcIdToTry, ...said } = answer.agreement;
    if (mgcIdToTry !== undefined) {
      const controller = findController(config.controllers, mgcIdToTry);
      const why = `sent to ${mgcIdToTry}, which is not configured`;
      return feed(
        controller === undefined
          ? { kind: "failed", why, jitter: jitter() }
          : { kind: "sent-on", controller, jitter: jitter() },
      );
    }
    if (address !== undefined && !(await moveTo(address)))
      return feed({ kind: "failed", why: `not reached at ${address}`, jitter: jitter() });
    // H.248.1 11.3: without one it is what was offered.
    const spoken = said.version ?? offered;
    agreed = spoken >= 3 ? 3 : spoken === 2 ? 2 : 1;
    feed({ kind: "accepted", ...said, jitter: jitter() });
  };

  /** ServiceChange Forced: whatever is answered, or nothing in time, we are gone. */
  const goodbye = async (to: H248Peer, effect: Extract<RegistrationEffect, { kind: "register" }>): Promise<void> => {
    const said = writeServiceChange(effect.method, effect.reason, { version, profile: rules.profile });
    const how = { version: agreed, timeoutMs: leaveTimeoutMs };
    await association.request([{ context: "-", commands: [said] }], { peer: to }, how).catch(() => undefined);
    feed({ kind: "left" });
  };

  /** From now on; nothing is expected of a controller we are not registered with. */
  const listen = (): void => {
    if (registration.state === "registered") silence.watch({ lostMs: silenceMs, askMs: rootWatch.silenceMs });
    else silence.stop();
  };

  /** H.248.14: Notify `it/ito` of ROOT; a controller that answers is there. */
  const askWhetherThere = async (): Promise<void> => {
    const to = peer;
    try {
      const patience = Math.min(registerTimeoutMs, Math.max(leaveTimeoutMs, rootWatch.silenceMs ?? 0));
      await requestOfRoot({ name: "it/ito", parameters: {} }, patience);
      silence.heard();
    } catch {
      if (to !== undefined && peer?.id === to.id) lose("controller silent");
    }
  };

  const run = (effect: RegistrationEffect): void => {
    switch (effect.kind) {
      case "wait":
        waiting?.cancel();
        waiting = clock.after(effect.ms, () => feed({ kind: "waited" }));
        break;
      case "connect":
        void connect(effect.controller);
        break;
      case "register":
        if (peer === undefined) break;
        void (effect.method === "Forced" ? goodbye(peer, effect) : registerWith(peer, effect));
        break;
      case "disconnect": {
        const gone = peer;
        peer = undefined;
        silence.stop();
        if (gone !== undefined) transport.disconnect(gone);
        if (registration.state === "closed") leaving?.();
        break;
      }
      case "keep-contexts":
        keeping?.cancel();
        keeping = clock.after(config.keepContextsMs ?? 30_000, () => feed({ kind: "expired" }));
        break;
      case "contexts-owned":
        keeping?.cancel();
        listen();
        // It takes us for one that stays: a leave outlives a connection.
        if (leavingUntil !== undefined) void announceLeaving().catch(() => undefined);
        break;
      case "drop-contexts":
        rootWatch = noRootWatch;
        void handler.clear();
        break;
      case "report":
        onState?.(state());
        break;
    }
  };

  const request = (
    command: CommandRequest,
    context: number | "-",
    timeoutMs = 10_000,
  ): Promise<readonly ActionReply[]> => {
    if (peer === undefined || registration.state !== "registered") {
      return Promise.reject(iqErrors("SALLY_IQ_NO_CONTROLLER"));
    }
    return association.request([{ context, commands: [command] }], { peer }, { version: agreed, timeoutMs });
  };

  const requestOfRoot = (
    event: Pick<IqGatewayEvent, "name" | "parameters">,
    timeoutMs = registerTimeoutMs,
  ): Promise<readonly ActionReply[]> =>
    request(observedEvents({ ...event, termination: root, request: rootWatch.request }, clock.now()), "-", timeoutMs);

  let reports = 0;
  /** H.248.11 8.1: its controller is told with each Add, and slows down by how often it is told. */
  const reportOverload = async (): Promise<void> => {
    if (!rootWatch.names.has("ocp/mg_overload") || reports >= maxReports) return;
    reports += 1;
    // A report that is lost is made up for by the next one.
    await requestOfRoot({ name: "ocp/mg_overload", parameters: {} }).catch(() => undefined);
    reports -= 1;
  };

  /** What we say of all of ourselves while registered. */
  const announce = async (method: "Graceful" | "Restart", reason: string, delay?: number): Promise<boolean> => {
    if (registration.state !== "registered") return false;
    const said = { version, profile: rules.profile, ...(delay === undefined ? {} : { delay }) };
    const replies = await request(writeServiceChange(method, reason, said), "-", registerTimeoutMs);
    return replies[0]?.commands[0]?.error === undefined && replies[0]?.error === undefined;
  };

  const announceLeaving = (): Promise<boolean> => {
    const left = leavingUntil === undefined || leavingUntil === 0 ? 0 : Math.max(1, leavingUntil - clock.now());
    return announce("Graceful", "905 Termination taken out of service", Math.ceil(left / 1000));
  };

  feed({ kind: "start", jitter: jitter() });

  return {
    state,
    notify: async (event) => {
      await request(observedEvents(event, clock.now()), event.context);
    },
    notifyRoot: async (event) => {
      const { name, parameters } = rootEvent(event);
      if (!rootWatch.names.has(name)) return false;
      await requestOfRoot({ name, parameters });
      return true;
    },
    leave: async (delayMs) => {
      leavingUntil = delayMs === 0 ? 0 : clock.now() + delayMs;
      return announceLeaving();
    },
    stay: async () => {
      leavingUntil = undefined;
      return announce("Restart", "918 Cancel Graceful");
    },
    close: async () => {
      if (registration.state === "closed") return;
      waiting?.cancel();
      await new Promise<void>((resolve) => {
        leaving = resolve;
        feed({ kind: "leave" });
      });
      for (const timer of [waiting, keeping]) timer?.cancel();
      silence.stop();
      association.close();
      await handler.clear();
      await transport.close();
    },
  };
};
