import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { gatherWrites } from "../src/index.ts";

/** What a socket hands to the system, one text for each call. */
const openSocket = (later?: (release: () => void) => unknown) => {
  const calls: string[] = [];
  const socket = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      calls.push(chunk.toString());
      done();
    },
    writev: (chunks, done) => {
      calls.push(chunks.map(({ chunk }: { chunk: Buffer }) => chunk.toString()).join(""));
      done();
    },
  });
  const gather = gatherWrites(socket, later);
  return {
    calls,
    write: (text: string) => {
      gather();
      socket.write(text);
    },
  };
};
const nextTurn = () => new Promise(setImmediate);

describe("gatherWrites", () => {
  it("lets what is written in one turn leave in one call, and what comes later in another", async () => {
    const { calls, write } = openSocket();
    write("a");
    await Promise.resolve();
    write("b");
    expect(calls).toEqual([]);
    await nextTurn();
    expect(calls).toEqual(["ab"]);
    write("c");
    await nextTurn();
    expect(calls).toEqual(["ab", "c"]);
  });
  it("lets what follows at once from one thing leave before the turn ends, where it is told so", async () => {
    const { calls, write } = openSocket((release) => process.nextTick(release));
    const turn = nextTurn();
    write("a");
    await Promise.resolve();
    write("b");
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(calls).toEqual(["ab"]);
    await turn;
    expect(calls).toEqual(["ab"]);
  });
});
