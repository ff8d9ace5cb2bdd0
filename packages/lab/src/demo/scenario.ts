// The demonstration's story: register, call, speak, attack, forge, call a UE without e2ae, end. Gathers facts; judges nothing.
import { systemRandom, type Endpoint } from "@sallyport/kit";
import { connectionOf } from "@sallyport/sdp";
import { headerValue } from "@sallyport/sip";
import { findSuite } from "@sallyport/srtp";
import { payloadOf, type Sound, type UeCall } from "@sallyport/ue";
import { readFileSync } from "node:fs";
import { sendForgedIndication } from "../attack/indication.ts";
import { launch, mediaAttacks } from "../attack/media.ts";
import { ladderOf, sdpOf, type Cast, type LadderRow } from "../ladder/ladder.ts";
import { voiceOf } from "../speech.ts";
import { certificate, type LabCertificates } from "../topology/certificates.ts";
import type { Lab, LabSide, LabUe } from "../topology/lab.ts";
import { searchCoreLegs } from "../verdict/leaks.ts";
import { clearFrames, comparePlain, heardWhole } from "../verdict/media.ts";
import { originatingSteps, terminatingSteps, type MediaEvidence } from "../verdict/steps.ts";
import type { VerdictFacts } from "../verdict/table.ts";
import type { SipSighting } from "../watch/recorder.ts";
import { settle, until } from "./await.ts";

export interface Story {
  readonly facts: VerdictFacts;
  readonly cast: Cast;
  readonly ladder: readonly LadderRow[];
}

export interface Narrator {
  say(line: string): void;
}

/** Alice calls bob: who stands where in the ladder. */
export const cast: Cast = {
  ueA: "alice",
  edgeA: "edge-a",
  gatewayA: "gw-a",
  core: "core",
  gatewayB: "gw-b",
  edgeB: "edge-b",
  ueB: "bob",
};
const attacksOfEachKind = 20;
/** How much of carol's speech is played: enough to hear that the call works. */
const carolMs = 1500;

const secured = (side: LabSide, callId: string): boolean =>
  side.edge.calls().some((call) => call.callId === callId && call.security === "e2ae");

/** Where the offer or answer that went from one element to another asked for media. */
const mediaAddress = (lab: Lab, from: string, to: string, callId: string): Endpoint | undefined => {
  const carrying = lab.recorder.sightings.findLast(
    (sighting): sighting is SipSighting =>
      sighting.kind === "sip" &&
      sighting.from === from &&
      sighting.to === to &&
      headerValue(sighting.message, "call-id") === callId &&
      sdpOf(sighting.message) !== undefined,
  );
  const sdp = carrying === undefined ? undefined : sdpOf(carrying.message);
  const address = sdp === undefined ? undefined : connectionOf(sdp, 0);
  const port = sdp?.media[0]?.port;
  return address === undefined || port === undefined ? undefined : { address, port };
};

interface Dropped {
  readonly authenticationFailures: number;
  readonly replays: number;
}

const dropped = (side: LabSide): Dropped =>
  side.gateway
    .counters()
    .filter((view) => view.side === "access")
    .reduce(
      (sum, { counters }) => ({
        authenticationFailures: sum.authenticationFailures + counters.authenticationFailures,
        replays: sum.replays + counters.replays,
      }),
      { authenticationFailures: 0, replays: 0 },
    );

interface Heard {
  readonly aliceHeard: boolean;
  readonly bobHeard: boolean;
}

const register = async (
  lab: Lab,
  names: readonly string[],
  ues: readonly LabUe[],
  narrator: Narrator,
): Promise<void> => {
  await Promise.all(ues.map(({ ue }) => ue.register()));
  const views = [lab.sides.a, lab.sides.b].flatMap((side) => side?.edge.registrations() ?? []);
  for (const name of names) {
    const view = views.find(({ aor }) => aor.includes(`${name}@`));
    const { ueE2ae = false, networkE2ae = false } = view?.indications ?? {};
    narrator.say(
      `  ${name.padEnd(6)} registered over ${view?.transport ?? "?"}: e2ae ${ueE2ae ? "" : "not "}announced by UE, ${networkE2ae ? "" : "not "}offered by network`,
    );
  }
};

/** Attacks the stream from alice to her gateway in mid-speech, from her own address. */
const attack = async (alice: LabUe, side: LabSide, target: Endpoint | undefined, suiteName: string | undefined) => {
  const suite = findSuite(suiteName ?? "");
  const sent = alice.tap.packets.filter(({ direction, remote }) => direction === "out" && remote.port === target?.port);
  const port = sent.at(-1)?.local.port;
  if (suite === undefined || target === undefined || port === undefined) return { sent: 0, dropped: 0 };
  const before = dropped(side);
  const attacks = mediaAttacks(
    sent.map(({ octets }) => octets),
    suite,
    attacksOfEachKind,
    systemRandom,
  );
  launch(attacks, (octets, to) => alice.tap.inject(port, octets, to), target);
  await settle(300);
  const after = dropped(side);
  return {
    sent: attacks.length,
    dropped: after.authenticationFailures - before.authenticationFailures + after.replays - before.replays,
  };
};

const speakBothWays = (one: UeCall, other: UeCall, first: Sound, second: Sound): Promise<unknown> =>
  Promise.all([one.play(first), other.play(second)]);

/** Runs the whole story on a fresh lab. @throws SALLY_UE_*, SALLY_LAB_TIMEOUT */
export const tellStory = async (lab: Lab, certificates: LabCertificates, narrator: Narrator): Promise<Story> => {
  const { a, b } = lab.sides;
  if (a === undefined || b === undefined) throw new TypeError("the story needs both sides");
  await until("the registration of both gateways", () =>
    [a, b].every(({ edge }) => edge.gateways().every(({ state }) => state === "up")),
  );
  narrator.say("  gateways A and B are up: Iq is H.248 over mutual TLS 1.3");
  const alice = await lab.addUe("alice", "a");
  const bob = await lab.addUe("bob", "b");
  const carol = await lab.addUe("carol", "b", { security: { e2ae: "off" } });
  await register(lab, ["alice", "bob", "carol"], [alice, bob, carol], narrator);

  const incoming = new Map<string, UeCall>();
  bob.ue.onCall((call) => {
    incoming.set("bob", call);
    return { ringMs: 200 };
  });
  const call = await alice.ue.call(`sip:bob@${lab.domain}`);
  await until("bob's side of the call", () => incoming.get("bob")?.state === "answered");
  const bobCall = incoming.get("bob");
  if (bobCall === undefined) throw new TypeError("unreachable: waited for it");
  narrator.say(
    `  alice calls bob: ${call.report().security ?? "?"} at alice, ${bobCall.report().security ?? "?"} at bob (${call.report().suite ?? "no suite"})`,
  );

  const [aliceVoice, bobVoice] = [voiceOf("alice"), voiceOf("bob")];
  const speaking = speakBothWays(call, bobCall, aliceVoice, bobVoice);
  await settle(1200);
  const aliceTarget = mediaAddress(lab, "edge-a", "alice", call.id);
  const attacked = await attack(alice, a, aliceTarget, call.report().suite);
  narrator.say(`  attacked alice's stream from her own address: ${attacked.sent} packets, ${attacked.dropped} dropped`);
  await speaking;
  await settle(200);

  const law = call.report().codec ?? "PCMA";
  const heard: Heard = {
    aliceHeard: heardWhole(bobCall.sent.octets(), call.received.octets(), payloadOf(bobVoice, law)),
    bobHeard: heardWhole(call.sent.octets(), bobCall.received.octets(), payloadOf(aliceVoice, law)),
  };
  const voices = [payloadOf(aliceVoice, law), payloadOf(bobVoice, law)];
  const mediaAt = (ue: LabUe, side: LabSide): MediaEvidence => ({
    bothWays: heard.aliceHeard && heard.bobHeard,
    protectedOnAccess: secured(side, call.id) && clearFrames(ue.tap.packets, voices) === 0,
  });
  const media = { a: mediaAt(alice, a), b: mediaAt(bob, b) };
  const corePort = mediaAddress(lab, "edge-b", "core", call.id)?.port ?? 0;
  const plain = comparePlain(call.sent.frames(), alice.tap.packets, b.tap.packets, corePort);
  const delivered = bobCall.received.frames().length - call.sent.frames().length;
  narrator.say(
    `  spoke both ways: ${call.sent.frames().length} packets from alice, ${bobCall.sent.frames().length} from bob, ${heard.aliceHeard && heard.bobHeard ? "every octet heard" : "NOT all heard"}`,
  );
  await call.hangup();
  await bobCall.ended;

  const forged = await forge(lab, b, carol, certificates);
  const carolFacts = await callCarol(lab, alice, carol, b, incoming);
  narrator.say(`  alice calls carol, whose phone knows no e2ae: ${carolFacts.answered ? "answered" : "not answered"}`);
  await settle(300);
  const contextsLeft = a.gateway.contexts() + b.gateway.contexts();

  const ladder = ladderOf(cast, call.id, lab.recorder.sightings);
  return {
    cast,
    ladder,
    facts: {
      originating: originatingSteps(ladder, media.a),
      terminating: terminatingSteps(ladder, media.b),
      leaks: searchCoreLegs(cast.core, lab.recorder.sightings),
      plain,
      attack: { ...attacked, delivered: Math.max(0, delivered) },
      carol: carolFacts,
      forged,
      contextsLeft,
    },
  };
};

/** A rogue in the core pretends to carol that e2ae was applied. */
const forge = async (
  lab: Lab,
  side: LabSide,
  carol: LabUe,
  certificates: LabCertificates,
): Promise<VerdictFacts["forged"]> => {
  const binding = lab.core.bindings().find(({ impus }) => impus.some((impu) => impu.includes("carol@")));
  const listener = side.edge.core[0];
  if (binding === undefined || listener === undefined) return { sent: false, arrived: false, removed: false };
  carol.ue.onCall(() => ({ accept: false, status: 486 }));
  const { callId } = await sendForgedIndication(
    {
      protocol: listener.protocol,
      address: listener.address,
      port: listener.port,
      ...(listener.protocol === "tls" ? { serverName: `edge-b.${lab.domain}`, tls: readTls(certificates) } : {}),
    },
    { contact: binding.contact, path: binding.path, domain: lab.domain, victim: `sip:carol@${lab.domain}` },
  );
  const seen = lab.recorder.sightings.filter(
    (sighting): sighting is SipSighting =>
      sighting.kind === "sip" && sighting.to === "carol" && headerValue(sighting.message, "call-id") === callId,
  );
  const words = /3ge2ae|a=crypto|security-server|mediasec/i;
  return {
    sent: true,
    arrived: seen.some(({ message }) => message.kind === "request" && message.method === "INVITE"),
    removed: seen.length > 0 && seen.every(({ octets }) => !words.test(octets.toString("latin1"))),
  };
};

const readTls = (certificates: LabCertificates) => {
  const files = certificate(certificates, "core");
  return {
    key: readFileSync(files.key, "utf8"),
    cert: readFileSync(files.certificate, "utf8"),
    ca: readFileSync(certificates.ca, "utf8"),
  };
};

/** Alice, secured on her side, calls carol, who is not: the call has to work, and to say why carol's side is plain. */
const callCarol = async (
  lab: Lab,
  alice: LabUe,
  carol: LabUe,
  side: LabSide,
  incoming: Map<string, UeCall>,
): Promise<VerdictFacts["carol"]> => {
  carol.ue.onCall((call) => {
    incoming.set("carol", call);
    return {};
  });
  const call = await alice.ue.call(`sip:carol@${lab.domain}`);
  await until("carol's side of the call", () => incoming.get("carol")?.state === "answered");
  const carolCall = incoming.get("carol");
  if (carolCall === undefined) throw new TypeError("unreachable: waited for it");
  const [one, two] = [voiceOf("alice", carolMs), voiceOf("carol", carolMs)];
  await speakBothWays(call, carolCall, one, two);
  await settle(200);
  const law = call.report().codec ?? "PCMA";
  const heard =
    heardWhole(call.sent.octets(), carolCall.received.octets(), payloadOf(one, law)) &&
    heardWhole(carolCall.sent.octets(), call.received.octets(), payloadOf(two, law));
  const reason =
    side.edge.calls().find(({ callId, aor }) => callId === call.id && aor.includes("carol@"))?.reason ?? "?";
  const offer = lab.recorder.sightings.find(
    (sighting): sighting is SipSighting =>
      sighting.kind === "sip" &&
      sighting.to === "carol" &&
      headerValue(sighting.message, "call-id") === call.id &&
      sdpOf(sighting.message) !== undefined,
  );
  const protocol = (offer === undefined ? undefined : sdpOf(offer.message))?.media[0]?.protocol ?? "?";
  await call.hangup();
  await carolCall.ended;
  return { answered: true, heard, reason, protocol };
};
