// Runs tests with a writer of H.248 that also notes every message in the file H248_CORPUS names, a line of hexadecimal each.
import { defineConfig } from "vitest/config";
import usual from "../../../../../vitest.config.ts";

const declaration = "export const writeH248 = (";

const noting = {
  name: "h248-corpus",
  enforce: "pre",
  transform: (code: string, id: string): string | undefined => {
    if (!id.endsWith("/h248/src/text/write.ts")) return undefined;
    if (!code.includes(declaration)) throw new Error("the writer of H.248 is not where it was");
    return [
      `import { appendFileSync } from "node:fs";`,
      code.replace(declaration, "const writeUnnoted = ("),
      // Transaction numbers do not make messages different; property tests write the same over and over.
      `const noted = new Set();`,
      `export const writeH248 = (message: H248Message, style: H248Style): Buffer => {`,
      `  const octets = writeUnnoted(message, style);`,
      `  const text = octets.toString("latin1").replaceAll(/\\d{5,}/g, "N");`,
      // Lists of thousands of contexts say nothing that short ones do not.
      `  if (noted.has(text) || noted.size > 2000 || octets.length > 8192) return octets;`,
      `  noted.add(text);`,
      `  appendFileSync(process.env["H248_CORPUS"] ?? "/dev/null", octets.toString("hex") + "\\n");`,
      `  return octets;`,
      `};`,
    ].join("\n");
  },
} as const;

export default defineConfig({ ...usual, plugins: [noting] });
