// The words of a call as its owner sees it. Knows no SIP message.
import type { Law } from "../media/g711.ts";
import type { Recording } from "../media/recording.ts";
import type { StreamView } from "../media/stream.ts";
import type { Sound } from "../media/wav.ts";
import type { Direction } from "./description.ts";
import type { Asked, MediaSecurity, SecurityNote, SecurityWish } from "./security.ts";

export type CallState = "calling" | "ringing" | "answered" | "ended";

export interface CallEnd {
  readonly by: "us" | "them" | "network";
  readonly why: string;
  /** Final status of the INVITE when the call was never answered. */
  readonly status?: number;
}

export interface CallOptions {
  /** Media security of this call; default `policy`. */
  readonly security?: SecurityWish;
  /** How long to wait for an answer, ms; default 60000. */
  readonly timeoutMs?: number;
}

/** What to do with a call that came in. */
export interface AnswerOptions {
  /** Default true. */
  readonly accept?: boolean;
  /** Status of a refusal; default 603. */
  readonly status?: number;
  /** Ring this long first, ms; default 0. */
  readonly ringMs?: number;
}

export interface CallReport {
  readonly id: string;
  readonly direction: "originating" | "terminating";
  readonly peer: string;
  readonly state: CallState;
  /** What our offer asked for. */
  readonly asked: Asked;
  /** What came of it; undefined before an agreement. */
  readonly security: MediaSecurity | undefined;
  /** What the UE found remarkable, `no-applied` above all. */
  readonly notes: readonly SecurityNote[];
  readonly suite?: string;
  readonly fingerprints?: { readonly ours: string; readonly theirs: string };
  readonly codec?: Law;
  readonly mediaDirection: Direction;
  readonly media: StreamView;
  /** Final status of the INVITE, once there is one. */
  readonly status?: number;
  readonly end?: CallEnd;
}

export interface UeCall {
  /** The Call-ID. */
  readonly id: string;
  readonly direction: "originating" | "terminating";
  /** URI of the other side. */
  readonly peer: string;
  readonly state: CallState;
  /** Rejects SALLY_UE_CALL (with `status`) or SALLY_UE_NOT_SECURED when the call never gets there. */
  readonly answered: Promise<void>;
  readonly ended: Promise<CallEnd>;
  report(): CallReport;
  /** Plays a WAV file, by path or already read, to its end. Rejects SALLY_UE_FILE, SALLY_UE_WAV, SALLY_UE_CALL_ENDED. */
  play(sound: string | Sound): Promise<void>;
  /** Sends digits 0-9 * # A-D as telephone-event. */
  sendDigits(digits: string): Promise<void>;
  /** Resolves once the digits received end with these. */
  digitsReceived(digits: string): Promise<void>;
  /** Payload octets that came in and that went out. */
  readonly received: Recording;
  readonly sent: Recording;
  /** Writes what came in as a WAV. Rejects SALLY_UE_FILE. */
  writeRecording(path: string): Promise<void>;
  /** Offers the stream again: unchanged keys, another direction where given (kept for later offers). Rejects SALLY_UE_CALL with the status. */
  reinvite(direction?: Direction): Promise<void>;
  /** CANCEL, BYE or a refusal, whatever fits the state. Resolves when the call has ended. */
  hangup(): Promise<CallEnd>;
}
