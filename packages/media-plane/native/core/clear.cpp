// See clear.hpp.
#include "clear.hpp"

#include <algorithm>
#include <cmath>

#include "packet.hpp"

namespace sallyport {
namespace {

// RTCP types in use (RFC 3550 12.1, RFC 4585, RFC 3611).
constexpr uint8_t firstRtcpType = 200;
constexpr uint8_t lastRtcpType = 207;

// Octets that repeat more often than ciphertext would let them. Among n random octets about n(n-1)/512 pairs are equal,
// with that variance; six deviations above is beyond what ciphertext does.
bool repetitive(uint8_t const* octets, size_t all) noexcept {
  size_t const length = std::min<size_t>(all, 512);
  uint16_t counts[256] = {};
  uint32_t pairs = 0;
  for (size_t at = 0; at < length; at++) pairs += counts[octets[at]]++;
  double const expected = static_cast<double>(length) * (static_cast<double>(length) - 1) / 512;
  return pairs > expected + 6 * std::sqrt(expected) + 2;
}

}  // namespace

bool looksClearRtp(uint8_t const* packet, size_t length, size_t header, size_t shortest) noexcept {
  return header >= 12 && (length < shortest || repetitive(packet + header, length - header));
}

// A compound whose length fields add up to the datagram: an SRTCP trailer or encrypted length fields would not.
bool looksClearRtcp(uint8_t const* packet, size_t length) noexcept {
  size_t at = 0;
  while (at + 4 <= length) {
    uint8_t const type = packet[at + 1];
    if (packet[at] >> 6 != 2 || type < firstRtcpType || type > lastRtcpType) return false;
    at += 4 + 4 * static_cast<size_t>(read16(packet + at + 2));
  }
  return at == length;
}

bool isLoneApp(uint8_t const* packet, size_t length) noexcept {
  return length >= 4 && packet[1] == 204 && length == 4 + 4 * static_cast<size_t>(read16(packet + 2));
}

}  // namespace sallyport
