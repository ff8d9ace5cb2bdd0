// Reads the token of the management interface from its file.
import { readFile } from "node:fs/promises";
import { faultOf } from "@sallyport/kit";
import { apiErrors } from "./errors.ts";

const shortest = 16;
const longest = 4096;

/** @throws SALLY_API_TOKEN */
export const readToken = async (file: string): Promise<string> => {
  let text: string;
  try {
    text = (await readFile(file, "utf8")).trim();
  } catch (cause) {
    throw apiErrors("SALLY_API_TOKEN", `${faultOf(cause)}.`, {
      where: file,
      cause,
    });
  }
  const wrong =
    text.length < shortest || text.length > longest
      ? `It has ${text.length} characters.`
      : /[^\x21-\x7e]/.test(text)
        ? "It has a blank inside, a line break, or a character that no header carries."
        : undefined;
  if (wrong !== undefined) throw apiErrors("SALLY_API_TOKEN", wrong, { where: file });
  return text;
};
