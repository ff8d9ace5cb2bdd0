// What the lab can say went wrong.
import { defineErrors } from "@sallyport/kit";

export const labErrors = defineErrors({
  SALLY_LAB_CERTIFICATES: {
    summary: "The lab's throw-away certificates are not there.",
    action: "Run `npm run setup` in the root of the checkout.",
  },
  SALLY_LAB_TIMEOUT: {
    summary: "The lab waited too long:",
    action: "The machine may be busy; start again, with --log-level debug to see more.",
  },
});
