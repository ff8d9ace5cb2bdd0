// Where the published vectors are, beside the repository; tests that need them are skipped where they are absent.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const directory = fileURLToPath(new URL("../../../../shared/vectors/", import.meta.url));

export const hasPublished = (folder: string): boolean => existsSync(`${directory}${folder}`);

export const published = (path: string): Buffer => readFileSync(`${directory}${path}`);
