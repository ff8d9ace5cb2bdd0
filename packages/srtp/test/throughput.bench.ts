// How many packets a second one core protects and opens: `npx vitest bench packages/srtp`.
import { bench, describe } from "vitest";
import { receiverOf, rtp, senderOf, packetOf, suiteNames } from "./support.ts";

describe.each(suiteNames)("%s, 160 octets of payload", (suite) => {
  const payload = Buffer.alloc(160, 0xd5);
  const sender = senderOf(suite);
  const opener = senderOf(suite);
  const receiver = receiverOf(suite);
  const packets = Array.from({ length: 65536 }, (_, sequence) => rtp(sequence, payload));
  let sent = 0;
  let opened = 0;

  bench("protect", () => {
    packetOf(sender.protectRtp(packets[sent++ % 65536] ?? payload));
  });

  bench("protect and unprotect", () => {
    packetOf(receiver.unprotectRtp(packetOf(opener.protectRtp(packets[opened++ % 65536] ?? payload))));
  });
});
