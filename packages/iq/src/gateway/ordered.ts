// Owns the order of a gateway's commands: those of one context never overlap, whatever messages they came in (H.248.1 8).
import { inTurn } from "../in-turn.ts";
import type { IqGatewayHandler } from "./types.ts";

export const ordered = (handler: IqGatewayHandler): IqGatewayHandler => {
  const turn = inTurn();
  return {
    ...handler,
    add: (request) =>
      request.context === "new" ? handler.add(request) : turn(request.context, () => handler.add(request)),
    modify: (request) => turn(request.context, () => handler.modify(request)),
    subtract: (request) => turn(request.context, () => handler.subtract(request)),
  };
};
