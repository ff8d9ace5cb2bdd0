// Owns what an IP address and port are to the core: comparable octets, no text and no sockaddr.
// Knows no socket; the engine converts from and to the system's form.
#pragma once
#include <cstdint>
#include <cstring>

namespace sallyport {

/** `family` is 4, 6 or 0 for none. `port` and `scope` (of a link-local IPv6 address) in host order; IPv4 in the first four octets. */
struct Address {
  uint8_t octets[16] = {};
  uint32_t scope = 0;
  uint16_t port = 0;
  uint8_t family = 0;
  uint8_t reserved = 0;
};
static_assert(sizeof(Address) == 24, "read by memcmp");

inline bool sameHost(Address const& a, Address const& b) noexcept {
  return a.family == b.family && a.scope == b.scope && std::memcmp(a.octets, b.octets, 16) == 0;
}

inline bool operator==(Address const& a, Address const& b) noexcept { return a.port == b.port && sameHost(a, b); }
inline bool operator!=(Address const& a, Address const& b) noexcept { return !(a == b); }

}  // namespace sallyport
