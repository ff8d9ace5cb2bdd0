// Owns the highest indices by SSRC: what must outlive a key's contexts so that no index is taken twice under that key.
#pragma once
#include <algorithm>
#include <cstdint>
#include <unordered_map>

namespace sallyport {

/** -1 where there was none; how many SRTP packets there were, for the key's lifetime; SRTCP counts by its index. */
struct HighestIndices {
  int64_t rtp = -1;
  int64_t rtcp = -1;
  uint64_t rtpPackets = 0;
};

using Indices = std::unordered_map<uint32_t, HighestIndices>;

/** Each the higher of both. */
inline void mergeIndices(Indices& into, Indices const& from) {
  for (auto const& [ssrc, indices] : from) {
    HighestIndices& before = into[ssrc];
    before.rtp = std::max(before.rtp, indices.rtp);
    before.rtcp = std::max(before.rtcp, indices.rtcp);
    before.rtpPackets = std::max(before.rtpPackets, indices.rtpPackets);
  }
}

}  // namespace sallyport
