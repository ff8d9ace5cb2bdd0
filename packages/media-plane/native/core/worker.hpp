// Owns what one packet thread has for all its legs: cipher contexts, scratch room, and the ring its events go to.
#pragma once
#include "cipher.hpp"
#include "events.hpp"

namespace sallyport {

class Worker {
 public:
  /** CONTROL makes it before the thread runs. Both outlive the worker; one slot of `pool` is its own. */
  Worker(EventRing& ring, KeyPool& pool) noexcept : events(ring), ciphers(pool) {}

  /** Whether OpenSSL and the pool gave everything: else the worker must not be used. */
  bool ok() const noexcept { return ciphers.ok(); }

  EventRing& events;
  Ciphers ciphers;
};

}  // namespace sallyport
