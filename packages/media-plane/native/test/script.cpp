// See script.hpp. All numbers are big-endian.
#include "script.hpp"

#include <algorithm>
#include <cmath>

namespace sallyport::test {
namespace {

enum Operation : uint8_t { opOpen = 1, opUpdate, opJoin, opPacket, opAdvance, opCounters, opClose, opEvents };

/** Beside the fields of a change: RTCP has an address of its own. */
constexpr uint32_t rtcpElsewhere = 512;

void put(Octets& out, uint64_t value, unsigned octets) {
  for (unsigned at = octets; at-- > 0;) out.push_back(static_cast<uint8_t>(value >> (8 * at)));
}

void putAddress(Octets& out, Address const& address) {
  out.push_back(address.family);
  out.insert(out.end(), address.octets, address.octets + 16);
  put(out, address.port, 2);
}

}  // namespace

struct Script::Reader {
  uint8_t const* at;
  uint8_t const* end;
  bool failed = false;

  uint8_t const* take(size_t octets) {
    static constexpr uint8_t zeros[256] = {};
    if (failed || static_cast<size_t>(end - at) < octets) {
      failed = true;
      return octets <= sizeof zeros ? zeros : nullptr;
    }
    uint8_t const* const taken = at;
    at += octets;
    return taken;
  }
  uint64_t number(unsigned octets) {
    uint64_t value = 0;
    uint8_t const* const taken = take(octets);
    for (unsigned place = 0; place < octets; place++) value = value << 8 | taken[place];
    return value;
  }
  uint8_t octet() { return static_cast<uint8_t>(number(1)); }
  double real() {
    uint64_t const bits = number(8);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value) || value < 0) failed = true;
    return value;
  }
  Address host() {
    Address address;
    address.family = octet();
    std::memcpy(address.octets, take(16), 16);
    if (address.family != 0 && address.family != 4 && address.family != 6) failed = true;
    return address;
  }
  void key(KeyPlan& key) {
    key.masterLength = octet();
    key.mkiLength = octet();
    uint8_t const* const master = take(key.masterLength);
    uint8_t const* const mki = take(key.mkiLength);
    // Longer than any key or MKI may be: the lengths alone must be refused.
    std::memcpy(key.master, master, std::min<size_t>(key.masterLength, maxMasterLength));
    std::memcpy(key.mki, mki, std::min<size_t>(key.mkiLength, maxMki));
    key.lifetime = number(8);
  }
  PortSpan ports() {
    PortSpan span;
    span.first = static_cast<uint16_t>(number(2));
    span.last = static_cast<uint16_t>(number(2));
    return span;
  }
};

bool Script::readChange(Reader& reader, LegChange& change) {
  auto const said = static_cast<uint32_t>(reader.number(2));
  change.fields = said & allFields;
  auto const has = [&change](uint32_t field) { return (change.fields & field) != 0; };
  if (has(fieldMode)) change.mode = static_cast<Mode>(reader.octet() & 3);
  if (has(fieldRtcp)) change.rtcpMux = reader.octet() != 0;
  if (has(fieldProtection)) {
    ProtectionPlan& plan = change.protection;
    plan.kind = static_cast<Protection>(reader.octet() & 3);
    if (plan.kind == Protection::srtp) {
      plan.suite = static_cast<SuiteId>(reader.octet() % suiteCount);
      unsigned const count = reader.octet();
      if (count > 2 * maxReceiveKeys) return false;
      plan.receive.resize(count);
      for (KeyPlan& key : plan.receive) reader.key(key);
      reader.key(plan.send);
    }
  }
  if (has(fieldRemote)) {
    change.remote.rtp = reader.host();
    change.remote.rtcp = (said & rtcpElsewhere) != 0 ? reader.host() : change.remote.rtp;
    change.remote.rtp.port = static_cast<uint16_t>(reader.number(2));
    change.remote.rtcp.port = static_cast<uint16_t>(reader.number(2));
  }
  if (has(fieldLatch)) change.latch = static_cast<LatchRule>(reader.octet() % 3);
  if (has(fieldInactivity)) change.inactivityNs = reader.number(4) * 1'000'000;
  if (has(fieldFilter)) {
    uint8_t const flags = reader.octet();
    change.filtered = (flags & 1) != 0;
    change.filter.hasAddress = (flags & 2) != 0;
    change.filter.hasPorts = (flags & 4) != 0;
    change.filter.hasRtcpPorts = (flags & 8) != 0;
    change.filter.prefix = reader.octet();
    change.filter.address = reader.host();
    change.filter.ports = reader.ports();
    change.filter.rtcpPorts = reader.ports();
    if (change.filter.prefix > (change.filter.address.family == 6 ? 128 : 32)) return false;
  }
  if (has(fieldPolicing)) {
    change.policed = reader.octet() != 0;
    change.policing.sustainedOctetsPerS = reader.real();
    change.policing.sustainedBurst = reader.real();
    change.policing.peakOctetsPerS = reader.real();
    change.policing.peakToleranceMs = reader.real();
  }
  if (has(fieldDscp)) change.dscp = reader.octet() & 63;
  return !reader.failed;
}

bool Script::step(Reader& reader, Octets& out) {
  uint8_t const operation = reader.octet();
  if (operation == opAdvance) {
    uint64_t const ms = reader.number(4);
    if (reader.failed) return false;
    nowNs_ += ms * 1'000'000;
    for (auto const& one : legs_) {
      if (one != nullptr && one->leg->deadline() <= nowNs_) one->leg->tick(nowNs_);
    }
    return true;
  }
  if (operation == opEvents) {
    events(out);
    return true;
  }
  uint8_t const place = reader.octet();
  if (reader.failed || place >= maxLegs) return false;
  std::unique_ptr<TestLeg>& leg = legs_[place];
  if (operation == opOpen) {
    LegChange change;
    if (leg != nullptr || !readChange(reader, change) || change.fields != allFields) return false;
    leg = std::make_unique<TestLeg>(plane_, place + 1u);
    Refusal const refusal = leg->change(change, nowNs_);
    put(out, static_cast<uint64_t>(refusal), 1);
    if (refusal != Refusal::none) leg = nullptr;
    return true;
  }
  if (leg == nullptr) return false;
  switch (operation) {
    case opUpdate: {
      LegChange change;
      if (!readChange(reader, change)) return false;
      put(out, static_cast<uint64_t>(leg->change(change, nowNs_)), 1);
      return true;
    }
    case opJoin: {
      uint8_t const other = reader.octet();
      if (reader.failed || other >= maxLegs || legs_[other] == nullptr || other == place) return false;
      Leg::join(*leg->leg, *legs_[other]->leg);
      return true;
    }
    case opPacket: {
      Flow const flow = (reader.octet() & 1) != 0 ? Flow::rtcp : Flow::rtp;
      Address source = reader.host();
      source.port = static_cast<uint16_t>(reader.number(2));
      auto const length = static_cast<size_t>(reader.number(2));
      uint8_t const* const taken = reader.take(length);
      if (reader.failed) return false;
      // Exactly as much room as is promised, so that a sanitizer sees one octet too many.
      std::unique_ptr<uint8_t[]> const buffer(new uint8_t[length + maxGrowth]);
      std::memcpy(buffer.get(), taken, length);
      Outgoing told{};
      Verdict const verdict =
          receive(*leg->leg, flow, buffer.get(), length, length + maxGrowth, source, nowNs_, told);
      put(out, verdict == Verdict::send ? told.leg->id() : 0, 1);
      if (verdict != Verdict::send) return true;
      put(out, static_cast<uint64_t>(told.flow), 1);
      putAddress(out, told.to);
      put(out, told.length, 2);
      out.insert(out.end(), buffer.get(), buffer.get() + told.length);
      return true;
    }
    case opCounters: {
      auto const* const fields = reinterpret_cast<Counter const*>(&leg->counters);
      for (size_t at = 0; at < counterCount; at++) put(out, fields[at].get(), 8);
      return true;
    }
    case opClose:
      leg->leg->close();
      leg->ledger.close();
      leg = nullptr;
      return true;
    default:
      return false;
  }
}

void Script::events(Octets& out) {
  Event event;
  Octets all;
  uint64_t count = 0;
  for (; plane_.events.pop(event); count++) {
    put(all, event.leg, 1);
    put(all, static_cast<uint64_t>(event.kind), 1);
    put(all, event.what, 1);
    put(all, event.count, 8);
  }
  put(out, count, 2);
  out.insert(out.end(), all.begin(), all.end());
}

bool Script::play(uint8_t const* octets, size_t length, Octets& out) {
  Reader reader{octets, octets + length};
  while (reader.at < reader.end) {
    if (!step(reader, out)) return false;
  }
  return true;
}

void Script::end() {
  for (auto& leg : legs_) {
    if (leg == nullptr) continue;
    leg->leg->close();
    leg->ledger.close();
    leg = nullptr;
  }
  Event event;
  while (plane_.events.pop(event)) {
  }
}

}  // namespace sallyport::test
