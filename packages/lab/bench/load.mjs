// The load generator: a process of its own with phones on one side and a minimal far end (and registrar) on the other.
// It gets orders over IPC and answers each with what it counted. It sends no media.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  ack,
  answer,
  authorize,
  bye,
  grant,
  invite,
  learnDialog,
  method,
  register,
  respond,
  ringing,
  status,
  value,
} from "./load/messages.mjs";
import { dial, listen } from "./load/wire.mjs";

const settings = JSON.parse(process.argv[2]);
const { protocol, certificates } = settings;
const pem = (file) => readFileSync(`${certificates}/${file}`, "utf8");
const tls = protocol === "tls" ? { key: pem("core.key"), cert: pem("core.crt"), ca: pem("ca.crt") } : undefined;
const answerAfterMs = 20;
const repeatMs = 500; // RFC 3261 T1, doubled twice: enough for a loopback
const giveUpMs = 8_000;

/** 200s that wait for their ACK: over UDP they are sent again (RFC 3261 13.3.1.4). */
const unacknowledged = new Map();

const answerCall = (id, send, pause = repeatMs) => {
  send();
  if (protocol === "udp" && pause < giveUpMs)
    unacknowledged.set(id, setTimeout(answerCall, pause, id, send, pause * 2));
};

const farEnd = (text, reply, me) => {
  const id = value(text, "Call-ID");
  if (text.startsWith("INVITE ")) {
    reply(respond(text, "100 Trying"));
    reply(ringing(text, me));
    if (unacknowledged.has(id)) return;
    unacknowledged.set(
      id,
      setTimeout(answerCall, answerAfterMs, id, () => reply(answer(text, me))),
    );
  } else if (text.startsWith("ACK ")) {
    clearTimeout(unacknowledged.get(id));
    unacknowledged.delete(id);
  } else if (text.startsWith("BYE ")) reply(respond(text, "200 OK"));
  else if (text.startsWith("REGISTER ")) reply(grant(text, me));
};

const phones = [];
const waiting = new Map();
/** What to say again when the 200 to an INVITE comes again. */
const acknowledged = new Map();

const onPhone = (text) => {
  const id = value(text, "Call-ID");
  if (text.startsWith("SIP/2.0 2") && method(text) === "INVITE" && acknowledged.has(id)) acknowledged.get(id)();
  else if (text.startsWith("SIP/2.0 ")) waiting.get(id)?.(text);
  else process.send({ error: `unexpected request at a phone: ${text.slice(0, 200)}` });
};

/** Sends until it is answered finally: `onFinal(status, response)`. */
const exchange = (phone, text, id, onFinal, onFailed) => {
  // With its number: a copy of the answer to the request before is none to this one.
  const wanted = value(text, "CSeq");
  let repeats = 0;
  const repeat = () => {
    repeats += 1;
    if (protocol !== "udp" || repeats > 3) return;
    phone.send(text);
    timer = setTimeout(repeat, repeatMs * 2 ** repeats);
  };
  let timer = setTimeout(repeat, repeatMs);
  const limit = setTimeout(() => settle(() => onFailed("timeout")), giveUpMs);
  const settle = (act) => {
    clearTimeout(timer);
    clearTimeout(limit);
    waiting.delete(id);
    act();
  };
  waiting.set(id, (response) => {
    if (value(response, "CSeq") !== wanted) return;
    clearTimeout(timer);
    const code = status(response);
    if (code >= 200) settle(() => onFinal(code, response));
  });
  phone.send(text);
};

let calls = 0;
const run = randomBytes(4).toString("hex");

const oneCall = (holdMs, onEnd, onUp = () => undefined) => {
  const number = calls++;
  const phone = phones[number % phones.length];
  const call = { id: `${number.toString(36)}-${run}@bench`, user: number % phones.length, tag: `a${number}` };
  const ended = (failure) => {
    acknowledged.delete(call.id);
    onEnd(failure);
  };
  const hangUp = () =>
    exchange(phone, bye(phone.me, call), call.id, (code) => ended(code === 200 ? undefined : `BYE ${code}`), ended);
  const onAnswer = (code, text) => {
    if (code !== 200) return onEnd(`INVITE ${code}`);
    if (!text.includes("RTP/SAVP")) return onEnd("the answer is not protected");
    learnDialog(call, text);
    const confirm = ack(phone.me, call);
    phone.send(confirm);
    acknowledged.set(call.id, () => phone.send(confirm));
    onUp();
    return holdMs === Infinity ? held.push(hangUp) : setTimeout(hangUp, holdMs);
  };
  exchange(phone, invite(phone.me, call), call.id, onAnswer, onEnd);
};
const held = [];

const oneRegistration = (user, challenged, onEnd) => {
  const phone = phones[user % phones.length];
  const id = `r${user}@bench.example`;
  const ok = (code) => onEnd(code === 200 ? undefined : `REGISTER ${code}`);
  // Sequence numbers by the time, so that a second registration of the same user is not an old one.
  const seq = Math.floor(performance.now()) + 1;
  const again = (code, text) =>
    code === 401 ? exchange(phone, register(phone.me, user, seq + 1, authorize(text, user)), id, ok, onEnd) : ok(code);
  exchange(phone, register(phone.me, user, seq, ""), id, challenged ? again : ok, onEnd);
};

/** Starts `total` jobs, never more than `window` at once, never faster than `rate` a second. */
const drive = ({ total, window = Infinity, rate = Infinity }, job) =>
  new Promise((resolve) => {
    const failures = new Map();
    let begun = 0;
    let ended = 0;
    const from = performance.now();
    const onEnd = (failure) => {
      ended += 1;
      if (failure !== undefined) failures.set(failure, (failures.get(failure) ?? 0) + 1);
      if (ended === total) {
        clearInterval(timer);
        const seconds = (performance.now() - from) / 1000;
        const failed = [...failures.values()].reduce((sum, count) => sum + count, 0);
        resolve({
          total,
          failed,
          failures: Object.fromEntries(failures),
          seconds,
          perSecond: (total - failed) / seconds,
        });
      } else if (rate === Infinity) launch();
    };
    const launch = () => {
      const due = rate === Infinity ? total : Math.floor(((performance.now() - from) / 1000) * rate);
      while (begun < Math.min(total, due) && begun - ended < window) job(begun++, onEnd);
    };
    const timer = setInterval(launch, 5);
    launch();
  });

const orders = {
  /** Opens the phones' sockets. */
  open: async ({ port, flows }) => {
    for (const phone of phones.splice(0)) phone.close();
    for (let index = 0; index < flows; index += 1) phones.push(await dial(protocol, port, onPhone, tls?.ca));
    return { flows };
  },
  register: ({ challenged = false, ...pace }) =>
    drive(pace, (index, onEnd) => oneRegistration(index, challenged, onEnd)),
  calls: ({ holdMs = 0, ...pace }) => drive(pace, (_, onEnd) => oneCall(holdMs, onEnd)),
  /** Sets calls up and leaves them standing until `hangUp`. */
  hold: (pace) =>
    drive(pace, (_, onEnd) => {
      let up = false;
      oneCall(
        Infinity,
        (failure) => (up ? onHeldEnd(failure) : onEnd(failure)),
        () => {
          up = true;
          onEnd();
        },
      );
    }),
  hangUp: () =>
    new Promise((resolve) => {
      let left = held.length;
      let failed = 0;
      if (left === 0) resolve({ failed });
      onHeldEnd = (failure) => {
        left -= 1;
        if (failure !== undefined) failed += 1;
        if (left === 0) resolve({ failed });
      };
      const next = () => {
        for (const hangUp of held.splice(0, 4)) hangUp();
        if (held.length > 0) setTimeout(next, 20);
      };
      next();
    }),
};
let onHeldEnd = () => undefined;

const far = await listen(protocol, farEnd, tls);
process.on("message", (order) => {
  orders[order.do](order).then(
    (result) => process.send(result),
    (error) => process.send({ error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send({ port: far.me.port });
