// Owns the controller's shell: listening points, gateways, and the order of commands on one context.
// Decisions are in registry.ts and requests.ts. TS 29.334; our TLS transport is beside its list (SCTP, UDP).
import type { H248Peer, H248Transport } from "@sallyport/h248";
import { createAssociation, createH248Transport } from "@sallyport/h248";
import { sparing } from "@sallyport/kit";
import { iqErrors } from "../errors.ts";
import { inTurn } from "../in-turn.ts";
import { readMid } from "../profile/mid.ts";
import type { IqContext } from "../types.ts";
import { answerGateway, mayBe } from "./inbound.ts";
import { describeHeld } from "./held.ts";
import { GatewayLink } from "./link.ts";
import { addSomewhere } from "./pool.ts";
import { addContext, modifyContext, removeStreams, subtractContext } from "./procedures.ts";
import { readContexts } from "./replies.ts";
import { iqError } from "./refusals.ts";
import { auditContextsRequest } from "./requests.ts";
import { servesRealms } from "./select.ts";
import type { IqController, IqControllerOptions, IqGatewayEntry } from "./types.ts";

/** @throws SALLY_IQ_CONFIG, SALLY_H248_LISTEN */
export const createIqController = async (options: IqControllerOptions): Promise<IqController> => {
  const { config, clock, log, random, openDatagram, observe, onNotify, onGateway } = options;
  const lab = config.lab ?? false;
  const statistics = config.statistics ?? true;
  const links = new Map<string, GatewayLink>();
  const byMid = new Map<string, GatewayLink>();
  const turn = inTurn();
  let closed = false;
  const commandTimeoutMs = config.commandTimeoutMs ?? 4000;
  const heartbeatMs = config.heartbeat?.intervalMs ?? 10_000;

  /** Whether another gateway can take what `gateway` holds. */
  const replaceable = (gateway: IqGatewayEntry): boolean => {
    const realms = gateway.realms?.map((realm) => realm.toLowerCase()) ?? [];
    return [...links.values()].some(
      (other) =>
        other.entry !== gateway &&
        other.state === "up" &&
        other.mayHoldKeys &&
        !other.standing.draining &&
        servesRealms(other.candidate(), realms),
    );
  };

  const transport: H248Transport = createH248Transport({
    clock,
    log,
    ...(openDatagram === undefined ? {} : { openDatagram }),
    onMessage: (octets, peer) => association.receive(octets, peer),
    onPeerClosed: (peer) => {
      association.peerClosed(peer);
      for (const link of links.values()) link.peerClosed(peer);
    },
    ...(observe === undefined
      ? {}
      : {
          observe: ({ direction, octets, peer, at }) =>
            observe({ direction, octets, protocol: peer.protocol, local: peer.local, remote: peer.remote, at }),
        }),
  });

  const mayTell = sparing(clock);
  const linkFor = (mid: string, peer: H248Peer): GatewayLink => {
    const link = byMid.get(mid);
    // 504 also for a mid that belongs to another gateway: the certificate decides who speaks.
    if (link === undefined || !mayBe(link.entry, peer, lab)) {
      const { peerNames: names, protocol, remote } = peer;
      const untold = mayTell(`${remote.address} ${mid} ${names.join(" ")}`);
      if (untold !== undefined) log.warn("iq peer refused", { mid, remote: remote.address, protocol, names, untold });
      throw iqErrors("SALLY_IQ_UNAUTHORISED", `Not this peer's mid: ${mid}.`);
    }
    return link;
  };

  const association = createAssociation({
    mid: readMid(config.mid),
    transport,
    clock,
    log,
    random,
    version: config.version ?? 2,
    ...(config.style === undefined ? {} : { style: config.style }),
    onRequest: async ({ actions, mid, peer }) =>
      answerGateway({ link: linkFor(mid, peer), peer, notify: onNotify }, actions),
  });

  for (const entry of config.gateways) {
    const mid = readMid(entry.mid);
    if (links.has(entry.id) || byMid.has(mid))
      throw iqErrors("SALLY_IQ_CONFIG", `Gateway ${entry.id} is listed twice.`);
    const link = new GatewayLink(
      { ...entry, mid },
      {
        clock,
        log,
        lab,
        rules: {
          version: config.version ?? 3,
          profile: config.profile ?? { name: "ETSI_BGF", version: 2 },
          misses: config.heartbeat?.misses ?? 2,
        },
        times: {
          heartbeatMs,
          heartbeatTimeoutMs: config.heartbeat?.timeoutMs ?? Math.min(commandTimeoutMs, heartbeatMs),
          commandTimeoutMs,
          keepContextsMs: config.keepContextsMs ?? 30_000,
          failoverMs: config.failoverMs ?? 600,
        },
        watchRoot: config.watchRoot ?? false,
        replaceable,
        request: (actions, peer, how) => association.request(actions, { peer, mid }, how),
        disconnect: (peer) => transport.disconnect(peer),
        notify: onNotify,
        report: (status) => {
          for (const other of links.values()) if (other.entry.id !== status.id) other.reconsider();
          onGateway(status);
        },
      },
    );
    links.set(entry.id, link);
    byMid.set(mid, link);
  }

  const linkOf = (id: string): GatewayLink => {
    if (closed) throw iqErrors("SALLY_IQ_CLOSED");
    const link = links.get(id);
    if (link === undefined) throw iqErrors("SALLY_IQ_UNKNOWN_GATEWAY", "", { where: id });
    return link;
  };

  const pool = {
    clock,
    random,
    links: () => [...links.values()],
    times: { commandTimeoutMs, tryMs: config.tryMs ?? 1500, budgetMs: config.addBudgetMs ?? 8000 },
  };

  const named = (id: string): GatewayLink => {
    const link = linkOf(id);
    if (link.state !== "up") throw iqErrors("SALLY_IQ_NO_GATEWAY", `It is ${link.state}.`, { where: id });
    return link;
  };

  const keyOf = (context: IqContext): string => `${context.gateway}/${context.context}`;

  // Before anybody can register: a gateway that comes back is compared with what is known by then.
  for (const link of links.values())
    link.adopt((options.known ?? []).filter(({ context }) => context.gateway === link.entry.id));

  try {
    for (const spec of config.listen) await transport.listen(spec);
  } catch (error) {
    for (const link of links.values()) link.close();
    association.close();
    await transport.close();
    throw error;
  }

  return {
    listening: transport.listening,
    gateways: () => [...links.values()].map((link) => link.status()),
    contexts: () => [...links.values()].flatMap((link) => [...link.contexts.values()].map((held) => held.context)),

    describe: (context) => {
      const held = links.get(context.gateway)?.contexts.get(context.context);
      return held === undefined ? undefined : describeHeld(held);
    },

    add: async (gateway, streams, marks = {}) => {
      if (closed) throw iqErrors("SALLY_IQ_CLOSED");
      return gateway === undefined ? addSomewhere(pool, streams, marks) : addContext(named(gateway), streams, marks);
    },

    drain: (gateway, on) => {
      const link = linkOf(gateway);
      link.drain(on);
      return link.status();
    },

    handOff: async (gateway, mgc) => named(gateway).handOff(readMid(mgc)),

    modify: (context, streams) => turn(keyOf(context), () => modifyContext(linkOf(context.gateway), context, streams)),

    removeStreams: (context, streams) =>
      turn(keyOf(context), () => removeStreams(linkOf(context.gateway), context, streams)),

    subtract: (context) =>
      turn(keyOf(context), () => subtractContext(linkOf(context.gateway), context, { statistics })),

    audit: async (gateway) => {
      const read = readContexts(await linkOf(gateway).command(auditContextsRequest));
      if (read.ok) return { contexts: read.value };
      throw read.error.kind === "refused"
        ? iqError(read.error.error, gateway)
        : iqErrors("SALLY_IQ_REPLY_INVALID", `${read.error.why}.`, { where: gateway });
    },

    close: async (how = {}) => {
      if (closed) return;
      closed = true;
      const held = [...links.values()].flatMap((link) =>
        [...link.contexts.values()].map(({ context }) => ({ link, context })),
      );
      if (how.keepContexts !== true) {
        await Promise.allSettled(
          held.map(({ link, context }) =>
            turn(keyOf(context), () => subtractContext(link, context, { statistics: false })),
          ),
        );
      }
      for (const link of links.values()) link.close();
      association.close();
      await transport.close();
    },
  };
};
