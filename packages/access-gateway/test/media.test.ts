// The whole gateway: commands over mutual TLS, real sockets, real SRTP. What the UE protects the core hears in the clear, and back.
import { createSocket } from "node:dgram";
import type { IqContext, ReservedEnds, StreamPlan } from "@sallyport/iq";
import type { CryptoAttribute } from "@sallyport/sdp";
import type { SrtpReceiver, SrtpSender, SuiteName } from "@sallyport/srtp";
import { createSrtpReceiver, createSrtpSender, suites } from "@sallyport/srtp";
import { afterEach, describe, expect, it } from "vitest";
import type { MediaSocket, Rig, RigOptions } from "./rig.ts";
import { accessEnd, coreEnd, cryptoOf, mediaSocket, must, rtcp, rtp, startRig, until } from "./rig.ts";

const cleanup: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of cleanup.splice(0).toReversed()) await close();
});

const rig = async (options: RigOptions = {}): Promise<Rig> => {
  const started = await startRig(options);
  cleanup.push(() => started.close());
  return started;
};

const socket = async (): Promise<MediaSocket> => {
  const made = await mediaSocket();
  cleanup.push(() => made.close());
  return made;
};

/** A UE's SRTP: it sends with K11 and receives with K12. */
const ueSrtp = (
  fromUe: CryptoAttribute,
  towardsUe: CryptoAttribute,
  suite: SuiteName,
): { sender: SrtpSender; receiver: SrtpReceiver } => ({
  sender: createSrtpSender({ suite: suites[suite], key: { master: must(fromUe.keys[0]).master } }),
  receiver: createSrtpReceiver({ suite: suites[suite], keys: [{ master: must(towardsUe.keys[0]).master }] }),
});

const packet = (result: ReturnType<SrtpSender["protectRtp"]>): Buffer => {
  if (!result.ok) throw new Error(result.code);
  return result.packet;
};

interface Call {
  readonly context: IqContext;
  readonly ends: ReservedEnds;
  readonly ue: MediaSocket;
  readonly ueRtcp: MediaSocket;
  readonly far: MediaSocket;
  readonly farRtcp: MediaSocket;
  readonly fromUe: CryptoAttribute;
  readonly towardsUe: CryptoAttribute;
  readonly plan: (more?: {
    readonly fromUe?: CryptoAttribute;
    readonly towardsUe?: CryptoAttribute;
    readonly mode?: "inactive";
  }) => readonly StreamPlan[];
}

const call = async (
  on: Rig,
  suite: SuiteName,
  options: { readonly mux?: boolean; readonly inactivityMs?: number } = {},
): Promise<Call> => {
  const [ue, ueRtcp, far, farRtcp] = await Promise.all([socket(), socket(), socket(), socket()]);
  const fromUe = cryptoOf(0x11, suite);
  const towardsUe = cryptoOf(0x12, suite);
  const rtcpMux = options.mux ?? false;
  const access = { address: "127.0.0.1", port: ue.port, ...(rtcpMux ? {} : { rtcpPort: ueRtcp.port }) };
  const more = { rtcpMux, ...(options.inactivityMs === undefined ? {} : { inactivityMs: options.inactivityMs }) };
  const added = await on.controller.add(undefined, [
    {
      stream: 1,
      access: accessEnd({ remote: access, mode: "inactive", ...more }),
      core: coreEnd({ mode: "inactive" }),
    },
  ]);
  const plan: Call["plan"] = (change = {}) => [
    {
      stream: 1,
      access: accessEnd({
        remote: access,
        ...more,
        localCrypto: change.towardsUe ?? towardsUe,
        remoteCrypto: change.fromUe ?? fromUe,
        mode: change.mode ?? "send-receive",
      }),
      core: coreEnd({
        remote: { address: "127.0.0.1", port: far.port, rtcpPort: farRtcp.port },
        mode: change.mode ?? "send-receive",
      }),
    },
  ];
  return { context: added.context, ends: added, ue, ueRtcp, far, farRtcp, fromUe, towardsUe, plan };
};

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createSocket("udp4");
    probe.once("error", () => resolve(false));
    probe.bind(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });

describe("a call", () => {
  it.each<SuiteName>([
    "AES_CM_128_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_32",
    "AES_256_CM_HMAC_SHA1_80",
    "AEAD_AES_128_GCM",
  ])(
    "TS 33.328 6.2.1.3 (c), 6.2.1.1 (c): %s towards the UE, RTP towards the core, RTCP alike, both ways; nothing is left",
    async (suite) => {
      const on = await rig();
      const { context, ends, ue, ueRtcp, far, farRtcp, fromUe, towardsUe, plan } = await call(on, suite);
      const access = must(ends.access[0]);
      const core = must(ends.core[0]);
      await on.controller.modify(context, plan());
      const { sender, receiver } = ueSrtp(fromUe, towardsUe, suite);
      ue.send(packet(sender.protectRtp(rtp(1))), access.port);
      far.send(rtp(900, 0xaabb_ccdd), core.port);
      ueRtcp.send(packet(sender.protectRtcp(rtcp())), access.rtcpPort);
      farRtcp.send(rtcp(0xaabb_ccdd), core.rtcpPort);
      await until("media in four directions", () =>
        [ue, ueRtcp, far, farRtcp].every((one) => one.received.length === 1),
      );
      expect(far.received[0]).toEqual(rtp(1));
      expect(farRtcp.received[0]).toEqual(rtcp());
      const heard = receiver.unprotectRtp(must(ue.received[0]));
      expect(heard.ok && heard.packet).toEqual(rtp(900, 0xaabb_ccdd));
      expect(must(ue.received[0]).includes(Buffer.from("payload"))).toBe(false);
      const report = receiver.unprotectRtcp(must(ueRtcp.received[0]));
      expect(report.ok && report.packet).toEqual(rtcp(0xaabb_ccdd));
      expect(on.gateway.contexts()).toBe(1);
      expect(on.gateway.terminations()).toBe(2);
      const statistics = await on.controller.subtract(context);
      const towards = must(statistics.terminations.find(({ side }) => side === "access"));
      expect(towards?.stream).toBe(1);
      const counts = ["rtp/ps", "rtp/pr", "xsrtp/af"].map((name) => towards?.values.get(name));
      expect(counts).toEqual(["1", "1", "0"]);
      expect(on.gateway.contexts()).toBe(0);
      expect(on.gateway.terminations()).toBe(0);
      const ports = [access.port, access.rtcpPort, core.port, core.rtcpPort];
      expect(await Promise.all(ports.map(isFree))).toEqual([true, true, true, true]);
    },
  );

  it("RFC 5761: with rtcp-mux SRTCP comes and goes on the port of SRTP", async () => {
    const on = await rig();
    const { context, ends, ue, farRtcp, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80", {
      mux: true,
    });
    const access = must(ends.access[0]);
    expect(access.rtcpPort).toBe(access.port);
    await on.controller.modify(context, plan());
    const { sender, receiver } = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    ue.send(packet(sender.protectRtcp(rtcp())), access.port);
    await until("report at the core", () => farRtcp.received.length === 1);
    farRtcp.send(rtcp(7), must(ends.core[0]).rtcpPort);
    await until("report at the UE", () => ue.received.length === 1);
    const report = receiver.unprotectRtcp(must(ue.received[0]));
    expect(report.ok && report.packet).toEqual(rtcp(7));
  });

  it("invariant 3: before its keys have come a secure leg passes nothing, and clear media never passes it", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    const access = must(ends.access[0]);
    const core = must(ends.core[0]);
    const { sender } = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    ue.send(packet(sender.protectRtp(rtp(1))), access.port);
    ue.send(rtp(2), access.port);
    far.send(rtp(3), core.port);
    await until("arrival", () => {
      const one = on.gateway.counters().find(({ side }) => side === "access");
      return must(one).counters.awaitingKeysDropped >= 2;
    });
    await on.controller.modify(context, plan());
    ue.send(rtp(4), access.port);
    ue.send(packet(sender.protectRtp(rtp(5))), access.port);
    await until("protected media", () => far.received.length > 0);
    expect(far.received).toEqual([rtp(5)]);
    expect(ue.received).toEqual([]);
    const view = must(on.gateway.counters().find(({ side }) => side === "access"));
    expect(view.counters.clearDropped).toBe(1);
    expect(view.protection).toBe("srtp");
    expect(view.keys.towardsUe).toMatch(/^[0-9a-f]{2}:[0-9a-f]{2}$/);
  });

  it("invariant 4: a Modify that repeats the keys changes nothing; a replayed packet stays a replay", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    const access = must(ends.access[0]);
    await on.controller.modify(context, plan());
    const { sender, receiver } = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    const first = packet(sender.protectRtp(rtp(1)));
    ue.send(first, access.port);
    await until("first packet", () => far.received.length === 1);
    await on.controller.modify(context, plan({ fromUe: cryptoOf(0x11), towardsUe: cryptoOf(0x12) }));
    ue.send(first, access.port);
    ue.send(packet(sender.protectRtp(rtp(2))), access.port);
    await until("second packet", () => far.received.length === 2);
    const counters = must(on.gateway.counters().find(({ side }) => side === "access")).counters;
    expect(counters).toMatchObject({ replays: 1, keyChanges: 0, authenticationFailures: 0 });
    far.send(rtp(50, 9), must(ends.core[0]).port);
    await until("towards the UE", () => ue.received.length === 1);
    expect(receiver.unprotectRtp(must(ue.received[0])).ok).toBe(true);
  });

  it("RFC 4568 and TS 33.328 7.2.1: a later Modify with new keys replaces the context", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.controller.modify(context, plan());
    const old = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    const next = { fromUe: cryptoOf(0x21), towardsUe: cryptoOf(0x22) };
    await on.controller.modify(context, plan(next));
    const fresh = ueSrtp(next.fromUe, next.towardsUe, "AES_CM_128_HMAC_SHA1_80");
    ue.send(packet(fresh.sender.protectRtp(rtp(1))), must(ends.access[0]).port);
    await until("new key heard", () => far.received.length === 1);
    far.send(rtp(50, 9), must(ends.core[0]).port);
    await until("towards the UE", () => ue.received.length === 1);
    expect(old.receiver.unprotectRtp(must(ue.received[0])).ok).toBe(false);
    expect(fresh.receiver.unprotectRtp(must(ue.received[0])).ok).toBe(true);
  });

  it("TS 23.334 8 Change Through-Connection: an inactive stream passes nothing and goes on when opened again", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.controller.modify(context, plan({ mode: "inactive" }));
    const { sender } = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    const access = must(ends.access[0]);
    ue.send(packet(sender.protectRtp(rtp(1))), access.port);
    await until(
      "arrival",
      () => must(on.gateway.counters().find(({ side }) => side === "access")).counters.rtpIn === 1,
    );
    await on.controller.modify(context, plan());
    ue.send(packet(sender.protectRtp(rtp(2))), access.port);
    await until("open again", () => far.received.length === 1);
    expect(far.received).toEqual([rtp(2)]);
  });

  it("TS 23.334 8 media inactivity: a leg that falls silent is reported to its controller", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80", {
      inactivityMs: 1000,
    });
    await on.controller.modify(context, plan());
    const { sender } = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    ue.send(packet(sender.protectRtp(rtp(1))), must(ends.access[0]).port);
    await until("media", () => far.received.length === 1);
    await until("report", () => on.notifications.length > 0);
    expect(on.notifications).toEqual([
      { kind: "media-inactivity", gateway: "gw-a", context, side: "access", stream: 1, direction: "in" },
    ]);
  });

  it("TS 33.328 6.2.1.3 (b): streams are added, tied to their own keys, and removed one by one", async () => {
    const on = await rig();
    const { context, ends, ue, far, fromUe, towardsUe, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.controller.modify(context, plan());
    const [video, videoFar] = await Promise.all([socket(), socket()]);
    const keys = { fromUe: cryptoOf(0x31), towardsUe: cryptoOf(0x32) };
    const second: StreamPlan = {
      stream: 2,
      access: accessEnd({
        media: "video",
        remote: { address: "127.0.0.1", port: video.port },
        localCrypto: keys.towardsUe,
        remoteCrypto: keys.fromUe,
      }),
      core: coreEnd({ media: "video", remote: { address: "127.0.0.1", port: videoFar.port } }),
    };
    const added = await on.controller.modify(context, [second]);
    expect(must(added.access[0]).port).not.toBe(must(ends.access[0]).port);
    const speech = ueSrtp(fromUe, towardsUe, "AES_CM_128_HMAC_SHA1_80");
    const picture = ueSrtp(keys.fromUe, keys.towardsUe, "AES_CM_128_HMAC_SHA1_80");
    ue.send(packet(speech.sender.protectRtp(rtp(1))), must(ends.access[0]).port);
    video.send(packet(picture.sender.protectRtp(rtp(7))), must(added.access[0]).port);
    // The key of one stream does not open the other.
    video.send(packet(speech.sender.protectRtp(rtp(8))), must(added.access[0]).port);
    await until("both", () => far.received.length === 1 && videoFar.received.length === 1);
    expect(videoFar.received).toEqual([rtp(7)]);
    await on.controller.removeStreams(context, [2]);
    expect(on.gateway.counters().map(({ side, stream }) => [side, stream])).toEqual([
      ["access", 1],
      ["core", 1],
    ]);
    ue.send(packet(speech.sender.protectRtp(rtp(2))), must(ends.access[0]).port);
    await until("the first goes on", () => far.received.length === 2);
  });
});

describe("what ends", () => {
  it("invariant 10: a lost controller: contexts stay for the configured time, then go with their ports", async () => {
    const on = await rig({ gateway: { keepContextsMs: 100, retry: { firstMs: 10_000, longestMs: 10_000 } } });
    const { ends } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.controller.close({ keepContexts: true });
    await until("loss noticed", () => !on.gateway.registration().registered);
    expect(on.gateway.contexts()).toBe(1);
    await until("contexts gone", () => on.gateway.contexts() === 0);
    await until("ports free", () => on.gateway.counters().length === 0);
    const access = must(ends.access[0]);
    let free = false;
    for (let tries = 0; tries < 100 && !free; tries += 1) free = await isFree(access.port);
    expect(free).toBe(true);
  });

  it("invariant 10: a gateway that closes tells its controller and frees every port", async () => {
    const on = await rig();
    const { context, ends } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.gateway.close();
    expect(on.status().state).toBe("down");
    expect(on.notifications).toEqual([{ kind: "context-lost", gateway: "gw-a", context, reason: "forced" }]);
    const access = must(ends.access[0]);
    const core = must(ends.core[0]);
    const ports = [access.port, access.rtcpPort, core.port, core.rtcpPort];
    expect(await Promise.all(ports.map(isFree))).toEqual([true, true, true, true]);
  });

  it("invariant 10: fifty calls come and go, one in two fails half way, and nothing is left", async () => {
    const on = await rig({ gateway: { maxStreams: 1 } });
    const good = [{ stream: 1, access: accessEnd({ mode: "inactive" }), core: coreEnd({ mode: "inactive" }) }];
    // The core's termination asks for more streams than allowed: its Add fails after the access one was good.
    const bad = [...good, { stream: 2, core: coreEnd({ mode: "inactive" }) }];
    for (let round = 0; round < 5; round += 1) {
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => on.controller.add(undefined, index % 2 === 0 ? good : bad)),
      );
      const made = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.context] : []));
      expect(made).toHaveLength(5);
      expect(on.gateway.contexts()).toBe(5);
      expect(on.gateway.counters()).toHaveLength(10);
      await Promise.all(made.map((context) => on.controller.subtract(context)));
      expect(on.gateway.contexts()).toBe(0);
    }
    expect(on.gateway.counters()).toEqual([]);
    expect(await on.controller.audit("gw-a")).toEqual({ contexts: [] });
  });

  it("invariant 7: after calls with failures no key stands in any log, at any level", async () => {
    const on = await rig({ gateway: { maxContexts: 1 } });
    const { context, plan } = await call(on, "AES_CM_128_HMAC_SHA1_80");
    await on.controller.modify(context, plan());
    const refused = await on.controller.add("gw-a", plan()).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(refused).toMatchObject({ code: "SALLY_IQ_NO_RESOURCES", sipStatus: 503 });
    const wrong = { ...cryptoOf(0x13), suite: "AEAD_AES_128_GCM" };
    const badKey = await on.controller.modify(context, plan({ towardsUe: wrong })).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(String(badKey)).toContain("key length 30, AEAD_AES_128_GCM has 28");
    await on.gateway.close();
    const seen = JSON.stringify([on.records, String(refused), String(badKey)]);
    for (const fill of [0x11, 0x12, 0x13]) {
      expect(seen).not.toContain(Buffer.alloc(9, fill).toString("base64"));
      expect(seen).not.toContain(Buffer.alloc(8, fill).toString("hex"));
    }
  });
});
