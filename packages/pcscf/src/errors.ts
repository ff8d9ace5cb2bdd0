// What this element throws. Refusals of single requests are SIP responses, not errors.
import { defineErrors } from "@sallyport/kit";

export const pcscfErrors = defineErrors({
  SALLY_EDGE_FILE: {
    summary: "A file named in the configuration cannot be used.",
    action: "Check the path, who may read it, and that it is the file that is meant.",
  },
  SALLY_EDGE_NEXT_HOP: {
    summary: "The next hop cannot be used.",
    action: "Give core.nextHop a host, a port and a transport that one of core.listen serves.",
  },
});
