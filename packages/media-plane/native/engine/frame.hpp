// Owns what stands around a datagram on the wire: Ethernet, IPv4 (RFC 791) or IPv6 (RFC 8200), UDP (RFC 768), read with the checks the
// kernel would make, and written. Whatever the octets, nothing beyond `length` is read. Knows no socket.
#pragma once
#include <cstddef>
#include <cstdint>

#include "../core/address.hpp"

namespace sallyport::frame {

inline constexpr size_t ethernetOctets = 14, headers4 = 14 + 20 + 8, headers6 = 14 + 40 + 8, mostHeaders = headers6;

/** A datagram as it stands in its frame. */
struct Datagram {
  uint8_t* octets;
  size_t length;
  Address source, local;
};

/**
 * False: it is no whole, well-formed UDP datagram from a unicast address, or a checksum is wrong. With `unfinished` a checksum that
 * stops short of the payload is good too: a virtual link between two kernels leaves it to hardware that is not there.
 */
bool read(uint8_t* octets, size_t length, bool unfinished, Datagram& datagram);

/** What the headers of a flow have in common. */
struct Way {
  uint8_t ethernet[ethernetOctets];
  Address const* local;
  Address const* to;
  uint8_t dscp;
};

inline size_t headersOf(Address const& to) { return to.family == 4 ? headers4 : headers6; }
/** Writes the headers in front of `payload`, which has `headersOf(to)` octets before it. Gives where the frame begins. */
uint8_t* write(Way const& way, uint8_t* payload, size_t length);

}  // namespace sallyport::frame
