#include "record.hpp"
#include <arpa/inet.h>
#include <net/if.h>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace sallyport {
namespace {

template <typename Number>
Number read(uint8_t const* at) {
  Number value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/** What is no number, or is beyond what is meant, becomes the nearest bound. */
double amount(uint8_t const* at) {
  const auto value = read<double>(at);
  return value > 0 ? std::min(value, 1e15) : 0;
}

template <typename Choice>
Choice choice(uint8_t value, Choice last) {
  return static_cast<Choice>(std::min(value, static_cast<uint8_t>(last)));
}

void wipe(void* at, size_t size) {
  std::memset(at, 0, size);
  __asm__ __volatile__("" : : "r"(at) : "memory");
}

void readKey(uint8_t const* at, KeyPlan& key) {
  using namespace record;
  key.masterLength = read<uint16_t>(at + keyMasterLength);
  key.mkiLength = read<uint16_t>(at + keyMkiLength);
  key.lifetime = read<uint64_t>(at + keyLifetime);
  std::memcpy(key.master, at + keyMaster, maxMasterLength);
  std::memcpy(key.mki, at + keyMki, maxMki);
}

bool readFilter(uint8_t const* octets, LegChange& change) {
  using namespace record;
  change.filtered = octets[filtered] != 0;
  change.filter.hasAddress = octets[hasAddress] != 0;
  change.filter.hasPorts = octets[hasPorts] != 0;
  change.filter.hasRtcpPorts = octets[hasRtcpPorts] != 0;
  const bool good = readAddress(octets + filter, change.filter.address);
  change.filter.prefix = std::min<uint8_t>(octets[prefix], change.filter.address.family == 6 ? 128 : 32);
  change.filter.ports = {read<uint16_t>(octets + filterPorts), read<uint16_t>(octets + filterPorts + 2)};
  change.filter.rtcpPorts = {read<uint16_t>(octets + filterPorts + 4), read<uint16_t>(octets + filterPorts + 6)};
  return good;
}

}  // namespace

bool readAddress(uint8_t const* text, Address& address) {
  char copy[record::textSize];
  std::memcpy(copy, text, sizeof copy);
  copy[sizeof copy - 1] = 0;
  address = {};
  if (copy[0] == 0) return true;
  if (inet_pton(AF_INET, copy, address.octets) == 1) {
    address.family = 4;
    return true;
  }
  char* zone = std::strchr(copy, '%');
  if (zone != nullptr) {
    *zone++ = 0;
    address.scope = if_nametoindex(zone);
    if (address.scope == 0) address.scope = static_cast<uint32_t>(std::strtoul(zone, nullptr, 10));
  }
  if (inet_pton(AF_INET6, copy, address.octets) != 1) return false;
  address.family = 6;
  return true;
}

ReadChange::~ReadChange() {
  wipe(&protection.send, sizeof protection.send);
  if (!protection.receive.empty()) wipe(protection.receive.data(), protection.receive.size() * sizeof(KeyPlan));
}

bool readChange(uint8_t* octets, ReadChange& change) {
  using namespace record;
  change.fields = read<uint32_t>(octets + fields) & allFields;
  change.mode = choice(octets[mode], Mode::sendReceive);
  change.rtcpMux = octets[mux] != 0;
  change.latch = choice(octets[latch], LatchRule::relatch);
  change.dscp = octets[dscp] & 63;
  change.inactivityNs = static_cast<uint64_t>(std::min(amount(octets + inactivityMs), 1e12) * 1e6);
  bool good = true;
  if ((change.fields & fieldRemote) != 0) {
    good = readAddress(octets + remote, change.remote.rtp) && readAddress(octets + remoteRtcp, change.remote.rtcp);
    if (change.remote.rtcp.family == 0) change.remote.rtcp = change.remote.rtp;
    change.remote.rtp.port = read<uint16_t>(octets + remoteRtpPort);
    change.remote.rtcp.port = read<uint16_t>(octets + remoteRtcpPort);
  }
  if ((change.fields & fieldFilter) != 0) good = readFilter(octets, change) && good;
  if ((change.fields & fieldPolicing) != 0) {
    change.policed = octets[policed] != 0;
    change.policing.sustainedOctetsPerS = amount(octets + sustained);
    change.policing.sustainedBurst = amount(octets + sustainedBurst);
    change.policing.peakOctetsPerS = amount(octets + peak);
    change.policing.peakToleranceMs = amount(octets + peakTolerance);
  }
  if ((change.fields & fieldProtection) != 0) {
    change.protection.kind = choice(octets[protection], Protection::transparent);
    change.protection.suite = choice(octets[suite], static_cast<SuiteId>(suiteCount - 1));
    if (change.protection.kind == Protection::srtp) {
      readKey(octets + keys, change.protection.send);
      // More than the record holds stay empty: the core refuses their number.
      change.protection.receive.resize(octets[receiveKeys]);
      const size_t count = std::min<size_t>(octets[receiveKeys], maxReceiveKeys);
      for (size_t at = 0; at < count; ++at) readKey(octets + keys + (1 + at) * keySize, change.protection.receive[at]);
    }
    wipe(octets + keys, (1 + maxReceiveKeys) * keySize);
  }
  return good;
}

}  // namespace sallyport
