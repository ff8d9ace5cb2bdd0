// Keys: derivation, their memory, and who may use them.
#include <sys/resource.h>

#include <cstring>
#include <fstream>
#include <string>

#include "cases.hpp"
#include "plane.hpp"

namespace sallyport::test {
namespace {

Octets hex(char const* text) {
  Octets octets;
  for (; text[0] != 0; text += 2) octets.push_back(static_cast<uint8_t>(std::stoul(std::string(text, 2), nullptr, 16)));
  return octets;
}

void derivation() {
  Octets const master = hex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
  DerivedKeys keys;
  EXPECT(deriveKeys(suiteOf(SuiteId::aesCm128Sha1_80), master.data(), 0, keys));
  EXPECT(std::memcmp(keys.encryption, hex("c61e7a93744f39ee10734afe3ff7a087").data(), 16) == 0);
  EXPECT(std::memcmp(keys.salt, hex("30cbbc08863d8c85d49db34a9ae1").data(), 14) == 0);
  EXPECT(std::memcmp(keys.authentication, hex("cebe321f6ff7716b6fd4ab49af256a156d38baa4").data(), 20) == 0);
}

bool zero(void const* at, size_t length) {
  auto const* octets = static_cast<uint8_t const*>(at);
  for (size_t index = 0; index < length; index++) {
    if (octets[index] != 0) return false;
  }
  return true;
}

/** The flags of the mapping that holds an address: `lo` locked, `dd` not dumped, `dc` not in a child (proc(5)). */
std::string mappingFlags(void const* address) {
  std::ifstream maps("/proc/self/smaps");
  auto const wanted = reinterpret_cast<uintptr_t>(address);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t from = 0;
    uintptr_t to = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) inside = wanted >= from && wanted < to;
    if (inside && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return "";
}

void pool() {
  KeyPool keys;
  KeyPool::Trouble trouble;
  EXPECT(keys.reserve(3, trouble));
  KeySlot* const first = keys.take();
  KeySlot* const second = keys.take();
  std::string const flags = mappingFlags(first);
  for (char const* flag : {" lo ", " dd ", " dc "}) {
#ifdef __SANITIZE_ADDRESS__
    // The address sanitizer makes mlock do nothing.
    if (flag[1] == 'l') continue;
#endif
    EXPECT(flags.find(flag) != std::string::npos);
  }
  EXPECT(keys.take() != nullptr);
  EXPECT(keys.take() == nullptr && keys.taken() == 3);
  std::memset(second, 0xaa, sizeof *second);
  keys.give(second);
  // All but the link of the free list is zero, and that too when it is taken again.
  EXPECT(zero(reinterpret_cast<uint8_t*>(second) + sizeof(void*), sizeof *second - sizeof(void*)));
  KeySlot* const again = keys.take();
  EXPECT(again == second && zero(again, sizeof *again));
}

void limit() {
  rlimit before{};
  getrlimit(RLIMIT_MEMLOCK, &before);
  rlimit const small{65536, before.rlim_max};
  setrlimit(RLIMIT_MEMLOCK, &small);
  KeyPool keys;
  KeyPool::Trouble trouble;
  // One with CAP_IPC_LOCK may lock what it likes: there is nothing to refuse then.
  if (!keys.reserve(100'000, trouble)) {
    EXPECT(trouble.error != 0 && trouble.needed >= 100'000 * sizeof(KeySlot) && trouble.limit == 65536);
    EXPECT(keys.take() == nullptr);
  }
  setrlimit(RLIMIT_MEMLOCK, &before);
}

void ciphers() {
  Plane plane;
  for (unsigned at = 0; at < suiteCount; at++) {
    auto const suite = static_cast<SuiteId>(at);
    End one(plane, suite, key(suite, 3));
    End other(plane, suite, key(suite, 4));
    Octets const plain = rtp(1, 2);
    Octets const sealed = one.seal(plain);
    // Two keys in turn and one twice running: a context that has the key already gives the same.
    EXPECT(one.seal(plain) == sealed);
    EXPECT(other.seal(plain) != sealed);
    EXPECT(one.seal(plain) == sealed);
    // Keys that differ in nothing but the cipher key: a context that kept the one before would seal the same.
    SessionHalf const half = one.session.slot->srtp;
    SessionHalf& twin = other.session.slot->srtp;
    std::memcpy(twin.salt, half.salt, sizeof half.salt);
    EXPECT(one.seal(plain) == sealed);
    Octets const apart = other.seal(plain);
    EXPECT(std::memcmp(&apart[12], &sealed[12], plain.size() - 12) != 0);
    plane.worker->ciphers.forget();
    EXPECT(one.seal(plain) == sealed);
    Octets opened = sealed;
    EXPECT(openRtp(plane.worker->ciphers, one.suite, one.session, opened.data(), opened.size(), 12, 0));
    EXPECT(std::memcmp(opened.data(), plain.data(), plain.size()) == 0);
    // Invariant 3: what does not verify is as it was, for the next key to try.
    for (size_t bit = 0; bit < sealed.size() * 8; bit += 7) {
      Octets spoilt = sealed;
      spoilt[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      Octets const before = spoilt;
      EXPECT(!openRtp(plane.worker->ciphers, one.suite, one.session, spoilt.data(), spoilt.size(), 12, 0));
      EXPECT(spoilt == before);
    }
  }
}

void reusedSlot() {
  // A slot that another key takes over must not pass for the key before.
  Plane plane(3);
  SuiteId const suite = SuiteId::aesCm128Sha1_80;
  Octets first;
  KeySlot* slot = nullptr;
  {
    End one(plane, suite, key(suite, 3));
    slot = one.session.slot;
    first = one.seal(rtp(1, 1));
  }
  End spare(plane, suite, key(suite, 5));
  End other(plane, suite, key(suite, 4));
  EXPECT(spare.session.slot == slot || other.session.slot == slot);
  EXPECT(spare.seal(rtp(1, 1)) != first && other.seal(rtp(1, 1)) != first);
}

void retired() {
  Plane plane(16);
  TestLeg leg(plane, 1);
  EXPECT(leg.change(open(Protection::srtp), 0) == Refusal::none);
  EXPECT(plane.pool.taken() == 3);
  LegChange rekey;
  rekey.fields = fieldProtection;
  rekey.protection = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 7).protection;
  EXPECT(leg.change(rekey, 1) == Refusal::none);
  // The old receive key is there for the overlap, then gone.
  EXPECT(plane.pool.taken() == 4 && leg.leg->deadline() == 1 + overlapNs);
  leg.leg->tick(overlapNs);
  EXPECT(plane.pool.taken() == 4);
  leg.leg->tick(1 + overlapNs);
  EXPECT(plane.pool.taken() == 3);
  leg.leg->close();
  EXPECT(plane.pool.taken() == 1);
}

void sendKeys() {
  Plane plane;
  TestLeg one(plane, 1);
  TestLeg other(plane, 2);
  LegChange const first = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 1);
  EXPECT(one.change(first, 0) == Refusal::none);
  LegChange same = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 2);
  same.protection.send = first.protection.send;
  EXPECT(other.change(same, 0) == Refusal::otherLeg && other.ledger.owner() == 1);
  // Nothing was sent under it: replaced, it is as good as new.
  LegChange rekey = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 9);
  EXPECT(one.change(rekey, 0) == Refusal::none);
  EXPECT(other.change(same, 0) == Refusal::none);
  LegChange own = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 11);
  own.protection.send = own.protection.receive[0];
  EXPECT(one.change(own, 0) == Refusal::ownReceiveKey);
  // A refused change leaves no key behind.
  size_t const before = plane.pool.taken();
  LegChange wrong = open(Protection::srtp, SuiteId::aesCm128Sha1_80, 12);
  wrong.protection.receive[0].masterLength = 29;
  EXPECT(one.change(wrong, 0) == Refusal::keyLength && plane.pool.taken() == before);
  other.leg->close();
  other.ledger.close();
  EXPECT(one.change(same, 0) == Refusal::none);
  // Once something was sent under it, no other leg may have it, even when this one is closed.
  TestLeg core(plane, 3);
  EXPECT(core.change(open(Protection::clear, SuiteId::aesCm128Sha1_80, 20), 0) == Refusal::none);
  Leg::join(*one.leg, *core.leg);
  EXPECT(!pass(*core.leg, Flow::rtp, rtp(1, 1), ipv4(20, 5000), 1).empty());
  one.leg->close();
  one.ledger.close();
  TestLeg late(plane, 4);
  EXPECT(late.change(same, 2) == Refusal::closedLeg);
}

void noMemory() {
  Plane plane(4);
  TestLeg one(plane, 1);
  TestLeg other(plane, 2);
  EXPECT(one.change(open(Protection::srtp), 0) == Refusal::none);
  EXPECT(other.change(open(Protection::srtp, SuiteId::aesCm128Sha1_80, 5), 0) == Refusal::keyMemory);
  EXPECT(plane.pool.taken() == 3);
}

}  // namespace

std::vector<Case> keyCases() {
  return {
      {"RFC 3711 B.3: session keys", derivation},
      {"keys lie in memory that is locked, left out of dumps and zeroised when given back", pool},
      {"RLIMIT_MEMLOCK: what cannot be locked is refused with the limit", limit},
      {"RFC 3711 3.3, RFC 7714 8: every suite seals, opens, and leaves what does not verify as it was", ciphers},
      {"a slot used again is another key", reusedSlot},
      {"RFC 3711 3.3.1: the old receive key is kept three seconds, then zeroised", retired},
      {"invariant 4: a send key belongs to one leg", sendKeys},
      {"without memory for keys a change is refused and nothing is left taken", noMemory},
  };
}

}  // namespace sallyport::test
