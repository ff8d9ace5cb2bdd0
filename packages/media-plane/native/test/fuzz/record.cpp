// Control records: whatever octets JavaScript's block of memory holds, reading them does no harm, what they ask for is done or
// refused, and afterwards no key is left: neither in the block nor in the pool.
#include "../../engine/record.hpp"

#include <algorithm>
#include <memory>

#include "plane.hpp"
#include "target.hpp"

using namespace sallyport;
using namespace sallyport::test;

int LLVMFuzzerTestOneInput(uint8_t const* octets, size_t length) {
  static Plane plane;
  std::unique_ptr<uint8_t[]> const block(new uint8_t[record::size]());
  std::copy(octets, octets + std::min(length, record::size), block.get());
  ReadChange change;
  if (readChange(block.get(), change)) {
    TestLeg leg(plane, 1);
    PROMISE(leg.change(open(Protection::clear), 1) == Refusal::none);
    if (leg.change(change, 2) == Refusal::none) {
      pass(*leg.leg, Flow::rtp, rtp(1, 1), ipv4(1, 5000), 3);
      pass(*leg.leg, Flow::rtcp, rtcp(1), ipv4(1, 5001), 4);
      leg.leg->tick(UINT64_MAX / 2);
    }
    leg.leg->close();
    leg.ledger.close();
  }
  bool const hadKeys = (change.fields & fieldProtection) != 0;
  for (size_t key = 0; hadKeys && key <= maxReceiveKeys; key++) {
    uint8_t const* const master = &block[record::keys + key * record::keySize + record::keyMaster];
    PROMISE(std::all_of(master, master + maxMasterLength, [](uint8_t octet) { return octet == 0; }));
  }
  plane.sendKeys = SendKeys();
  Event event;
  while (plane.events.pop(event)) {
  }
  PROMISE(plane.pool.taken() == 1);
  return 0;
}
