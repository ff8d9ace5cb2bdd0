// Owns what a gateway may ask of the controller: ServiceChange and Notify; everything else is refused (TS 29.334 5.8).
// Who may speak at all is decided here: mid, certificate, transport, registration.
import type { ActionReply, ActionRequest, CommandReply, CommandRequest, H248Peer } from "@sallyport/h248";
import { terminationsOf } from "@sallyport/h248";
import { iqErrors } from "../errors.ts";
import { h248Error } from "../profile/error-text.ts";
import { keysAllowed } from "../profile/keys-allowed.ts";
import { matchesName, root } from "../profile/names.ts";
import { readServiceChange, writeAgreement } from "../profile/services.ts";
import type { IqContext } from "../types.ts";
import { sides } from "./held.ts";
import type { GatewayLink } from "./link.ts";
import { eventsOf, readNotify } from "./notify.ts";
import { spokenTo } from "./service-change-address.ts";
import type { IqGatewayEntry, IqNotification } from "./types.ts";

/** The host a mid names: `<gw-a.example>:2944` gives `gw-a.example`. */
const hostOf = (mid: string): string => /^[<[]([^>\]]*)[>\]]/.exec(mid)?.[1] ?? mid;

/** The name the certificate of this gateway must carry. */
const certificateNameOf = (entry: IqGatewayEntry): string => (entry.certificateName ?? hostOf(entry.mid)).toLowerCase();

/** H.248.1 10: over TLS the certificate must carry the gateway's name; without TLS somebody must vouch for it. */
export const mayBe = (entry: IqGatewayEntry, peer: H248Peer, lab: boolean): boolean => {
  if (entry.address !== undefined && entry.address !== peer.remote.address) return false;
  if (peer.protected) return peer.peerNames.some((name) => name.toLowerCase() === certificateNameOf(entry));
  return entry.allowUnprotected === true || keysAllowed(peer, { protectedBelow: entry.protectedBelow, lab });
};

interface Inbound {
  readonly link: GatewayLink;
  readonly peer: H248Peer;
  readonly notify: (notification: IqNotification) => void;
}

const serviceChange = (inbound: Inbound, command: CommandRequest): CommandReply => {
  const said = readServiceChange(command);
  const plain = { command: command.command, termination: command.termination, descriptors: [] };
  if (!said.ok) return { ...plain, error: said.error };
  const there = spokenTo(inbound.peer, said.value.address);
  if (!there.ok) return { ...plain, error: there.error };
  const answer = inbound.link.serviceChange(there.value, said.value);
  return answer.ok ? writeAgreement(command.termination, answer) : { ...plain, error: answer.error };
};

/** Those with a termination that is named: an interface or a realm goes as a whole (`ip/1/access/*`). */
const contextsOn = ({ contexts }: GatewayLink, names: string): readonly IqContext[] =>
  [...contexts.values()].flatMap(({ context }) => {
    const named = (termination: string): boolean =>
      terminationsOf(names).some((pattern) => matchesName(pattern, termination));
    return sides.some((side) => named(context[side])) ? [context] : [];
  });

const runCommand = (inbound: Inbound, action: ActionRequest, command: CommandRequest): CommandReply => {
  const plain = { command: command.command, termination: command.termination, descriptors: [] };
  const onRoot = command.termination.toUpperCase() === root;
  if (command.command === "ServiceChange" && onRoot) return serviceChange(inbound, command);
  if (!inbound.link.isRegistered(inbound.peer)) throw iqErrors("SALLY_IQ_NOT_REGISTERED");
  inbound.link.heard();
  const context = typeof action.context === "number" ? inbound.link.contexts.get(action.context)?.context : undefined;
  switch (command.command) {
    case "Notify": {
      // `it/ito` (are you there?) asks for nothing but an answer; congestion, overload and realms are noted.
      if (onRoot) {
        for (const { name, parameters } of eventsOf(command)) inbound.link.rootEvent(name, parameters);
        return plain;
      }
      const read = readNotify(inbound.link.entry.id, context, command);
      // H.248.36: it hangs in a context nobody knows of here. Other events may only have crossed the end of their call.
      const hangs = context === undefined && eventsOf(command).some(({ name }) => name === "hangterm/thb");
      if (hangs) inbound.link.doubt();
      if (!read.ok) return { ...plain, error: read.error };
      for (const notification of read.value) inbound.notify(notification);
      return plain;
    }
    // A termination out of service: its call has no media any more.
    case "ServiceChange": {
      const said = readServiceChange(command);
      if (!said.ok) return { ...plain, error: said.error };
      // An interface is in no context of its own: some say it of all of them, some of the null context.
      const whole = action.context === "*" || (action.context === "-" && command.termination.includes("*"));
      const hit = whole ? contextsOn(inbound.link, command.termination) : context;
      if (hit === undefined) return { ...plain, error: h248Error(411, String(action.context)) };
      if (said.value.method === "Forced") inbound.link.takenOut([hit].flat());
      return plain;
    }
    default:
      return { ...plain, error: h248Error(501, command.command) };
  }
};

/** Answers one transaction of a gateway. Throws SALLY_IQ_NOT_REGISTERED (505) before its registration. */
export const answerGateway = (inbound: Inbound, actions: readonly ActionRequest[]): readonly ActionReply[] => {
  const replies: ActionReply[] = [];
  for (const action of actions) {
    const commands: CommandReply[] = [];
    replies.push({ context: action.context, commands });
    for (const command of action.commands) {
      const reply = runCommand(inbound, action, command);
      commands.push(reply);
      // H.248.1 8.3: the first error of a command that is not optional ends the transaction.
      if (reply.error !== undefined && command.optional !== true) return replies;
    }
  }
  return replies;
};
