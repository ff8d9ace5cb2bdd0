import { silentLog } from "@sallyport/kit";
import { lmdbStore } from "../src/index.ts";
import { stateStoreContract } from "./contract.ts";
import { storePath } from "./paths.ts";

stateStoreContract("lmdb", () => lmdbStore({ path: storePath(), log: silentLog, paceMs: 0 }));
stateStoreContract("lmdb, paced", () => lmdbStore({ path: storePath(), log: silentLog, paceMs: 1 }));
