// Reads what the recorder and the taps saw: the messages of a leg, the SDP in them, the keys on Iq, packets by direction.
import type { CommandRequest, Descriptor } from "@sallyport/h248";
import { attributeValues, parseCrypto, parseSdp, type SdpDocument } from "@sallyport/sdp";
import { headerValue, parseCSeq } from "@sallyport/sip";
import { classifyPacket } from "@sallyport/srtp";
import { sdpOf } from "../../src/ladder/ladder.ts";
import type { IqSighting, Sighting, SipSighting } from "../../src/watch/recorder.ts";
import type { Tap, TappedPacket } from "../../src/watch/taps.ts";

export interface Between {
  readonly from: string;
  readonly to: string;
  readonly callId?: string;
}

/** SIP messages that went from one element to another, in order. */
export const sipBetween = (sightings: readonly Sighting[], { from, to, callId }: Between): readonly SipSighting[] =>
  sightings.filter(
    (sighting): sighting is SipSighting =>
      sighting.kind === "sip" &&
      sighting.from === from &&
      sighting.to === to &&
      (callId === undefined || headerValue(sighting.message, "call-id") === callId),
  );

/** What a message is called: the method, or status and method. */
export const nameOf = ({ message }: SipSighting): string =>
  message.kind === "request"
    ? message.method
    : `${message.status} ${parseCSeq(headerValue(message, "cseq") ?? "")?.method ?? "?"}`;

/** The messages of that name on a leg. */
export const named = (sightings: readonly Sighting[], between: Between, name: string): readonly SipSighting[] =>
  sipBetween(sightings, between).filter((sighting) => nameOf(sighting) === name);

/** The only message of that name. */
export const one = (sightings: readonly Sighting[], between: Between, name: string): SipSighting => {
  const found = named(sightings, between, name);
  const [first] = found;
  if (first === undefined || found.length > 1)
    throw new Error(`${found.length} times ${name} from ${between.from} to ${between.to}`);
  return first;
};

/** The SDP in a message. */
export const sdpIn = (sighting: SipSighting): SdpDocument => {
  const sdp = sdpOf(sighting.message);
  if (sdp === undefined) throw new Error(`${nameOf(sighting)} carries no SDP`);
  return sdp;
};

export interface AudioLine {
  readonly protocol: string;
  readonly port: number;
  readonly cryptos: readonly string[];
  readonly indications: readonly string[];
}

/** Security and port of the first m-line. */
export const audioIn = (sighting: SipSighting): AudioLine => {
  const media = sdpIn(sighting).media[0];
  if (media === undefined) throw new Error(`${nameOf(sighting)} has no m-line`);
  return {
    protocol: media.protocol,
    port: media.port,
    cryptos: attributeValues(media.lines, "crypto"),
    indications: attributeValues(media.lines, "3ge2ae").map((value) => value.trim()),
  };
};

export interface ReadCrypto {
  readonly tag: number;
  readonly suite: string;
  /** Master key and salt in hexadecimal, to compare keys whatever their spelling. */
  readonly key: string;
}

/** Suite and key of a crypto attribute. */
export const readCrypto = (value: string | undefined): ReadCrypto => {
  const parsed = parseCrypto(value ?? "");
  const master = parsed.ok ? parsed.crypto.keys[0]?.master : undefined;
  if (!parsed.ok || master === undefined) throw new Error("a crypto attribute that cannot be read");
  return { tag: parsed.crypto.tag, suite: parsed.crypto.suite, key: master.use((octets) => octets.toString("hex")) };
};

export interface StreamOnIq {
  readonly sighting: IqSighting;
  readonly command: CommandRequest["command"];
  readonly termination: string;
  readonly context: string;
  readonly stream: number | undefined;
  readonly local: SdpDocument | undefined;
  readonly remote: SdpDocument | undefined;
}

const read = (text: string | undefined): SdpDocument | undefined => {
  // Local and Remote may hold `$`, and need no o= and s= lines: H.248.1 7.1.8.
  const parsed = text === undefined ? undefined : parseSdp(text);
  return parsed?.ok === true ? parsed.document : undefined;
};

const streamsOf = (descriptors: readonly Descriptor[]) =>
  descriptors.flatMap((descriptor) => (descriptor.kind === "media" ? descriptor.streams : []));

/** Every stream that a command from `edge` to `gateway` named. */
export const streamsOnIq = (sightings: readonly Sighting[], edge: string, gateway: string): readonly StreamOnIq[] =>
  sightings.flatMap((sighting) =>
    sighting.kind === "iq" &&
    sighting.from === edge &&
    sighting.to === gateway &&
    sighting.message.body.kind === "transactions"
      ? sighting.message.body.transactions.flatMap((transaction) =>
          transaction.kind === "request"
            ? transaction.actions.flatMap(({ context, commands }) =>
                commands.flatMap(({ command, termination, descriptors }) =>
                  streamsOf(descriptors).map(({ id, local, remote }) => ({
                    sighting,
                    command,
                    termination,
                    context: String(context),
                    stream: id,
                    local: read(local),
                    remote: read(remote),
                  })),
                ),
              )
            : [],
        )
      : [],
  );

/** Crypto attributes of a description on Iq. */
export const cryptosIn = (document: SdpDocument | undefined): readonly string[] =>
  (document?.media ?? []).flatMap(({ lines }) => attributeValues(lines, "crypto"));

/** Whether a reply from `gateway` was seen after `command` and before `then`. */
export const answeredBetween = (sightings: readonly Sighting[], command: Sighting, then: Sighting): boolean => {
  const [asked, went] = [sightings.indexOf(command), sightings.indexOf(then)];
  return sightings.some(
    (sighting, at) =>
      sighting.kind === "iq" &&
      at > asked &&
      at < went &&
      sighting.from === command.to &&
      sighting.to === command.from &&
      sighting.message.body.kind === "transactions" &&
      sighting.message.body.transactions.some(({ kind }) => kind === "reply"),
  );
};

/** Packets of a tap: `kind` by RFC 5764 and RFC 5761 demultiplexing, `port` the local one. */
export const packetsOf = (
  tap: Tap,
  wanted: {
    readonly direction?: "in" | "out";
    readonly kind?: "rtp" | "rtcp";
    readonly port?: number;
    readonly remotePort?: number;
  },
): readonly TappedPacket[] =>
  tap.packets.filter(
    ({ direction, octets, local, remote }) =>
      (wanted.direction === undefined || direction === wanted.direction) &&
      (wanted.kind === undefined || classifyPacket(octets) === wanted.kind) &&
      (wanted.port === undefined || local.port === wanted.port) &&
      (wanted.remotePort === undefined || remote.port === wanted.remotePort),
  );
