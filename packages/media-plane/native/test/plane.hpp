// Test fixture: a pair of legs as the engine holds them, an SRTP end that talks to one of them, and packets.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "leg.hpp"
#include "packet.hpp"

namespace sallyport::test {

using Octets = std::vector<uint8_t>;

inline Address ipv4(uint8_t last, uint16_t port) {
  Address address;
  address.family = 4;
  address.port = port;
  uint8_t const octets[4] = {192, 0, 2, last};
  std::memcpy(address.octets, octets, 4);
  return address;
}

inline Octets rtp(uint32_t ssrc, uint16_t sequence, size_t payload = 160) {
  Octets packet(12 + payload);
  packet[0] = 0x80;
  packet[1] = 8;
  write16(&packet[2], sequence);
  write32(&packet[4], sequence * 160u);
  write32(&packet[8], ssrc);
  // Speech repeats its octets more than ciphertext does, but must not be recognised before it is clear: count up.
  for (size_t at = 12; at < packet.size(); at++) packet[at] = static_cast<uint8_t>(at * 7 + sequence);
  return packet;
}

inline Octets rtcp(uint32_t ssrc) {
  Octets packet(28);
  packet[0] = 0x80;
  packet[1] = 200;
  packet[3] = 6;
  write32(&packet[4], ssrc);
  return packet;
}

inline KeyPlan key(SuiteId suite, uint8_t seed) {
  KeyPlan plan;
  plan.masterLength = static_cast<uint16_t>(suiteOf(suite).masterLength());
  for (unsigned at = 0; at < plan.masterLength; at++) plan.master[at] = static_cast<uint8_t>(seed * 31 + at * 11 + 1);
  return plan;
}

struct Plane {
  KeyPool pool;
  SendKeys sendKeys;
  EventRing events;
  std::unique_ptr<Worker> worker;

  explicit Plane(size_t keys = 4096) {
    KeyPool::Trouble trouble;
    if (!pool.reserve(keys, trouble)) {
      std::fprintf(stderr, "locked memory: error %d, needs %llu octets, the limit is %llu\n", trouble.error,
                   static_cast<unsigned long long>(trouble.needed), static_cast<unsigned long long>(trouble.limit));
      std::exit(77);
    }
    worker = std::make_unique<Worker>(events, pool);
    if (!worker->ok()) std::exit(77);
  }
};

struct TestLeg {
  Counters counters;
  Ledger ledger;
  std::unique_ptr<Leg> leg;

  TestLeg(Plane& plane, uint32_t id)
      : ledger(id, plane.pool, plane.sendKeys), leg(std::make_unique<Leg>(id, *plane.worker, counters)) {}

  Refusal change(LegChange const& change, uint64_t nowNs) {
    Refusal refusal;
    std::unique_ptr<Update> const update = ledger.prepare(change, nowNs, refusal);
    if (update == nullptr) return refusal;
    leg->apply(*update, nowNs);
    ledger.settle();
    return Refusal::none;
  }
};

inline LegChange open(Protection kind, SuiteId suite = SuiteId::aesCm128Sha1_80, uint8_t seed = 1) {
  LegChange change;
  change.fields = allFields;
  change.mode = Mode::sendReceive;
  change.remote = {ipv4(seed, 5000), ipv4(seed, 5001)};
  change.protection.kind = kind;
  change.protection.suite = suite;
  if (kind == Protection::srtp) {
    change.protection.receive = {key(suite, seed)};
    change.protection.send = key(suite, static_cast<uint8_t>(seed + 100));
  }
  return change;
}

/** An end with keys of its own that seals without a leg's rules. */
struct End {
  Suite const& suite;
  SessionKey session;
  Ciphers& ciphers;

  End(Plane& plane, SuiteId id, KeyPlan const& plan) : suite(suiteOf(id)), ciphers(plane.worker->ciphers) {
    if (!session.derive(suite, plan, plane.pool)) std::exit(77);
  }

  Octets seal(Octets packet, uint32_t rollover = 0) {
    size_t const length = packet.size();
    packet.resize(length + rtpTrailer(suite, session));
    sealRtp(ciphers, suite, session, packet.data(), length, rtpHeaderLength(packet.data(), length), rollover);
    return packet;
  }

  Octets sealControl(Octets packet, uint32_t index) {
    size_t const length = packet.size();
    packet.resize(length + rtcpTrailer(suite, session));
    sealRtcp(ciphers, suite, session, packet.data(), length, encryptedFlag | index);
    return packet;
  }
};

/** What came out, empty when it was dropped. */
inline Octets pass(Leg& leg, Flow flow, Octets packet, Address const& from, uint64_t nowNs, Outgoing* told = nullptr) {
  size_t const length = packet.size();
  packet.resize(length + maxGrowth);
  Outgoing out{};
  Verdict const verdict = receive(leg, flow, packet.data(), length, packet.size(), from, nowNs, out);
  if (told != nullptr) *told = out;
  packet.resize(verdict == Verdict::send ? out.length : 0);
  return packet;
}

}  // namespace sallyport::test
