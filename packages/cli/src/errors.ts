// What the command line can say went wrong.
import { defineErrors } from "@sallyport/kit";

export const cliErrors = defineErrors({
  SALLY_CONFIG_READ: {
    summary: "The configuration file can not be read.",
    action: "Check its name and rights; samples with every key explained are in config/.",
  },
  SALLY_CONFIG_SYNTAX: {
    summary: "The configuration file is not YAML.",
    action: "Mend the line; indentation is by blanks, never by tabs.",
  },
  SALLY_CONFIG_VALUE: {
    summary: "The configuration is not valid:",
    action: "Mend the places named; docs/configuration.md lists every key.",
  },
  SALLY_CLI_UNREACHABLE: {
    summary: "The node can not be reached:",
    action:
      "Start it with an api section in its file (config/edge.yaml has one), or name its address with --api or SALLYPORT_API.",
  },
  SALLY_CLI_ANSWER: {
    summary: "What answers there is not the management interface of this version.",
    action: "Check the address; ask with the command line of the node's own version.",
  },
  SALLY_CLI_FILE: {
    summary: "The file can not be used.",
    action: "Check its name, rights and content.",
  },
  SALLY_CLI_NOT_EMPTY: {
    summary: "The gateway still holds calls:",
    action: "Wait longer, with a larger --wait; `sallyport gw resume` takes the draining back.",
  },
  SALLY_CLI_HOLDS_CALLS: {
    summary: "The gateway holds calls that would have to move or end:",
    action: "Drain it first (`sallyport gw drain`), or say --yes.",
  },
  SALLY_CLI_LISTENER: {
    summary: "This edge has no such listening point for UEs.",
    action: "Name one of those it has with --transport.",
  },
});

/** The exit code of an error that was thrown: 3 when the node can not be reached, else 1. */
export const exitCodeOf = (code: string | undefined): number =>
  code === ("SALLY_CLI_UNREACHABLE" satisfies keyof typeof cliErrors.catalogue) ? 3 : 1;
