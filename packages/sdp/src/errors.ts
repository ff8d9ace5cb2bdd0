// The errors this package throws. Parsers do not throw; only an edit or an attribute that its caller built wrongly does.
import { defineErrors } from "@sallyport/kit";

export const sdpErrors = defineErrors({
  SALLY_SDP_EDIT: {
    summary: "An SDP edit does not fit the document.",
    action: "This is a defect: please report it with the evidence of the call.",
    sipStatus: 500,
    h248Error: 500,
  },
  SALLY_SDP_CRYPTO: {
    summary: "A crypto attribute cannot be written by the grammar of RFC 4568 section 9.",
    action: "This is a defect: please report it with the evidence of the call.",
    sipStatus: 500,
    h248Error: 500,
  },
});
