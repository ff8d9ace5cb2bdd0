// Places for connections: who has how many, and who makes room. RFC 3261 18.2, RFC 4291 2.5.4.
import { describe, expect, it } from "vitest";
import { sourceOf, type Flow } from "../src/index.ts";
import { createAdmission, type Place, type Share } from "../src/transport/accept.ts";

const flow = (id: string): Flow => ({
  id,
  protocol: "tcp",
  local: { address: "192.0.2.1", port: 5060 },
  remote: { address: "192.0.2.2", port: 40_000 },
  peerNames: [],
});

const open = (max: number, perAddress = max) => {
  const proven = new Set<string>();
  const dropped: string[] = [];
  const admission = createAdmission({ maxConnections: max, maxConnectionsPerAddress: perAddress }, ({ id }) =>
    proven.has(id),
  );
  const come = (share: Share, id: string, source = id): Place | undefined => {
    const place = admission.admit(share, source, share === "ours" ? undefined : () => dropped.push(id));
    place?.become(flow(id));
    return place;
  };
  return { admission, proven, dropped, come };
};
const times = (count: number, each: (at: number) => unknown): number =>
  Array.from({ length: count }, (_, at) => each(at)).filter((place) => place !== undefined).length;

describe("places for connections", () => {
  it("no share can take what is promised to the others", () => {
    const { admission, come, proven } = open(100);
    for (let at = 0; at < 200; at += 1) proven.add(`o${at}`).add(`r${at}`);
    expect(times(200, (at) => come("open", `o${at}`))).toBe(80);
    expect(times(200, (at) => come("reserved", `r${at}`))).toBe(10);
    expect(times(200, (at) => come("ours", `u${at}`))).toBe(10);
    expect(admission.total).toBe(100);
  });

  it("a share may have more than it is promised where nobody else needs it", () => {
    const { come, proven } = open(100);
    for (let at = 0; at < 200; at += 1) proven.add(`r${at}`);
    expect(times(200, (at) => come("reserved", `r${at}`))).toBe(40);
  });

  it("in a full share whoever stood longest without proof makes room; the proven and other shares do not", () => {
    const { come, proven, dropped, admission } = open(10);
    proven.add("0").add("2");
    come("reserved", "core");
    expect(times(8, (at) => come("open", String(at)))).toBe(8);
    come("open", "a");
    come("open", "b");
    expect(dropped).toEqual(["1", "3"]);
    expect(admission.total).toBe(9);
    for (const id of "4567ab") proven.add(id);
    expect(come("open", "c")).toBeUndefined();
    expect(dropped).toEqual(["1", "3"]);
  });

  it("one source has its bound, and what is given back is given back once", () => {
    const { come, admission, dropped } = open(100, 2);
    const first = come("open", "a", sourceOf("2001:db8:1:2::1"));
    expect(come("open", "b", sourceOf("2001:db8:1:2:ffff::9"))).toBeDefined();
    expect(come("open", "c", sourceOf("2001:db8:1:2:3:4:5:6"))).toBeUndefined();
    expect(come("open", "d", sourceOf("2001:db8:1:3::1"))).toBeDefined();
    first?.leave();
    first?.leave();
    expect(admission.total).toBe(2);
    expect(come("open", "e", sourceOf("2001:db8:1:2::7"))).toBeDefined();
    expect(dropped).toEqual([]);
  });

  it("without anybody to say who is proven nobody makes room", () => {
    const admission = createAdmission({ maxConnections: 1, maxConnectionsPerAddress: 1 });
    expect(admission.admit("open", "a", () => undefined)).toBeDefined();
    expect(admission.admit("open", "b", () => undefined)).toBeUndefined();
  });
});
