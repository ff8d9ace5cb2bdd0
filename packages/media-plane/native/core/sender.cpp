// The sending side; see sender.hpp.
#include "sender.hpp"

#include "packet.hpp"

namespace sallyport {
namespace {

Failure sourceFor(Sending& sending, uint32_t ssrc, SendSource*& source) noexcept {
  source = sending.sources.find(ssrc);
  if (source != nullptr) return Failure::none;
  if (sending.sources.size() >= maxSources) return Failure::sources;
  source = sending.sources.add(ssrc);
  if (source == nullptr) return Failure::resources;
  sending.used->store(true, std::memory_order_relaxed);
  return Failure::none;
}

// RFC 3711 9.1: two packets under one key, SSRC and index are a two-time pad. -1: it may have none.
int64_t indexFor(SendSource& source, uint16_t sequence, Jumps& jumps, uint64_t nowNs, SendNews& news) noexcept {
  auto const shifted = static_cast<uint16_t>(sequence + source.shift);
  int64_t const highest = source.used.highest();
  int64_t const index = highest < 0 ? shifted : guessIndex(highest, shifted);
  Seen const seen = isBeforeAll(highest, shifted) ? Seen::tooOld : source.used.check(index);
  int32_t const restartAt = source.restartAt;
  source.restartAt = -1;
  if (seen == Seen::fresh) return index;
  if (seen == Seen::replay) return -1;
  // Below the window. RFC 3550 A.1: two in a row are a source that has started again.
  if (sequence != restartAt || !jumps.allow(nowNs)) {
    source.restartAt = static_cast<uint16_t>(sequence + 1);
    return -1;
  }
  source.shift = static_cast<uint16_t>(highest + 1 - sequence);
  news.carriedForward = true;
  return highest + 1;
}

}  // namespace

void Sending::resume(Indices const& before) {
  for (auto const& [ssrc, indices] : before) {
    SendSource* const source = sources.add(ssrc);
    if (source == nullptr) continue;
    source->used = IndexWindow(indices.rtp);
    source->packets = indices.rtpPackets;
    source->rtcpNext = static_cast<uint32_t>(indices.rtcp + 1);
    key.srtpUsed += indices.rtpPackets;
    key.srtcpUsed += static_cast<uint64_t>(indices.rtcp + 1);
  }
}

Indices Sending::indices() {
  Indices all;
  sources.each([&all](SendSource const& source) {
    all[source.ssrc] = {source.used.highest(), static_cast<int64_t>(source.rtcpNext) - 1, source.packets};
  });
  return all;
}

Failure protectRtp(Sending& sending, Ciphers& ciphers, Jumps& jumps, uint64_t nowNs, uint8_t* packet, size_t& length,
                   size_t capacity, SendNews& news) noexcept {
  if (length < 12) return Failure::tooShort;
  size_t const header = rtpHeaderLength(packet, length);
  if (header == 0) return Failure::malformed;
  SessionKey& key = sending.key;
  Suite const& suite = *sending.suite;
  // RFC 3711 9.2: after the last packet of its lifetime a key must not be used.
  if (key.srtpUsed >= key.srtpLimit) return Failure::lifetime;
  size_t const trailer = rtpTrailer(suite, key);
  if (capacity < length + trailer) return Failure::resources;
  SendSource* source;
  Failure const known = sourceFor(sending, read32(packet + 8), source);
  if (known != Failure::none) return known;
  int64_t const index = indexFor(*source, read16(packet + 2), jumps, nowNs, news);
  if (index < 0) return Failure::indexReuse;
  if (index >= indexEnd) return Failure::lifetime;
  source->used.mark(index);
  source->packets += 1;
  key.srtpUsed += 1;
  news.expiring = key.expiring();
  write16(packet + 2, static_cast<uint16_t>(index));
  if (!sealRtp(ciphers, suite, key, packet, length, header, static_cast<uint32_t>(index >> 16))) {
    return Failure::resources;
  }
  length += trailer;
  return Failure::none;
}

Failure admitRtcp(Sending& sending, uint8_t const* packet, size_t length, size_t capacity, uint32_t& index,
                  SendNews& news) noexcept {
  if (length < rtcpClearLength) return Failure::tooShort;
  if (packet[0] >> 6 != 2) return Failure::malformed;
  SessionKey& key = sending.key;
  if (key.srtcpUsed >= key.srtcpLimit) return Failure::lifetime;
  if (capacity < length + rtcpTrailer(*sending.suite, key)) return Failure::resources;
  SendSource* source;
  Failure const known = sourceFor(sending, read32(packet + 4), source);
  if (known != Failure::none) return known;
  index = source->rtcpNext;
  if (index >= rtcpIndexEnd) return Failure::lifetime;
  source->rtcpNext = index + 1;
  key.srtcpUsed += 1;
  news.expiring = key.expiring();
  return Failure::none;
}

Failure sealAdmitted(Sending& sending, Ciphers& ciphers, uint8_t* packet, size_t& length, uint32_t index) noexcept {
  Suite const& suite = *sending.suite;
  if (!sealRtcp(ciphers, suite, sending.key, packet, length, encryptedFlag | index)) return Failure::resources;
  length += rtcpTrailer(suite, sending.key);
  return Failure::none;
}

}  // namespace sallyport
