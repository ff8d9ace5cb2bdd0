// Owns what can be read of a datagram without a key: its kind, and where an RTP payload begins.
// RFC 3550 5.1 and 5.3.1, RFC 5761 4, RFC 7983 7. Whatever the octets, nothing beyond `length` is read.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sallyport {

enum class Kind : uint8_t { rtp = 0, rtcp = 1, stun = 2, dtls = 3, unknown = 4 };

inline uint16_t read16(uint8_t const* at) noexcept { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
inline uint32_t read32(uint8_t const* at) noexcept {
  uint32_t value;
  std::memcpy(&value, at, 4);
  return __builtin_bswap32(value);
}
inline void write16(uint8_t* at, uint16_t value) noexcept {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void write32(uint8_t* at, uint32_t value) noexcept {
  uint32_t const swapped = __builtin_bswap32(value);
  std::memcpy(at, &swapped, 4);
}

/**
 * By the first octet (RFC 7983 7), RTP from RTCP by the second (RFC 5761 4). Too short for its protocol: unknown.
 * `rtpAlone`: nothing is multiplexed there, so only the payload types reserved for it look like RTCP (RFC 3551 6: 72 to 76).
 */
inline Kind classify(uint8_t const* octets, size_t length, bool rtpAlone = false) noexcept {
  if (length < 8) return Kind::unknown;
  uint8_t const first = octets[0];
  if (first >= 128 && first <= 191) {
    uint8_t const second = octets[1];
    if (rtpAlone ? second >= 200 && second <= 204 : second >= 192 && second <= 223) return Kind::rtcp;
    return length >= 12 ? Kind::rtp : Kind::unknown;
  }
  if (first <= 3) return length >= 20 ? Kind::stun : Kind::unknown;
  if (first >= 20 && first <= 63) return length >= 13 ? Kind::dtls : Kind::unknown;
  return Kind::unknown;
}

/**
 * Octets before the payload of an RTP packet whose header and payload end at `end`, or 0 if that is no RTP version 2
 * packet whose header fits. `end` is not beyond the datagram.
 */
inline size_t rtpHeaderLength(uint8_t const* packet, size_t end) noexcept {
  if (end < 12 || packet[0] >> 6 != 2) return 0;
  size_t length = 12 + 4 * static_cast<size_t>(packet[0] & 0x0f);
  // RFC 3550 5.3.1: the extension's length field counts 32-bit words after its own four octets.
  if ((packet[0] & 0x10) != 0) {
    if (length + 4 > end) return 0;
    length += 4 + 4 * static_cast<size_t>(read16(packet + length + 2));
  }
  return length <= end ? length : 0;
}

}  // namespace sallyport
