import { silentLog, systemClock } from "@sallyport/kit";
import { createPortablePlane } from "../src/index.ts";
import { mediaPlaneContract } from "./contract.ts";

mediaPlaneContract("portable", () =>
  createPortablePlane({ clock: systemClock, log: silentLog, portRange: { first: 21_000, last: 21_999 } }),
);
