// The door of the package: the lab's registrar and S-CSCF.
export { coreConfigSchema } from "./config.ts";
export type { CoreConfig, CoreSettings } from "./config.ts";
export { createCore } from "./core.ts";
export type { BindingView, Core, CoreDeps } from "./core.ts";
export { imsCoreErrors } from "./errors.ts";
