// Owns what a script may say: one key per step, checked before anything runs. Knows nothing of how a step is done.
import * as z from "zod";

const path = (what: string) => z.string().min(1).meta({ path: true }).describe(what);
const timeout = (fallback: number) =>
  z.int().min(1).max(3_600_000).default(fallback).describe("How long the step may take, ms.");
const securityWish = z.enum(["policy", "e2ae", "e2e", "none"]);

const yes = (what: string) => z.literal(true).describe(what);

const range = z.strictObject({
  min: z.number().optional().describe("At least."),
  max: z.number().optional().describe("At most."),
});

const expectation = z.strictObject({
  registered: z.boolean().optional().describe("Whether the UE is registered."),
  networkE2ae: z.boolean().optional().describe("Whether the network announced e2ae at registration (TS 33.328 7.1)."),
  state: z.enum(["ringing", "answered", "ended"]).optional().describe("State of the latest call."),
  security: z
    .enum(["e2ae", "e2e", "unconfirmed", "none"])
    .optional()
    .describe("What protects the latest call's media."),
  suite: z.string().optional().describe("Crypto suite of the latest call."),
  status: z.int().min(100).max(699).optional().describe("Final SIP status of the latest call's INVITE."),
  digits: z.string().optional().describe("DTMF digits received in the latest call, all of them."),
  packetsReceived: range.optional().describe("RTP packets accepted in the latest call."),
  packetsSent: range.optional().describe("RTP packets sent in the latest call."),
  lost: range.optional().describe("RTP packets lost towards this UE (RFC 3550 A.3)."),
  refusedPackets: range.optional().describe("Packets dropped: bad tag, replay, clear on a protected stream."),
});

export const stepSchema = z
  .strictObject({
    register: yes("Register, and wait until it is done.").optional(),
    deregister: yes("Take the registration back.").optional(),
    call: z
      .strictObject({
        to: z.string().min(1).describe("SIP or tel URI to call."),
        security: securityWish.default("policy").describe("Media security of this call; policy: as configured."),
        timeoutMs: timeout(30_000),
        expectStatus: z.int().min(300).max(699).optional().describe("The call has to fail with this SIP status."),
      })
      .optional()
      .describe("Call somebody, and wait for the answer."),
    answer: z
      .strictObject({
        timeoutMs: timeout(30_000),
        ringMs: z.int().min(0).max(600_000).default(0).describe("Ring this long before answering, ms."),
        status: z.int().min(300).max(699).optional().describe("Refuse with this status instead."),
      })
      .optional()
      .describe("Wait for a call and answer it."),
    play: path("WAV to play to the end in the latest call.").optional(),
    dtmf: z
      .string()
      .regex(/^[0-9*#A-D]{1,64}$/)
      .optional()
      .describe("Digits to send as telephone-event (RFC 4733)."),
    record: path("WAV to write what was received in the latest call to.").optional(),
    hold: yes("Re-INVITE with a=sendonly.").optional(),
    resume: yes("Re-INVITE with a=sendrecv.").optional(),
    wait: z.int().min(0).max(3_600_000).optional().describe("Let this many ms pass."),
    waitForEnd: z
      .strictObject({ timeoutMs: timeout(60_000) })
      .optional()
      .describe("Wait until the other side ends the latest call."),
    waitForDigits: z
      .strictObject({
        digits: z.string().min(1).max(64).describe("Digits that have to come."),
        timeoutMs: timeout(30_000),
      })
      .optional()
      .describe("Wait until these DTMF digits have come."),
    hangup: yes("End the latest call.").optional(),
    expect: expectation.optional().describe("Facts that must hold now."),
  })
  .refine(
    (step) => Object.values(step).filter((value) => value !== undefined).length === 1,
    "a step has exactly one key",
  )
  .describe("One step: register, call, answer, play, dtmf, record, hold, resume, wait, hangup, expect...");

export const scriptSchema = z.array(stepSchema).max(10_000);

export type Step = z.output<typeof stepSchema>;
/** As written by a person: defaults may be left out. */
export type StepInput = z.input<typeof stepSchema>;
export type Expectation = z.output<typeof expectation>;
