// Turns what was seen on the wires during one call into the rows of a ladder. Pure: sightings in, rows out.
// The chips say what an edge changed; they are computed by comparing the message that went in with the one that came out.
import type { CommandRequest, H248Message } from "@sallyport/h248";
import { attributeValues, parseSdp, type SdpDocument } from "@sallyport/sdp";
import { headerValue, parseCSeq, type SipMessage } from "@sallyport/sip";
import type { IqSighting, Sighting, SipSighting } from "../watch/recorder.ts";

/** The elements of one call, by the names the recorder uses. */
export interface Cast {
  readonly ueA: string;
  readonly edgeA: string;
  readonly gatewayA: string;
  readonly core: string;
  readonly gatewayB: string;
  readonly edgeB: string;
  readonly ueB: string;
}

export interface LadderRow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
  readonly protocol: "sip" | "iq";
  readonly at: number;
  /** `o3`: step 3 of 7.2.1 (originating); `t1`: step 1 of 7.3.1 (terminating). */
  readonly steps: readonly string[];
  /** What the edge changed in the SDP before it sent this message. */
  readonly chips: readonly string[];
  readonly sighting: Sighting;
}

const methodOf = (message: SipMessage): string => parseCSeq(headerValue(message, "cseq") ?? "")?.method ?? "";

/** The SDP a message carries, if it has one. */
export const sdpOf = (message: SipMessage): SdpDocument | undefined => {
  if (message.body.length === 0 || !/^application\/sdp\b/i.test(headerValue(message, "content-type") ?? ""))
    return undefined;
  const parsed = parseSdp(message.body);
  return parsed.ok ? parsed.document : undefined;
};

const sipLabel = (message: SipMessage): string =>
  message.kind === "request"
    ? message.method
    : `${message.status} ${methodOf(message) === "INVITE" ? message.reason : methodOf(message)}`;

const commandsOf = (message: H248Message): readonly Pick<CommandRequest, "command">[] =>
  message.body.kind === "transactions"
    ? message.body.transactions.flatMap((transaction) => {
        if (transaction.kind === "request") return transaction.actions.flatMap(({ commands }) => commands);
        if (transaction.kind === "reply" && transaction.body.kind === "actions") {
          return transaction.body.actions.flatMap(({ commands }) => commands);
        }
        return [];
      })
    : [];

const iqLabel = (message: H248Message): string => {
  const names = [...new Set(commandsOf(message).map(({ command }) => command))].join("+");
  const isReply =
    message.body.kind === "transactions" && message.body.transactions.some(({ kind }) => kind === "reply");
  return isReply ? "reply" : names;
};

interface IqExchange {
  readonly request: IqSighting;
  readonly reply: IqSighting;
}

const transactionsOf = ({ message }: IqSighting) =>
  message.body.kind === "transactions" ? message.body.transactions : [];

/** Requests joined with their replies, by the two ends and the transaction id. */
const exchangesOf = (sightings: readonly IqSighting[]): readonly IqExchange[] =>
  sightings.flatMap((request) => {
    const ids = new Set(
      transactionsOf(request).flatMap((transaction) => (transaction.kind === "request" ? [transaction.id] : [])),
    );
    const reply = sightings.find(
      (sighting) =>
        sighting.from === request.to &&
        sighting.to === request.from &&
        transactionsOf(sighting).some((transaction) => transaction.kind === "reply" && ids.has(transaction.id)),
    );
    return reply === undefined ? [] : [{ request, reply }];
  });

const contextsIn = (sighting: IqSighting): readonly string[] =>
  transactionsOf(sighting).flatMap((transaction) => {
    if (transaction.kind === "request") return transaction.actions.map(({ context }) => String(context));
    if (transaction.kind === "reply" && transaction.body.kind === "actions") {
      return transaction.body.actions.map(({ context }) => String(context));
    }
    return [];
  });

/** Commands that belong to a call; registrations and heartbeats of gateways do not. */
const callCommands = new Set(["Add", "Modify", "Move", "Subtract"]);

/** The H.248 messages about the contexts that were opened while this call was set up, up to their end. */
const iqOfCall = (sightings: readonly IqSighting[], from: number, until: number): ReadonlySet<IqSighting> => {
  const ours = new Set<IqSighting>();
  const contexts = new Set<string>();
  const name = (gateway: string, context: string): string => `${gateway} ${context}`;
  for (const { request, reply } of exchangesOf(sightings)) {
    const commands = commandsOf(request.message).map(({ command }) => command);
    if (!commands.some((command) => callCommands.has(command))) continue;
    const opens = contextsIn(request).includes("$") && request.at >= from && request.at <= until;
    if (opens) for (const context of contextsIn(reply)) contexts.add(name(request.to, context));
    if (!opens && !contextsIn(request).some((context) => contexts.has(name(request.to, context)))) continue;
    ours.add(request).add(reply);
    if (commands.includes("Subtract"))
      for (const context of contextsIn(request)) contexts.delete(name(request.to, context));
  }
  return ours;
};

const stepsOf = (cast: Cast, { from, to }: Sighting, label: string, hasSdp: boolean): readonly string[] => {
  const between = (a: string, b: string): boolean => from === a && to === b;
  if (label === "INVITE" && hasSdp) {
    if (between(cast.ueA, cast.edgeA)) return ["o1"];
    if (between(cast.edgeA, cast.core)) return ["o3", "t1"];
    if (between(cast.core, cast.edgeB)) return ["o4", "t2"];
    if (between(cast.edgeB, cast.ueB)) return ["t4"];
  }
  if (label.startsWith("200") && hasSdp) {
    if (between(cast.ueB, cast.edgeB)) return ["t5"];
    if (between(cast.edgeB, cast.core)) return ["o5", "t7"];
    if (between(cast.core, cast.edgeA)) return ["o6", "t8"];
    if (between(cast.edgeA, cast.ueA)) return ["o8"];
  }
  if (label.startsWith("Add")) {
    if (between(cast.edgeA, cast.gatewayA)) return ["o2"];
    if (between(cast.edgeB, cast.gatewayB)) return ["t3"];
  }
  if (label.startsWith("Modify")) {
    if (between(cast.edgeA, cast.gatewayA)) return ["o7"];
    if (between(cast.edgeB, cast.gatewayB)) return ["t6"];
  }
  return [];
};

const cryptoCount = (sdp: SdpDocument): number =>
  sdp.media.reduce((sum, { lines }) => sum + attributeValues(lines, "crypto").length, 0);

const indications = (sdp: SdpDocument): readonly string[] =>
  sdp.media.flatMap(({ lines }) => attributeValues(lines, "3ge2ae").map((value) => value.trim()));

/** What differs in the security of two bodies, in the words of the screen. */
export const chipsBetween = (before: SdpDocument, after: SdpDocument): readonly string[] => {
  const chips: string[] = [];
  before.media.forEach((media, index) => {
    const now = after.media[index];
    if (now !== undefined && now.protocol !== media.protocol) {
      chips.push(`${media.protocol.replace("RTP/", "")}->${now.protocol.replace("RTP/", "")}`);
    }
  });
  const removed = cryptoCount(before) - cryptoCount(after);
  if (removed > 0) chips.push(`-crypto x${removed}`);
  if (removed < 0) chips.push(`+crypto x${-removed}`);
  const [was, is] = [indications(before), indications(after)];
  for (const value of was.filter((value) => !is.includes(value))) chips.push(`-3ge2ae:${value}`);
  for (const value of is.filter((value) => !was.includes(value))) chips.push(`+3ge2ae:${value}`);
  return chips;
};

/** The message that reached the sender and became this one: the latest of the same method and status, with a body. */
const origin = (row: SipSighting, earlier: readonly SipSighting[]): SipSighting | undefined =>
  earlier.findLast(
    ({ to, message }) => to === row.from && sipLabel(message) === sipLabel(row.message) && message.body.length > 0,
  );

/** The rows of the call with this Call-ID, `100 Trying` left out. */
export const ladderOf = (cast: Cast, callId: string, sightings: readonly Sighting[]): readonly LadderRow[] => {
  const isOurs = (sighting: Sighting): sighting is SipSighting =>
    sighting.kind === "sip" && headerValue(sighting.message, "call-id") === callId;
  const sip = sightings.filter(isOurs);
  const [first, last] = [sip[0], sip.at(-1)];
  if (first === undefined || last === undefined) return [];
  const iq = iqOfCall(
    sightings.filter((sighting) => sighting.kind === "iq"),
    first.at,
    last.at,
  );
  return sightings.flatMap((sighting): LadderRow[] => {
    if (sighting.kind === "iq") {
      if (!iq.has(sighting)) return [];
      const label = iqLabel(sighting.message);
      const { from, to, at } = sighting;
      return [
        { from, to, at, label, protocol: "iq", steps: stepsOf(cast, sighting, label, false), chips: [], sighting },
      ];
    }
    if (!isOurs(sighting) || (sighting.message.kind === "response" && sighting.message.status === 100)) return [];
    const label = sipLabel(sighting.message);
    const sdp = sdpOf(sighting.message);
    const before = origin(sighting, sip.slice(0, sip.indexOf(sighting)));
    const beforeSdp = before === undefined ? undefined : sdpOf(before.message);
    const chips = sdp === undefined || beforeSdp === undefined ? [] : chipsBetween(beforeSdp, sdp);
    const { from, to, at } = sighting;
    return [
      {
        from,
        to,
        at,
        label,
        protocol: "sip",
        steps: stepsOf(cast, sighting, label, sdp !== undefined),
        chips,
        sighting,
      },
    ];
  });
};
