// Owns what the packet thread knows of the ways to where packets go: bounded, asked of the resolver and told by it. Knows no leg.
#pragma once
#include <cstdint>
#include <vector>

#include "resolver.hpp"

namespace sallyport::xdp {

struct Hop {
  Address local, to;
  /** Of this entry; 0: nobody's. */
  uint32_t serial = 0;
  /** -1: by the ordinary sockets, for now at least. */
  int interface = -1;
  uint32_t mtu = 0;
  Mac mac{};
  uint64_t usedNs = 0, askedNs = 0;
};

class Hops {
 public:
  Hops();

  /** Null where there is no room. Ports of both are of no account. */
  Hop* find(Address const& local, Address const& to);
  Hop* at(uint32_t place, uint32_t serial) {
    Hop& hop = hops_[place];
    return serial != 0 && hop.serial == serial ? &hop : nullptr;
  }
  uint32_t placeOf(Hop const& hop) const { return static_cast<uint32_t>(&hop - hops_.data()); }
  /** Lets go of what was not used since then, some at each call; `gone(hop)` for each. */
  template <typename Gone>
  void expire(uint64_t beforeNs, Gone&& gone) {
    for (uint32_t left = expiredAtOnce; left > 0; --left) {
      if (++place_ >= mostHops) place_ = 0;
      Hop& hop = hops_[place_];
      if (hop.serial == 0 || hop.usedNs >= beforeNs) continue;
      gone(hop);
      forget(hop);
    }
  }
  size_t count() const { return mostHops - free_.size(); }

 private:
  static constexpr uint32_t buckets = 2 * mostHops, expiredAtOnce = 64;
  static constexpr uint16_t none = 0xffff;
  static uint32_t bucketOf(Address const& local, Address const& to);
  void forget(Hop& hop);
  std::vector<Hop> hops_;
  std::vector<uint16_t> free_, table_;
  uint32_t serials_ = 0, place_ = 0;
};

}  // namespace sallyport::xdp
