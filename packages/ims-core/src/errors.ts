// The catalogue of what the lab core throws.
import { defineErrors } from "@sallyport/kit";

export const imsCoreErrors = defineErrors({
  SALLY_CORE_CONFIG: {
    summary: "The configuration of the core is not valid.",
    action: "Correct the named key; docs list what each one takes.",
  },
  SALLY_CORE_FILE: {
    summary: "A file named in the core's configuration can not be used.",
    action: "Check the path, who may read it, and that it is the file that is meant.",
  },
});
