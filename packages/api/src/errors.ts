// What the management interface can say went wrong: thrown at start, or answered as JSON `{ code, message }`.
import { defineErrors } from "@sallyport/kit";

export const apiErrors = defineErrors({
  SALLY_API_LISTEN: {
    summary: "The management interface could not listen.",
    action: "Check the address, and that the port is free; or leave the api section out.",
  },
  SALLY_API_TOKEN: {
    summary: "The token of the management interface can not be used.",
    action:
      "Write 16 to 4096 characters into the file, for example with `openssl rand -base64 32`, and let this user read it.",
  },
  SALLY_API_UNAUTHORIZED: {
    summary: "This node wants a token.",
    action:
      "Send the one of its token file as `Authorization: Bearer TOKEN`; `sallyport` takes it from --token-file or SALLYPORT_TOKEN_FILE.",
  },
  SALLY_API_HOST: {
    summary: "This node is not asked under that host name.",
    action: "Use localhost or an IP address, or add the name to api.hosts.",
  },
  SALLY_API_METHOD: {
    summary: "That can not be done at this path.",
    action: "Use GET for questions; POST only for the commands that GET /v1 lists.",
  },
  SALLY_API_PATH: {
    summary: "There is nothing at this path.",
    action: "GET /v1 lists the paths.",
  },
  SALLY_API_QUERY: {
    summary: "A query parameter is not valid.",
    action: "limit is 1 to 1000, offset 0 or more.",
  },
  SALLY_API_BODY: {
    summary: "A command comes as JSON.",
    action:
      "Send `Content-Type: application/json` and an object, `{}` where nothing has to be said (guards against web pages of others).",
  },
  SALLY_API_GATEWAY: {
    summary: "The gateway did not do it:",
    action: "Look at `sallyport gw list` for its state, and at its own log for the reason.",
  },
  SALLY_API_NOT_FOUND: {
    summary: "There is no such thing here:",
    action: "List what there is; ended calls and expired registrations are forgotten after a while.",
  },
  SALLY_API_AMBIGUOUS: {
    summary: "More than one fits:",
    action: "Give more of the id.",
  },
  SALLY_API_DEFECT: {
    summary: "The question could not be answered.",
    action: "This is a defect: please report it with the log around it.",
  },
});
