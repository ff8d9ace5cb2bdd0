// Holds the interface it is told with the xdp engine until it is killed; says first how it is served, or why it cannot be.
import { createRequire } from "node:module";

const addon = createRequire(import.meta.url)("../../native/build/sallyport-media.node");
const { why, manner } = addon.create(() => undefined, 1, 0, 250, 0, -1, 50, process.argv[2]);
process.stdout.write(`${JSON.stringify({ why, manner })}\n`);
if (why === undefined) setInterval(() => undefined, 60_000);
else process.exit(0);
