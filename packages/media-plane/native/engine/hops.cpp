#include "hops.hpp"
#include <cstring>
#include <random>

namespace sallyport::xdp {
namespace {

/** Where an entry stands is nothing a sender can choose. */
const uint64_t secret = std::random_device{}() | 1ull << 40;

uint64_t mix(uint64_t from, uint8_t const* octets) {
  uint64_t parts[2];
  std::memcpy(parts, octets, sizeof parts);
  for (const uint64_t part : parts) {
    from = (from ^ part) * 0x9e3779b97f4a7c15;
    from ^= from >> 29;
  }
  return from;
}

}  // namespace

Hops::Hops() : hops_(mostHops), table_(buckets, none) {
  free_.reserve(mostHops);
  for (uint32_t place = mostHops; place-- > 0;) free_.push_back(static_cast<uint16_t>(place));
}

uint32_t Hops::bucketOf(Address const& local, Address const& to) {
  return static_cast<uint32_t>(mix(mix(secret, local.octets), to.octets) >> 32) & (buckets - 1);
}

Hop* Hops::find(Address const& local, Address const& to) {
  uint32_t bucket = bucketOf(local, to);
  for (; table_[bucket] != none; bucket = (bucket + 1) & (buckets - 1)) {
    Hop& hop = hops_[table_[bucket]];
    if (sameHost(hop.to, to) && sameHost(hop.local, local)) return &hop;
  }
  if (free_.empty()) return nullptr;
  const uint16_t place = free_.back();
  free_.pop_back();
  table_[bucket] = place;
  Hop& hop = hops_[place];
  hop = Hop{};
  hop.local = local;
  hop.to = to;
  if (++serials_ == 0) ++serials_;
  hop.serial = serials_;
  return &hop;
}

void Hops::forget(Hop& hop) {
  const auto place = static_cast<uint16_t>(placeOf(hop));
  uint32_t gap = bucketOf(hop.local, hop.to);
  while (table_[gap] != place) gap = (gap + 1) & (buckets - 1);
  // What was pushed on by this entry moves up, so that no search ends at the gap.
  for (uint32_t at = gap;;) {
    at = (at + 1) & (buckets - 1);
    if (table_[at] == none) break;
    Hop const& other = hops_[table_[at]];
    const uint32_t due = bucketOf(other.local, other.to);
    if (((at - due) & (buckets - 1)) < ((at - gap) & (buckets - 1))) continue;
    table_[gap] = table_[at];
    gap = at;
  }
  table_[gap] = none;
  hop.serial = 0;
  free_.push_back(place);
}

}  // namespace sallyport::xdp
