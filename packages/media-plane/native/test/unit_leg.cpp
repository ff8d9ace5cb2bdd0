// Legs: the path of packets, and what it must not do: allocate, use an index twice, touch what is not its own.
#include <cstdlib>
#include <new>
#include <random>
#include <set>

#include "cases.hpp"
#include "plane.hpp"

namespace {
bool counting = false;
unsigned long allocations = 0;
}  // namespace

// Every allocation of C++ passes here; OpenSSL's own are seen by CRYPTO_set_mem_functions.
void* operator new(size_t size) {
  if (counting) allocations += 1;
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

#include <openssl/crypto.h>

namespace {
void* cryptoMalloc(size_t size, char const*, int) {
  if (counting) allocations += 1;
  return std::malloc(size);
}
void* cryptoRealloc(void* memory, size_t size, char const*, int) {
  if (counting) allocations += 1;
  return std::realloc(memory, size);
}
void cryptoFree(void* memory, char const*, int) { std::free(memory); }
// Before OpenSSL allocates anything itself.
bool const hooked = CRYPTO_set_mem_functions(cryptoMalloc, cryptoRealloc, cryptoFree) == 1;
}  // namespace

namespace sallyport::test {
namespace {

struct Call {
  Plane plane;
  TestLeg access{plane, 1};
  TestLeg core{plane, 2};
  End ue;

  explicit Call(SuiteId suite = SuiteId::aesCm128Sha1_80) : ue(plane, suite, key(suite, 1)) {
    EXPECT(access.change(open(Protection::srtp, suite, 1), 1) == Refusal::none);
    EXPECT(core.change(open(Protection::clear, suite, 2), 1) == Refusal::none);
    Leg::join(*access.leg, *core.leg);
  }
  Octets fromUe(Octets const& packet, Flow flow = Flow::rtp) {
    return pass(*access.leg, flow, packet, ipv4(1, 5000), 2);
  }
  Octets fromCore(Octets const& packet, Flow flow = Flow::rtp) {
    return pass(*core.leg, flow, packet, ipv4(2, 5000), 2);
  }
};

void bothWays() {
  for (unsigned at = 0; at < suiteCount; at++) {
    auto const suite = static_cast<SuiteId>(at);
    Call call(suite);
    End core(call.plane, suite, key(suite, 101));
    EXPECT(call.fromUe(call.ue.seal(rtp(5, 1))) == rtp(5, 1));
    EXPECT(call.fromUe(call.ue.sealControl(rtcp(5), 1), Flow::rtcp) == rtcp(5));
    EXPECT(call.fromCore(rtp(6, 9)) == core.seal(rtp(6, 9)));
    EXPECT(call.fromCore(rtcp(6), Flow::rtcp) == core.sealControl(rtcp(6), 0));
    EXPECT(call.fromUe(call.ue.seal(rtp(5, 1))).empty());
    EXPECT(call.access.counters.replays.get() == 1);
  }
}

void allocates() {
  EXPECT(hooked);
  for (unsigned at = 0; at < suiteCount; at++) {
    auto const suite = static_cast<SuiteId>(at);
    Call call(suite);
    std::vector<Octets> sealed;
    for (uint16_t sequence = 0; sequence < 60; sequence++) {
      sealed.push_back(call.ue.seal(rtp(1, sequence)));
      sealed.push_back(call.ue.sealControl(rtcp(1), sequence));
    }
    Octets const clear = rtp(1, 0);
    std::vector<uint8_t> buffer(1024);
    allocations = 0;
    uint64_t sent = 0;
    for (size_t packet = 0; packet < sealed.size(); packet++) {
      // The first of each flow makes the contexts of its SSRC.
      counting = packet >= 2;
      Outgoing out;
      Flow const flow = packet % 2 == 0 ? Flow::rtp : Flow::rtcp;
      std::memcpy(buffer.data(), sealed[packet].data(), sealed[packet].size());
      sent += receive(*call.access.leg, flow, buffer.data(), sealed[packet].size(), buffer.size(), ipv4(1, 5000), packet,
                      out) == Verdict::send;
      std::memcpy(buffer.data(), clear.data(), clear.size());
      write16(&buffer[2], static_cast<uint16_t>(packet));
      sent += receive(*call.core.leg, Flow::rtp, buffer.data(), clear.size(), buffer.size(), ipv4(2, 5000), packet,
                      out) == Verdict::send;
      // A replay, a forgery and a packet in clear cost nothing either.
      std::memcpy(buffer.data(), sealed[packet].data(), sealed[packet].size());
      buffer[20] ^= static_cast<uint8_t>(packet % 3);
      receive(*call.access.leg, flow, buffer.data(), sealed[packet].size(), buffer.size(), ipv4(1, 5000), packet, out);
    }
    counting = false;
    EXPECT(sent == 2 * sealed.size());
    EXPECT(allocations == 0);
  }
}

/** Whatever the core sends, no index is used twice: what leaves under one key and SSRC is told apart by ROC and sequence. */
void neverTwice() {
  std::mt19937 random(3);
  for (int round = 0; round < 30; round++) {
    Call call;
    Receiving observer;
    observer.suite = &suiteOf(SuiteId::aesCm128Sha1_80);
    observer.keyCount = 1;
    EXPECT(observer.first.derive(*observer.suite, key(SuiteId::aesCm128Sha1_80, 101), call.plane.pool));
    std::set<std::vector<uint8_t>> seen;
    uint16_t sequence = static_cast<uint16_t>(65500 + random() % 30);
    uint64_t now = 2;
    unsigned sent = 0;
    for (int packet = 0; packet < 3000; packet++) {
      if (random() % 40 == 0) sequence = static_cast<uint16_t>(random());
      if (random() % 10 == 0) sequence = static_cast<uint16_t>(sequence - random() % 100);
      now += random() % 50 == 0 ? 3'000'000'000 : 20'000'000;
      // Always the same payload: two packets with one index would be equal octets, and two key streams differ.
      Octets plain = rtp(1, 0);
      write16(&plain[2], sequence++);
      Octets const out = pass(*call.core.leg, Flow::rtp, plain, ipv4(2, 5000), now);
      if (out.empty()) continue;
      sent += 1;
      EXPECT(seen.insert(Octets(out.begin() + 12, out.end() - 10)).second);
    }
    EXPECT(sent > 1000);
  }
}

/** A source that starts again is carried forward eight times in ten seconds, and again when they are over. */
void eightJumps() {
  Call call;
  uint64_t now = 2;
  auto const restart = [&](unsigned times) {
    for (unsigned at = 0; at < times; at++) {
      // Far ahead, then back: the first packet below the window is dropped, the very next one shows the restart.
      pass(*call.core.leg, Flow::rtp, rtp(1, static_cast<uint16_t>(20000 + 1000 * at)), ipv4(2, 5000), now);
      for (uint16_t sequence = 5; sequence < 8; sequence++) {
        pass(*call.core.leg, Flow::rtp, rtp(1, sequence), ipv4(2, 5000), now);
      }
    }
  };
  restart(40);
  EXPECT(call.access.counters.carriedForward.get() == 8);
  now += 9'999'999'999;
  restart(40);
  EXPECT(call.access.counters.carriedForward.get() == 8);
  now += 1;
  restart(40);
  EXPECT(call.access.counters.carriedForward.get() == 16);
}

void untouched() {
  Plane plane;
  TestLeg one(plane, 1);
  TestLeg other(plane, 2);
  one.change(open(Protection::transparent, SuiteId::aesCm128Sha1_80, 1), 1);
  other.change(open(Protection::transparent, SuiteId::aesCm128Sha1_80, 2), 1);
  Leg::join(*one.leg, *other.leg);
  std::mt19937 random(5);
  for (int round = 0; round < 2000; round++) {
    Octets packet(random() % 200);
    for (auto& octet : packet) octet = static_cast<uint8_t>(random());
    Outgoing out;
    Octets const sent = pass(*one.leg, Flow::rtp, packet, ipv4(1, 5000), 2, &out);
    EXPECT(sent == packet && out.leg == other.leg.get() && (packet.empty() || out.to.port >= 5000));
  }
}

void sixtyFour() {
  Call call;
  for (uint32_t ssrc = 0; ssrc < 100; ssrc++) {
    call.fromUe(call.ue.seal(rtp(ssrc, 1)));
    call.fromCore(rtp(ssrc, 1));
  }
  EXPECT(call.access.counters.sources.get() == 64);
  // 36 could not come in, 36 could not go out.
  EXPECT(call.access.counters.sourcesRefused.get() == 72);
  // A packet that does not verify takes no room.
  Call quiet;
  for (uint32_t ssrc = 0; ssrc < 100; ssrc++) {
    Octets forged = quiet.ue.seal(rtp(ssrc, 1));
    forged.back() ^= 1;
    quiet.fromUe(forged);
  }
  EXPECT(quiet.access.counters.sources.get() == 0 && quiet.access.counters.authenticationFailures.get() == 100);
}

void expiry() {
  Plane plane;
  TestLeg access(plane, 1);
  TestLeg core(plane, 2);
  LegChange change = open(Protection::srtp, SuiteId::aeadAes128Gcm, 1);
  change.protection.send.lifetime = 16;
  EXPECT(access.change(change, 1) == Refusal::none);
  core.change(open(Protection::clear, SuiteId::aeadAes128Gcm, 2), 1);
  Leg::join(*access.leg, *core.leg);
  std::vector<EventKind> kinds;
  for (uint16_t sequence = 0; sequence < 20; sequence++) {
    pass(*core.leg, Flow::rtp, rtp(1, sequence), ipv4(2, 5000), 2);
    for (Event event; plane.events.pop(event);) {
      kinds.push_back(event.kind);
      EXPECT(event.leg == 1 && (event.kind != EventKind::keyExpiring || (sequence == 13 && event.what == 1)));
    }
  }
  EXPECT(access.counters.rtpOut.get() == 16 && access.counters.lifetimeDropped.get() == 4);
  EXPECT((kinds == std::vector<EventKind>{EventKind::keyExpiring, EventKind::alarm}));
}

void room() {
  Call call;
  Octets packet = rtp(1, 1);
  Outgoing out;
  std::unique_ptr<uint8_t[]> const tight(new uint8_t[packet.size() + 9]);
  std::memcpy(tight.get(), packet.data(), packet.size());
  EXPECT(receive(*call.core.leg, Flow::rtp, tight.get(), packet.size(), packet.size() + 9, ipv4(2, 5000), 2, out) ==
         Verdict::drop);
  EXPECT(call.access.counters.otherDropped.get() == 1);
  // Its index was not used: the same packet passes where there is room.
  EXPECT(call.fromCore(packet).size() == packet.size() + 10);
}

}  // namespace

std::vector<Case> legCases() {
  return {
      {"RFC 3711 3.3, 3.4: RTP and RTCP of every suite pass both ways, once", bothWays},
      {"no allocation for a packet of an SSRC that is known, whatever becomes of it", allocates},
      {"invariant 4, RFC 3711 9.1: no index is used twice under one key", neverTwice},
      {"invariant 4: a restarted source is carried forward at most eight times in ten seconds", eightJumps},
      {"invariant 9: transparent legs pass every octet", untouched},
      {"at most 64 SSRCs a leg and direction, and only by packets that verify", sixtyFour},
      {"RFC 3711 9.2: a key tells at 7/8 of its lifetime, and ends with it", expiry},
      {"a buffer without room costs the packet and nothing else", room},
  };
}

}  // namespace sallyport::test
