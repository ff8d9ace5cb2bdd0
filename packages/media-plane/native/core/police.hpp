// Owns what is decided about a datagram before anything in it is looked at: where it may come from and how much may come.
// H.248.43 (`gm`), H.248.53 (`tman`). As portable/rules.ts; time is passed in.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "address.hpp"
#include "plan.hpp"

namespace sallyport {

/** Whether an address is in a network; of two families IPv4 counts as IPv4-mapped IPv6 (RFC 4291 2.5.5.2), as in node:net. */
inline bool inPrefix(Address const& network, unsigned prefix, Address const& host) noexcept {
  static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  uint8_t const* octets = host.octets;
  uint8_t widened[16];
  if (network.family == 6 && host.family == 4) {
    std::memcpy(widened, mapped, 12);
    std::memcpy(widened + 12, host.octets, 4);
    octets = widened;
  } else if (network.family == 4 && host.family == 6) {
    if (std::memcmp(octets, mapped, 12) != 0) return false;
    octets += 12;
  }
  unsigned const whole = prefix / 8;
  if (std::memcmp(network.octets, octets, whole) != 0) return false;
  unsigned const rest = prefix % 8;
  return rest == 0 || ((network.octets[whole] ^ octets[whole]) >> (8 - rest)) == 0;
}

inline bool allows(SourceFilter const& filter, bool rtcp, Address const& from) noexcept {
  bool const own = rtcp && filter.hasRtcpPorts;
  PortSpan const& ports = own ? filter.rtcpPorts : filter.ports;
  if ((own || filter.hasPorts) && (from.port < ports.first || from.port > ports.last)) return false;
  return !filter.hasAddress || inPrefix(filter.address, filter.prefix, from);
}

/** The two token buckets of a leg, full at first. */
class Police {
 public:
  Police() = default;
  Police(Policing const& rule, double nowMs) noexcept : atMs_(nowMs) {
    sustained_.set(rule.sustainedOctetsPerS, rule.sustainedBurst);
    peak_.set(rule.peakOctetsPerS, std::max(leastPeak, rule.peakOctetsPerS * rule.peakToleranceMs / 1000));
  }

  /** What does not conform costs nothing: the next one finds what is left. */
  bool conforms(size_t octets, double nowMs) noexcept {
    double const passed = std::max(0.0, nowMs - atMs_);
    atMs_ = nowMs;
    auto const size = static_cast<double>(octets);
    sustained_.fill(passed);
    peak_.fill(passed);
    if (!sustained_.holds(size) || !peak_.holds(size)) return false;
    sustained_.octets -= size;
    peak_.octets -= size;
    return true;
  }

 private:
  // A peak rate must let a whole datagram through, however small its tolerance.
  static constexpr double leastPeak = 1500;

  /** A rate of 0: there is none, and it holds everything. */
  struct Bucket {
    double octetsPerMs = 0;
    double size = 0;
    double octets = 0;

    void set(double octetsPerS, double most) noexcept {
      octetsPerMs = octetsPerS / 1000;
      size = octets = most;
    }
    void fill(double ms) noexcept { octets = std::min(size, octets + ms * octetsPerMs); }
    bool holds(double wanted) const noexcept { return octetsPerMs == 0 || octets >= wanted; }
  };

  Bucket sustained_;
  Bucket peak_;
  double atMs_ = 0;
};

}  // namespace sallyport
