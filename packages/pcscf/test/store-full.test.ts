// Registrations while the store takes nothing: nobody is told what is not kept, and what was told stands.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStore, storeErrors, type StateStore } from "@sallyport/store";
import { establishTerminating } from "./support/calls.ts";
import { contactOf, registerRaw } from "./support/registering.ts";
import { openScenario, type Scenario, type TestUe } from "./support/scenario.ts";

let scenario: Scenario;
let store: StateStore;
let alice: TestUe;

beforeEach(async () => {
  store = memoryStore();
  scenario = await openScenario({ store });
  alice = await scenario.ue("alice", { protocol: "udp" });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await scenario.close();
});

const full = () => {
  vi.spyOn(store, "put").mockRejectedValue(storeErrors("SALLY_STORE_FULL"));
  vi.spyOn(store, "batch").mockRejectedValue(storeErrors("SALLY_STORE_FULL"));
};
const errors = (): readonly string[] =>
  scenario.logs.filter(({ level }) => level === "error").map(({ fields }) => String(fields["error"]));

describe("SALLY_STORE_FULL: registrations", () => {
  it("RFC 3261 10.3: one that can not be kept is answered 500, told in the log, and goes through when there is room", async () => {
    full();
    const aor = "sip:dave@home.example";
    const refused = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 1 });
    expect(refused.response.status).toBe(500);
    expect(errors().join()).toContain("SALLY_STORE_FULL");
    vi.restoreAllMocks();
    const taken = await registerRaw(scenario, alice, { aor, contacts: [contactOf(alice)], seq: 2 });
    expect(taken.response.status).toBe(200);
    expect((await store.list("pcscf/bindings")).length).toBe(1);
  });

  it("one that was acknowledged stands: a refresh that can not be kept is answered 500, the UE is called all the same, also after a restart", async () => {
    const { path } = await alice.register();
    const kept = await store.list("pcscf/bindings");
    full();
    const refresh = await registerRaw(scenario, alice, { aor: alice.aor, contacts: [`<${alice.contact}>`], seq: 9 });
    expect(refresh.response.status).toBe(500);
    const dialog = await establishTerminating(scenario, alice, path);
    expect(dialog.offered).toContain("RTP/SAVP");
    expect(await store.list("pcscf/bindings")).toEqual(kept);
    vi.restoreAllMocks();
    await scenario.restart();
    expect((await establishTerminating(scenario, alice, path, { callId: "after" })).offered).toContain("RTP/SAVP");
  });
});
