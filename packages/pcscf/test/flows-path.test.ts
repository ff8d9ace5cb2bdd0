// Later requests of a dialog name the way of the dialog again: for endpoints that take the way of an ACK from the answer it
// acknowledges (Sofia-SIP does), and for those that lost the dialog and make it anew. RFC 3261 16.6 step 4.
import { headerList } from "@sallyport/sip";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { establishOriginating, establishTerminating } from "./support/calls.ts";
import { openScenario, type Scenario, type TestUe } from "./support/scenario.ts";
import { coreSdp, ueAnswer, ueOffer } from "./support/sdp.ts";

let scenario: Scenario;
let alice: TestUe;
let path: string;
beforeEach(async () => {
  scenario = await openScenario();
  alice = await scenario.ue("alice");
  ({ path } = await alice.register());
});
afterEach(() => scenario.close());

describe.each(["originating", "terminating"] as const)("a call that is %s", (direction) => {
  it.each(["UE", "core"] as const)(
    "RFC 3261 16.6 step 4: a re-INVITE of the %s names us as the INVITE did, each side with its own address, and so does its answer",
    async (end) => {
      const dialog =
        direction === "originating"
          ? await establishOriginating(scenario, alice)
          : await establishTerminating(scenario, alice, path);
      const opened = headerList(dialog.invite, "record-route").slice(0, 2);
      const again = (direction === "originating") === (end === "UE");
      const [from, to] = end === "UE" ? [alice, scenario.core] : [scenario.core, alice];
      const say = (method: string, body?: string) =>
        again ? dialog.byCaller(method, 2, body) : dialog.byCalled(method, 2, body);
      const sent = from.send(say("INVITE", end === "UE" ? ueOffer() : coreSdp()));
      const arrived = await to.expect("INVITE");
      expect(headerList(arrived.request, "record-route")).toEqual(again ? opened : opened.toReversed());
      const contact = end === "UE" ? "<sip:carol@far.example:5070>" : `<${alice.contact}>`;
      to.respond(arrived, 200, { headers: [["Contact", contact]], body: end === "UE" ? coreSdp() : ueAnswer() });
      const ok = await sent.final();
      expect(ok.status).toBe(200);
      expect(headerList(ok, "record-route")).toEqual(headerList(arrived.request, "record-route"));
      await from.ack(say("ACK"));
      await to.acks.next();
    },
  );
});
