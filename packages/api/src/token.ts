// Reads the token of the management interface from its file.
import { readFile } from "node:fs/promises";
import { apiErrors } from "./errors.ts";

const shortest = 16;
const longest = 4096;

/** @throws SALLY_API_TOKEN */
export const readToken = async (file: string): Promise<string> => {
  let text: string;
  try {
    text = (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw apiErrors("SALLY_API_TOKEN", `${(cause as NodeJS.ErrnoException).code ?? "It can not be read"}.`, {
      where: file,
      cause,
    });
  }
  if (text.length < shortest || text.length > longest || /\s/.test(text))
    throw apiErrors("SALLY_API_TOKEN", `It has ${text.length} characters, or a blank inside.`, { where: file });
  return text;
};
