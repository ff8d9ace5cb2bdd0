// Directories for stores, thrown away after the test.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A path for a store that does not exist yet, in a directory that goes when the test is over. */
export const storePath = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "sallyport-store-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "state");
};
