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
  SALLY_CLI_UNREADY: {
    summary: "The element could not start:",
    action: "Mend the cause and start it again.",
  },
});
