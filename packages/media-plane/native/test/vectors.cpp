// Computes what published vectors compare; one request a line on standard input, one answer a line, all in hexadecimal:
//   derive <suite> <master> <0 srtp | 1 srtcp>        -> encryption authentication salt
//   seal-rtp | open-rtp <suite> <key> <authentication|-> <salt> <mki|-> <roc> <packet>
//   seal-rtcp | open-rtcp <suite> <key> <authentication|-> <salt> <mki|-> <word> <packet>
// An open that does not verify answers "no".
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "plane.hpp"

using namespace sallyport;
using namespace sallyport::test;

namespace {

Octets octetsOf(std::string const& text) {
  Octets octets;
  if (text == "-") return octets;
  for (size_t at = 0; at + 1 < text.size(); at += 2) {
    octets.push_back(static_cast<uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
  }
  return octets;
}

void print(uint8_t const* octets, size_t length, char end) {
  for (size_t at = 0; at < length; at++) std::printf("%02x", octets[at]);
  std::putchar(end);
}

bool answer(Plane& plane, std::istringstream& line) {
  std::string what;
  std::string name;
  line >> what >> name;
  unsigned id = 0;
  while (id < suiteCount && name != suites[id].name) id += 1;
  if (id == suiteCount) return false;
  Suite const& suite = suites[id];
  if (what == "derive") {
    std::string master;
    unsigned protocol;
    line >> master >> protocol;
    Octets const octets = octetsOf(master);
    DerivedKeys keys;
    if (octets.size() != suite.masterLength() || !deriveKeys(suite, octets.data(), protocol, keys)) return false;
    print(keys.encryption, suite.keyLength, ' ');
    print(keys.authentication, suite.aead ? 0 : 20, ' ');
    print(keys.salt, suite.saltLength, '\n');
    return true;
  }
  std::string fields[5];
  uint32_t number;
  for (unsigned at = 0; at < 4; at++) line >> fields[at];
  line >> number >> fields[4];
  Octets const encryption = octetsOf(fields[0]);
  Octets const authentication = octetsOf(fields[1]);
  Octets const salt = octetsOf(fields[2]);
  Octets const mki = octetsOf(fields[3]);
  Octets packet = octetsOf(fields[4]);
  if (encryption.size() != suite.keyLength || salt.size() != suite.saltLength) return false;
  SessionKey key;
  key.pool = &plane.pool;
  key.slot = plane.pool.take();
  key.mkiLength = static_cast<uint8_t>(mki.size());
  std::copy(mki.begin(), mki.end(), key.mki);
  for (SessionHalf* half : {&key.slot->srtp, &key.slot->srtcp}) {
    Ciphers::fill(*half, encryption.data(), suite.keyLength, authentication.empty() ? nullptr : authentication.data(),
                  salt.data(), suite.saltLength);
  }
  Ciphers& ciphers = plane.worker->ciphers;
  bool const rtpPacket = what == "seal-rtp" || what == "open-rtp";
  size_t const trailer = rtpPacket ? rtpTrailer(suite, key) : rtcpTrailer(suite, key);
  size_t const length = packet.size();
  bool done;
  if (what == "seal-rtp" || what == "seal-rtcp") {
    packet.resize(length + trailer);
    done = rtpPacket ? sealRtp(ciphers, suite, key, packet.data(), length, rtpHeaderLength(packet.data(), length), number)
                     : sealRtcp(ciphers, suite, key, packet.data(), length, number);
  } else {
    if (length < 12 + trailer) return false;
    done = rtpPacket ? openRtp(ciphers, suite, key, packet.data(), length,
                               rtpHeaderLength(packet.data(), length - trailer), number)
                     : openRtcp(ciphers, suite, key, packet.data(), length, number);
    packet.resize(length - trailer);
  }
  if (done) print(packet.data(), packet.size(), '\n');
  else std::puts("no");
  return true;
}

}  // namespace

int main() {
  Plane plane;
  for (std::string text; std::getline(std::cin, text);) {
    std::istringstream line(text);
    if (answer(plane, line)) continue;
    std::fprintf(stderr, "not understood: %s\n", text.c_str());
    return 2;
  }
  return 0;
}
