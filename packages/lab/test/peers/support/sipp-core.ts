// The stage for SIPp as the core: one edge, alice behind it, registered by a SIPp that asks for nothing. Knows no call flow.
import { headerValue } from "@sallyport/sip";
import type { UeCall } from "@sallyport/ue";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { until } from "../../../src/demo/await.ts";
import { voiceOf } from "../../../src/speech.ts";
import type { LabUe } from "../../../src/topology/lab.ts";
import { domain, leaks, nothingLeft, startEdges, type Edges } from "./edges.ts";
import { recvRequest, respond, type Step } from "./scenario.ts";
import { runSipp, sippPorts, type SippRun } from "./sipp.ts";

export const far = "sip:far@far.example";

/** A registrar that asks for nothing. */
export const registrar: readonly Step[] = [
  recvRequest("REGISTER"),
  respond("200 OK", {
    tag: true,
    contact: "[last_Contact:]",
    headers: [
      "[last_Path:]",
      "Service-Route: <sip:orig@[local_ip]:[local_port];transport=[transport];lr>",
      `P-Associated-URI: <sip:alice@${domain}>`,
      "Expires: 600",
    ],
  }),
];

export interface SippCore {
  readonly edges: Edges;
  readonly alice: LabUe;
  /** SIPp waits for a call. */
  answering(...steps: readonly Step[]): Promise<SippRun>;
  /** SIPp makes a call, along the Path that alice's registration left. */
  calling(...steps: readonly Step[]): Promise<SippRun>;
  /** Answers the next call; settles when it rings. */
  nextCall(): Promise<UeCall>;
  /** Settles when the answer of a call that came in has passed the edge: what alice says before, her gateway has no key for. */
  connected(call: UeCall): Promise<void>;
}

/** Speaks, and hears SIPp send every octet back. */
export const speakToEcho = async (call: UeCall, ms = 300): Promise<void> => {
  await call.play(voiceOf("alice", ms));
  await until("every octet to come back", () => call.sent.octets().equals(call.received.octets()));
};

export const expectSecured = (call: UeCall): void => {
  expect(call.report().security).toBe("e2ae");
  expect(call.received.octets().length).toBeGreaterThan(2000);
};

/** Sets the stage up before the tests of a suite and takes it down after; nothing may be left after any of them. */
export const sippCore = (protocol: "udp" | "tcp"): SippCore => {
  let ports: Awaited<ReturnType<typeof sippPorts>>;
  let edges: Edges;
  let alice: LabUe;
  let values: Record<string, string> = {};
  let running: SippRun | undefined;

  const sipp = async (steps: readonly Step[], remotePort?: number): Promise<SippRun> => {
    running = await runSipp(steps, { ...ports, protocol, values, ...(remotePort === undefined ? {} : { remotePort }) });
    return running;
  };

  beforeAll(async () => {
    ports = await sippPorts();
    edges = await startEdges({ corePort: ports.port, coreProtocol: protocol, sides: ["a"] });
    const registering = await sipp(registrar);
    alice = await edges.addUe("alice", "a", { security: { e2ae: "required", dialect: "draft" } });
    await alice.ue.register();
    await registering.done;
    const seen = edges.crossings.find(
      ({ side, direction, message }) => side === "core" && direction === "out" && message.kind === "request",
    )?.message;
    const contact = /<(?<uri>[^>]*)>/.exec((seen && headerValue(seen, "contact")) ?? "")?.groups?.["uri"] ?? "";
    values = { path: (seen && headerValue(seen, "path")) ?? "", contact, user: "alice", domain };
  });
  afterEach(async ({ task }) => {
    await running?.stop();
    // What SIPp saw says more than what the test missed.
    if (task.result?.state !== "pass") return running?.done;
    await nothingLeft(edges);
  });
  afterAll(async () => {
    if (edges === undefined) return;
    const farewell = await sipp(registrar);
    await edges.close();
    await farewell.done;
    expect(leaks(edges.crossings)).toEqual([]);
  });

  return {
    get edges() {
      return edges;
    },
    get alice() {
      return alice;
    },
    answering: (...steps) => sipp(steps),
    calling: (...steps) => sipp(steps, edges.a.edge.core[0]?.port ?? 0),
    nextCall: () =>
      new Promise((resolve) => {
        alice.ue.onCall((call) => {
          resolve(call);
          return {};
        });
      }),
    connected: async (call) => {
      await call.answered;
      await until("the answer to pass the edge", () =>
        edges.a.edge.calls().some(({ callId, answeredAt }) => callId === call.id && answeredAt !== undefined),
      );
    },
  };
};
