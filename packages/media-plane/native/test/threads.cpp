// What CONTROL and PACKETS share, under the thread sanitizer: changes prepared on one thread and applied on another while
// packets flow, keys given back by one and taken by the other, counters and events read all the while.
#include <atomic>
#include <thread>

#include "plane.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

/** One place for one message: enough to hand updates over and back. */
class Slot {
 public:
  void put(Update* update) {
    while (place_.load(std::memory_order_acquire) != nullptr) std::this_thread::yield();
    place_.store(update, std::memory_order_release);
  }
  Update* take() { return place_.exchange(nullptr, std::memory_order_acq_rel); }

 private:
  std::atomic<Update*> place_{nullptr};
};

constexpr unsigned changes = 400;

}  // namespace

int main() {
  Plane plane(64);
  TestLeg access(plane, 1);
  TestLeg core(plane, 2);
  access.change(open(Protection::srtp, SuiteId::aesCm128Sha1_80, 1), 1);
  core.change(open(Protection::clear, SuiteId::aesCm128Sha1_80, 2), 1);
  Leg::join(*access.leg, *core.leg);
  Slot there;
  Slot back;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> nowNs{2};

  std::thread packets([&] {
    uint16_t sequence = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      uint64_t const now = nowNs.fetch_add(20'000'000, std::memory_order_relaxed);
      if (Update* const update = there.take()) {
        access.leg->apply(*update, now);
        back.put(update);
      }
      pass(*core.leg, Flow::rtp, rtp(1, sequence++), ipv4(2, 5000), now);
      pass(*access.leg, Flow::rtp, rtp(1, sequence), ipv4(1, 5000), now);
      if (access.leg->deadline() <= now) access.leg->tick(now);
    }
    access.leg->close();
  });

  uint64_t out = 0;
  uint64_t events = 0;
  for (unsigned at = 0; at < changes; at++) {
    LegChange change;
    change.fields = fieldProtection;
    change.protection = open(Protection::srtp, SuiteId::aesCm128Sha1_80, static_cast<uint8_t>(3 + at % 90)).protection;
    if (at % 7 == 0) change.protection.kind = Protection::awaitingKeys;
    Refusal refusal;
    std::unique_ptr<Update> update = access.ledger.prepare(change, nowNs.load(), refusal);
    if (update == nullptr) {
      std::fprintf(stderr, "change %u refused: %u\n", at, static_cast<unsigned>(refusal));
      return 1;
    }
    there.put(update.release());
    Update* applied = nullptr;
    while ((applied = back.take()) == nullptr) {
      out = access.counters.rtpOut.get();
      for (Event event; plane.events.pop(event);) events += 1;
    }
    access.ledger.settle();
    delete applied;
  }
  stop.store(true);
  packets.join();
  access.ledger.close();
  if (out == 0 || events == 0 || plane.pool.taken() != 1) {
    std::fprintf(stderr, "%llu packets, %llu events, %zu keys\n", static_cast<unsigned long long>(out),
                 static_cast<unsigned long long>(events), plane.pool.taken());
    return 1;
  }
  std::puts("ok threads");
  return 0;
}
