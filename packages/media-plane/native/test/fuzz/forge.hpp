// What the SRTP and SRTCP targets share: a call with keys, and an input that says which suite and what befalls a packet.
// Input: suite, flags, MKI length, position, mask, then the packet. With flag 1 the packet is sealed with the right key
// before the mask falls on its position; without it the octets go in as they are. Flag 2 sends it to the clear leg.
#pragma once
#include "plane.hpp"
#include "target.hpp"

namespace sallyport::test {

inline int forge(uint8_t const* octets, size_t length, bool rtcp) {
  if (length < 6) return 0;
  auto const suite = static_cast<SuiteId>(octets[0] % suiteCount);
  bool const sealing = (octets[1] & 1) != 0;
  bool const fromCore = (octets[1] & 2) != 0;
  size_t const position = octets[3];
  uint8_t const mask = octets[4];
  Octets packet(octets + 5, octets + length);
  if (packet.size() > 2000) return 0;

  static Plane plane;
  TestLeg access(plane, 1);
  TestLeg core(plane, 2);
  LegChange change = open(Protection::srtp, suite, 1);
  uint16_t const mkiLength = octets[2] % 6;
  for (KeyPlan* key : {change.protection.receive.data(), &change.protection.send}) {
    key->mkiLength = mkiLength;
    for (unsigned at = 0; at < mkiLength; at++) key->mki[at] = static_cast<uint8_t>(at + 7);
  }
  change.rtcpMux = true;
  LegChange clear = open(Protection::clear, suite, 2);
  clear.rtcpMux = true;
  PROMISE(access.change(change, 1) == Refusal::none && core.change(clear, 1) == Refusal::none);
  Leg::join(*access.leg, *core.leg);

  Kind const kind = classify(packet.data(), packet.size());
  bool const media = rtcp ? kind == Kind::rtcp : kind == Kind::rtp && rtpHeaderLength(packet.data(), packet.size()) > 0;
  Octets sent = packet;
  bool forged = true;
  if (sealing && media && !fromCore) {
    End end(plane, suite, change.protection.receive[0]);
    sent = rtcp ? end.sealControl(packet, octets[3]) : end.seal(packet);
    forged = mask != 0;
  }
  if (!sent.empty()) sent[position % sent.size()] ^= mask;
  if (fromCore) {
    Octets const out = pass(*core.leg, Flow::rtp, sent, ipv4(2, 5000), 2);
    // Invariant 3, outwards: nothing leaves in clear.
    PROMISE(out.empty() || out.size() > sent.size());
  } else {
    Octets const out = pass(*access.leg, Flow::rtp, sent, ipv4(1, 5000), 2);
    bool const mkiOnly = suiteOf(suite).aead ? position % sent.size() + mkiLength >= sent.size() : false;
    if (sealing && media && !forged) PROMISE(out == packet);
    // Invariant 3: what was changed does not pass; the MKI alone is not covered, and a changed one finds no key.
    else PROMISE(out.empty() || mkiOnly);
    // The second copy is a replay.
    PROMISE(pass(*access.leg, Flow::rtp, sent, ipv4(1, 5000), 2).empty());
  }
  access.leg->close();
  core.leg->close();
  access.ledger.close();
  plane.sendKeys = SendKeys();
  Event event;
  while (plane.events.pop(event)) {
  }
  PROMISE(plane.pool.taken() == 1);
  return 0;
}

}  // namespace sallyport::test
