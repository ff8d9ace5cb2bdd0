// The receiving side; see receiver.hpp.
#include "receiver.hpp"

#include <algorithm>
#include <cstring>

#include "packet.hpp"

namespace sallyport {
namespace {

Failure failureOf(Seen seen) noexcept { return seen == Seen::replay ? Failure::replay : Failure::tooOld; }

SessionKey* keyAt(Receiving& receiving, uint8_t const* mki) noexcept {
  for (unsigned at = 0; at < receiving.keyCount; at++) {
    SessionKey& key = receiving.key(at);
    if (std::memcmp(key.mki, mki, key.mkiLength) == 0) return &key;
  }
  return nullptr;
}

/**
 * RFC 3711 3.3.1 knows the ROC; after a change of keys it is only likely: the guess first, then 0 and the neighbours. Where
 * nothing was heard (`kept` is -1) it is 0, or 1 if all packets before a wrap were lost (RFC 4771 1).
 */
struct Tries {
  int64_t all[5];
  unsigned count = 0;

  Tries(int64_t kept, uint16_t sequence) noexcept {
    if (kept < 0) {
      all[count++] = sequence;
      if (sequence < 32768) all[count++] = 65536 + int64_t{sequence};
      return;
    }
    all[count++] = guessIndex(kept, sequence);
    int64_t const rollover = kept >> 16;
    for (int64_t const tried : {rollover, int64_t{0}, rollover - 1, rollover + 1}) {
      int64_t const index = tried * 65536 + sequence;
      if (index < 0 || index >= indexEnd || std::find(all, all + count, index) != all + count) continue;
      all[count++] = index;
    }
  }
};

}  // namespace

void Receiving::resume(Indices const& before) {
  for (auto const& [ssrc, indices] : before) {
    ReceiveSource* const source = sources.add(ssrc);
    if (source == nullptr) continue;
    source->rtp = IndexWindow(indices.rtp);
    source->rtcp = IndexWindow(indices.rtcp);
    source->packets = indices.rtpPackets;
  }
}

void Receiving::follow(Indices const& replaced) {
  for (auto const& [ssrc, indices] : replaced) {
    PredecessorSource* const source = indices.rtp < 0 ? nullptr : predecessor.add(ssrc);
    if (source != nullptr) source->rtp = indices.rtp;
  }
}

Indices Receiving::indices() {
  Indices all;
  sources.each([&all](ReceiveSource const& source) {
    all[source.ssrc] = {source.rtp.highest(), source.rtcp.highest(), source.packets};
  });
  return all;
}

Indices Receiving::reached() {
  Indices own;
  Indices all;
  predecessor.each([&all](PredecessorSource const& source) { all[source.ssrc].rtp = source.rtp; });
  sources.each([&](ReceiveSource const& source) {
    if (source.rtp.highest() < 0) return;
    HighestIndices& highest = all[source.ssrc];
    highest.rtp = source.settled ? source.rtp.highest() : std::max(source.rtp.highest(), highest.rtp);
    own[source.ssrc] = highest;
  });
  // Those that were silent are kept as long as there is room for them.
  return all.size() > 2 * maxSources ? own : all;
}

bool Receiving::sharesKeyWith(std::vector<Terms> const& asked) const {
  for (Terms const& one : terms) {
    for (Terms const& other : asked) {
      if (one.identity == other.identity) return true;
    }
  }
  return false;
}

Failure unprotectRtp(Receiving& receiving, Ciphers& ciphers, uint8_t* packet, size_t& length,
                     ReceiveNews& news) noexcept {
  Suite const& suite = *receiving.suite;
  // All keys have MKIs of one length.
  size_t const trailer = rtpTrailer(suite, receiving.first);
  if (length < 12 + trailer) return Failure::tooShort;
  size_t const end = length - trailer;
  size_t const header = rtpHeaderLength(packet, end);
  if (header == 0) return Failure::malformed;

  uint32_t const ssrc = read32(packet + 8);
  uint16_t const sequence = read16(packet + 2);
  ReceiveSource* source = receiving.sources.find(ssrc);
  if (source == nullptr && receiving.sources.size() >= maxSources) return Failure::sources;
  int64_t const highest = source == nullptr ? -1 : source->rtp.highest();
  auto const check = [source](int64_t index) { return source == nullptr ? Seen::fresh : source->rtp.check(index); };

  // Without an index of our own the sender's ROC is unknown: it starts at 0, or goes on where an earlier key ended.
  bool const settled = source != nullptr && source->settled;
  int64_t kept = -1;
  if (!settled) {
    PredecessorSource const* const before = receiving.predecessor.find(ssrc);
    kept = std::max(highest, before == nullptr ? -1 : before->rtp);
  }
  int64_t index;
  Seen seen;
  if (settled) {
    index = guessIndex(highest, sequence);
    seen = check(index);
    if (seen != Seen::fresh) return failureOf(seen);
  } else {
    Tries const tries(kept, sequence);
    index = tries.all[0];
    seen = check(index);
    auto const isFresh = [&check](int64_t tried) { return check(tried) == Seen::fresh; };
    if (seen != Seen::fresh && std::none_of(tries.all, tries.all + tries.count, isFresh)) return failureOf(seen);
  }

  // RFC 3711 3.1, RFC 7714 8.2: the MKI stands before the tag, with AEAD after it.
  SessionKey* const key = keyAt(receiving, packet + (suite.aead ? length - receiving.first.mkiLength : end));
  if (key == nullptr) return Failure::mki;
  if (key->srtpUsed >= key->srtpLimit) return Failure::lifetime;

  bool opened = false;
  if (settled) {
    opened = index < indexEnd &&
             openRtp(ciphers, suite, *key, packet, length, header, static_cast<uint32_t>(index >> 16));
  } else {
    Tries const tries(kept, sequence);
    for (unsigned at = 0; at < tries.count && !opened; at++) {
      int64_t const tried = tries.all[at];
      if (tried >= indexEnd || check(tried) != Seen::fresh) continue;
      opened = openRtp(ciphers, suite, *key, packet, length, header, static_cast<uint32_t>(tried >> 16));
      if (!opened) continue;
      news.rocTrial = at != 0;
      index = tried;
    }
  }
  // A packet that no ROC opens and whose likely index was there before is the replay it looks like.
  if (!opened) return seen == Seen::fresh ? Failure::authentication : failureOf(seen);

  if (source == nullptr) source = receiving.sources.add(ssrc);
  if (source == nullptr) return Failure::resources;
  source->rtp.mark(index);
  source->packets += 1;
  source->settled = true;
  key->srtpUsed += 1;
  news.expiring = key->expiring();
  length = end;
  return Failure::none;
}

Failure unprotectRtcp(Receiving& receiving, Ciphers& ciphers, uint8_t* packet, size_t& length,
                      ReceiveNews& news) noexcept {
  Suite const& suite = *receiving.suite;
  size_t const trailer = rtcpTrailer(suite, receiving.first);
  if (length < rtcpClearLength + trailer) return Failure::tooShort;
  if (packet[0] >> 6 != 2) return Failure::malformed;
  // RFC 3711 3.4: word, MKI, tag; RFC 7714 9: tag, word, MKI.
  size_t const mki = length - receiving.first.mkiLength - (suite.aead ? 0 : suite.srtcpTag);
  uint32_t const word = read32(packet + mki - 4);
  if (word < encryptedFlag) return Failure::unencrypted;

  uint32_t const ssrc = read32(packet + 4);
  int64_t const index = word & ~encryptedFlag;
  ReceiveSource* source = receiving.sources.find(ssrc);
  if (source == nullptr && receiving.sources.size() >= maxSources) return Failure::sources;
  Seen const seen = source == nullptr ? Seen::fresh : source->rtcp.check(index);
  if (seen != Seen::fresh) return failureOf(seen);

  SessionKey* const key = keyAt(receiving, packet + mki);
  if (key == nullptr) return Failure::mki;
  if (key->srtcpUsed >= key->srtcpLimit) return Failure::lifetime;
  if (!openRtcp(ciphers, suite, *key, packet, length, word)) return Failure::authentication;

  if (source == nullptr) source = receiving.sources.add(ssrc);
  if (source == nullptr) return Failure::resources;
  source->rtcp.mark(index);
  key->srtcpUsed += 1;
  news.expiring = key->expiring();
  length -= trailer;
  return Failure::none;
}

}  // namespace sallyport
