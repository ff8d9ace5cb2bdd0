// The configuration of the management interface. Owns its keys and bounds; opens nothing.
import { isIP } from "node:net";
import * as z from "zod";
import { isLoopback } from "@sallyport/kit";

export const apiConfigSchema = z
  .strictObject({
    listen: z
      .strictObject({
        address: z
          .string()
          .refine((text) => isIP(text) !== 0, "must be an IP address")
          .default("127.0.0.1")
          .describe("IP address to bind. Anything but loopback needs a token."),
        port: z.int().min(0).max(65_535).describe("TCP port; 0 lets the system choose."),
      })
      .describe("Where the management interface (HTTP) listens."),
    token: z
      .string()
      .min(1)
      .optional()
      .meta({ path: true })
      .describe(
        "File with the token that a client must send as `Authorization: Bearer`, 16 characters or more; needed off loopback. Off loopback put TLS in front.",
      ),
    hosts: z
      .array(
        z
          .string()
          .max(253)
          .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, "must be a host name without port"),
      )
      .max(16)
      .default([])
      .describe(
        "Host names under which clients may ask, besides localhost and IP addresses (guards against DNS rebinding).",
      ),
  })
  // An address that is none has its own complaint.
  .refine(({ listen: { address }, token }) => token !== undefined || isIP(address) === 0 || isLoopback(address), {
    path: ["token"],
    message: "a token file is needed when the interface does not listen on loopback",
  })
  .describe("The management interface: what this edge knows, over HTTP. Off when left out.");

/** What `createApi` takes. */
export type ApiConfig = z.output<typeof apiConfigSchema>;
/** The section as a person writes it. */
export type ApiConfigInput = z.input<typeof apiConfigSchema>;
