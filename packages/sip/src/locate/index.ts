// The door of the locate folder.
export type { Resolver } from "./locate.ts";
export { createLocator } from "./locator.ts";
export type { Locator } from "./locator.ts";
export { systemResolver } from "./system-resolver.ts";
