// The lab's face: its command, and the pieces that end-to-end tests are built from.
export { addLabCommand } from "./command.ts";
export { labErrors } from "./errors.ts";
