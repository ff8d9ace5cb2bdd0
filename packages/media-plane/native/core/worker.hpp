// Owns what one packet thread has for all its legs: cipher contexts, scratch room, and the ring its events go to.
#pragma once
#include <cstdint>

#include "cipher.hpp"
#include "events.hpp"

namespace sallyport {

class Worker {
 public:
  /** CONTROL makes it before the thread runs. Both outlive the worker; one slot of `pool` is its own. */
  Worker(EventRing& ring, KeyPool& pool) noexcept : events(ring), ciphers(pool) {}

  /** Whether OpenSSL and the pool gave everything: else the worker must not be used. */
  bool ok() const noexcept { return ciphers.ok(); }

  /** Milliseconds of the plane's clock; whole milliseconds stay whole. A batch of packets shares one conversion. */
  double milliseconds(uint64_t nowNs) noexcept {
    if (nowNs != convertedNs_) {
      convertedNs_ = nowNs;
      converted_ = static_cast<double>(nowNs / 1'000'000) + static_cast<double>(nowNs % 1'000'000) / 1e6;
    }
    return converted_;
  }

  EventRing& events;
  Ciphers ciphers;

 private:
  uint64_t convertedNs_ = 0;
  double converted_ = 0;
};

}  // namespace sallyport
