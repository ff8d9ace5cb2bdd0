// See statistics.hpp.
#include "statistics.hpp"

#include <cmath>

#include "packet.hpp"

namespace sallyport {
namespace {

constexpr uint32_t maxDropout = 3000;
constexpr uint32_t maxMisorder = 100;
constexpr uint32_t cycle = 65536;
constexpr double measureMs = 500;

// RFC 3551 6, tables 4 and 5: the payload types that name their clock; 0 for the others.
uint32_t staticRate(unsigned type) noexcept {
  switch (type) {
    case 0: case 1: case 2: case 3: case 4: case 5: case 7: case 8: case 9: case 12: case 13: case 15: case 18:
      return 8000;
    case 6:
      return 16000;
    case 10: case 11:
      return 44100;
    case 16:
      return 11025;
    case 17:
      return 22050;
    case 14: case 25: case 26: case 28: case 31: case 32: case 33: case 34:
      return 90000;
    default:
      return 0;
  }
}

/** The usual clock rate nearest to what the stream showed; the gateway is not told which codec a payload type is. */
uint32_t measuredRate(uint32_t advance, double ms) noexcept {
  double const shown = static_cast<double>(advance) * 1000 / ms;
  uint32_t best = 8000;
  for (uint32_t const rate : {8000u, 16000u, 32000u, 48000u, 90000u}) {
    if (std::fabs(rate - shown) < std::fabs(best - shown)) best = rate;
  }
  return best;
}

uint32_t rateOf(ReceptionSource& source, uint8_t const* packet, uint32_t timestamp, double nowMs) noexcept {
  if (source.rate > 0) return source.rate;
  source.rate = staticRate(packet[1] & 0x7fu);
  double const passed = nowMs - source.firstAtMs;
  if (source.rate == 0 && passed >= measureMs) source.rate = measuredRate(timestamp - source.firstTimestamp, passed);
  return source.rate;
}

/** RFC 3550 A.1 without probation; false for a packet that stands outside the sequence. */
bool follow(ReceptionSource& source, uint16_t sequence) noexcept {
  uint32_t const ahead = static_cast<uint32_t>(sequence - source.highest) & 0xffff;
  if (ahead < maxDropout) {
    source.highest += ahead;
  } else if (ahead <= cycle - maxMisorder) {
    if (sequence != source.restartAt) {
      source.restartAt = static_cast<uint16_t>(sequence + 1);
      return false;
    }
    source.accounted = sequence - source.lost();
    source.highest = sequence;
  }
  source.restartAt = -1;
  source.accounted += 1;
  return true;
}

/** RFC 3550 A.8: J += (|D| - J) / 16. Timestamps wrap; the difference of two transits does not. */
void hasten(ReceptionSource& source, uint32_t rate, uint32_t timestamp, double nowMs) noexcept {
  auto const arrival = static_cast<int64_t>(nowMs * rate / 1000 + 0.5);
  auto const transit = static_cast<int32_t>(static_cast<uint32_t>(arrival) - timestamp);
  if (source.hasTransit) {
    auto const apart =
        static_cast<int32_t>(static_cast<uint32_t>(transit) - static_cast<uint32_t>(source.transit));
    source.jitter += (std::fabs(static_cast<double>(apart)) - source.jitter) / 16;
  }
  source.transit = transit;
  source.hasTransit = true;
}

}  // namespace

void Reception::arrived(uint8_t const* packet, double nowMs) noexcept {
  uint32_t const ssrc = read32(packet + 8);
  uint16_t const sequence = read16(packet + 2);
  uint32_t const timestamp = read32(packet + 4);
  ReceptionSource* source = sources_.find(ssrc);
  if (source == nullptr) {
    if (sources_.size() >= maxSources) return;
    source = sources_.add(ssrc);
    if (source == nullptr) return;
    source->order = static_cast<uint16_t>(sources_.size());
    source->accounted = source->highest = sequence;
    source->firstAtMs = nowMs;
    source->firstTimestamp = timestamp;
    // An SSRC without a packet yet has lost one by this count; the packet itself takes it back.
    lost_ += source->lost();
  }
  source->packets += 1;
  int64_t const lostBefore = source->lost();
  if (follow(*source, sequence)) {
    lost_ += source->lost() - lostBefore;
    uint32_t const rate = rateOf(*source, packet, timestamp, nowMs);
    if (rate != 0) hasten(*source, rate, timestamp, nowMs);
  }
  bool const busier = source->packets > busiestPackets_ ||
                      (source->packets == busiestPackets_ && source->order < busiestOrder_);
  if (!busier && source->order != busiestOrder_) return;
  busiestPackets_ = source->packets;
  busiestOrder_ = source->order;
  busiestJitter_ = source->jitter;
}

namespace {

constexpr uint8_t senderReport = 200;
constexpr uint8_t receiverReport = 201;
constexpr size_t reportBlockLength = 24;

/** Calls `visit` with each sender or receiver report of a compound; stops at lengths that do not fit. */
template <class Visit>
void eachReport(uint8_t const* packet, size_t length, Visit visit) {
  size_t at = 0;
  while (at + 8 <= length) {
    size_t const end = at + 4 + 4 * static_cast<size_t>(read16(packet + at + 2));
    if (end > length) return;
    uint8_t const type = packet[at + 1];
    if (type == senderReport || type == receiverReport) visit(type, at, end);
    at = end;
  }
}

}  // namespace

void RoundTrip::left(uint8_t const* packet, size_t length, double nowMs) noexcept {
  eachReport(packet, length, [&](uint8_t type, size_t at, size_t end) {
    if (type != senderReport || at + 28 > end) return;
    stamps_[next_] = read32(packet + at + 10);
    sentAtMs_[next_] = nowMs;
    next_ = (next_ + 1) % remembered;
    if (count_ < remembered) count_ += 1;
  });
}

void RoundTrip::came(uint8_t const* packet, size_t length, double nowMs) noexcept {
  if (count_ == 0) return;
  eachReport(packet, length, [&](uint8_t type, size_t at, size_t end) {
    unsigned const blocks = packet[at] & 0x1f;
    size_t block = at + (type == senderReport ? 28 : 8);
    for (unsigned index = 0; index < blocks && block + reportBlockLength <= end; index++, block += reportBlockLength) {
      measure(read32(packet + block + 16), read32(packet + block + 20), nowMs);
    }
  });
}

void RoundTrip::measure(uint32_t last, uint32_t delay, double nowMs) noexcept {
  // LSR 0: it has heard no report yet.
  if (last == 0) return;
  for (unsigned at = 0; at < count_; at++) {
    if (stamps_[at] != last) continue;
    double const ms = std::floor(nowMs - sentAtMs_[at] - static_cast<double>(delay) * 1000 / 65536 + 0.5);
    // Clocks that are not quite alike can make a short way negative.
    ms_ = ms < 1 ? 1 : static_cast<uint64_t>(ms);
    return;
  }
}

}  // namespace sallyport
