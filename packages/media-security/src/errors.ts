// The errors this package throws. Decisions do not throw: refusals are effects. Only a caller's own mistake does.
import { defineErrors } from "@sallyport/kit";

export const mediaSecurityErrors = defineErrors({
  SALLY_MEDIASEC_SUITE: {
    summary: "A crypto suite was asked for that is not implemented.",
    action: "Take the suite from the suite table, or answer only an attribute that was accepted.",
    sipStatus: 500,
  },
});
