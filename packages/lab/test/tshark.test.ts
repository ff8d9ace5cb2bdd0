// A second reader: Wireshark's dissectors read every SIP and H.248 message of a whole call, and say what they think of it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../src/demo/await.ts";
import type { Sighting } from "../src/watch/recorder.ts";
import { pcapOf } from "../src/watch/pcap.ts";
import { connect, openLab, registered, speak } from "./support/lab.ts";
import { nameOf, sdpIn } from "./support/wires.ts";

const hasTshark = spawnSync("tshark", ["--version"]).status === 0;
const ports = { sip: 5060, iq: 2944 } as const;
const fields = [
  "frame.number",
  "_ws.col.Protocol",
  "sip.Method",
  "sip.Status-Code",
  "sip.CSeq.method",
  "megaco.transid",
  "megaco.command",
  "sdp.media.proto",
  "_ws.malformed",
  "_ws.expert.severity",
  "_ws.expert.message",
] as const;

type Row = Readonly<Record<(typeof fields)[number], string>>;

/** What tshark says of each datagram of a capture. */
const dissected = (
  folder: string,
  datagrams: readonly { readonly kind: "sip" | "iq"; readonly at: number; readonly octets: Buffer }[],
): readonly Row[] => {
  const file = join(folder, "lab.pcap");
  const captured = datagrams.map(({ kind, at, octets }) => ({
    at,
    sourcePort: ports[kind],
    destinationPort: ports[kind],
    octets,
  }));
  writeFileSync(file, pcapOf(captured));
  const args = ["-r", file, "-T", "fields", "-E", "separator=\t", ...fields.flatMap((field) => ["-e", field])];
  const read = spawnSync("tshark", args, { encoding: "utf8" });
  if (read.status !== 0) throw new Error(read.stderr);
  return read.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const cells = line.split("\t");
      return Object.fromEntries(fields.map((field, at) => [field, cells[at] ?? ""])) as Row;
    });
};

/**
 * Complaints that are the dissector's own, and allowed. Its known ones are about bare Signals descriptors, ContextAudit and
 * MKI; none of these is in a call of the lab, so none is allowed.
 */
const allowed: readonly RegExp[] = [];

const complaints = (rows: readonly Row[]): readonly string[] =>
  rows.flatMap((row) => {
    const said = [row["_ws.malformed"], row["_ws.expert.message"]].filter((text) => text !== "").join("; ");
    return said === "" || allowed.some((pattern) => pattern.test(said))
      ? []
      : [`frame ${row["frame.number"]}: ${said}`];
  });

describe.skipIf(!hasTshark)("the wires as tshark reads them [tshark]", () => {
  let folder: string;
  let sightings: readonly Sighting[];
  let rows: readonly Row[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "sallyport-"));
    const lab = await openLab({ transport: "open", change: { edge: { iq: { inactivityMs: 60_000 } } } });
    try {
      const { alice, bob } = await registered(lab, { alice: {}, bob: { media: { rtcpMux: true } } });
      const ends = await connect(alice, bob, {}, { ringMs: 20 });
      await speak(ends, 200);
      await ends.calling.reinvite("sendonly");
      await ends.calling.hangup();
      await ends.called.ended;
      await until("both gateways to be released", () => lab.a.gateway.contexts() + lab.b.gateway.contexts() === 0);
    } finally {
      await lab.close();
    }
    sightings = lab.recorder.sightings.slice();
    rows = dissected(folder, sightings);
  });
  afterAll(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it("dissects every SIP message as SIP, with the method or status that was sent", () => {
    expect(rows.length).toBe(sightings.length);
    const read = sightings.flatMap((sighting, at) => (sighting.kind === "sip" ? [{ sighting, row: rows[at] }] : []));
    expect(read.length).toBeGreaterThan(50);
    for (const { sighting, row } of read) {
      expect(row?.["_ws.col.Protocol"]).toMatch(/^SIP(\/SDP)?$/);
      const name =
        row?.["sip.Method"] === "" ? `${row["sip.Status-Code"]} ${row["sip.CSeq.method"]}` : row?.["sip.Method"];
      expect(name).toBe(nameOf(sighting));
      if (sighting.message.body.length > 0) expect(row?.["sdp.media.proto"]).toBe(sdpIn(sighting).media[0]?.protocol);
    }
  });

  it("TS 33.328 6.2.1.3 (a): dissects every message on Iq as H.248, with its transaction, its commands and its SDP", () => {
    const read = sightings.flatMap((sighting, at) => (sighting.kind === "iq" ? [{ sighting, row: rows[at] }] : []));
    expect(read.length).toBeGreaterThan(18);
    for (const { sighting, row } of read) {
      expect(row?.["_ws.col.Protocol"]).toMatch(/^MEGACO/);
      const { body } = sighting.message;
      const first = body.kind === "transactions" ? body.transactions[0] : undefined;
      if (first === undefined || first.kind === "ack") throw new Error("not what a lab sends first");
      expect(row?.["megaco.transid"]?.split(",")).toContain(String(first.id));
      expect(row?.["megaco.command"]).toMatch(/^(Add|Modify|Subtract|ServiceChange|AuditValue)/);
    }
    const carried = new Set(read.flatMap(({ row }) => row?.["sdp.media.proto"]?.split(",") ?? []));
    expect(carried).toEqual(new Set(["", "RTP/AVP", "RTP/SAVP"]));
  });

  it("complains about nothing", () => {
    expect(complaints(rows)).toEqual([]);
  });

  it("would have complained about a header nobody knows and a message cut short", () => {
    const offer = sightings.find((sighting) => sighting.kind === "sip" && sighting.message.body.length > 0);
    const add = sightings.find(({ kind, octets }) => kind === "iq" && octets.includes("crypto"));
    if (offer === undefined || add === undefined) throw new Error("nothing to break");
    const broken = [
      { ...offer, octets: Buffer.from(offer.octets.toString("latin1").replace("CSeq:", "X-Unheard-Of: 1\r\nCSeq:")) },
      { ...add, octets: add.octets.subarray(0, add.octets.length - 40) },
    ];
    expect(complaints(dissected(folder, broken))).toHaveLength(2);
  });
});
