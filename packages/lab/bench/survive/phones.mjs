// The phones of the survival run: they register once, call each other through the core, answer, hang up, and write down
// what each end of a call saw. They behave as RFC 3261 user agents do, and never register again unless they must.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { silentLog, systemClock, systemRandom, token } from "@sallyport/kit";
import {
  answerChallenge,
  chooseChallenge,
  createRequest,
  createResponse,
  createSipTransport,
  createTransactions,
  dialogFromRequest,
  dialogFromResponse,
  dialogRequest,
  headerValue,
  headerValues,
  tagOf,
} from "@sallyport/sip";
import { createMedia } from "./media.mjs";
import { domain, password } from "./town.mjs";

const address = "127.0.0.1";
const giveUpMs = 12_000; // how long a caller lets it ring
const t1 = 500;
const silenceMs = 5_000;
const again = { everyMs: 1_000, times: 30 };

const sdp = (port, key) =>
  [
    "v=0",
    `o=- ${port} 1 IN IP4 ${address}`,
    "s=-",
    `c=IN IP4 ${address}`,
    "t=0 0",
    `m=audio ${port} RTP/SAVP 8`,
    "a=rtpmap:8 PCMA/8000",
    `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${key}`,
    "a=3ge2ae:requested",
    "",
  ].join("\r\n");

const read = (text, what) => what.exec(text)?.[1];
const remoteOf = (message) => {
  const text = message.body.toString("latin1");
  return { port: Number(read(text, /^m=audio (\d+) RTP\/SAVP/m) ?? 0), key: read(text, /inline:([^\s|]+)/) };
};

/**
 * @param {{ protocol: "udp" | "tcp" | "tls", count: number, certificates: string, unacknowledgedMs: number,
 *   town: ReturnType<typeof import("./town.mjs").createTown> }} options
 */
export const createPhones = async ({ protocol, count, town, certificates, unacknowledgedMs }) => {
  const pem = (file) => readFileSync(`${certificates}/${file}`, "utf8");
  const tls = protocol === "tls" ? { key: pem("core.key"), cert: pem("core.crt"), ca: pem("ca.crt") } : undefined;
  const phones = [];
  const byId = new Map();
  const counted = { registers: 0, unexpected: [] };

  const transport = createSipTransport({
    clock: systemClock,
    log: silentLog,
    onMessage: (message, flow) => transactions.receive(message, flow),
    onFlowClosed: (flow) => {
      const phone = phones.find(({ name }) => name === flow.listener);
      if (phone?.flow === flow.id) phone.flow = undefined;
    },
  });
  const transactions = createTransactions({
    transport,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    onRequest: (server) => onRequest(server),
    onAck: (request) => onAck(request),
  });

  const targetOf = (phone) => ({
    protocol,
    address,
    port: town.accessPort,
    listener: phone.name,
    ...(tls === undefined ? {} : { serverName: "edge-a.lab.example", tls }),
  });

  /** Settles with the final response and the flow it came on; `status` 408 or 503 where there was none. */
  const ask = (phone, request, onClient = () => undefined, onResponse = () => undefined) =>
    new Promise((resolve) => {
      onClient(
        transactions.request(request, targetOf(phone), {
          onResponse: (response, flow) => {
            onResponse(response);
            if (response.status >= 200) resolve({ status: response.status, response, flow });
          },
          onTimeout: () => resolve({ status: 408 }),
          onTransportError: () => resolve({ status: 503, unsent: true }),
        }),
      );
    });

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const register = async (phone) => {
    counted.registers += 1;
    const make = (authorization) => {
      phone.seq += 1;
      return createRequest({
        method: "REGISTER",
        uri: `sip:${domain}`,
        headers: [
          ["Max-Forwards", "70"],
          ["From", `<${phone.aor}>;tag=${phone.name}`],
          ["To", `<${phone.aor}>`],
          ["Call-ID", `registration-of-${phone.name}`],
          ["CSeq", `${phone.seq} REGISTER`],
          ["Contact", phone.contact],
          ["Expires", "3600"],
          ["Supported", "path"],
          ["Security-Client", "sdes-srtp;mediasec"],
          ...authorization,
        ],
      });
    };
    for (let attempt = 0; attempt < again.times; attempt += 1) {
      const { response: challenged } = await ask(phone, make([]));
      const challenge =
        challenged?.status === 401 ? chooseChallenge(headerValues(challenged, "www-authenticate")) : undefined;
      if (challenge !== undefined) {
        const authorization = answerChallenge({
          challenge,
          method: "REGISTER",
          uri: `sip:${domain}`,
          username: `${phone.name}@${domain}`,
          password: password(phone.index),
          random: systemRandom,
          nonceCount: 1,
        });
        const { status, flow } = await ask(phone, make([["Authorization", authorization]]));
        if (status === 200) {
          phone.flow = protocol === "udp" ? "udp" : flow.id;
          return;
        }
      }
      await pause(again.everyMs);
    }
    throw new Error(`${phone.name} cannot register`);
  };

  /** On TCP and TLS a UE whose connection is gone is a stranger to the edge until it registers; it does so to call, and to hang up. */
  const present = (phone) => {
    if (phone.flow !== undefined) return Promise.resolve();
    phone.returning ??= register(phone).finally(() => {
      phone.returning = undefined;
    });
    return phone.returning;
  };

  for (let index = 0; index < count; index += 1) {
    const name = `user${index}`;
    const port = town.phonePort(index);
    await transport.listen({ name, protocol, address, port, ...(tls === undefined ? {} : { tls }) });
    const transportOf = protocol === "udp" ? "" : `;transport=${protocol}`;
    phones.push({
      index,
      name,
      aor: `sip:${name}@${domain}`,
      contact: `<sip:${name}@${address}:${port}${transportOf}>`,
      seq: Math.floor(Date.now() / 1000) % 1e8,
      flow: undefined,
      returning: undefined,
    });
  }

  const end = (half, how) => {
    if (half.ended !== undefined) return;
    half.ended = how;
    half.endedAt = Date.now();
    clearTimeout(half.timer);
    half.media?.quiet();
    const { call } = half;
    if ((call.calling?.ended ?? call.none) !== undefined && (call.called?.ended ?? call.none) !== undefined)
      call.over();
  };

  const isUp = (half) => half?.up === true && half.ended === undefined && half.leaving !== true;

  const talk = (half, remote) => {
    if (half.media === undefined || remote.key === undefined || remote.port === 0) return;
    half.media.listen(remote.key);
    half.remotePort = remote.port;
    const { calling, called } = half.call;
    // Both have the other's key before the first packet leaves: what is lost is lost on the way.
    if (calling?.remotePort === undefined || called?.remotePort === undefined) return;
    for (const each of [calling, called]) each.media?.talk(each.remotePort);
  };

  /** BYE until somebody answers it: over a connection that died with the edge it is said again on the next. */
  const hangUp = async (half) => {
    if (half.ended !== undefined || half.leaving === true || half.dialog === undefined) return;
    half.leaving = true;
    for (const each of [half.call.calling, half.call.called]) each?.media?.quiet();
    if (half.media !== undefined) await pause(400);
    for (let attempt = 0; attempt < again.times && half.ended === undefined; attempt += 1) {
      const made = dialogRequest(half.dialog, "BYE");
      half.dialog = made.dialog;
      const patience = protocol === "udp" ? 64 * t1 + 1_000 : 3_000;
      const { status, unsent } = await Promise.race([
        ask(half.phone, made.request),
        pause(patience).then(() => ({ status: 408 })),
      ]);
      half.byes = [...(half.byes ?? []), status];
      // The edge hears nobody for a call on a connection that its UE has not registered on.
      if (status === 403 && protocol !== "udp") {
        half.phone.flow = undefined;
        await present(half.phone).catch(() => undefined);
        continue;
      }
      // 481 after a BYE that got no answer: the first one did arrive.
      if (status === 200 || (status === 481 && attempt > 0)) return end(half, "bye");
      if (status !== 408 && unsent !== true && status !== 503) return end(half, `bye ${status}`);
      await pause(again.everyMs);
    }
    end(half, "bye unanswered");
  };

  const onAck = (request) => {
    const half = byId.get(headerValue(request, "call-id"))?.called;
    if (half === undefined || half.up === true) return;
    half.up = true;
    clearTimeout(half.timer);
    // Nobody is there: people hang up on silence.
    half.timer = setInterval(() => {
      if (half.call.calling.ended === undefined || Date.now() - half.call.calling.endedAt < silenceMs) return;
      clearInterval(half.timer);
      half.call.ghost = true;
      void hangUp(half);
    }, 1_000);
  };

  const answer = async (server, call) => {
    const { request } = server;
    const phone = phones.find(({ name }) => request.uri.startsWith(`sip:${name}@`));
    const half = { call, phone, up: false };
    call.called = half;
    call.reachedAt = Date.now();
    const { toTag } = server;
    server.respond(createResponse(request, 180, undefined, { toTag, headers: [["Contact", phone.contact]] }));
    server.onCancel = () => {
      server.respond(createResponse(request, 487, undefined, { toTag }));
      end(half, "cancelled");
    };
    const key = randomBytes(30).toString("base64");
    if (call.sample) half.media = await createMedia(key, 0xb0b);
    await pause(20 + (call.number % 8) * 40);
    if (half.ended !== undefined) return;
    const ok = createResponse(request, 200, undefined, {
      toTag,
      headers: [
        ["Contact", phone.contact],
        ["Content-Type", "application/sdp"],
      ],
      body: Buffer.from(sdp(half.media?.port ?? 20_000, key), "latin1"),
    });
    half.dialog = dialogFromRequest(request, toTag, "confirmed");
    half.answeredAt = Date.now();
    talk(half, remoteOf(request));
    const repeat = (ms) => {
      if (half.up || half.ended !== undefined) return;
      if (Date.now() - half.answeredAt > unacknowledgedMs) {
        void hangUp(half);
        return;
      }
      server.respond(ok);
      half.timer = setTimeout(repeat, ms, Math.min(ms * 2, 4_000));
    };
    repeat(t1);
  };

  const onRequest = (server) => {
    const { request } = server;
    const { toTag } = server;
    const refuse = (status) => server.respond(createResponse(request, status, undefined, { toTag }));
    const call = byId.get(headerValue(request, "call-id"));
    if (call === undefined) {
      counted.unexpected.push(request.startLine);
      return refuse(481);
    }
    if (request.method === "INVITE") {
      if (tagOf(request, "to") !== undefined) return refuse(488);
      // RFC 3261 8.2.2.2: the same INVITE by another way.
      if (call.called !== undefined || call.calling.ended !== undefined) return refuse(482);
      return void answer(server, call);
    }
    if (request.method !== "BYE") return refuse(200);
    refuse(200);
    const half = tagOf(request, "from") === call.tag ? call.called : call.calling;
    if (half !== undefined) end(half, "bye");
    return undefined;
  };

  /** Starts call `number`; `call.done` settles when neither end believes in it any more. */
  const start = (number, caller, callee, { holdMs, sample, byCallee }) => {
    const id = `${number}-${token(systemRandom, 8)}@${domain}`;
    const call = { id, number, caller, callee, sample, tag: `a${number}`, bornAt: Date.now(), none: undefined };
    call.done = new Promise((resolve) => (call.over = resolve));
    byId.set(id, call);
    const half = { call, phone: phones[caller], up: false };
    call.calling = half;
    const work = async () => {
      const key = randomBytes(30).toString("base64");
      if (sample) half.media = await createMedia(key, 0xa11ce);
      await present(half.phone);
      let final;
      for (let seq = 1; seq <= again.times; seq += 1) {
        const invite = createRequest({
          method: "INVITE",
          uri: phones[callee].aor,
          headers: [
            ["Max-Forwards", "70"],
            ["From", `<${half.phone.aor}>;tag=${call.tag}`],
            ["To", `<${phones[callee].aor}>`],
            ["Call-ID", id],
            ["CSeq", `${seq} INVITE`],
            ["Contact", half.phone.contact],
            ["Content-Type", "application/sdp"],
          ],
          body: Buffer.from(sdp(half.media?.port ?? 20_000, key), "latin1"),
        });
        half.sentAt = Date.now();
        let client;
        const late = setTimeout(() => {
          half.gaveUp = true;
          client.cancel();
        }, giveUpMs);
        const acknowledge = (response) => {
          if (response.status < 200 || response.status >= 300) return;
          const dialog = dialogFromResponse(invite, response);
          if (dialog === undefined) return;
          half.dialog ??= dialog;
          transactions
            .sendAck(dialogRequest(dialog, "ACK", { seq }).request, targetOf(half.phone))
            .catch(() => undefined);
        };
        // After a CANCEL nobody may answer for 32 s: the caller has hung up by then.
        final = await Promise.race([
          ask(half.phone, invite, (made) => (client = made), acknowledge),
          pause(giveUpMs + 5_000).then(() => ({ status: 487 })),
        ]);
        clearTimeout(late);
        // Refused connections: nothing has left yet.
        if (final.unsent !== true && final.status !== 403) break;
        if (final.status === 403) half.phone.flow = undefined;
        await pause(300);
        await present(half.phone);
      }
      half.status = final.status;
      if (final.status >= 300) {
        // Whoever was not reached has nothing to end.
        if (call.called === undefined) call.none = "not reached";
        return end(half, half.gaveUp === true ? "gave up" : `refused ${final.status}`);
      }
      half.up = true;
      half.upAt = Date.now();
      talk(half, remoteOf(final.response));
      await pause(holdMs);
      return hangUp(byCallee && call.called?.up === true ? call.called : half);
    };
    call.failed = undefined;
    void work().catch((error) => {
      call.failed = error.message;
      if (call.called === undefined) call.none = "not reached";
      end(half, `failed: ${error.message}`);
    });
    return call;
  };

  return {
    phones,
    calls: byId,
    counted,
    register: () => Promise.all(phones.map((phone) => register(phone))),
    start,
    isEstablished: (call) => isUp(call.calling) && isUp(call.called),
    close: async () => {
      for (const call of byId.values()) for (const half of [call.calling, call.called]) half?.media?.close();
      transactions.close();
      await transport.close();
    },
  };
};
