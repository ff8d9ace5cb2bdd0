// Headers on the wire: what is written is read again, what was changed on the way is refused, and nothing beyond a frame is looked at.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "../engine/frame.hpp"

using namespace sallyport;

namespace {

[[noreturn]] void fail(std::string const& why) {
  std::fprintf(stderr, "frames: %s\n", why.c_str());
  std::exit(1);
}

Address host(uint8_t family, uint8_t last, uint16_t port) {
  Address address;
  address.family = family;
  address.port = port;
  if (family == 4) {
    const uint8_t octets[4] = {10, 0, 0, last};
    std::memcpy(address.octets, octets, 4);
  } else {
    address.octets[0] = 0xfd;
    address.octets[15] = last;
  }
  return address;
}

/** In memory of exactly its size: the sanitizer sees what reads beyond it. */
bool readsWhole(uint8_t const* octets, size_t length, bool unfinished, frame::Datagram& datagram) {
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[length]);
  if (length > 0) std::memcpy(copy.get(), octets, length);
  const bool good = frame::read(copy.get(), length, unfinished, datagram);
  if (good) {
    const auto at = static_cast<size_t>(datagram.octets - copy.get());
    if (at > length || datagram.length > length - at) fail("a datagram reaches beyond its frame");
  }
  return good;
}

bool reads(uint8_t const* octets, size_t length, bool unfinished = false) {
  frame::Datagram datagram{};
  return readsWhole(octets, length, unfinished, datagram);
}

/** RFC 768, RFC 791 and RFC 1071, written out by hand for 10.0.0.1:1000 to 10.0.0.2:2000 with the octets "hi!" and DSCP 46. */
const uint8_t known[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0xb8, 0, 0x1f, 0, 0, 0x40, 0, 64, 17, 0x26, 0x14, 10,
                         0, 0, 1, 10, 0, 0, 2, 0x03, 0xe8, 0x07, 0xd0, 0, 11, 0x56, 0xb4, 'h', 'i', '!'};

void knownFrame() {
  const Address local = host(4, 1, 1000), to = host(4, 2, 2000);
  uint8_t buffer[128] = {};
  std::memcpy(buffer + 64, "hi!", 3);
  frame::Way way{};
  std::memcpy(way.ethernet, known, sizeof way.ethernet);
  way.local = &local;
  way.to = &to;
  way.dscp = 46;
  uint8_t const* const start = frame::write(way, buffer + 64, 3);
  if (start != buffer + 64 - frame::headers4) fail("the frame begins elsewhere");
  for (size_t at = 0; at < sizeof known; ++at) {
    if (start[at] != known[at]) fail("octet " + std::to_string(at) + " is " + std::to_string(start[at]));
  }
}

void roundTrips(std::mt19937& random) {
  for (unsigned round = 0; round < 4000; ++round) {
    const uint8_t family = round % 2 == 0 ? 4 : 6;
    const Address local = host(family, 1, static_cast<uint16_t>(1 + random() % 65535));
    const Address to = host(family, 2, static_cast<uint16_t>(1 + random() % 65535));
    const size_t length = round < 600 ? round / 2 : random() % 1400;
    uint8_t buffer[2048];
    uint8_t* const payload = buffer + 64;
    for (size_t at = 0; at < length; ++at) payload[at] = static_cast<uint8_t>(random());
    frame::Way way{};
    way.ethernet[12] = family == 4 ? 0x08 : 0x86;
    way.ethernet[13] = family == 4 ? 0x00 : 0xdd;
    way.local = &local;
    way.to = &to;
    way.dscp = static_cast<uint8_t>(random() % 64);
    uint8_t* const start = frame::write(way, payload, length);
    const size_t headers = frame::headersOf(to), whole = headers + length;
    frame::Datagram datagram{};
    if (!readsWhole(start, whole, false, datagram)) fail("what was written cannot be read");
    if (datagram.length != length || datagram.source != local || datagram.local != to) fail("something else is read");
    // Ethernet's own minimum leaves octets behind the datagram.
    if (!reads(start, whole + 18)) fail("padding is refused");
    if (reads(start, whole - 1)) fail("a frame cut short is read");
    // One bit: in what IPv4's header or UDP's checksum covers. IPv6 leaves class, label and hop limit to others.
    const size_t at = frame::ethernetOctets + random() % (whole - frame::ethernetOctets), in6 = at - frame::ethernetOctets;
    if (family == 6 && (in6 < 4 || in6 == 7)) continue;
    const auto bit = static_cast<uint8_t>(1 << random() % 8);
    start[at] ^= bit;
    frame::Datagram changed{};
    // Without a checksum (RFC 768) nothing is told by it: only a change of the checksum itself can come to that.
    if (readsWhole(start, whole, false, changed)) fail("bit changed at " + std::to_string(at) + " of IPv" + std::to_string(family));
    start[at] ^= bit;
    if (reads(start, random() % whole)) fail("a frame cut short is read");
  }
}

void refusals() {
  uint8_t octets[sizeof known];
  const auto changed = [&](size_t at, uint8_t value, bool mended) {
    std::memcpy(octets, known, sizeof known);
    octets[at] = value;
    if (mended) {
      octets[24] = octets[25] = 0;
      uint32_t sum = 0;
      for (size_t pair = 14; pair < 34; pair += 2) sum += static_cast<uint32_t>(octets[pair] << 8 | octets[pair + 1]);
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
      octets[24] = static_cast<uint8_t>(~sum >> 8);
      octets[25] = static_cast<uint8_t>(~sum);
      octets[40] = octets[41] = 0;
    }
    return reads(octets, sizeof known);
  };
  if (!changed(26, 10, true)) fail("RFC 768: no checksum is none");
  for (const uint8_t first : {0, 127, 224, 255}) {
    if (changed(26, first, true)) fail("a source no host may have is read: " + std::to_string(first));
  }
  if (changed(20, 0x20, true)) fail("the first of several fragments is read");
  if (changed(21, 1, true)) fail("a later fragment is read");
  if (changed(14, 0x46, true)) fail("options are read");
  if (changed(23, 6, true)) fail("another protocol is read");
  if (changed(39, 7, true) || changed(39, 12, true)) fail("a UDP length that does not fit is read");
  // The sum over addresses, protocol and length alone: good where hardware was to go on from there, and nowhere else.
  std::memcpy(octets, known, sizeof known);
  octets[40] = 0x14;
  octets[41] = 0x1f;
  if (reads(octets, sizeof known) || !reads(octets, sizeof known, true)) fail("an unfinished checksum");
}

void garbage(std::mt19937& random) {
  uint8_t octets[256];
  for (unsigned round = 0; round < 200'000; ++round) {
    const size_t length = random() % sizeof octets;
    if (round % 2 == 0) {
      for (size_t at = 0; at < length; ++at) octets[at] = static_cast<uint8_t>(random());
    }
    octets[12] = round % 3 == 0 ? 0x86 : 0x08;
    octets[13] = round % 3 == 0 ? 0xdd : 0x00;
    octets[14] = round % 3 == 0 ? 0x60 : 0x45;
    octets[20] = round % 3 == 0 ? 17 : 0;
    octets[23] = 17;
    reads(octets, length, round % 5 == 0);
  }
}

}  // namespace

int main() {
  std::mt19937 random(7);
  knownFrame();
  roundTrips(random);
  refusals();
  garbage(random);
  std::printf("ok frames\n");
  return 0;
}
