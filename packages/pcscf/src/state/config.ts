// The store section of the configuration. Owns its keys and their descriptions; opens nothing.
import * as z from "zod";

const keySource = {
  file: z
    .string()
    .min(1)
    .meta({ path: true })
    .optional()
    .describe("File with the 32 octets of the key, raw or as base64 or hex, that only its owner may read."),
  env: z.string().min(1).max(128).optional().describe("Environment variable with the key as base64 or hex."),
};

const oneSource = (source: { readonly file?: unknown; readonly env?: unknown }): boolean =>
  (source.file === undefined) !== (source.env === undefined);
const oneSourceOnly = "give the key by file or by env, by one of the two";

export const storeSchema = z
  .strictObject({
    driver: z
      .enum(["lmdb", "memory"])
      .default("lmdb")
      .describe("Where state is kept: lmdb, on the disk, outlives a restart; memory does not."),
    path: z
      .string()
      .min(1)
      .meta({ path: true })
      .optional()
      .describe("Directory of the lmdb store, made with mode 0700 when it is missing; one edge each."),
    sealing: z
      .strictObject({
        ...keySource,
        previous: z
          .array(z.strictObject(keySource).refine(oneSource, oneSourceOnly))
          .max(8)
          .default([])
          .describe(
            "Keys of before: they open what they sealed, and seal nothing. All that is kept is sealed anew at the start, so they are needed for one start.",
          ),
      })
      .refine(oneSource, oneSourceOnly)
      .optional()
      .describe("The key that seals media keys in the store (AES-256-GCM). Without it calls do not survive a restart."),
  })
  .refine(({ driver, path }) => driver === "memory" || path !== undefined, "lmdb needs a path");

/** What an edge in service keeps when its configuration says nothing: registrations, in a directory of its own. */
export const defaultStore = (directory: string): z.output<typeof storeSchema> => ({ driver: "lmdb", path: directory });
