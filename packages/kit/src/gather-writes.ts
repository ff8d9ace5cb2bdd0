// Lets several writes to one connection leave together. Knows no protocol.
import type { Writable } from "node:stream";

/**
 * Gives what is to be called before each write to a socket: what is written in one turn of the event loop leaves in one
 * system call, and in one TLS record. `later` is when: by default at the end of the turn.
 */
export const gatherWrites = (
  socket: Pick<Writable, "cork" | "uncork">,
  later: (release: () => void) => unknown = setImmediate,
): (() => void) => {
  let gathering = false;
  const release = (): void => {
    gathering = false;
    socket.uncork();
  };
  return () => {
    if (gathering) return;
    gathering = true;
    socket.cork();
    later(release);
  };
};
