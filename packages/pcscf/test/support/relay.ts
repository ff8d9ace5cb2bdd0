// A core that connects two UEs behind one edge, as a back-to-back user agent: whatever comes in on one leg goes out on the
// other with its body. Two Call-IDs, so that each message tells which leg it is of.
import { type ServerTransaction, type SipRequest } from "@sallyport/sip";
import { bodyOf, dialogOf, type Established } from "./calls.ts";
import { coreRequest, type Scenario, type TestUe } from "./scenario.ts";

export interface Relayed {
  /** Sends a request of the caller (or the called) in the dialog; `answer` writes the other's body from what it was offered. */
  ask(
    from: "caller" | "called",
    method: string,
    body: string | undefined,
    answer: (offered: string) => string | undefined,
  ): Promise<{ readonly status: number; readonly offered: string; readonly answered: string }>;
  readonly offered: string;
  readonly answered: string;
  bye(): Promise<number>;
}

export interface Refused {
  readonly refused: number;
  readonly offered: string;
}

const contactOf = (name: string, scenario: Scenario): readonly (readonly [string, string])[] => [
  ["Contact", `<sip:${name}@127.0.0.1:${scenario.core.port};transport=tcp>`],
];

let calls = 0;

/** A call from one UE to the other through the core. `answer` writes the called UE's body; undefined: 488. */
export const relay = async (
  scenario: Scenario,
  caller: TestUe,
  called: { readonly ue: TestUe; readonly path: string },
  offer: string,
  answer: (offered: string) => string | undefined,
): Promise<Relayed | Refused> => {
  const { core, clock } = scenario;
  calls += 1;
  const outerId = `outer-${calls}`;
  const invite = caller.request("INVITE", `sip:${called.ue.name}@home.example`, { callId: outerId, body: offer });
  const sent = caller.send(invite);
  const outer = await core.expect("INVITE");
  const innerInvite = coreRequest(core, "INVITE", called.ue.contact, {
    callId: `inner-${calls}`,
    route: [called.path],
    body: bodyOf(outer.request),
  });
  const back = core.send(innerInvite);
  const arrived = await called.ue.expect("INVITE");
  const offered = bodyOf(arrived.request);
  const said = answer(offered);
  if (said === undefined) {
    called.ue.respond(arrived, 488);
    core.respond(outer, (await back.final()).status);
    return { refused: (await sent.final()).status, offered };
  }
  called.ue.respond(arrived, 200, { headers: [["Contact", `<${called.ue.contact}>`]], body: said });
  const innerOk = await back.final();
  core.respond(outer, innerOk.status, {
    headers: contactOf("b2bua", scenario),
    body: bodyOf(innerOk),
    tag: "outer-tag",
  });
  const ok = await sent.final();
  const self = `127.0.0.1:${core.port}`;
  const legs = {
    caller: dialogOf(invite, outer.request, ok),
    called: dialogOf(innerInvite, arrived.request, innerOk, self),
  };
  await caller.ack(legs.caller.byCaller("ACK", 1));
  await core.acks.next();
  await core.ack(legs.called.byCaller("ACK", 1));
  await called.ue.acks.next();

  let seq = 10;
  const ends = { caller, called: called.ue };
  /** Requests of a UE are of its own end of its own leg; those of the core of the other end. */
  const request = (
    leg: "caller" | "called",
    by: "ue" | "core",
    method: string,
    at: number,
    body?: string,
  ): SipRequest => {
    const dialog: Established = legs[leg];
    return (leg === "caller") === (by === "ue") ? dialog.byCaller(method, at, body) : dialog.byCalled(method, at, body);
  };
  const pass = async (
    from: "caller" | "called",
    method: string,
    body: string | undefined,
    reply: (transaction: ServerTransaction) => void,
  ) => {
    seq += 1;
    const to = from === "caller" ? "called" : "caller";
    const asked = ends[from].send(request(from, "ue", method, seq, body));
    const inCore = await core.expect(method);
    const inner = bodyOf(inCore.request);
    const onward = core.send(request(to, "core", method, seq, inner === "" ? undefined : inner));
    const at = await ends[to].expect(method);
    reply(at);
    const answered = await onward.final();
    const text = bodyOf(answered);
    core.respond(inCore, answered.status, {
      headers: contactOf("b2bua", scenario),
      ...(text === "" ? {} : { body: text }),
    });
    const final = await asked.final();
    if (method === "INVITE" && final.status < 300) {
      await ends[from].ack(request(from, "ue", "ACK", seq));
      await core.acks.next();
      await core.ack(request(to, "core", "ACK", seq));
      await ends[to].acks.next();
    }
    clock.advance(100);
    return { status: final.status, offered: bodyOf(at.request), answered: bodyOf(final) };
  };
  return {
    offered,
    answered: bodyOf(ok),
    ask: (from, method, body, reply) =>
      pass(from, method, body, (at) => {
        const text = reply(bodyOf(at.request));
        const to = from === "caller" ? "called" : "caller";
        ends[to].respond(at, text === undefined ? 488 : 200, {
          headers: [["Contact", `<${ends[to].contact}>`]],
          ...(text === undefined || text === "" ? {} : { body: text }),
        });
      }),
    bye: async () => {
      const { status } = await pass("caller", "BYE", undefined, (at) => called.ue.respond(at, 200));
      return status;
    },
  };
};
