// What a store can throw.
import { defineErrors } from "@sallyport/kit";

export const storeErrors = defineErrors({
  SALLY_STORE_CLOSED: {
    summary: "The state store is closed.",
    action: "Close the element before its store.",
    sipStatus: 500,
  },
  SALLY_STORE_FULL: {
    summary: "The state store holds as much as it may.",
    action: "Raise the store's limits or add another edge.",
    sipStatus: 503,
  },
  SALLY_STORE_VALUE: {
    summary: "The value cannot be kept.",
    action: "Keep JSON values below the store's size limit only.",
    sipStatus: 500,
  },
});
