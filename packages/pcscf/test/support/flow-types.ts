// The words of a published call flow: its parties, what they say, the dialogs between them. No behaviour here.
import type { ServerTransaction, SipRequest, SipResponse } from "@sallyport/sip";
import type { End, FlowKind } from "./flow-checks.ts";
import type { Sent } from "./peer.ts";
import type { Scenario, TestUe } from "./scenario.ts";

export type Headers = readonly (readonly [string, string])[];
export type Party = "caller" | "called";

export interface RequestParts {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Headers;
  readonly seq?: number;
  readonly contact?: string;
  /** Parameters of the Contact. */
  readonly params?: string;
}

interface InitialParts extends RequestParts {
  readonly callId?: string;
  readonly uri?: string;
  /** A whole From, where it is that of a request before. */
  readonly from?: string;
}

export interface Passed {
  readonly sent: Sent;
  readonly asked: SipRequest;
  /** As it came to the other end. */
  readonly arrived: ServerTransaction;
  readonly by: Party;
}

interface ResponseParts {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Headers;
  readonly tag?: string;
  readonly contact?: string;
  readonly params?: string;
}

/** Both views of one dialog. RFC 3261 12.1. */
export interface Dialog {
  readonly tag: string;
  /** Sends a request of one end; nobody has taken it yet. */
  send(by: Party, method: string, parts?: RequestParts): { readonly sent: Sent; readonly asked: SipRequest };
  /** Sends it, and takes it at the other end. */
  pass(by: Party, method: string, parts?: RequestParts): Promise<Passed>;
  /** The ACK of a 2xx to an INVITE with the number `seq`; what came of it at the other end. */
  ack(by: Party, seq: number, parts?: RequestParts): Promise<SipRequest>;
  /** Sends the ACK only. */
  sendAck(by: Party, seq: number, parts?: RequestParts): Promise<void>;
  /** A whole BYE. */
  bye(by: Party): Promise<void>;
  /** Where the end is from now on, after a target refresh. */
  moved(party: Party, contact: string): void;
}

export interface Flow {
  readonly kind: FlowKind;
  readonly scenario: Scenario;
  readonly ue: TestUe;
  readonly path: string;
  readonly caller: End;
  readonly called: End;
  /** Contexts the gateway has lost by itself. */
  lost: number;
  end(party: Party): End;
  /** The INVITE of the caller, taken by the called. `body` "" offers nothing. */
  invite(parts?: InitialParts): Promise<Passed>;
  /** A request that opens no dialog here, or one that is no call. */
  outside(by: Party, method: string, parts?: InitialParts): Promise<Passed>;
  /** Answers, and takes that answer at whoever asked. */
  reply(passed: Passed, status: number, parts?: ResponseParts): Promise<SipResponse>;
  /** Answers and waits for nothing. */
  say(passed: Passed, status: number, parts?: ResponseParts): void;
  dialog(passed: Passed, response: SipResponse): Dialog;
  /** The dialog of a place that has not answered yet: its first word is a NOTIFY (RFC 6665 4.1.2.4). */
  placed(passed: Passed, tag: string): Dialog;
  /** INVITE, 180, 200, ACK. */
  call(parts?: { readonly offer?: string; readonly answer?: string }): Promise<{
    readonly dialog: Dialog;
    readonly passed: Passed;
    readonly offered: string;
    readonly answered: string;
  }>;
  /** What the gateway was told to do, in order. */
  orders(): readonly string[];
  nothingLeft(): Promise<void>;
  close(): Promise<void>;
}
