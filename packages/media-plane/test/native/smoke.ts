// Run by any Node that strips types: `node --conditions=source smoke.ts`. Every suite through the engine that `auto` takes, with
// re-keys; ends with one line of JSON that says what ran.
import { systemClock, silentLog } from "@sallyport/kit";
import { suites, type SuiteName } from "@sallyport/srtp";
import { createMediaPlane } from "../../src/index.ts";
import { freshKeys, openWorld, packet, protectionOf, ueContexts } from "../fixture.ts";

const portRange = { first: 28_200, last: 28_999 };
let relayed = 0;
let ran = "";
for (const suite of Object.keys(suites) as SuiteName[]) {
  const { plane, reason } = createMediaPlane({ clock: systemClock, log: silentLog, engine: "auto", portRange });
  ran = `${plane.engine}: ${reason}`;
  const world = await openWorld(plane, { suite });
  const same = (one: Buffer, other: Buffer): void => {
    if (!one.equals(other)) throw new Error(`${suite}: ${one.toString("hex")} is not ${other.toString("hex")}`);
    relayed += 1;
  };
  let ue = ueContexts(world.keys);
  for (let sequence = 1; sequence <= 40; sequence++) {
    if (sequence % 10 === 0) {
      const keys = freshKeys(suite);
      plane.update(world.access.leg, { protection: protectionOf(keys) });
      ue = ueContexts(keys);
    }
    for (const kind of ["rtp", "rtcp"] as const) {
      world.ue.send(kind, ue.seal(kind, packet(kind, sequence)), world.port("access", kind));
      same(await world.core.next(kind), packet(kind, sequence));
      same(ue.open(kind, await world.fromCore(kind, packet(kind, sequence, 2))), packet(kind, sequence, 2));
    }
  }
  await world.end();
}
process.stdout.write(
  `${JSON.stringify({ node: process.version, openssl: process.versions.openssl, engine: ran, relayed })}\n`,
);
