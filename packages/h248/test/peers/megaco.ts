// Erlang/OTP megaco as a reader of messages: it decodes them and writes them again. What may differ then is left out.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { H248Message } from "../../src/index.ts";

const decoder = fileURLToPath(new URL("decode.escript", import.meta.url));

/** For each message `ok PRETTY COMPACT` in hexadecimal (`-`: it cannot write it again), or `refused REASON`. */
export const decodeAll = (messages: readonly Buffer[]): readonly string[] => {
  const input = messages.map((octets) => `${octets.toString("hex")}\n`).join("");
  const run = spawnSync("escript", [decoder], { input, encoding: "utf8", maxBuffer: 1 << 28 });
  return run.stdout.split("\n").slice(1, -1);
};

export const haveDecoder = (spawnSync("escript", [decoder], { input: "", encoding: "utf8" }).stdout ?? "").startsWith(
  "ready",
);

const textOf = (value: unknown): string => JSON.stringify(value).toLowerCase();
const byText = (one: unknown, other: unknown): number => (textOf(one) < textOf(other) ? -1 : 1);

/** The peer does not write the obsolete Modem descriptor. */
const isModem = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "modem";

/** What the peer may say in another way with the same meaning: case, needless quotes, white space, order of items. */
export const comparable = (message: H248Message): unknown =>
  JSON.parse(
    JSON.stringify(message, (key, value: unknown) => {
      if (key === "quoted") return undefined;
      if (typeof value === "string") return value.toLowerCase().replaceAll(/\s/g, "");
      return Array.isArray(value) ? value.filter((item) => !isModem(item)).toSorted(byText) : value;
    }),
  );
