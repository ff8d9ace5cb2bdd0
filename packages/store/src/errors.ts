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
    action: "Free disk space, raise the store's limits or add another edge; nothing that was stored is lost.",
    sipStatus: 503,
  },
  SALLY_STORE_BUSY: {
    summary: "Too many changes wait to be written to the state store.",
    action: "Give the store a faster disk, or the edge less load.",
    sipStatus: 503,
  },
  SALLY_STORE_VALUE: {
    summary: "The value cannot be kept.",
    action: "Keep JSON values and names below the store's size limits only.",
    sipStatus: 500,
  },
  SALLY_STORE_IO: {
    summary: "The state store's file can no longer be written.",
    action: "Look at the disk's health, then restart the element: what was acknowledged is in the file.",
    sipStatus: 503,
  },
  SALLY_STORE_CORRUPT: {
    summary: "The state store's file is damaged.",
    action:
      "Stop the element, move the file away (keep it for analysis) and put a copy back, or start without one: registrations return as phones register again.",
    sipStatus: 500,
  },
  SALLY_STORE_FORMAT: {
    summary: "The state store was not written by this version or an older one.",
    action: "Run the version that wrote it, or give the store another path.",
  },
  SALLY_STORE_IN_USE: {
    summary: "The state store is open already.",
    action: "Stop the other element, or give each its own path.",
  },
  SALLY_STORE_ACCESS: {
    summary: "The state store's directory cannot be used.",
    action: "Give the store a directory of its own that its user alone may read and write (mode 0700).",
  },
  SALLY_STORE_SEALED: {
    summary: "A sealed value could not be opened.",
    action: "Give the sealing key it was sealed with as a previous key; a value that was moved or changed is lost.",
    sipStatus: 500,
  },
  SALLY_STORE_SEALING_KEY: {
    summary: "The sealing key cannot be used.",
    action:
      "Give 32 random octets, raw or as base64 or hex (`openssl rand -base64 32`), in a file with mode 0600 or in an environment variable.",
  },
});
