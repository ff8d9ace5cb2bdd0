// Owns what a leg knows of the way its packets came: loss and jitter by SSRC (RFC 3550 A.1, A.3, A.8), and the round trip
// from the RTCP that passes (RFC 3550 6.4.1). Is shown accepted packets only and decides nothing; bounded in SSRCs.
// As portable/reception.ts and portable/round-trip.ts.
#pragma once
#include <cstddef>
#include <cstdint>

#include "source-table.hpp"

namespace sallyport {

struct ReceptionSource {
  uint32_t ssrc = 0;
  bool taken = false;
  bool hasTransit = false;
  uint16_t order = 0;
  /** In timestamp units. */
  int32_t transit = 0;
  /** The next sequence number that would show a restart (RFC 3550 A.1), -1 for none. */
  int32_t restartAt = -1;
  /** 0: not known yet. */
  uint32_t rate = 0;
  uint32_t firstTimestamp = 0;
  double firstAtMs = 0;
  double jitter = 0;
  /** Extended: cycles and sequence number. */
  int64_t highest = 0;
  /** The first sequence number and what was received since, less what was lost before the last restart. */
  int64_t accounted = 0;
  uint64_t packets = 0;

  int64_t lost() const noexcept { return highest + 1 - accounted; }
};
static_assert(sizeof(ReceptionSource) == 64, "a cache line");

class Reception {
 public:
  /** One accepted RTP packet of 12 octets or more, header in clear. */
  void arrived(uint8_t const* packet, double nowMs) noexcept;

  uint64_t lost() const noexcept { return lost_ > 0 ? static_cast<uint64_t>(lost_) : 0; }
  uint64_t jitter() const noexcept { return busiestJitter_ > 0 ? static_cast<uint64_t>(busiestJitter_) : 0; }

 private:
  SourceTable<ReceptionSource> sources_;
  int64_t lost_ = 0;
  /** Of the SSRC with the most packets, the first of equals. */
  uint64_t busiestPackets_ = 0;
  uint16_t busiestOrder_ = 0;
  double busiestJitter_ = 0;
};

class RoundTrip {
 public:
  /** Milliseconds, 0 before the first. */
  uint64_t ms() const noexcept { return ms_; }
  /** RTCP that leaves, before it is protected. */
  void left(uint8_t const* packet, size_t length, double nowMs) noexcept;
  /** RTCP that was accepted, in clear. */
  void came(uint8_t const* packet, size_t length, double nowMs) noexcept;

 private:
  static constexpr unsigned remembered = 8;
  void measure(uint32_t last, uint32_t delay, double nowMs) noexcept;

  /** Middle 32 bits of the NTP timestamps of sender reports that left, and when. */
  uint32_t stamps_[remembered] = {};
  double sentAtMs_[remembered] = {};
  unsigned count_ = 0;
  unsigned next_ = 0;
  uint64_t ms_ = 0;
};

}  // namespace sallyport
