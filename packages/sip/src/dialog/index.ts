// The door of the dialog folder.
export { afterRequest, afterResponse, dialogFromRequest, dialogFromResponse, dialogId, dialogIdOf } from "./dialog.ts";
export type { Dialog, DialogVerdict } from "./dialog.ts";
export { dialogRequest } from "./dialog-request.ts";
export type { DialogRequest, DialogRequestExtra } from "./dialog-request.ts";
