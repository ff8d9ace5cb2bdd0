// Owns the writing of Notify (H.248.1 7.2.7, 7.1.14). Pure.
import type { CommandRequest } from "@sallyport/h248";
import type { IqGatewayEvent } from "./types.ts";

/** `yyyymmddThhmmsscc`, UTC, hundredths of a second (H.248.1 annex B.2, TimeStamp). */
const timeStamp = (ms: number): string => {
  const digits = new Date(ms).toISOString().replaceAll(/[-:.Z]/g, "");
  return digits.slice(0, 17);
};

export const observedEvents = (event: Omit<IqGatewayEvent, "context">, now: number): CommandRequest => ({
  command: "Notify",
  termination: event.termination,
  descriptors: [
    {
      kind: "observedEvents",
      requestId: event.request,
      events: [
        {
          name: event.name,
          time: timeStamp(now),
          ...(event.stream === undefined ? {} : { stream: event.stream }),
          properties: Object.entries(event.parameters ?? {}).map(([name, value]) =>
            typeof value === "string"
              ? { name, relation: "=", values: [value] }
              : { name, relation: "all", values: value },
          ),
        },
      ],
    },
  ],
});
