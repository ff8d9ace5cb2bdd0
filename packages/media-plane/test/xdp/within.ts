// Test fixture: runs a test file once more within the plane's namespace and gives each of its tests as one of ours.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { makeLink } from "./namespaces.ts";

export interface Outcome {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages: readonly string[];
}

interface Report {
  readonly testResults: readonly { readonly message: string; readonly assertionResults: readonly Outcome[] }[];
}

/** @throws what the other run said when there is no report. */
export const runWithin = async (file: string): Promise<readonly Outcome[]> => {
  const link = makeLink();
  try {
    const root = fileURLToPath(new URL("../../../..", import.meta.url));
    const vitest = fileURLToPath(new URL("../../../../node_modules/vitest/vitest.mjs", import.meta.url));
    const args = [process.execPath, vitest, "run", "--root", root, "--reporter=json", file];
    const child = spawn("ip", ["netns", "exec", link.near, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SALLYPORT_MEDIA_GROUND: JSON.stringify(link) },
    });
    const ended = once(child, "exit");
    const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await ended;
    const start = said.indexOf("{");
    if (start < 0) throw new Error(`no report: ${said}${complained}`);
    const { testResults } = JSON.parse(said.slice(start)) as Report;
    const unsaid = testResults.map(({ message }) => message).join("");
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (all.length === 0) throw new Error(`no test ran: ${unsaid}${complained}`);
    return all;
  } finally {
    link.remove();
  }
};
