// Owns what the access gateway throws at start. Commands on Iq answer with H.248 error values instead.
import { defineErrors } from "@sallyport/kit";

export const accessGatewayErrors = defineErrors({
  SALLY_GW_CONFIG: {
    summary: "The gateway's configuration can not work.",
    action: "Correct the named value in the gateway's configuration.",
  },
  SALLY_GW_FILE: {
    summary: "A file of the gateway's configuration can not be used.",
    action: "Check the path, who may read it, and that it is the file that is meant.",
  },
});
