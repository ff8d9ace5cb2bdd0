#include "frame.hpp"
#include <arpa/inet.h>
#include <cstring>

namespace sallyport::frame {
namespace {

constexpr uint8_t udp = 17, hops = 64;
constexpr uint16_t dontFragment = 0x4000, fragmented = 0x3fff;

uint16_t get16(uint8_t const* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
void put16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

/** RFC 1071 2: sums in the machine's order, eight octets at a time. */
uint64_t sum(uint8_t const* at, size_t length, uint64_t from) {
  uint64_t total = from;
  for (; length >= 8; at += 8, length -= 8) {
    uint64_t value;
    std::memcpy(&value, at, 8);
    total += value;
    total += total < value;
  }
  uint64_t rest = 0;
  std::memcpy(&rest, at, length);
  total += rest;
  return total + (total < rest);
}

uint16_t fold(uint64_t total) {
  total = (total & 0xffffffff) + (total >> 32);
  total = (total & 0xffffffff) + (total >> 32);
  auto narrow = static_cast<uint32_t>(total);
  narrow = (narrow & 0xffff) + (narrow >> 16);
  return static_cast<uint16_t>((narrow & 0xffff) + (narrow >> 16));
}

/** RFC 768, RFC 8200 8.1: addresses, protocol and length, once for source and destination each. */
uint64_t pseudo(uint8_t const* addresses, size_t octets, size_t length) {
  return sum(addresses, octets, htons(static_cast<uint16_t>(length)) + static_cast<uint64_t>(htons(udp)));
}

/** What no host may send from: this network, loopback, multicast, reserved and broadcast (RFC 6890, RFC 4291 2.5 and 2.7). */
bool unicast4(uint8_t const* at) { return at[0] != 0 && at[0] != 127 && at[0] < 224; }
bool unicast6(uint8_t const* at) {
  static constexpr uint8_t zeros[12] = {};
  static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  // With zeros in front stand unspecified, loopback and what embeds IPv4; ::ffff:0:0/96 never is on a wire.
  return at[0] != 0xff && std::memcmp(at, zeros, 12) != 0 && std::memcmp(at, mapped, 12) != 0;
}

/** The UDP header and what follows it, within `room` octets. */
bool readUdp(uint8_t* at, size_t room, uint64_t pseudoSum, size_t length, bool mayBeZero, bool unfinished, Datagram& to) {
  if (length < 8 || length > room) return false;
  uint16_t given;
  std::memcpy(&given, at + 6, 2);
  if (given == 0) {
    if (!mayBeZero) return false;
  } else if (fold(sum(at, length, pseudoSum)) != 0xffff && !(unfinished && given == fold(pseudoSum))) {
    return false;
  }
  to.source.port = get16(at);
  to.local.port = get16(at + 2);
  to.octets = at + 8;
  to.length = length - 8;
  return true;
}

}  // namespace

bool read(uint8_t* octets, size_t length, bool unfinished, Datagram& datagram) {
  if (length < headers4) return false;
  uint8_t* const ip = octets + ethernetOctets;
  const size_t room = length - ethernetOctets;
  const uint16_t type = get16(octets + 12);
  if (type == 0x0800) {
    const size_t total = get16(ip + 2);
    if (ip[0] != 0x45 || (get16(ip + 6) & fragmented) != 0 || ip[9] != udp || total > room || total < 28) return false;
    if (fold(sum(ip, 20, 0)) != 0xffff || !unicast4(ip + 12)) return false;
    datagram.source.family = datagram.local.family = 4;
    std::memcpy(datagram.source.octets, ip + 12, 4);
    std::memcpy(datagram.local.octets, ip + 16, 4);
    const size_t udpLength = get16(ip + 24);
    return readUdp(ip + 20, total - 20, pseudo(ip + 12, 8, udpLength), udpLength, true, unfinished, datagram);
  }
  if (type != 0x86dd || length < headers6) return false;
  const size_t payload = get16(ip + 4);
  if (ip[0] >> 4 != 6 || ip[6] != udp || payload > room - 40 || !unicast6(ip + 8)) return false;
  datagram.source.family = datagram.local.family = 6;
  std::memcpy(datagram.source.octets, ip + 8, 16);
  std::memcpy(datagram.local.octets, ip + 24, 16);
  const size_t udpLength = get16(ip + 44);
  // RFC 8200 8.1: without a checksum it is dropped.
  return readUdp(ip + 40, payload, pseudo(ip + 8, 32, udpLength), udpLength, false, unfinished, datagram);
}

uint8_t* write(Way const& way, uint8_t* payload, size_t length) {
  uint8_t* const header = payload - 8;
  const size_t udpLength = length + 8;
  put16(header, way.local->port);
  put16(header + 2, way.to->port);
  put16(header + 4, udpLength);
  put16(header + 6, 0);
  uint64_t addresses;
  uint8_t* ip;
  if (way.to->family == 4) {
    ip = header - 20;
    ip[0] = 0x45;
    ip[1] = static_cast<uint8_t>(way.dscp << 2);
    put16(ip + 2, udpLength + 20);
    // RFC 6864 4.1: whole and not to be cut, it needs no identification.
    put16(ip + 4, 0);
    put16(ip + 6, dontFragment);
    ip[8] = hops;
    ip[9] = udp;
    put16(ip + 10, 0);
    std::memcpy(ip + 12, way.local->octets, 4);
    std::memcpy(ip + 16, way.to->octets, 4);
    const auto checksum = static_cast<uint16_t>(~fold(sum(ip, 20, 0)));
    std::memcpy(ip + 10, &checksum, 2);
    addresses = pseudo(ip + 12, 8, udpLength);
  } else {
    ip = header - 40;
    ip[0] = static_cast<uint8_t>(0x60 | way.dscp >> 2);
    ip[1] = static_cast<uint8_t>(way.dscp << 6);
    put16(ip + 2, 0);
    put16(ip + 4, udpLength);
    ip[6] = udp;
    ip[7] = hops;
    std::memcpy(ip + 8, way.local->octets, 16);
    std::memcpy(ip + 24, way.to->octets, 16);
    addresses = pseudo(ip + 8, 32, udpLength);
  }
  auto checksum = static_cast<uint16_t>(~fold(sum(header, udpLength, addresses)));
  // RFC 768: zero would say that there is none.
  if (checksum == 0) checksum = 0xffff;
  std::memcpy(header + 6, &checksum, 2);
  std::memcpy(ip - ethernetOctets, way.ethernet, ethernetOctets);
  return ip - ethernetOctets;
}

}  // namespace sallyport::frame
