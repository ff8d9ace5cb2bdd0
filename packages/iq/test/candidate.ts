// A gateway as the choice among gateways sees it: up, unhurt, nothing held.
import type { Candidate } from "../src/controller/select.ts";
import { goodStanding } from "../src/controller/standing.ts";

export const candidate = (id: string, more: Partial<Candidate> = {}): Candidate => ({
  id,
  state: "up",
  mayHoldKeys: true,
  realms: undefined,
  weight: 1,
  capacity: undefined,
  contexts: 0,
  silent: false,
  standing: goodStanding,
  ...more,
});
