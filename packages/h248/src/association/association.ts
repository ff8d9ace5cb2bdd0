// Owns one element's H.248 associations over one transport: reads messages, hands transactions to the machines, answers what
// cannot be read (H.248.1 clause 8). Which peer may use which mid is its user's to judge.
import { sparing, systemRandom } from "@sallyport/kit";
import { canonicalMid } from "../text/write-mid.ts";
import { h248Errors, safeErrorText } from "../errors.ts";
import type { H248ParseFailure } from "../text/limits.ts";
import type { H248Message } from "../text/message.ts";
import { parseH248 } from "../text/parse.ts";
import { writeH248 } from "../text/write.ts";
import type { H248Peer } from "../transport/peer.ts";
import { Incoming } from "./incoming.ts";
import { defaultAssociationLimits, defaultAssociationTimers } from "./options.ts";
import type { Association, AssociationOptions } from "./options.ts";
import { Outgoing } from "./outgoing.ts";

const errorTexts: Readonly<Record<number, string>> = {
  400: "Syntax error in message",
  403: "Syntax error in transaction request",
  406: "Version not supported",
  443: "Unsupported or unknown command",
  444: "Unsupported or unknown descriptor",
  447: "Descriptor not legal in this command",
  448: "Descriptor appears twice in a command",
};

export const createAssociation = (options: AssociationOptions): Association => {
  const timers = { ...defaultAssociationTimers, ...options.timers };
  const limits = { ...defaultAssociationLimits, ...options.limits };
  const { log, style = "pretty", transport } = options;
  if (canonicalMid(options.mid) === undefined) {
    throw h248Errors("SALLY_H248_UNWRITABLE", "The own message identifier is malformed.");
  }
  // 6.1.3: a restarted element must not meet the answers its former life was given.
  const firstId = (options.random ?? systemRandom).bytes(4).readUInt32BE(0) >>> 1;
  const mayTell = sparing(options.clock);
  let refused = 0;
  let faults = 0;
  let closed = false;

  /** An error of ours, or of what was handed to us, ends the transaction it happened in and nothing else. */
  const fault = (what: string, error: unknown): void => {
    faults++;
    log.error("h248 fault", { what, error: error instanceof Error ? error.name : typeof error });
  };
  // What a transport throws is a message that did not arrive.
  const guarded: AssociationOptions = {
    ...options,
    transport: {
      send: (octets, peer) => {
        try {
          return transport.send(octets, peer);
        } catch (error) {
          fault("send", error);
          return false;
        }
      },
      maxMessage: (peer) => transport.maxMessage(peer),
    },
  };
  const outgoing = new Outgoing(guarded, timers, limits, firstId);
  const incoming = new Incoming(guarded, timers, limits, fault);

  const answerUnreadable = (failure: H248ParseFailure, peer: H248Peer): void => {
    refused++;
    const { code, offset, h248Error, remains } = failure;
    const untold = mayTell(`${peer.remote.address} ${code}`);
    if (untold !== undefined) log.warn("h248 message refused", { peer: peer.id, code, offset, h248Error, untold });
    // Without a header nobody is known to speak H.248 there: silence.
    if (remains === undefined) return;
    const { version, mid, transaction } = remains;
    if (transaction?.kind === "reply") {
      return outgoing.unreadable(transaction.id, mid, peer, `Code ${code} at octet ${offset}.`);
    }
    // Where and why, never a part of the message: it may hold keys.
    const why = h248Error === 400 || h248Error === 403 ? `: ${code}` : "";
    const error = { code: h248Error, text: `${errorTexts[h248Error] ?? code}${why} at octet ${offset}` };
    const body: H248Message["body"] =
      transaction === undefined
        ? { kind: "error", error }
        : {
            kind: "transactions",
            transactions: [{ kind: "reply", id: transaction.id, body: { kind: "error", error } }],
          };
    guarded.transport.send(writeH248({ version, mid: options.mid, body }, style), peer);
  };

  const take = (message: H248Message, peer: H248Peer): void => {
    const { version, mid, body } = message;
    if (body.kind === "error") {
      log.warn("h248 error received", {
        peer: peer.id,
        mid,
        code: body.error.code,
        text: safeErrorText(body.error.text),
      });
      // 459: it misses segments of an answer of ours, and has given up; none of our requests is meant.
      return body.error.code === 459 ? undefined : outgoing.messageError(body.error, mid, peer);
    }
    let after: Promise<void> | undefined;
    for (const transaction of body.transactions) {
      switch (transaction.kind) {
        case "request":
          after = incoming.receive({ request: transaction, mid, version, peer, after }) ?? after;
          break;
        case "reply":
        case "pending":
          outgoing.receive(transaction, mid, peer);
          break;
        case "ack":
          incoming.acknowledged(transaction.ranges, mid, peer);
          break;
        case "segment":
          incoming.acknowledgedSegment(transaction.id, transaction.segment.number, mid, peer);
          break;
      }
    }
  };

  return {
    request: (actions, to, requestOptions = {}) =>
      closed
        ? Promise.reject(h248Errors("SALLY_H248_CLOSED", "The association was closed."))
        : outgoing.request(actions, to, requestOptions),
    receive: (octets, peer) => {
      if (closed) return;
      const parsed = parseH248(octets, limits.message);
      if (parsed.ok) take(parsed.message, peer);
      else answerUnreadable(parsed, peer);
    },
    peerClosed: (peer) => {
      if (closed) return;
      outgoing.closed(peer);
      options.onPeerClosed?.(peer);
    },
    counts: () => ({
      outstanding: outgoing.outstanding,
      repeated: outgoing.repeated,
      refused,
      faults,
      ...incoming.counts,
    }),
    close: () => {
      closed = true;
      outgoing.closed(undefined);
      incoming.close();
    },
  };
};
