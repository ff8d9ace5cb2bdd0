// Owns the sending side of one direction: protects RTP and RTCP and never uses an index twice (RFC 3711 3.3, 3.4, 9.1).
// What it refuses is not sent: the leg drops and counts. As packages/srtp/src/sender.ts.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "failure.hpp"
#include "indices.hpp"
#include "replay.hpp"
#include "session-key.hpp"
#include "source-table.hpp"
#include "transform.hpp"

namespace sallyport {

struct SendSource {
  uint32_t ssrc = 0;
  bool taken = false;
  /** Added to the sequence numbers of the source, modulo 2^16. */
  uint16_t shift = 0;
  /** The sequence number that would show that the source has started again; -1: the last packet was where it should be. */
  int32_t restartAt = -1;
  uint32_t rtcpNext = 0;
  uint64_t packets = 0;
  IndexWindow used;
};

/** Whether, and when, sources of a leg may be carried forward: two that share an SSRC would jump with every packet. */
class Jumps {
 public:
  /** At most eight in ten seconds; a yes counts. */
  bool allow(uint64_t nowNs) noexcept {
    if (count_ == most && nowNs - at_[next_] < withinNs) return false;
    at_[next_] = nowNs;
    next_ = (next_ + 1) % most;
    if (count_ < most) count_ += 1;
    return true;
  }

 private:
  static constexpr unsigned most = 8;
  static constexpr uint64_t withinNs = 10'000'000'000;
  uint64_t at_[most] = {};
  unsigned next_ = 0;
  unsigned count_ = 0;
};

struct Sending {
  Suite const* suite = nullptr;
  SourceTable<SendSource> sources;
  SessionKey key;
  Terms terms;
  /** Set with the first packet: read by CONTROL, which may give an unused key to another leg. */
  std::shared_ptr<std::atomic<bool>> used;

  /** What an earlier sender used under this very key: never again, and it counts towards the lifetime. */
  void resume(Indices const& before);
  Indices indices();
};

/** What the leg is to hear of a packet besides its fate. */
struct SendNews {
  bool carriedForward = false;
  bool expiring = false;
};

/**
 * Per SSRC the index is guessed as a receiver guesses it (RFC 3711 3.3.1). An index above every used one is sent; one up to
 * 127 below the highest if it was not used (reordering); everything else is refused. When a packet was refused because it was
 * below those 127 and the very next of its SSRC follows it by one, the source has started again (RFC 3550 A.1): from then on
 * its sequence numbers are shifted to go on above the highest used.
 * `length` becomes that of the SRTP packet, in place; `capacity` is what the buffer holds.
 */
Failure protectRtp(Sending& sending, Ciphers& ciphers, Jumps& jumps, uint64_t nowNs, uint8_t* packet, size_t& length,
                   size_t capacity, SendNews& news) noexcept;

/** SRTCP indices are counted per SSRC from 0 (RFC 3711 3.4). First admitted, giving the index; then sealed under it. */
Failure admitRtcp(Sending& sending, uint8_t const* packet, size_t length, size_t capacity, uint32_t& index,
                  SendNews& news) noexcept;
Failure sealAdmitted(Sending& sending, Ciphers& ciphers, uint8_t* packet, size_t& length, uint32_t index) noexcept;

}  // namespace sallyport
